"""Image files to pixels: the one decoder of training, prediction and records."""

import io
import os

import numpy as np

from ram_tf.errors import InputError


def decode_image(content, name, size, channels):
    """Decodes an image file as the `folder` source does.

    Args:
        content: Bytes of the file.
        name: String, for error messages.
        size: (height, width) to crop around the centre and resize to, or `None`.
        channels: 3 or 1.

    Returns:
        Array `(height, width, channels)`, uint8.
    """
    import PIL
    from PIL import Image, ImageOps

    limit = os.environ.get("RAM_TF_MAX_PIXELS")
    if limit:
        if not limit.isdecimal():
            raise InputError(f"RAM_TF_MAX_PIXELS is {limit!r}, expected a number.")
        Image.MAX_IMAGE_PIXELS = int(limit)
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.format == "PNG":
                _mend_transparency(image, depth=content[24])
            image = _to_mode(ImageOps.exif_transpose(image), channels)
    except Image.DecompressionBombError as error:
        raise InputError(
            f"The image '{name}' has more pixels than Pillow decodes of a file that "
            f"may be a trap ({error}). Raise the limit: RAM_TF_MAX_PIXELS=N."
        ) from error
    except PIL.UnidentifiedImageError as error:
        raise InputError(
            f"The image '{name}' cannot be decoded: no known format. "
            "Repair or remove it."
        ) from error
    # Pillow's decoders raise nearly anything on broken files; the cause is kept.
    except Exception as error:
        raise InputError(
            f"The image '{name}' cannot be decoded ({type(error).__name__}: {error}). "
            "Repair or remove it."
        ) from error
    if size is not None:
        height, width = size
        scale = min(image.width / width, image.height / height)
        crop = max(round(scale * width), 1), max(round(scale * height), 1)
        left, top = (image.width - crop[0]) // 2, (image.height - crop[1]) // 2
        # Cropped first: `resize(box=...)` also reads around the box.
        image = image.crop((left, top, left + crop[0], top + crop[1]))
        image = image.resize((width, height), Image.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, channels)


def _mend_transparency(image, depth):
    """Makes the transparent level of a PNG one of the pixels that Pillow gives."""
    level = image.info.get("transparency")
    if image.mode == "L" and depth < 8 and isinstance(level, int):
        image.info["transparency"] = level * 255 // (2**depth - 1)
    elif image.mode == "RGB" and depth == 16 and level is not None:
        raise ValueError("a transparent colour of 16 bits; save it with 8 bits")


def _to_mode(image, channels):
    """Converts a Pillow image of any mode to 8-bit colour or grey."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits; Pillow would clip at 255
        values = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        # Laid on white, as below.
        values[values == image.info.get("transparency", -1)] = 65535
        image = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("float pixels; save it with 8 or 16 bits")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")
