"""Pure functions of tensors: no weights, no state."""

from ram_tf.ops.convolutions import convolve
from ram_tf.ops.estimators import (
    normal_log_prob,
    repeat_examples,
    score_function_loss,
)
from ram_tf.ops.glimpses import (
    box_extremes,
    box_sums,
    cut_patches,
    gather_boxes,
    gather_patches,
    patch_starts,
)
from ram_tf.ops.information import best_unseen, expected_information_gain
from ram_tf.ops.locations import (
    clip_locations,
    location_to_pixel,
    raster_locations,
    uniform_locations,
)
from ram_tf.ops.reductions import reduce_images, reduce_patches, reduction_matrix
from ram_tf.ops.stopping import is_settled
from ram_tf.ops.windows import average_windows

__all__ = [
    "average_windows",
    "best_unseen",
    "box_extremes",
    "box_sums",
    "clip_locations",
    "convolve",
    "cut_patches",
    "expected_information_gain",
    "gather_boxes",
    "gather_patches",
    "is_settled",
    "location_to_pixel",
    "normal_log_prob",
    "patch_starts",
    "raster_locations",
    "reduce_images",
    "reduce_patches",
    "reduction_matrix",
    "repeat_examples",
    "score_function_loss",
    "uniform_locations",
]
