"""Objectives: `(rollout, labels) -> {name: per-example term (batch,)}`, unweighted."""

from ram_tf.objectives.active_ram import active_ram_objective
from ram_tf.objectives.credit import Credit
from ram_tf.objectives.fine_grained import combination_objective
from ram_tf.objectives.pham import (
    classification_objective,
    evidence_objective,
    joint_objective,
)
from ram_tf.objectives.places import place_error, with_places
from ram_tf.objectives.ram import (
    belief,
    gain,
    is_right,
    is_right_and_not_false_alarm,
    log_belief,
    log_gain,
    minus_loss,
    ram_objective,
)

__all__ = [
    "Credit",
    "active_ram_objective",
    "belief",
    "classification_objective",
    "combination_objective",
    "evidence_objective",
    "gain",
    "is_right",
    "is_right_and_not_false_alarm",
    "joint_objective",
    "log_belief",
    "log_gain",
    "minus_loss",
    "place_error",
    "ram_objective",
    "with_places",
]
