"""Convolution as a matrix product, which XLA on a CPU has no faster form of."""

from keras import ops


def valid_convolution(images, kernel):
    """Convolves without padding, at stride one.

    Args:
        images: Tensor `(batch, height, width, channels)`.
        kernel: Tensor `(rows, columns, channels, filters)`.

    Returns:
        Tensor `(batch, height - rows + 1, width - columns + 1, filters)`.
    """
    rows, columns, _, filters = kernel.shape
    height, width = images.shape[1] - rows + 1, images.shape[2] - columns + 1
    shifted = [
        images[:, row : row + height, column : column + width]
        for row in range(rows)
        for column in range(columns)
    ]
    patches = ops.concatenate(shifted, axis=-1) if len(shifted) > 1 else shifted[0]
    product = ops.matmul(
        ops.reshape(patches, (-1, patches.shape[-1])),
        ops.reshape(kernel, (-1, filters)),
    )
    return ops.reshape(product, (-1, height, width, filters))
