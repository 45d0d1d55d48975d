"""Policies decide where to look. They may draw random numbers, never own weights.

A policy has three methods. `plan(network, context, state, num_glimpses, seed)` returns
all locations `(batch, glimpses, 2)` when they do not depend on what is seen, else
`None`. `start` and `__call__`, of (network, context, state, seed, training), return a
`Choice`: the first glimpse, and the next one. `deterministic` says that looking twice
at one image gives the same places, `count_last_action` that the policy is asked after
the last glimpse too, though no glimpse follows, and `unroll` that it is cheap: a policy
that computes much is compiled once, in a loop, where no gradient is needed.
"""

from ram_tf.policies.cells import (
    CentralCells,
    InformationGain,
    Oracle,
    PlannedAhead,
    RandomCells,
)
from ram_tf.policies.gaussian import GaussianPolicy
from ram_tf.policies.planned import CenterPolicy, RandomPolicy, RasterPolicy

CONTROLS = {
    "random": RandomPolicy(),
    "center": CenterPolicy(),
    "raster": RasterPolicy(),
}

__all__ = [
    "CONTROLS",
    "CenterPolicy",
    "CentralCells",
    "GaussianPolicy",
    "InformationGain",
    "Oracle",
    "PlannedAhead",
    "RandomCells",
    "RandomPolicy",
    "RasterPolicy",
]
