"""Pixels of more than 8 bits to 8: by their full scale, or by a range that is given."""

import functools
import io
import math
import sys

import numpy as np

from ram_tf.data.formats import BITS, KIND, PHOTOMETRIC
from ram_tf.errors import InputError

_SIGNED, _FLOAT = 2, 3
# Their decoders stretch the values to 16 bits by a maximum that the file states.
_STRETCHED = ("PPM", "JPEG2000")


def check_range(value_range):
    """Returns a range of values as two floats, `None` as it is.

    Args:
        value_range: `None` or two numbers, the darkest and the brightest value, in the
            units of the files, as (0, 4095).

    Raises:
        InputError: If it is something else.
    """
    if value_range is None:
        return None
    try:
        low, high = map(float, value_range)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(
            "`data.value_range` must be two numbers, the lower one first, as "
            f"(0, 4095), or None. Received: {value_range!r}."
        )
    return low, high


def scale(values, low, high):
    """Returns values as uint8, 0 for `low` and 255 for `high`; cut at both."""
    shares = (np.asarray(values, np.float64) - low) / (high - low)
    return np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)


@functools.lru_cache(maxsize=8)
def table(value_range):
    """Returns the uint8 of every value of 16 bits: `(65536,)`, not to be changed."""
    return scale(np.arange(2**16), *(value_range or (0, 2**16 - 1)))


class Refused(ValueError):
    """The reason, in words, why pixels that are whole cannot be used."""


def is_wide(image, depth):
    """Returns whether a Pillow image has more than the 8 bits that a picture shows.

    Args:
        image: Pillow image, as it was opened.
        depth: Integer, the bits of a value in its file.
    """
    return (
        depth > 8 or image.mode.startswith("I") or image.mode == "F" or _signed(image)
    )


def depth_of(image, content):
    """Returns the bits of one value in the file of an opened Pillow image."""
    if image.format == "PNG":
        return content[24]
    if image.format == "TIFF":
        return image.tag_v2.get(BITS, (1,))[0]
    if image.mode.startswith("I"):
        is_short = image.mode != "I" or image.format in _STRETCHED
        return 16 if is_short else 32
    return 32 if image.mode == "F" else 8


def narrow_grey(image, depth, value_range, say):
    """Returns the wide values of one band as a Pillow image of 8 bits.

    Args:
        image: Loaded Pillow image.
        depth: Integer, its bits.
        value_range: Two numbers or `None`, the full scale where there is one.
        say: `Said`.
    """
    from PIL import Image

    values = np.asarray(image)
    is_float, is_signed = image.mode == "F", _signed(image)
    if value_range is None and (is_float or is_signed or depth > 16):
        kind = "floating point" if is_float else f"{depth} bits"
        sign = " with a sign" if is_signed else ""
        raise Refused(
            f"values of {kind}{sign} do not say which of them are black and white: set "
            "`data.value_range`, such as (0, 1), or save it with 8 or 16 bits"
        )
    if value_range is not None and image.format in _STRETCHED and not is_float:
        raise Refused(
            f"{image.format} of 16 bits has a scale of its own, which "
            "`data.value_range` cannot replace: save it as PNG or TIFF"
        )
    if is_float and not np.isfinite(values).all():
        raise Refused("some of its values are no numbers: put numbers in their place")
    if image.mode == "I" and depth == 32 and not is_signed and image.format == "TIFF":
        values = values.view(np.uint32)
    if image.mode == "L":
        values = values.view(np.int8)
    narrow = _narrow(values, depth, value_range, say)
    if image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == 0:
        narrow = 255 - narrow  # White is zero, which Pillow minds with 8 bits alone.
    # Laid on white, as of fewer bits.
    narrow[values == image.info.get("transparency", -1)] = 255
    return Image.fromarray(narrow)


def narrow_colours(image, content, value_range, say):
    """Returns colours of 16 bits as a Pillow image of 8.

    Pillow reads the upper 8 bits of each, which are right for the full scale. For a
    range the lower ones are read as well.

    Args:
        image: Loaded Pillow image.
        content: Bytes of its file.
        value_range: Two numbers or `None`.
        say: `Said`.
    """
    from PIL import Image

    bands = np.asarray(image)
    num_colours = min(bands.shape[-1], 3)
    upper = bands[..., :num_colours]
    if value_range is None:
        say.observe(int(upper.max(initial=0)) * 256 + 255, 2**16 - 1)
        return image
    lower = _lower_bits(content) if image.mode in ("RGB", "RGBA") else None
    if lower is None:
        raise Refused(
            f"16 bits of {image.mode} cannot be read by `data.value_range`: save it "
            "as RGB or grey, without compression or opacity, or with 8 bits"
        )
    values = upper.astype(np.uint16) * 256 + lower[..., :num_colours]
    narrow = bands.copy()
    narrow[..., :num_colours] = _narrow(values, 16, value_range, say)
    return Image.fromarray(narrow)


def _narrow(values, depth, value_range, say):
    full_scale = 2**depth - 1
    if value_range is None:
        say.observe(int(values.max(initial=0)), full_scale)
        value_range = 0, full_scale
    elif values.size and (
        values.min() < value_range[0] or values.max() > value_range[1]
    ):
        say.add("values outside of `data.value_range` cut to it")
    if values.dtype == np.uint16:
        return table(value_range)[values]
    return scale(values, *value_range)


def _lower_bits(content):
    """Reads the lower 8 bits of 16, by taking one byte order for the other."""
    from PIL import Image

    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    with Image.open(io.BytesIO(content)) as image:
        tiles = []
        for tile in image.tile:
            args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
            name, _, order = args[0].partition(";16")
            if name not in ("RGB", "RGBA", "RGBX") or order not in other:
                return None
            args = (f"{name};16{other[order]}", *args[1:])
            tiles.append((*tile[:3], args if isinstance(tile[3], tuple) else args[0]))
        image.tile = tiles
        if image.format == "TIFF":
            keep_as_stored(image)
        return np.asarray(image)


def keep_as_stored(image):
    """Keeps Pillow from turning a TIFF as it loads, which broken metadata stops."""
    image.load_end = lambda: None


def _signed(image):
    return image.format == "TIFF" and image.tag_v2.get(KIND, (1,))[0] == _SIGNED
