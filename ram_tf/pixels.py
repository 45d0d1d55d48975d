"""What a pixel is: a byte, or a float in [0, 1]."""

import numpy as np

from ram_tf.errors import InputError

_ROUNDING = 1e-3


def check_pixels(images):
    """Refuses floats that cannot be pixels in [0, 1]; whole numbers are bytes.

    Args:
        images: Array, whatever its shape.

    Raises:
        InputError: If a value lies outside.
    """
    if not np.issubdtype(images.dtype, np.floating) or not images.size:
        return
    low, high = float(images.min()), float(images.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise InputError(
            f"Float images must have pixels in [0, 1]. Received: {low:g} to {high:g}. "
            "Divide bytes by 255 or give them as uint8; clip what resizing overshot."
        )
