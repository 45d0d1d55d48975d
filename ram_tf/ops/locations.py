"""Locations: (x, y) in [-1, 1], (-1, -1) the top-left corner, (0, 0) the centre."""

import math

import numpy as np
from keras import ops

from ram_tf import random


def clip_locations(locations):
    """Clips locations to the image, all their coordinates to [-1, 1]."""
    return ops.clip(locations, -1.0, 1.0)


def location_to_pixel(locations, image_size):
    """Returns the pixel that a location points at.

    The pixel is floor((l + 1) / 2 * size) on each axis, so l = 1 is one past the last.

    Args:
        locations: Float tensor `(..., 2)`, (x, y) in [-1, 1].
        image_size: Tuple `(height, width)` in pixels; or, where images differ, a tensor
            of them, `(..., 2)`, that broadcasts.

    Returns:
        Int32 tensor `(..., 2)`, (row, column).

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 3.1, "Sensor".
    """
    if isinstance(image_size, tuple):
        size = ops.convert_to_tensor(list(image_size), dtype="float32")
    else:
        size = ops.cast(image_size, "float32")
    row_column = ops.flip(ops.cast(locations, "float32"), axis=-1)
    return ops.cast(ops.floor(0.5 * ((row_column + 1.0) * size)), "int32")


def uniform_locations(shape, seed, fraction=1.0, num_coordinates=2):
    """Draws locations uniformly from the centred `fraction` of the range.

    Args:
        shape: Leading shape of the result.
        seed: Int32 tensor `(2,)`.
        fraction: Float in [0, 1]. 1 is the whole image, 0 the centre.
        num_coordinates: Int, 3 where a scale is drawn as well.

    Returns:
        Float32 tensor `(*shape, num_coordinates)`.
    """
    shape = (*shape, num_coordinates)
    if fraction == 0.0:  # Nothing is drawn.
        return ops.zeros(shape)
    return fraction * random.uniform(shape, seed, -1.0, 1.0)


def raster_locations(num_glimpses):
    """Returns `num_glimpses` places that tile the image in reading order.

    The places are the cell centres of the smallest square grid that has enough cells.

    Args:
        num_glimpses: Int.

    Returns:
        NumPy float32 array `(num_glimpses, 2)`, (x, y) in [-1, 1].
    """
    side = math.ceil(math.sqrt(num_glimpses))
    centres = (np.arange(side) + 0.5) / side * 2 - 1
    y, x = np.meshgrid(centres, centres, indexing="ij")
    grid = np.stack([x.ravel(), y.ravel()], axis=-1).astype("float32")
    return grid[np.linspace(0, len(grid) - 1, num_glimpses).round().astype(int)]
