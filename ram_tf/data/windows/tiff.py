"""TIFF with tiles and levels: BigTIFF, OME-TIFF, and slides in the manner of SVS.

A file is parsed by `tifffile` once. Tiles are then read with `os.pread`, which threads
may do at the same time, and decoded by what `TiffPage.decode` returned.
"""

import contextlib
import html
import logging
import os
import re
from typing import Any, NamedTuple

import numpy as np

from ram_tf.data import levels as values
from ram_tf.data.windows.reader import (
    UnreadableImage,
    import_tifffile,
    make_levels,
    no_cache,
    read_tiles,
    to_channels,
)

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Of a file with very many pages (a stack) levels are sought among the first.
_MOST_PAGES = 64
# A tile, or a strip, is decoded whole.
_MOST_TILE_PIXELS = 2**26
# A resolution that is coarser is a printer's, and says nothing about the object.
_MOST_MICROMETRES = 25.0
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_JPEG = (6, 7, 33007, 34892, 33003, 33004, 33005, 34712)
_UNITS = {2: 25_400.0, 3: 10_000.0}


class _Tiles(NamedTuple):
    """Where the tiles of a level are, and what decodes them.

    Attributes:
        offsets: Array `(tiles,)`, uint64.
        sizes: Array `(tiles,)`, uint64: bytes, 0 of a tile that was never written.
        shape: (height, width) of a tile.
        grid: (planes, rows, columns) of tiles.
        decode: What `TiffPage.decode` returned.
        options: Dictionary of what it takes besides.
    """

    offsets: np.ndarray
    sizes: np.ndarray
    shape: tuple[int, int]
    grid: tuple[int, int, int]
    decode: Any
    options: dict


class TiffReader:
    """Reads windows of a TIFF, at any of its levels.

    Levels are the pages, and the sub-IFDs of the largest, that show the same at fewer
    pixels, in whatever order they are; labels, thumbnails and other planes of a stack
    are left out. Pixels become uint8 as those of the `folder` source do.

    Args:
        path: Path of the file.
        channels: 1, 3 or `None`: as many as the file has.
        value_range: Two numbers or `None`. Of pixels of more than 8 bits, the values
            that become black and white; by default the full scale of 16 bits.

    Raises:
        UnreadableImage: If it is damaged, or of a kind that is not read.
    """

    def __init__(self, path, channels=None, value_range=None):
        self.path = os.fspath(path)
        tifffile = import_tifffile(path)
        value_range = values.check_range(value_range)
        try:
            self._state = _state(os.stat(self.path))
            with _quiet(), tifffile.TiffFile(self.path) as file:
                pages, self.notes = _find_levels(file, self._refuse)
                self.levels = make_levels([page.shaped[2:4] for page in pages])
                self._tiles = [self._index(page, n) for n, page in enumerate(pages)]
                self._pixels = _Pixels.of(pages[0], value_range, self._refuse)
                self.micrometres = _micrometres(file, pages[0])
        except UnreadableImage:
            raise
        # The parser raises nearly anything on broken files; the cause is kept.
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise self._refuse(f"cannot be read: {reason}. Is it whole?") from error
        self.channels = self._pixels.channels if channels is None else channels

    # A window has four numbers.
    def read(self, level, top, left, height, width, cache=None):
        """Reads a window, as `Reader` says."""
        cache = no_cache(cache)
        with _File(self.path) as file:

            def tile(row, column):
                return cache.get(
                    (self, level, row, column),
                    lambda: self._decode(file, level, row, column),
                )

            return read_tiles(
                self.levels[level],
                self._tiles[level].shape,
                self.channels,
                (top, left, height, width),
                tile,
            )

    def close(self):
        """Does nothing: between windows nothing is open."""

    def _refuse(self, what, level=None, tile=None):
        where = "" if tile is None else f" at level {level}, tile {tile},"
        return UnreadableImage(f"'{self.path}'{where} {what}", self.path, level, tile)

    def _index(self, page, level):
        """Returns the `_Tiles` of a page, or says why there are none."""
        height, width = page.shaped[2:4]
        if page.imagedepth > 1:
            raise self._refuse(
                f"holds volumes of {page.imagedepth} layers. Write a layer as an image."
            )
        shape = (
            (page.tilelength, page.tilewidth)
            if page.is_tiled
            else (min(page.rowsperstrip, height), width)
        )
        if shape[0] * shape[1] > _MOST_TILE_PIXELS:
            raise self._refuse(
                f"has {'tiles' if page.is_tiled else 'strips'} of {shape[0]} x "
                f"{shape[1]} pixels at level {level}, each of which is decoded whole. "
                "Write it with tiles, such as 256 x 256."
            )
        planes = page.shaped[0]
        grid = planes, -(-height // shape[0]), -(-width // shape[1])
        offsets, sizes = (
            np.array(numbers, np.uint64)
            for numbers in (page.dataoffsets, page.databytecounts)
        )
        count = grid[0] * grid[1] * grid[2]
        if not len(offsets) == len(sizes) == count:
            raise self._refuse(
                f"says that level {level} has {height} x {width} pixels, in {count} "
                f"tiles, and has {len(offsets)} of them. Write it again."
            )
        if not sizes.any():
            raise self._refuse(
                f"says that level {level} has {height} x {width} pixels, and holds "
                "data of none of them. Write it again."
            )
        try:
            page.decode(None, 0)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise self._refuse(
                f"cannot be decoded: {reason}. It needs imagecodecs (pip install "
                "'ram_tf[large]'), or another compression, such as JPEG or deflate."
            ) from error
        options = {"jpegtables": page.jpegtables} if page.jpegtables else {}
        return _Tiles(offsets, sizes, shape, grid, page.decode, options)

    def _decode(self, file, level, row, column):
        """Returns the pixels of a tile, and how many bytes were read."""
        tiles, where = self._tiles[level], (row, column)
        planes, rows, columns = tiles.grid
        parts, num_bytes = [], 0
        for plane in range(planes):
            index = (plane * rows + row) * columns + column
            size = int(tiles.sizes[index])
            if not size:  # As the format has it: never written, and so empty.
                return self._empty(level, where), num_bytes
            data = self._bytes(file, tiles, index, level, where)
            num_bytes += size
            try:
                part, _, shape = tiles.decode(data, index, **tiles.options)
                parts.append(part[0, : shape[1], : shape[2]])
            # Decoders raise nearly anything on damaged data; the cause is kept.
            except Exception as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise self._refuse(
                    f"is damaged: {reason}. Replace the file.", level, where
                ) from error
        pixels = parts[0] if planes == 1 else np.concatenate(parts, axis=2)
        return self._pixels.convert(pixels, self.channels), num_bytes

    def _bytes(self, file, tiles, index, level, where):
        offset, size = int(tiles.offsets[index]), int(tiles.sizes[index])
        try:
            data = file.read(size, offset, self._state)
        except (OSError, OverflowError, MemoryError) as error:
            raise self._refuse(f"cannot be read: {error}.", level, where) from error
        if data is None:
            raise self._refuse(
                "cannot be read: the file changed since it was opened. Start again "
                "when nobody writes it.",
                level,
                where,
            )
        if len(data) < size:
            raise self._refuse(
                f"is cut off: {len(data)} of {size} bytes are there. Replace the file.",
                level,
                where,
            )
        return data

    def _empty(self, level, where):
        whole, (height, width) = self.levels[level], self._tiles[level].shape
        height = min(height, whole.height - where[0] * height)
        width = min(width, whole.width - where[1] * width)
        return np.zeros((height, width, self.channels), np.uint8)


@contextlib.contextmanager
def _quiet():
    """Keeps the parser from logging what the error says."""
    logger = logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


class _File:
    """A file that is opened when the first bytes are asked for."""

    def __init__(self, path):
        self._path = path
        self._descriptor = None

    def read(self, size, offset, state):
        """Returns bytes, or `None` if the file is not in that state any more."""
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDONLY)
            if _state(os.fstat(self._descriptor)) != state:
                return None
        return os.pread(self._descriptor, size, offset)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._descriptor is not None:
            os.close(self._descriptor)


def _state(stat):
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _find_levels(file, refuse):
    """Returns the pages that are levels, finest first, and lines to say."""
    pages = [file.pages[n] for n in range(min(len(file.pages), _MOST_PAGES))]
    pages = [page.aspage() for page in pages]
    if not pages:
        raise refuse("holds no image. Is it whole?")
    tiled = [page for page in pages if page.is_tiled] or pages
    first = max(tiled, key=_area)
    below = [page.aspage() for page in first.pages or ()]
    height, width = first.shaped[2:4]
    chosen, notes, planes = {(height, width): first}, [], 0
    for page in (*pages, *below):
        size = page.shaped[2:4]
        if page is first or page.is_tiled != first.is_tiled or not _shows(size, first):
            continue
        if size in chosen:
            planes += 1
        elif (page.samplesperpixel, page.dtype, page.photometric) != (
            first.samplesperpixel,
            first.dtype,
            first.photometric,
        ):
            notes.append(
                f"levels of other channels or depths left out ({size[0]} rows)"
            )
        else:
            chosen[size] = page
    if first.samplesperpixel > 4:
        notes.append("bands after the first colours left out")
    if planes or len(file.pages) > _MOST_PAGES:
        notes.append("planes after the first left out")
    if len(chosen) == 1 and height * width > 2**24:
        notes.append("no smaller levels, so that wide looks read very many pixels")
    return sorted(chosen.values(), key=_area, reverse=True), notes


def _area(page):
    return page.shaped[2] * page.shaped[3]


def _shows(size, first):
    """Whether a size is that of an image with fewer pixels, up to rounding."""
    height, width = first.shaped[2:4]
    if not (0 < size[0] <= height and 0 < size[1] <= width):
        return False
    long = max(height / size[0] if height >= width else width / size[1], 1.0)
    return abs(height / long - size[0]) <= 1.5 and abs(width / long - size[1]) <= 1.5


class _Pixels(NamedTuple):
    """How decoded values become uint8.

    Attributes:
        channels: 1 or 3, what the file has.
        table: Array of the uint8 of each value, `(values,)` or `(values, 3)`, or
            `None`: they are bytes already, or to be scaled.
        value_range: Two floats, or `None`.
        invert: Boolean: zero is white.
        has_alpha: Boolean: what is transparent becomes white.
        is_plain: Boolean: they are bytes as they are.
    """

    channels: int
    table: np.ndarray | None
    value_range: tuple | None
    invert: bool
    has_alpha: bool
    is_plain: bool

    @classmethod
    def of(cls, page, value_range, refuse):
        photometric, samples = int(page.photometric), page.samplesperpixel
        kinds = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _PALETTE: 1, _RGB: 3, _YCBCR: 3}
        colours = kinds.get(photometric)
        if colours is None or samples < colours:
            raise refuse(
                f"has pixels of the kind {page.photometric!s} with {samples} samples: "
                "expected grey, RGB, a palette, or YCbCr in JPEG. Convert it."
            )
        if photometric == _YCBCR and int(page.compression) not in _JPEG:
            raise refuse(
                "has YCbCr pixels that are no JPEG, which are not read. Convert it to "
                "RGB, or compress it as JPEG."
            )
        table, dtype = None, page.dtype
        if photometric == _PALETTE:
            if page.colormap is None or dtype not in (np.uint8, np.uint16):
                raise refuse("has a palette without colours. Convert it to RGB.")
            table, colours = (page.colormap.T >> 8).astype(np.uint8), 3
        elif dtype == np.uint16:
            table = values.table(value_range)
        elif dtype != np.uint8 or page.bitspersample != 8:
            if value_range is None:
                raise refuse(
                    f"has values of {page.bitspersample} bits ({dtype}), which do not "
                    "say what is black and white: set `data.value_range`, or save it "
                    "with 8 or 16 bits."
                )
        else:
            value_range = None
        extra = [int(kind) for kind in page.extrasamples or ()]
        has_alpha = samples == colours + 1 and extra[:1] in ([1], [2])
        invert = photometric == _WHITE_IS_ZERO
        return cls(
            channels=colours,
            table=table,
            value_range=None if table is not None else value_range,
            invert=invert,
            has_alpha=has_alpha and photometric != _PALETTE,
            is_plain=table is None
            and value_range is None
            and not invert
            and samples == colours,
        )

    def convert(self, pixels, channels):
        """Returns `(h, w, samples)` as uint8 `(h, w, channels)`."""
        if self.is_plain and pixels.shape[2] == channels:
            return pixels
        if self.table is not None:
            pixels = self.table[pixels]
            pixels = pixels[:, :, 0] if self.table.ndim == 2 else pixels
        elif self.value_range is not None:
            pixels = values.scale(pixels, *self.value_range)
        colours = pixels[:, :, : self.channels]
        if self.invert:
            colours = 255 - colours
        if self.has_alpha:
            alpha = pixels[:, :, self.channels, None].astype(np.uint16)
            laid = colours * alpha + 255 * (255 - alpha)
            colours = ((laid + 127) // 255).astype(np.uint8)
        return np.ascontiguousarray(to_channels(colours, channels))


def _micrometres(file, page):
    """Returns the side of a pixel of level 0 in micrometres, or `None`."""
    text = page.description or ""
    if file.is_ome and file.ome_metadata:
        found = re.search(r'PhysicalSizeX="([^"]+)"', file.ome_metadata)
        unit = re.search(r'PhysicalSizeXUnit="([^"]+)"', file.ome_metadata)
        # The sign may be an entity, or the Greek letter.
        unit = html.unescape(unit[1] if unit else "µm").replace("\u03bc", "µ")
        unit = {"nm": 1e-3, "µm": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}.get(unit)
        if found and unit:
            return _positive(float(found[1]) * unit)
    found = re.search(r"\bMPP\s*=\s*([0-9.]+)", text)
    if found:
        return _positive(float(found[1]))
    tag = page.tags.get("XResolution")
    unit = _UNITS.get(int(page.resolutionunit)) if tag is not None else None
    if unit is None or not tag.value[0] or not tag.value[1]:
        return None
    micrometres = unit * tag.value[1] / tag.value[0]
    return micrometres if micrometres <= _MOST_MICROMETRES else None


def _positive(number):
    return number if np.isfinite(number) and number > 0 else None
