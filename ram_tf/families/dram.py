"""The deep recurrent attention model: the first glimpse is a decision as well."""

import functools

from ram_tf import models, objectives, policies
from ram_tf.families.family import Family
from ram_tf.families.phase import Phase
from ram_tf.families.ram import AFTER_EACH, RETURNS, aiming, find_control


def _opening_policy(kind="opening"):
    """The policy to train with: the model's own, or a control that never learns."""
    if kind == "opening":
        return policies.OpeningPolicy()
    return find_control(kind, own="opening")


def _opening_mean(kind="opening"):
    if kind != "opening":
        return None  # The location head has learned nothing.
    return policies.OpeningPolicy(sample=False)


PHASES = (
    Phase(
        name="train",
        policy=_opening_policy,
        objective=functools.partial(objectives.ram_objective, opens=True),
        weights={"classification": 1.0, "baseline": 1.0, "reinforce": 1.0},
        returns=RETURNS,
        credit=objectives.Credit,
        guided=aiming(_opening_policy),
        after_each=AFTER_EACH,
        optional=("early_classification",),
        # The first decision is made of the context alone.
        decided={"location": 1, "baseline": 1, "context": 1, "upper": 2},
        reading={"classify_last": 1},
        policies={"mean": _opening_mean},
        monitored_policy="mean",
    ),
)


FAMILY = Family(models.DRAM.from_options, PHASES, default_policy="mean")
