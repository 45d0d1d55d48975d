"""Image files to pixels: the one decoder of training, prediction and records."""

import contextlib
import functools
import io
import logging
import os
import pathlib
import re
import threading
import warnings

import numpy as np

from ram_tf.data import formats, levels
from ram_tf.data.budget import Budget
from ram_tf.errors import InputError

# What all threads together hold: the bytes of files, and of pixels in the making.
_FILE_BYTES, _PIXEL_BYTES = Budget(2**30), Budget(2**31)
# Of an orientation as EXIF has it: the numbers of `PIL.Image.Transpose`.
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
# For each pixel: as it is in the file, and converted.
_BYTES_A_PIXEL = 8


def decode_image(content, name, size, channels, value_range=None, notes=None):
    """Decodes an image file as the `folder` source does.

    Args:
        content: Bytes of the file.
        name: String, for error messages.
        size: (height, width) to crop around the centre and resize to, or `None`.
        channels: 3 or 1.
        value_range: Two numbers or `None`. Of pixels of more than 8 bits, the values
            that become black and white; by default 0 and the largest that their bits
            can hold. Pixels of 8 bits are read as they are.
        notes: A `Notes` that learns what is to be said about the file, or `None`.

    Returns:
        Array `(height, width, channels)`, uint8.

    Raises:
        InputError: If it cannot be decoded. It says whether the file is broken, of no
            known format, or of a kind that is not read, and how to mend it.
    """
    from PIL import Image

    load = functools.partial(
        _load,
        size=size,
        channels=channels,
        value_range=levels.check_range(value_range),
    )
    with _quiet:
        try:
            pixels, said = _decode(content, load)
        except Image.DecompressionBombError as error:
            numbers = re.findall(r"\d+", str(error))
            raise _refusal(
                name,
                f"it says that it has {' pixels, more than '.join(numbers[:2])}, and "
                "may be a trap. Raise the limit: RAM_TF_MAX_PIXELS=N",
            ) from error
        except levels.Refused as error:
            raise _refusal(name, str(error)) from error
        except InputError:
            raise
        except MemoryError as error:
            raise _refusal(name, "it does not fit into memory. Make it smaller") from (
                error
            )
        # Pillow's decoders raise nearly anything on broken files; the cause is kept.
        except Exception as error:
            raise _refusal(name, _reason(content, error)) from error
    if notes is not None:
        said.tell(notes, name)
    return pixels


def read_image(path, image_shape, value_range=None, notes=None, name=None):
    """Decodes a file to the size and channels that a model was trained on.

    Args:
        path: Path of the file.
        image_shape: `(height, width, channels)`.
        value_range: As for `decode_image`.
        notes: As for `decode_image`.
        name: String, for messages; the path if `None`.

    Returns:
        Array `(height, width, channels)`, uint8.

    Raises:
        InputError: If it cannot be read or decoded.
    """
    height, width, channels = image_shape
    name = str(path) if name is None else name
    try:
        with _FILE_BYTES.hold(os.path.getsize(path)):
            content = pathlib.Path(path).read_bytes()
            return decode_image(
                content, name, (height, width), channels, value_range, notes
            )
    except OSError as error:
        raise InputError(f"'{name}' cannot be read: {error.strerror}.") from error


class Said:
    """What is noticed about one file, told once it is decoded."""

    def __init__(self):
        self._kinds = []
        self._values = []

    def add(self, kind):
        """See `Notes.add`."""
        self._kinds.append(kind)

    def observe(self, largest, full_scale):
        """See `Notes.observe`."""
        self._values.append((largest, full_scale))

    def tell(self, notes, name):
        """Adds it to `Notes` under the name of the file."""
        for kind in dict.fromkeys(self._kinds):
            notes.add(kind, name)
        for value in self._values:
            notes.observe(*value, name)


class _Quiet:
    """Keeps Pillow's warnings and log, which name no file, silent while threads decode.

    Both are the whole process's, so that the first thread changes them and the last
    one puts them back.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._inside = 0
        self._undo = None

    def __enter__(self):
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._undo = contextlib.ExitStack()
                self._undo.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", module=r"PIL\.")
                log = logging.getLogger("PIL")
                self._undo.callback(log.setLevel, log.level)
                log.setLevel(logging.CRITICAL)

    def __exit__(self, *error):
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._undo.close()


_quiet = _Quiet()


def _decode(content, load):
    """Loads a file, without its metadata where they are what stops Pillow."""
    from PIL import Image

    _prepare()
    try:
        return load(content)
    except (Image.DecompressionBombError, levels.Refused, InputError, MemoryError):
        raise
    except Exception:
        bare = formats.without_metadata(content)
        if bare is None:
            raise
        found = None
        with contextlib.suppress(Exception):
            found = load(bare)
        if found is None:  # Its pixels are broken too: the first reason counts.
            raise
        found[1].add("metadata that cannot be read left out")
        return found


def _prepare():
    """Prepares Pillow: its limit of pixels, and HEIC where it can be read."""
    from PIL import Image

    limit = os.environ.get("RAM_TF_MAX_PIXELS")
    if limit:
        if not limit.isdecimal():
            raise InputError(f"RAM_TF_MAX_PIXELS is {limit!r}, expected a number.")
        Image.MAX_IMAGE_PIXELS = int(limit)
    _add_heif()


@functools.cache
def _add_heif():
    """Lets Pillow read HEIC where the package for it is installed."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()


def _load(content, size, channels, value_range):
    """Returns pixels, turned as the file's metadata say, and what was `Said`."""
    from PIL import Image

    say = Said()
    with Image.open(io.BytesIO(content)) as image:
        num_pixels = image.width * image.height
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and num_pixels > limit:
            say.add(f"pictures of more than {limit / 1e6:.0f} million pixels")
        with _PIXEL_BYTES.hold(_BYTES_A_PIXEL * num_pixels):
            orientation = None
            if image.format == "TIFF":
                # Its file is gone once it is loaded, which also turns it.
                orientation = _orientation(image, say)
                levels.keep_as_stored(image)
            image.load()
            if orientation is None:  # Some of PNG follow the pixels.
                orientation = _orientation(image, say)
            pixels = _to_mode(image, content, channels, value_range, say)
            if orientation in _TURNS:
                pixels = pixels.transpose(_TURNS[orientation])
            pixels = _fit(pixels, size, channels)
        _say_what_is_left_out(image, say)
    return pixels, say


def _to_mode(image, content, channels, value_range, say):
    """Converts a loaded Pillow image of any mode to 8-bit colour or grey."""
    from PIL import Image

    depth = levels.depth_of(image, content)
    if levels.is_wide(image, depth):
        if image.mode[0] in "IFL" and len(image.getbands()) == 1:
            image = levels.narrow_grey(image, depth, value_range, say)
        else:
            if image.format == "PNG" and "transparency" in image.info:
                raise levels.Refused(
                    "a transparent colour of 16 bits is not read: save it with 8 bits"
                )
            image = levels.narrow_colours(image, content, value_range, say)
    elif value_range is not None:
        say.add("8 bits, read as they are and not by `data.value_range`")
    if image.mode == "LAB":
        raise levels.Refused("colours as LAB are not read: save it as RGB")
    level = image.info.get("transparency")
    if image.mode == "L" and depth < 8 and isinstance(level, int):
        # As Pillow stretches the pixels.
        image.info["transparency"] = level * 255 // (2**depth - 1)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


def _orientation(image, say):
    """Returns how an image is to be turned, 1 to 8, as its metadata say."""
    try:
        return image.getexif().get(0x0112, 1)
    # As broken as they may be, the pixels are there.
    except Exception:
        say.add("metadata that cannot be read, so that it may lie on its side")
        return 1


def _say_what_is_left_out(image, say):
    """Notes the bands and pages of a file that are not in its pixels."""
    if image.format == "TIFF":
        kept = 3 if image.mode == "RGBX" else len(image.getbands())
        if image.tag_v2.get(formats.BANDS, 1) > kept:
            say.add(f"bands after the first {kept} left out")
        elif image.mode == "RGBA" and formats.EXTRA not in image.tag_v2:
            say.add("a fourth band that may be anything read as opacity")
    # Those of MPO are previews and the like, of every photograph of some telephones.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        say.add("pages or frames after the first left out")


def _reason(content, error):
    """Says in words why a file cannot be decoded, and how to mend it."""
    known = formats.format_of(content)
    if known is None:
        what = formats.describe(bytes(content))
        again = "save it as PNG or JPEG" if any(content[:512]) else "copy it again"
        return f"{what}. Remove it, or {again}"
    cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if "not available" in str(error):
        return f"this Pillow was built without what reads {known} ({cause})"
    import PIL

    if isinstance(error, PIL.UnidentifiedImageError | KeyError) and known == "TIFF":
        what = formats.describe_tiff(content)
        if what is not None:
            return (
                f"a TIFF of {what}, which Pillow does not read. Save one band or "
                "three, with 8 or 16 bits"
            )
    if isinstance(error, PIL.UnidentifiedImageError):
        cause = "its beginning cannot be read"
        if known == "AVIF" and "AVIF" not in PIL.Image.OPEN:
            return "AVIF, which needs Pillow 11.3 or later"
    return f"a {known} that is broken or cut short ({cause}). Repair or remove it"


def _refusal(name, reason):
    return InputError(f"The image '{name}' cannot be decoded: {reason}.")


def _fit(image, size, channels):
    """Crops around the centre to the ratio of `size`, resizes, and makes an array."""
    from PIL import Image

    if size is not None:
        height, width = size
        scale = min(image.width / width, image.height / height)
        crop = max(round(scale * width), 1), max(round(scale * height), 1)
        left, top = (image.width - crop[0]) // 2, (image.height - crop[1]) // 2
        # Cropped first: `resize(box=...)` also reads around the box.
        image = image.crop((left, top, left + crop[0], top + crop[1]))
        image = image.resize((width, height), Image.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, channels)
