"""Averaging windows of any place and width, batched and compilable by XLA."""

from keras import ops


def average_windows(images, starts, sides, size):
    """Averages square windows to `size` x `size` values.

    A window begins and ends anywhere, in the middle of a pixel too, pixel j of an axis
    spanning j to j + 1. Each value is the mean of the image over its own square: a
    pixel weighs as much as its part in there, and what lies outside counts as 0. Two
    products of matrices compute it, whatever the windows.

    Args:
        images: Float tensor `(batch, height, width, channels)`.
        starts: Float tensor `(batch, num, 2)`, (row, column) of the first corners.
        sides: Float tensor `(batch, num)` > 0, in pixels.
        size: Int, values along a side.

    Returns:
        means: `(batch, num, size, size, channels)`.
        inside: `(batch, num, size, size, 1)` in [0, 1], the share of each value's
            square that lies in the image.
    """
    height, width, channels = images.shape[1:]
    num = starts.shape[1]
    rows = _shares(starts[..., 0], sides, size, height)
    columns = _shares(starts[..., 1], sides, size, width)
    lines = ops.matmul(
        ops.reshape(rows, (-1, num * size, height)),
        ops.reshape(images, (-1, height, width * channels)),
    )
    lines = ops.reshape(lines, (-1, num, size, width, channels))
    lines = ops.reshape(
        ops.transpose(lines, (0, 1, 4, 2, 3)), (-1, num, channels * size, width)
    )
    means = ops.matmul(lines, ops.transpose(columns, (0, 1, 3, 2)))
    means = ops.reshape(means, (-1, num, channels, size, size))
    inside = [ops.sum(share, axis=-1) for share in (rows, columns)]
    inside = inside[0][..., :, None] * inside[1][..., None, :]
    return ops.transpose(means, (0, 1, 3, 4, 2)), inside[..., None]


def _shares(start, side, size, length):
    """The share of every pixel in each value of an axis, `(B, N, size, length)`."""
    pitch = side / size
    first = start[..., None] + pitch[..., None] * ops.arange(size, dtype="float32")
    last = first + pitch[..., None]
    pixel = ops.arange(length, dtype="float32")
    overlap = ops.minimum(last[..., None], pixel + 1.0) - ops.maximum(
        first[..., None], pixel
    )
    return ops.maximum(overlap, 0.0) / pitch[..., None, None]
