"""What a file is, in words, where Pillow does not read it, and what stops Pillow."""

import contextlib
import functools
import io
import struct
import zlib

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_READ = {
    _PNG: "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"8BPS": "PSD",
}
# How a file of it begins, bare or in a container.
JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
_OTHERS = {
    **dict.fromkeys(JPEG_XL, "JPEG XL (needs pillow-jxl-plugin)"),
    b"%PDF": "PDF",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"\x89HDF": "HDF5",
    b"\x93NUMPY": "a NumPy array",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
}
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# What PNG needs to show its pixels, and the orientation.
_KEPT_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND")
# Of the application segments of a JPEG: JFIF, EXIF, and how its colours are stored.
_KEPT_SEGMENTS = (0xE0, 0xE1, 0xEE)
# Tags of TIFF.
BITS, PHOTOMETRIC, BANDS, EXTRA, KIND = 258, 262, 277, 338, 339
# Those that its pixels are read by, and the orientation.
_KEPT_TAGS = (
    *(254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293),
    *(317, 320, 322, 323, 324, 325, 332, 334, 336, 338, 339, 347, 529, 530, 531, 532),
)
_COMPRESSION = 259
_KINDS = {1: "bits", 2: "bits with a sign", 3: "bits of floating point"}


@functools.cache
def add_heif():
    """Lets Pillow read HEIC where the package for it is installed."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()


def format_of(content):
    """Returns the name of the format that Pillow reads such a file as, or `None`."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP"
    if content[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    return _named(content, _READ)


def describe(content):
    """Returns in words what a file is that Pillow knows no format of."""
    if not content:
        return "it is empty"
    if content[4:8] == b"ftyp" and content[8:12] in HEIF_BRANDS:
        return "HEIC, which needs pillow-heif"
    if content[128:132] == b"DICM":
        return "DICOM, which Pillow does not read"
    other = _named(content, _OTHERS)
    if other:
        return f"{other}, which Pillow does not read"
    head = content[:512]
    if not any(head):
        return "it begins with nothing but zeros"
    if head.lstrip()[:1] == b"<":
        return "text such as SVG or HTML, which Pillow does not read"
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in head):
        return "it is text"
    return f"of no format that Pillow knows (it begins with {bytes(head[:8])!r})"


def describe_tiff(content):
    """Returns in words what a TIFF holds, `None` if its first page does not say."""
    from PIL import TiffImagePlugin

    try:
        is_big = content[2] == 43 or content[3] == 43
        tags = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if is_big else 8])
        file = io.BytesIO(content)
        file.seek(tags.next)
        tags.load(file)
        bands, bits = tags.get(BANDS, 1), tags.get(BITS, (1,))[0]
        kind = _KINDS.get(tags.get(KIND, (1,))[0], "bits of another kind")
        compression = tags.get(_COMPRESSION, 1)
    # A broken file raises nearly anything.
    except Exception:
        return None
    return (
        f"{bands} band{'s' if bands > 1 else ''} of {bits} {kind}, compression "
        f"{compression}"
    )


def without_metadata(content):
    """Returns a PNG, JPEG or TIFF without what is not needed to show it.

    `None` if the file is none of them, or there is nothing to take away.
    """
    parts = []
    if content.startswith(_PNG):
        parts = [_PNG, *_needed_chunks(content)]
    elif content.startswith(_JPEG):
        parts = [_JPEG, *_needed_segments(content)]
    elif format_of(content) == "TIFF":
        parts = _with_needed_tags(content)
    bare = b"".join(parts)
    return bare if bare not in (b"", content) else None


def _needed_chunks(content):
    at = len(_PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        chunk = content[at : at + 12 + length]
        at += len(chunk)
        is_whole = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        # A broken one that is needed is left to Pillow to find.
        if kind in _KEPT_CHUNKS and (is_whole or kind != b"eXIf"):
            yield chunk


def _needed_segments(content):
    at = 2
    while content[at : at + 1] == b"\xff" and at + 4 <= len(content):
        marker, length = struct.unpack_from(">xBH", content, at)
        if marker in (0xD9, 0xDA):
            break
        segment = content[at : at + 2 + length]
        is_metadata = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not is_metadata or marker in _KEPT_SEGMENTS:
            yield segment
        at += len(segment)
    yield content[at:]


def _with_needed_tags(content):
    """The parts of a TIFF whose first directory has no other tags; none if broken."""
    order = "<" if content[:1] == b"I" else ">"
    try:
        (at,) = struct.unpack_from(f"{order}4xI", content)
        (count,) = struct.unpack_from(f"{order}H", content, at)
    except struct.error:
        return []
    entries = [content[at + 2 + 12 * i :][:12] for i in range(count)]
    kept = [
        entry
        for entry in entries
        if int.from_bytes(entry[:2], "little" if order == "<" else "big") in _KEPT_TAGS
    ]
    following = content[at + 2 + 12 * count :][:4]
    parts = [struct.pack(f"{order}H", len(kept)), *kept, following]
    # What they point to stays where it is.
    return [content[:at], *parts, content[at + sum(map(len, parts)) :]]


def _named(content, names):
    found = [name for start, name in names.items() if content.startswith(start)]
    return found[0] if found else None
