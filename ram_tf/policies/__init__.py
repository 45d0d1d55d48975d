"""Policies decide where to look. They may draw random numbers, never own weights.

A policy has three methods. `plan(batch_size, num_glimpses, seed)` returns all locations
`(batch, glimpses, 2)` when they do not depend on what is seen, else `None`.
`start(network, state, seed, training)` and `__call__(network, state, seed, training)`
return a `Choice`: the first glimpse, and the next one. `deterministic` says that
looking twice at one image gives the same places.
"""

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
    "GaussianPolicy",
    "RandomPolicy",
    "RasterPolicy",
]
