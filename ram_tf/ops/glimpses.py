"""Cutting patches out of images, batched and compilable by XLA."""

import keras
import tensorflow as tf
from keras import ops

from ram_tf.ops.locations import location_to_pixel


def patch_starts(locations, side, image_size):
    """Returns the (row, column) of the first pixel of each patch.

    A patch spans pixels [p - side // 2, p - side // 2 + side) on each axis, where p is
    the pixel that the location points at. Starts may lie outside the image.

    Args:
        locations: Float tensor `(..., 2)`, (x, y) in [-1, 1].
        side: Int, side of the patch in pixels.
        image_size: Tuple `(height, width)` in pixels.

    Returns:
        Int32 tensor `(..., 2)`.
    """
    return location_to_pixel(locations, image_size) - side // 2


def gather_patches(images, locations, side):
    """Cuts square patches centred on locations.

    Every pixel is one gathered element, so the cost depends on the patches and not on
    the image, and XLA fuses the reduction that follows into the gather.

    Args:
        images: Tensor `(batch, height, width, channels)` of any dtype.
        locations: Float tensor `(batch, num, 2)`, (x, y) in [-1, 1].
        side: Int, side of the patches in pixels.

    Returns:
        patches: `(batch, num, side, side, channels)`, dtype of `images`. Pixels outside
            the image repeat its border: replace them where `inside` is false.
        inside: Boolean `(batch, num, side, side, 1)`.
    """
    _, height, width, _ = _shape(images)
    starts = patch_starts(locations, side, (height, width))
    offsets = ops.arange(side, dtype="int32")
    rows = starts[..., 0:1] + offsets
    columns = starts[..., 1:2] + offsets
    inside_rows = ops.logical_and(rows >= 0, rows < height)
    inside_columns = ops.logical_and(columns >= 0, columns < width)
    inside = ops.logical_and(inside_rows[..., :, None], inside_columns[..., None, :])
    return _gather_grid(images, rows, columns), inside[..., None]


def cut_patches(images, starts, side):
    """Cuts square patches that begin at given pixels.

    Args:
        images: Tensor `(batch, height, width, channels)` of any dtype.
        starts: Int32 tensor `(batch, num, 2)`, (row, column) of each first pixel.
        side: Int, side of the patches in pixels.

    Returns:
        `(batch, num, side, side, channels)`, dtype of `images`. Pixels outside the
        image repeat its border.
    """
    offsets = ops.arange(side, dtype="int32")
    return _gather_grid(images, starts[..., 0:1] + offsets, starts[..., 1:2] + offsets)


def box_extremes(images, boxes, side=None):
    """Finds the darkest and the brightest of an image in boxes.

    Args:
        images: Tensor `(batch, height, width, channels)`, uint8, or float in [0, 1].
        boxes: Int tensor `(batch, num, 4)`: top, left, bottom, right; they may reach
            out of the image, which counts alone, and hold a pixel of it at least.
        side: Int, the side of all boxes, or `None`: each has its own, and all of the
            image is compared with each.

    Returns:
        Two float32 tensors `(batch, num, channels)`, in [0, 1].
    """
    boxes = ops.cast(boxes, "int32")
    if side is None:
        low, high = _extremes_of_any(images, boxes)
    else:  # Outside, the border repeats itself.
        patches = cut_patches(images, boxes[..., :2], side)
        low, high = ops.min(patches, axis=(2, 3)), ops.max(patches, axis=(2, 3))
    scale = 255.0 if images.dtype == "uint8" else 1.0
    return ops.cast(low, "float32") / scale, ops.cast(high, "float32") / scale


def _extremes_of_any(images, boxes):
    sides = images.shape[1:3]
    # Of a middle on the far edge, the last pixel counts as in the box.
    low = ops.minimum(boxes[..., :2], [side - 1 for side in sides])
    high = ops.maximum(boxes[..., 2:], 1)
    rows, columns = (
        ops.logical_and(
            ops.arange(side) >= low[..., axis, None],
            ops.arange(side) < high[..., axis, None],
        )
        for axis, side in enumerate(sides)
    )
    inside = ops.logical_and(rows[..., :, None], columns[..., None, :])[..., None]
    pixels = ops.cast(images, "float32")[:, None]
    darkest = ops.min(ops.where(inside, pixels, float("inf")), axis=(2, 3))
    return darkest, ops.max(ops.where(inside, pixels, -float("inf")), axis=(2, 3))


def box_sums(images, ratio):
    """Sums every `ratio` x `ratio` box of an image, those over its border included.

    Shifted copies are added, never subtracted, so floats keep their precision (a
    summed-area table in float32 does not) and integers are exact.

    Args:
        images: Tensor `(batch, height, width, channels)`, float, or integers that are
            summed as int32.
        ratio: Int, side of a box.

    Returns:
        Tensor `(batch, height + ratio - 1, width + ratio - 1, channels)`: at
        (i + ratio - 1, j + ratio - 1), the sum of the box whose first pixel is (i, j).
    """
    if not keras.backend.is_float_dtype(images.dtype):
        images = ops.cast(images, "int32")
    margin = (ratio - 1, ratio - 1)
    sums = ops.pad(images, ((0, 0), margin, margin, (0, 0)))
    width = 1  # Of the boxes summed so far.
    while width < ratio:
        factor = _smallest_factor(ratio // width)
        for axis in (1, 2):
            size = sums.shape[axis] - (factor - 1) * width
            parts = [_crop(sums, axis, part * width, size) for part in range(factor)]
            sums = sum(parts[1:], parts[0])
        width *= factor
    return sums


def gather_boxes(sums, locations, size, ratio, image_size):
    """Reads the boxes of patches of side `size * ratio` from `box_sums`.

    Args:
        sums: What `box_sums(images, ratio)` returned.
        locations: Float tensor `(batch, num, 2)`, (x, y) in [-1, 1].
        size: Int, boxes along a side of the patch.
        ratio: Int, side of a box.
        image_size: Tuple `(height, width)` of the images.

    Returns:
        boxes: `(batch, num, size, size, channels)`, sums over the pixels of each box
            that are inside the image.
        counts: Int32 `(batch, num, size, size, 1)`, how many those are.
    """
    starts = patch_starts(locations, size * ratio, image_size)
    offsets = ops.arange(size, dtype="int32") * ratio
    corners = (starts[..., 0:1] + offsets, starts[..., 1:2] + offsets)
    lengths = [
        ops.clip(first + ratio, 0, limit) - ops.clip(first, 0, limit)
        for first, limit in zip(corners, image_size)
    ]
    rows, columns = (first + ratio - 1 for first in corners)
    counts = lengths[0][..., :, None] * lengths[1][..., None, :]
    boxes = _gather_grid(sums, rows, columns)
    # A box outside the image reads the nearest one: it must count for nothing.
    counts = counts[..., None]
    return ops.where(counts > 0, boxes, ops.zeros_like(boxes)), counts


def _gather_grid(images, rows, columns):
    """Reads `images` at all pairs of rows `(B, N, h)` and columns `(B, N, w)`.

    Indices outside read the border.
    """
    batch, height, width, channels = _shape(images)
    num, size = _shape(rows)[1:]
    rows = ops.clip(rows, 0, height - 1)
    columns = ops.clip(columns, 0, width - 1)
    known = isinstance(height, int) and isinstance(width, int)
    if known and height * width >= 2**31:
        rows, columns = (ops.cast(index, "int64") for index in (rows, columns))
    index = rows[..., :, None] * width + columns[..., None, :]
    pixels = tf.gather(
        ops.reshape(images, (batch, height * width, channels)),
        ops.reshape(index, (batch, num * size * size)),
        batch_dims=1,
    )
    return ops.reshape(pixels, (batch, num, size, size, channels))


def _crop(tensor, axis, start, size):
    window = [slice(None)] * len(tensor.shape)
    window[axis] = slice(start, start + size)
    return tensor[tuple(window)]


def _smallest_factor(number):
    return next(factor for factor in range(2, number + 1) if number % factor == 0)


def _shape(tensor):
    """Static sizes where they are known, dynamic ones elsewhere."""
    dynamic = ops.shape(tensor)
    return tuple(d if s is None else s for s, d in zip(tensor.shape, dynamic))
