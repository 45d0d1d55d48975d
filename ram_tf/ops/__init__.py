"""Pure functions of tensors: no weights, no state."""

from ram_tf.ops.estimators import (
    normal_log_prob,
    repeat_examples,
    score_function_loss,
)
from ram_tf.ops.glimpses import gather_patches, patch_starts
from ram_tf.ops.locations import (
    clip_locations,
    location_to_pixel,
    raster_locations,
    uniform_locations,
)
from ram_tf.ops.reductions import reduce_patches, reduction_matrix

__all__ = [
    "clip_locations",
    "gather_patches",
    "location_to_pixel",
    "normal_log_prob",
    "patch_starts",
    "raster_locations",
    "reduce_patches",
    "reduction_matrix",
    "repeat_examples",
    "score_function_loss",
    "uniform_locations",
]
