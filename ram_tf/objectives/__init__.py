"""Objectives: `(rollout, labels) -> {name: per-example term (batch,)}`, unweighted."""

from ram_tf.objectives.ram import ram_objective

__all__ = ["ram_objective"]
