"""The recurrent attention model: one phase, learned from being right."""

import dataclasses
import functools

from ram_tf import models, objectives, policies
from ram_tf.families.family import Family
from ram_tf.families.phase import Phase


def ram_policy(
    kind="gaussian", first_fraction=1.0, first_location=None, count_last_action=False
):
    """The policy to train with: the model's own, or a control that never learns.

    A control stands in for it with nothing else changed: it begins alike if it moves at
    all, and decides nothing that could count.
    """
    if kind == "gaussian":
        return policies.GaussianPolicy(
            first_fraction=first_fraction,
            first_location=first_location,
            count_last_action=count_last_action,
        )
    if kind == "random":
        return random_after_the_first(first_fraction, first_location)
    return find_control(kind, own="gaussian")


def find_control(kind, own):
    """Returns the control of that name, which stands for a family's `own` policy."""
    if kind not in policies.CONTROLS:
        known = ", ".join([own, *policies.CONTROLS])
        raise ValueError(f"unknown policy.kind {kind!r}: expected one of {known}")
    return policies.CONTROLS[kind]


def mean_policy(kind="gaussian", first_location=None):
    """Returns the learned policy without noise; `None` where nothing was learned.

    Its first glimpse is the fixed place if there is one, or the centre.
    """
    if kind != "gaussian":
        return None  # The location head has learned nothing.
    return policies.GaussianPolicy(sample=False, first_location=first_location)


def random_after_the_first(first_fraction=1.0, first_location=None):
    """Random places, but for a first glimpse that is drawn as the Gaussian policy's."""
    return policies.RandomPolicy(first_fraction, first_location)


def aiming(factory):
    """A factory of the same policies, which also say where they aim, if they do."""

    @functools.wraps(factory)
    def make(**options):
        policy = factory(**options)
        return policy if policy.blind else dataclasses.replace(policy, aims=True)

    return make


POLICIES = {"mean": mean_policy, "random": random_after_the_first}


RETURNS = {
    "right": objectives.is_right,
    "belief": objectives.belief,
    # Of an open set.
    "right_and_not_false_alarm": objectives.is_right_and_not_false_alarm,
    "gain": objectives.gain,
    "log_gain": objectives.log_gain,
    "minus_loss": objectives.minus_loss,
}
# Those that come after each glimpse, and not once for all.
AFTER_EACH = frozenset({"gain", "log_gain", "minus_loss"})


PHASES = (
    Phase(
        name="train",
        policy=ram_policy,
        objective=objectives.ram_objective,
        weights={"classification": 1.0, "baseline": 1.0, "reinforce": 1.0},
        returns=RETURNS,
        credit=objectives.Credit,
        guided=aiming(ram_policy),
        after_each=AFTER_EACH,
        stop_rules=dict.fromkeys(("gain", "log_gain"), models.LittlePromise),
        optional=("early_classification",),
        decided={"location": 1, "baseline": 1},
        reading={"classify_last": 1},
        policies=POLICIES,
        monitored_policy="mean",
    ),
)


FAMILY = Family(models.RAM.from_options, PHASES, default_policy="mean")
