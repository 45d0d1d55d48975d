"""Image files of every kind that people have, made here byte by byte where it matters.

Their pixels are coarse, so that what a decoder does to the colours shows, and differ in
all corners, so that a turn or a mirroring shows.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 32
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
_PALETTE = bytes([10, 20, 30, 200, 100, 50, 0, 250, 0, 90, 90, 255])


def image_files():
    """Returns name -> bytes."""
    return {**_pngs(), **_jpegs(), **_others()}


def _pngs():
    files = {}
    for kind, depths in (
        (0, (1, 2, 4, 8, 16)),
        (2, (8, 16)),
        (3, (1, 2, 4, 8)),
        (4, (8, 16)),
        (6, (8, 16)),
    ):
        for depth in depths:
            files[f"type_{kind}_depth_{depth}.png"] = png(kind, depth)
    # A level that is there becomes transparent, of a palette two do.
    for depth in (1, 2, 4, 8, 16):
        levels = _levels(0, depth)
        between = levels[(levels > 0) & (levels < 2**depth - 1)]
        key = struct.pack(">H", between[0] if depth > 1 else 0)
        files[f"grey_{depth}_one_transparent.png"] = png(0, depth, trns=key)
    for depth in (8, 16):
        key = struct.pack(">HHH", *_levels(2, depth)[0, 0])
        files[f"colour_{depth}_one_transparent.png"] = png(2, depth, trns=key)
    for depth in (1, 2, 4, 8):
        files[f"palette_{depth}_transparent.png"] = png(3, depth, trns=bytes([0, 128]))
    for kind, depth in ((0, 1), (2, 8), (3, 4), (6, 16)):
        name = f"interlaced_type_{kind}_depth_{depth}.png"
        files[name] = png(kind, depth, interlaced=True)
    for turn in range(1, 9):
        files[f"turned_{turn}.png"] = png(2, 8, after=_chunk(b"eXIf", _exif(turn, ">")))
    raw = b'tiff:Orientation="6"'
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + raw
    files["turned_by_xmp.png"] = png(2, 8, after=_chunk(b"iTXt", xmp))
    files["one_pixel.png"] = png(0, 1, size=(1, 1))
    files["long_and_thin.png"] = png(2, 8, size=(3, 90))
    whole = png(2, 8)
    files["cut.png"] = whole[: len(whole) // 2]
    files["no_end.png"] = whole[:-12]
    return files


def _jpegs():
    pixels = Image.fromarray(_levels(2, 8).astype(np.uint8))
    options = {"quality": 95, "subsampling": 0}
    plain = _save(pixels, "JPEG", **options)
    cmyk = _save(pixels.convert("CMYK"), "JPEG", **options)
    adobe = cmyk.index(b"\xff\xee")
    without = cmyk[:adobe] + cmyk[adobe + 16 :]
    ycck = bytearray(cmyk)
    ycck[adobe + 15] = 2
    files = {
        "plain.jpg": plain,
        "subsampled.jpg": _save(pixels, "JPEG", quality=90, subsampling=2),
        "progressive.jpg": _save(pixels, "JPEG", progressive=True, **options),
        "grey.jpg": _save(pixels.convert("L"), "JPEG", **options),
        "cmyk_of_adobe.jpg": cmyk,
        "cmyk.jpg": without,
        "ycck.jpg": bytes(ycck),
        "cut.jpg": plain[: len(plain) // 2],
        "cut_header.jpg": plain[:100],
        "no_end.jpg": plain[:-2],
        "more_after_its_end.jpg": plain + b"and more",
    }
    for turn in range(1, 9):
        exif = b"Exif\0\0" + _exif(turn, "<" if turn % 2 else ">")
        segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
        files[f"turned_{turn}.jpg"] = plain[:2] + segment + plain[2:]
    return files


def _others():
    pixels = Image.fromarray(_levels(2, 8).astype(np.uint8))
    files = {
        f"picture.{kind.lower()}": _save(pixels, kind)
        for kind in ("GIF", "BMP", "TIFF")
    }
    files["picture.webp"] = _save(pixels, "WEBP", lossless=True)
    files["empty.jpg"] = b""
    files["text.png"] = b"This is no image."
    files["only_its_start.png"] = b"\x89PNG\r\n\x1a\n"
    return files


def png(
    kind,
    depth,
    trns=b"",
    after=b"",
    interlaced=False,
    size=(HEIGHT, WIDTH),
    level=None,
):
    """Returns a PNG file of a colour type and a bit depth.

    Args:
        kind: Int, the colour type.
        depth: Int, bits a channel.
        trns: Bytes of its `tRNS` chunk, none if empty.
        after: Chunks to follow the pixels.
        interlaced: Boolean.
        size: `(height, width)`.
        level: Int or `None`. What all its channels hold, instead of many levels.
    """
    levels = _levels(kind, depth, size)
    if level is not None:
        levels = np.full_like(levels, level)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = b""
    for top, left, down, right in passes:
        part = levels[top::down, left::right]
        if part.size:
            rows += b"".join(b"\0" + _packed(row.ravel(), depth) for row in part)
    header = struct.pack(">IIBBBBB", size[1], size[0], depth, kind, 0, 0, interlaced)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", _PALETTE[: 3 * 2 ** min(depth, 2)]) if kind == 3 else b"",
            _chunk(b"tRNS", trns) if trns else b"",
            _chunk(b"IDAT", zlib.compress(rows)),
            after,
            _chunk(b"IEND", b""),
        )
    )


def _levels(kind, depth, size=(HEIGHT, WIDTH)):
    """Integers `(height, width, channels)`, blocks of 8x8 of one colour."""
    height, width = size
    top = min(2**depth, 4) if kind == 3 else 2**depth
    shape = (-(-height // 8), -(-width // 8), _CHANNELS[kind])
    blocks = np.random.default_rng(3).integers(0, top, shape)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def _packed(values, depth):
    if depth == 16:
        return values.astype(">u2").tobytes()
    bits = (values[:, None] >> np.arange(depth)[::-1]) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def _chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    )


def _exif(orientation, order):
    """A TIFF header with a description, so that the orientation is not the first."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHI4s", 0x010E, 2, 4, b"abc\0")
    entries += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return start + struct.pack(f"{order}IH", 8, 2) + entries + bytes(4)


def _save(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
