"""Convolution as a matrix product, which XLA on a CPU has no faster form of."""

from keras import ops


def convolve(images, kernel, strides=(1, 1), padding="valid"):
    """Convolves images by one matrix product.

    Args:
        images: Tensor `(batch, height, width, channels)`.
        kernel: Tensor `(rows, columns, channels, filters)`.
        strides: Tuple of two ints >= 1, down and across.
        padding: `"valid"`, or `"same"` to pad with zeros, so that the result has one
            place for every stride of pixels, rounded up.

    Returns:
        Tensor `(batch, rows out, columns out, filters)`.
    """
    rows, columns, _, filters = kernel.shape
    if padding == "same":
        margins = [
            _margins(*of_axis)
            for of_axis in zip(images.shape[1:3], (rows, columns), strides)
        ]
        images = ops.pad(images, ((0, 0), *margins, (0, 0)))
    down, across = strides
    height = (images.shape[1] - rows) // down + 1
    width = (images.shape[2] - columns) // across + 1
    shifted = [
        images[
            :,
            row : row + down * (height - 1) + 1 : down,
            column : column + across * (width - 1) + 1 : across,
        ]
        for row in range(rows)
        for column in range(columns)
    ]
    patches = ops.concatenate(shifted, axis=-1) if len(shifted) > 1 else shifted[0]
    product = ops.matmul(
        ops.reshape(patches, (-1, patches.shape[-1])),
        ops.reshape(kernel, (-1, filters)),
    )
    return ops.reshape(product, (-1, height, width, filters))


def _margins(size, width, stride):
    """Zeros before and after `size` pixels, the odd one after."""
    missing = max((-(-size // stride) - 1) * stride + width - size, 0)
    return missing // 2, missing - missing // 2
