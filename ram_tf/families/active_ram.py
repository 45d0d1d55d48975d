"""RAM as active information sampling: it also learns how wrong it may be."""

from ram_tf import models, objectives
from ram_tf.families.family import Family
from ram_tf.families.phase import Phase
from ram_tf.families.ram import AFTER_EACH, POLICIES, RETURNS, aiming, ram_policy

PHASES = (
    Phase(
        name="train",
        policy=ram_policy,
        objective=objectives.active_ram_objective,
        returns=RETURNS,
        credit=objectives.Credit,
        guided=aiming(ram_policy),
        after_each=AFTER_EACH,
        weights={
            "classification": 1.0,
            "baseline": 1.0,
            "reinforce": 1.0,
            "error_fit": 1.0,
            "uncertainty": 1e-3,
            "intrinsic_belief": 1e-2,
            "early_classification": 1.0,
        },
        decided={"location": 1, "baseline": 1},
        policies=POLICIES,
        monitored_policy="mean",
    ),
)


FAMILY = Family(models.ActiveRAM.from_options, PHASES, default_policy="mean")
