"""Cutting patches out of images, batched and compilable by XLA."""

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
    the image, and XLA fuses the reduction that follows into the gather. A summed-area
    table was measured and left out: building it (90 ms for 512 images of 100x100)
    costs more than reading four scales of six glimpses pixel by pixel (26 to 42 ms).

    Args:
        images: Tensor `(batch, height, width, channels)` of any dtype.
        locations: Float tensor `(batch, num, 2)`, (x, y) in [-1, 1].
        side: Int, side of the patches in pixels.

    Returns:
        patches: `(batch, num, side, side, channels)`, dtype of `images`. Pixels outside
            the image repeat its border: replace them where `inside` is false.
        inside: Boolean `(batch, num, side, side, 1)`.
    """
    batch, height, width, channels = _shape(images)
    num = _shape(locations)[1]
    starts = patch_starts(locations, side, (height, width))
    offsets = ops.arange(side, dtype="int32")
    rows = starts[..., 0:1] + offsets
    columns = starts[..., 1:2] + offsets
    inside_rows = ops.logical_and(rows >= 0, rows < height)
    inside_columns = ops.logical_and(columns >= 0, columns < width)
    rows = ops.clip(rows, 0, height - 1)
    columns = ops.clip(columns, 0, width - 1)
    index = rows[..., :, None] * width + columns[..., None, :]
    patches = tf.gather(
        ops.reshape(images, (batch, height * width, channels)),
        ops.reshape(index, (batch, num * side * side)),
        batch_dims=1,
    )
    inside = ops.logical_and(inside_rows[..., :, None], inside_columns[..., None, :])
    return ops.reshape(patches, (batch, num, side, side, channels)), inside[..., None]


def _shape(tensor):
    """Static sizes where they are known, dynamic ones elsewhere."""
    dynamic = ops.shape(tensor)
    return tuple(d if s is None else s for s, d in zip(tensor.shape, dynamic))
