"""Reducing patches to the size of a glimpse, and whole images to a coarse view."""

import numpy as np
from keras import ops

METHODS = ("average", "bilinear", "bicubic")


def reduction_matrix(side, size, method="average"):
    """Returns the matrix that resizes one axis from `side` to `size` samples.

    `average` weighs each source pixel by its overlap with the target pixel (exact for
    any ratio); `bilinear` and `bicubic` (Keys, a = -0.5) are antialiased, with pixel
    centres at half integers. Resizing with a constant matrix compiles under XLA, where
    `tf.image.resize` does not.

    Args:
        side: Int, number of source pixels.
        size: Int, number of target pixels.
        method: `"average"`, `"bilinear"` or `"bicubic"`.

    Returns:
        NumPy float32 array `(size, side)` whose rows sum to 1.
    """
    ratio = side / size
    if method == "average":
        edges = np.arange(size + 1) * ratio
        pixels = np.arange(side)
        low = np.maximum(edges[:-1, None], pixels)
        high = np.minimum(edges[1:, None], pixels + 1)
        weights = np.maximum(high - low, 0.0)
    else:
        centres = (np.arange(size) + 0.5) * ratio
        distance = np.abs(centres[:, None] - (np.arange(side) + 0.5))
        weights = _KERNELS[method](distance / max(ratio, 1.0))
    return (weights / weights.sum(axis=1, keepdims=True)).astype("float32")


def _triangle(x):
    return np.maximum(1.0 - x, 0.0)


def _keys_cubic(x):
    inner = (1.5 * x - 2.5) * x * x + 1.0
    outer = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, inner, np.where(x < 2.0, outer, 0.0))


_KERNELS = {"bilinear": _triangle, "bicubic": _keys_cubic}


def reduce_patches(patches, size, method="average"):
    """Resizes square patches to `size` x `size`.

    Args:
        patches: Float tensor `(batch, num, side, side, channels)`.
        size: Int, side of the result.
        method: `"average"`, `"bilinear"` or `"bicubic"`.

    Returns:
        Tensor `(batch, num, size, size, channels)`.
    """
    side = patches.shape[2]
    if side == size:
        return patches
    batch, num, _, _, channels = ops.shape(patches)
    if method == "average" and size % side == 0:
        ratio = size // side
        blocks = ops.broadcast_to(
            patches[:, :, :, None, :, None],
            (batch, num, side, ratio, side, ratio, channels),
        )
        return ops.reshape(blocks, (batch, num, size, size, channels))
    if method == "average" and side % size == 0:
        ratio = side // size
        blocks = ops.reshape(patches, (batch, num, size, ratio, size, ratio, channels))
        return ops.mean(blocks, axis=(3, 5))
    matrix = ops.cast(reduction_matrix(side, size, method), patches.dtype)
    return ops.einsum("ph,qw,bnhwc->bnpqc", matrix, matrix, patches)


def reduce_images(images, size):
    """Brings whole images to `size` x `size` by averaging, whatever their shape.

    Args:
        images: Float tensor `(batch, height, width, channels)`.
        size: Int, side of the result.

    Returns:
        Tensor `(batch, size, size, channels)`.
    """
    height, width = images.shape[1:3]
    if not (height % size or width % size):  # Several times as fast.
        ratios = (height // size, width // size)
        return ops.average_pool(images, ratios, ratios)
    if height == width:
        return reduce_patches(images[:, None], size)[:, 0]
    rows, columns = (
        ops.cast(reduction_matrix(side, size), images.dtype) for side in (height, width)
    )
    return ops.einsum("ph,qw,bhwc->bpqc", rows, columns, images)
