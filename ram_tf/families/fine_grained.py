"""Fine-grained attention: a backbone first, then where to look with it."""

import functools

from ram_tf import models, objectives, policies
from ram_tf.families.family import Family
from ram_tf.families.phase import Phase
from ram_tf.families.ram import AFTER_EACH, RETURNS, find_control


def _context_policy(kind="context", stddev=0.2):
    """The policy to train with: the model's own, or a control that never learns."""
    if kind == "context":
        return policies.ContextPolicy(stddev=stddev)
    return find_control(kind, own="context")


def _context_mean(kind="context", stddev=0.2):
    if kind != "context":
        return None  # The emission has learned nothing.
    return policies.ContextPolicy(sample=False, stddev=stddev)


_COMBINATIONS = ("high_medium", "high_low", "medium_low", "high_medium_low")


PHASES = (
    Phase(
        name="pretrain",
        policy=policies.CenterPolicy,
        objective=objectives.combination_objective,
        weights={
            **dict.fromkeys(_COMBINATIONS, 1.0),
            **{f"{name}_accuracy": 0.0 for name in _COMBINATIONS},
        },
        frozen=("core", "emission", "baseline", "classifier", "where"),
        fixed={"num_glimpses": 1, "mc_samples": 1},
        view=lambda network: network.resolutions,
    ),
    Phase(
        name="attend",
        policy=_context_policy,
        objective=functools.partial(objectives.ram_objective, opens=True),
        weights={"classification": 1.0, "baseline": 1.0, "reinforce": 1.0},
        returns=RETURNS,
        credit=objectives.Credit,
        after_each=AFTER_EACH,
        optional=("early_classification",),
        frozen=("resolutions",),
        # The first decision is made of the context alone, by a part of the emission.
        decided={"emission": 2, "baseline": 1},
        starts_from="pretrain",
        reading={"classify_last": 1},
        policies={"mean": _context_mean},
        monitored_policy="mean",
    ),
)


FAMILY = Family(
    models.FineGrained.from_options, PHASES, default_policy="mean", pretrained=True
)
