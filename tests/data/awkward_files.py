"""Single files as people have them, made here, each with what it is read as.

`SIZE` is their height and width; most have a left half of one colour and a right half
of another, so that what is turned, mirrored or cut in range shows.
"""

import dataclasses
import io
import struct
import zlib

import numpy as np
from PIL import Image, TiffImagePlugin

SIZE = 12, 16
LEFT, RIGHT = (200, 40, 90), (30, 160, 220)
WHITE = (255, 255, 255)


@dataclasses.dataclass(frozen=True)
class Awkward:
    """A file and what becomes of it.

    Args:
        content: Bytes of the file.
        pixels: `(height, width, 3)`, what it is read as, or `None`: it is refused.
        refusal: String, part of what it is refused with.
        said: Strings, parts of the lines that are said about it, one a line.
        value_range: Two numbers or `None`: what it is read by.
        tolerance: Integer, how far the pixels may be off.
        served: Whether the served graph reads it too; a client sends pixels otherwise.
    """

    content: bytes
    pixels: np.ndarray | None = None
    refusal: str = ""
    said: tuple[str, ...] = ()
    value_range: tuple | None = None
    tolerance: int = 0
    served: bool = False


def awkward_files():
    """Returns name -> `Awkward`."""
    return {
        **_endings(),
        **_wide(),
        **_tiffs(),
        **_modes(),
        **_metadata(),
        **_broken(),
    }


def halves(left=LEFT, right=RIGHT):
    """Pixels `(height, width, 3)` of two colours, or grey levels, side by side."""
    pixels = np.empty((*SIZE, 3), np.uint8)
    pixels[:, : SIZE[1] // 2] = left
    pixels[:, SIZE[1] // 2 :] = right
    return pixels


def wide(left, right, dtype=np.uint16, shape=SIZE):
    """Values of any type, of two levels side by side."""
    values = np.empty(shape, dtype)
    values[:, : shape[1] // 2] = left
    values[:, shape[1] // 2 :] = right
    return values


def save(image, kind, **options):
    """Returns the bytes of a picture, an array or a Pillow image, as a file."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png16(values):
    """Returns a PNG of 16 bits: grey `(h, w)` or colour `(h, w, 3)`."""
    height, width, *bands = values.shape
    rows = values.astype(">u2").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    kind = {(): 0, (2,): 4, (3,): 2, (4,): 6}[tuple(bands)]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return png(header, zlib.compress(data))


def png(header, data, before=b""):
    """Returns a PNG of its header and its compressed rows, with chunks before them."""
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            before,
            chunk(b"IDAT", data),
            chunk(b"IEND", b""),
        )
    )


def chunk(kind, content, off_by=0):
    """Returns a chunk of a PNG, with a wrong checksum if `off_by` is not 0."""
    checksum = (zlib.crc32(kind + content) + off_by) % 2**32
    return (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    )


def tiff(values, kind=1, photometric=1, extra=None, compression=1):
    """Returns a TIFF of `(height, width, bands)` values, one strip, as they are.

    Args:
        values: Array.
        kind: Int, the sample format: 1 unsigned, 2 signed, 3 floating point.
        photometric: Int, its interpretation.
        extra: What the further bands are, or `None`: not said.
        compression: Int, what the file says; the values stay as they are.
    """
    values = values if values.ndim == 3 else values[..., None]
    height, width, bands = values.shape
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[256], tags[257], tags[259] = width, height, compression
    tags[258] = (8 * values.dtype.itemsize,) * bands
    tags[262], tags[277], tags[278] = photometric, bands, height
    tags[339] = (kind,) * bands
    if extra is not None:
        tags[338] = extra
    tags[273], tags[279] = 0, len(data)  # It counts from the end of the directory.
    file = io.BytesIO()
    tags.save(file)
    return file.getvalue() + data


def exif(orientation, broken=b""):
    """Returns EXIF with an orientation, and a resolution of -1/0 among others."""
    entries = [
        (0x0112, 3, 1, struct.pack("<HH", orientation, 0)),
        (0x011A, 10, 1, struct.pack("<I", 38)),
    ]
    packed = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    rational = struct.pack("<ii", -1, 0)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)
    return head + rational + broken


def _endings():
    pixels = halves()
    jpeg = save(pixels, "JPEG", quality=98, subsampling=0)
    files = {
        name: Awkward(jpeg, pixels, tolerance=6, served=True)
        for name in ("photo.jfif", "photo.JPG", "photo.jpe", "no_ending", "photo.png")
    }
    plain = save(pixels, "PNG")
    files["UPPER.PNG"] = Awkward(plain, pixels, served=True)
    files["really_a.jpg"] = Awkward(plain, pixels, served=True)
    return files


def _wide():
    twelve = wide(0, 4095)
    twelve[0, 0] = 1000
    full = np.where(twelve == 4095, 65535, 0).astype(np.uint16)
    dark = np.repeat(np.rint(twelve / 257)[..., None], 3, axis=2)
    bright = np.repeat(np.rint(twelve / 4095 * 255)[..., None], 3, axis=2)
    colours = np.stack([twelve, twelve // 2, np.full(SIZE, 4095)], axis=2)
    said = ("no value above 4095 of 65535",)
    by_range = {"value_range": (0, 4095)}
    black_and_white = halves(0, 255)
    return {
        "full_scale.png": Awkward(png16(full), black_and_white, served=True),
        "twelve_bits.png": Awkward(
            png16(twelve), dark, said=said, tolerance=1, served=True
        ),
        "twelve_bits_by_range.png": Awkward(
            png16(twelve), bright, **by_range, served=True
        ),
        "cut_by_range.png": Awkward(
            png16(wide(500, 9000)),
            halves(31, 255),
            said=("values outside of `data.value_range` cut to it",),
            **by_range,
            served=True,
        ),
        "twelve_bits_of_colour.png": Awkward(
            png16(colours), colours // 256, said=said, tolerance=1, served=True
        ),
        "twelve_bits_of_colour_by_range.png": Awkward(
            png16(colours), np.rint(colours / 4095 * 255), **by_range, served=True
        ),
        "grey_with_opacity_by_range.png": Awkward(
            png16(np.stack([twelve, twelve], axis=2)),
            refusal="16 bits of RGBA cannot be read by `data.value_range`",
            **by_range,
        ),
        "eight_bits_by_range.png": Awkward(
            save(halves(), "PNG"),
            halves(),
            said=("8 bits, read as they are and not by `data.value_range`",),
            **by_range,
            served=True,
        ),
    }


def _tiffs():
    grey = halves(0, 255)
    twelve = wide(0, 4095)
    floats, whole = wide(0.25, 0.75, np.float32), wide(0, 10**9, np.int32)
    pages = [Image.fromarray(halves()), Image.fromarray(halves(RIGHT, LEFT))]
    four = np.concatenate([halves(), halves(0, 90)[..., :1]], axis=2)
    left_out = ("bands after the first 3 left out",)
    colours = np.stack([twelve, twelve, twelve], axis=2)
    by_range = {"value_range": (0, 4095)}
    return {
        "twelve_bits.tif": Awkward(
            tiff(twelve), halves(0, 16), said=("no value above 4095 of 65535",)
        ),
        "twelve_bits_by_range.tif": Awkward(tiff(twelve), grey, **by_range),
        "white_is_zero.tif": Awkward(
            tiff(wide(65535, 0), photometric=0), halves(0, 255)
        ),
        "colour_by_range.tif": Awkward(tiff(colours, photometric=2), grey, **by_range),
        "float.tif": Awkward(
            tiff(floats, 3), refusal="floating point do not say which of them are black"
        ),
        "float_by_range.tif": Awkward(
            tiff(floats, 3), halves(64, 191), value_range=(0, 1)
        ),
        "not_a_number.tif": Awkward(
            tiff(wide(np.nan, 1, np.float32), 3),
            refusal="some of its values are no numbers",
            value_range=(0, 1),
        ),
        "whole_32.tif": Awkward(
            tiff(whole, 2), refusal="32 bits with a sign do not say which"
        ),
        "whole_32_by_range.tif": Awkward(tiff(whole, 2), grey, value_range=(-1, 10**9)),
        "unsigned_32_by_range.tif": Awkward(
            tiff(wide(0, 2**32 - 1, np.uint32)), grey, value_range=(0, 2**32 - 1)
        ),
        "signed_16.tif": Awkward(
            tiff(wide(-5, 5, np.int16), 2), refusal="16 bits with a sign do not say"
        ),
        "pages.tif": Awkward(
            save(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
            halves(),
            said=("pages or frames after the first left out",),
        ),
        "four_bands.tif": Awkward(
            tiff(four, photometric=2, extra=0), halves(), said=left_out
        ),
        "thirteen_bands.tif": Awkward(
            tiff(np.zeros((*SIZE, 13), np.uint16), photometric=1, extra=(0,) * 12),
            refusal="a TIFF of 13 bands of 16 bits, compression 1, which Pillow does "
            "not read",
        ),
        "odd_compression.tif": Awkward(
            tiff(twelve, compression=34887),
            refusal="a TIFF of 1 band of 16 bits, compression 34887, which Pillow",
        ),
    }


def _modes():
    pixels = Image.fromarray(halves())
    clear = np.dstack([halves(), wide(255, 0, np.uint8)])
    on_white = halves(LEFT, WHITE)
    grey_clear = Image.fromarray(clear).convert("LA")
    level = int(np.asarray(grey_clear)[0, 0, 0])
    palette = Image.fromarray(clear[..., 3] // 255, "P")
    palette.putpalette([*RIGHT, *LEFT])
    frames = [pixels.quantize(4), Image.fromarray(halves(RIGHT, LEFT)).quantize(4)]
    animated = {"save_all": True, "append_images": frames[1:]}
    said = ("pages or frames after the first left out",)
    cmyk = save(pixels.convert("CMYK"), "JPEG", quality=98, subsampling=0)
    return {
        "opacity.png": Awkward(save(clear, "PNG"), on_white, served=True),
        "grey_and_opacity.png": Awkward(
            save(grey_clear, "PNG"), halves(level, 255), served=True
        ),
        "palette_with_transparency.png": Awkward(
            save(palette, "PNG", transparency=0), on_white, served=True
        ),
        "one_bit.png": Awkward(
            save(Image.fromarray(halves(0, 255)).convert("1"), "PNG"),
            halves(0, 255),
            served=True,
        ),
        "cmyk.jpg": Awkward(cmyk, halves(), tolerance=8, served=True),
        "cmyk.tif": Awkward(save(pixels.convert("CMYK"), "TIFF"), halves()),
        "moving.gif": Awkward(save(frames[0], "GIF", **animated), halves(), said=said),
        "moving.webp": Awkward(
            save(frames[0], "WEBP", lossless=True, **animated), halves(), said=said
        ),
    }


def _metadata():
    pixels = halves()
    plain, png = save(pixels, "JPEG", quality=98, subsampling=0), save(pixels, "PNG")
    start = png.index(b"IDAT") - 4
    mirrored = halves(RIGHT, LEFT)

    def segment(content, marker=0xE1):
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    def with_segment(content, marker=0xE1):
        return plain[:2] + segment(content, marker) + plain[2:]

    def with_chunk(made):
        return png[:start] + made + png[start:]

    left_out = ("metadata that cannot be read left out",)
    long_name = save(Image.fromarray(pixels), "TIFF", tiffinfo={269: "name"})
    count = long_name.index(struct.pack("<HH", 269, 2)) + 4
    length = struct.pack("<I", len(long_name) - 10)  # More than follows it.
    long_name = long_name[:count] + length + long_name[count + 4 :]
    endless = zlib.compress(bytes(2**22))
    return {
        "minus_one_over_zero.jpg": Awkward(
            with_segment(b"Exif\0\0" + exif(1)), pixels, tolerance=6, served=True
        ),
        "mirrored_minus_one_over_zero.jpg": Awkward(
            with_segment(b"Exif\0\0" + exif(2)), mirrored, tolerance=6, served=True
        ),
        "mirrored_minus_one_over_zero.png": Awkward(
            with_chunk(chunk(b"eXIf", exif(2))), mirrored, served=True
        ),
        "no_exif.jpg": Awkward(
            with_segment(b"Exif\0\0what is this"),
            pixels,
            tolerance=6,
        ),
        "wrong_profile.png": Awkward(
            with_chunk(chunk(b"tEXt", b"Raw profile type exif\0\n\n\nzz")),
            pixels,
            said=("metadata that cannot be read, so that it may lie on its side",),
        ),
        "cut_exif.jpg": Awkward(
            with_segment(b"Exif\0\0" + exif(2)[:30]), mirrored, tolerance=6, served=True
        ),
        "name_too_long.tif": Awkward(long_name, pixels, said=left_out),
        "wrong_checksum_of_text.png": Awkward(
            with_chunk(chunk(b"tEXt", b"a\0b", off_by=1)),
            pixels,
            said=left_out,
            served=True,
        ),
        "text_too_long.png": Awkward(
            with_chunk(chunk(b"zTXt", b"a\0\0" + endless)),
            pixels,
            said=left_out,
            served=True,
        ),
    }


def _broken():
    png8 = save(halves(), "PNG")
    jpeg = save(halves(), "JPEG")
    huge = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    cut = "that is broken or cut short"
    return {
        "truncated.png": Awkward(png8[: len(png8) // 2], refusal=f"a PNG {cut}"),
        "truncated.jpg": Awkward(jpeg[: len(jpeg) - 40], refusal=f"a JPEG {cut}"),
        "only_a_start.png": Awkward(png8[:20], refusal=f"a PNG {cut}"),
        "empty.png": Awkward(b"", refusal="it is empty"),
        "zeros.jpg": Awkward(bytes(1000), refusal="nothing but zeros"),
        "text.png": Awkward(b"not an image\n", refusal="it is text"),
        "page.jpg": Awkward(b"<!DOCTYPE html>", refusal="text such as SVG or HTML"),
        "paper.pdf": Awkward(b"%PDF-1.7\n", refusal="PDF, which Pillow does not read"),
        "photo.heic": Awkward(heic, refusal="HEIC, which needs pillow-heif"),
        "noise.bin": Awkward(
            b"\x07\xfe\x00\x80abcd", refusal="of no format that Pillow knows"
        ),
        "huge.png": Awkward(
            png(huge, zlib.compress(bytes(1000))),
            refusal="3600000000 pixels, more than 178956970",
        ),
    }
