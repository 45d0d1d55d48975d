"""Which files are pictures: by what they hold, whatever their names end in."""

import functools
import importlib.util
import os
import warnings

# Files of these endings are pictures, or else broken ones that the decoder names; of
# any other ending the first bytes decide.
ENDINGS = (
    *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg"),
    *(".png", ".tif", ".tiff", ".webp"),
)
# So many first bytes say what a file is.
_HEAD = 32
# Pillow knows these by their first bytes, but not their pixels.
_NO_PIXELS = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
_HEIF = "needs pillow-heif"
_AVIF = "needs Pillow 11.3 or later"
_JPEG_XL = "needs pillow-jxl-plugin"
_ARCHIVE = "an archive: unpack it"
_BRANDS = {
    **dict.fromkeys(
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), _HEIF
    ),
    **dict.fromkeys((b"avif", b"avis"), _AVIF),
}
_REASONS = {
    **dict.fromkeys((".heic", ".heif", ".hif"), _HEIF),
    **dict.fromkeys((".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz"), _ARCHIVE),
    **{".avif": _AVIF, ".jxl": _JPEG_XL, ".zip": _ARCHIVE},
}


def recognise(name, open_file):
    """Says why a file is no picture that can be read.

    Args:
        name: String, the file's name.
        open_file: Function that opens it. Not called where the name says enough.

    Returns:
        `None` of a picture; else a reason, which may be an empty string.
    """
    ending = ending_of(name)
    if ending in ENDINGS:
        return None
    try:
        with open_file() as file:
            start = file.read(_HEAD)
        if start.startswith(_BEGINNINGS) or start[:4] + start[8:12] == b"RIFFWEBP":
            return None
        reason = _other_reason(ending, start)
        if reason == _HEIF:
            add_heif()
        return None if _opens(ending, start, open_file) else reason
    # Archives raise nearly anything on what is damaged.
    except Exception:
        return "cannot be read"


def ending_of(name):
    """Returns the ending of a file's name in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()


def _other_reason(ending, start):
    if start[4:8] == b"ftyp" and start[8:12] in _BRANDS:
        return _BRANDS[start[8:12]]
    if start.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return _JPEG_XL
    return _REASONS.get(ending, "")


def _opens(ending, start, open_file):
    """Whether Pillow takes the file for a picture, by its header alone."""
    from PIL import Image

    # Those without a signature are guessed by Pillow: their endings must agree.
    formats = [
        name
        for name, accepts in _formats().items()
        if (_accepts(accepts, start) if accepts else _endings().get(ending) == name)
    ]
    if not formats:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_file() as file, Image.open(file, formats=formats):
                return True
    except Image.DecompressionBombError:
        return True
    # Pillow raises nearly anything on what merely begins like a picture.
    except Exception:
        return False


def _accepts(accepts, start):
    try:
        # What it may say instead is why the format is known but cannot be read.
        return accepts(start) is True
    except Exception:  # Of too few bytes.
        return False


def _formats():
    """Pillow's formats by name, each with what knows its first bytes, or `None`."""
    from PIL import Image

    Image.init()
    return {
        name: accepts
        for name, (_, accepts) in Image.OPEN.items()
        if name not in _NO_PIXELS
    }


def _endings():
    from PIL import Image

    return Image.EXTENSION


@functools.cache
def add_heif():
    """Lets Pillow read HEIC where the package for it is installed."""
    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
