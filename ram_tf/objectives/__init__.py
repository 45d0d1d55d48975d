"""Objectives: `(rollout, labels) -> {name: per-example term (batch,)}`, unweighted."""

from ram_tf.objectives.pham import (
    classification_objective,
    evidence_objective,
    joint_objective,
)
from ram_tf.objectives.ram import ram_objective

__all__ = [
    "classification_objective",
    "evidence_objective",
    "joint_objective",
    "ram_objective",
]
