"""Where a location points to: pixels of level 0, and micrometres."""

import numpy as np


def to_pixels(locations, size):
    """Returns the pixels that locations point at, as `ops.location_to_pixel` does.

    Args:
        locations: Float array `(..., 2)`, (x, y) in [-1, 1].
        size: (height, width) of level 0, or an array of them `(..., 2)` that
            broadcasts.

    Returns:
        Int64 array `(..., 2)`, (row, column).
    """
    size = np.asarray(size, np.float32)
    row_column = np.asarray(locations, np.float32)[..., ::-1]
    half = np.float32(0.5)
    return np.floor(half * ((row_column + np.float32(1)) * size)).astype(np.int64)


def to_micrometres(pixels, micrometres):
    """Returns the middles of pixels of level 0, in micrometres from the corner.

    Args:
        pixels: Integer array `(..., 2)`, (row, column).
        micrometres: Float, side of a pixel; NaN where nobody knows.

    Returns:
        Float array `(..., 2)`, (y, x).
    """
    return (np.asarray(pixels) + 0.5) * micrometres
