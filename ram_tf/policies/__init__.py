"""Policies decide where to look."""

from ram_tf.policies.cells import (
    CentralCells,
    InformationGain,
    Oracle,
    PlannedAhead,
    RandomCells,
)
from ram_tf.policies.context import ContextPolicy
from ram_tf.policies.gaussian import GaussianPolicy
from ram_tf.policies.opening import OpeningPolicy
from ram_tf.policies.planned import CenterPolicy, RandomPolicy, RasterPolicy
from ram_tf.policies.policy import Policy, at_middle_scale

CONTROLS = {
    "random": RandomPolicy(),
    "center": CenterPolicy(),
    "raster": RasterPolicy(),
}

__all__ = [
    "CONTROLS",
    "CenterPolicy",
    "CentralCells",
    "ContextPolicy",
    "GaussianPolicy",
    "InformationGain",
    "OpeningPolicy",
    "Oracle",
    "PlannedAhead",
    "Policy",
    "RandomCells",
    "RandomPolicy",
    "RasterPolicy",
    "at_middle_scale",
]
