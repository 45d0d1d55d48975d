"""What a format of large images offers: its levels, and any window of any of them."""

import os
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ram_tf.data.windows.cache import TileCache
from ram_tf.errors import InputError


class UnreadableImage(InputError):
    """An image, or a part of it, is damaged: others may be read all the same.

    Args:
        message: String, one line.
        path: String, the file.
        level: Integer or `None`: the level, of a part.
        tile: (row, column) of a tile, or `None`.
    """

    def __init__(self, message, path, level=None, tile=None):
        super().__init__(message)
        self.path = path
        self.level = level
        self.tile = tile


class Level(NamedTuple):
    """One resolution of an image.

    Attributes:
        height: Integer, in pixels of this level.
        width: Integer, in pixels of this level.
        downsample_y: Float, pixels of level 0 along y to a pixel of this one.
        downsample_x: Float, the same along x.
    """

    height: int
    width: int
    downsample_y: float = 1.0
    downsample_x: float = 1.0

    @property
    def downsample(self):
        """Pixels of level 0 to a pixel of this one, along the coarser axis."""
        return max(self.downsample_y, self.downsample_x)


class Reader(Protocol):
    """An image that is read where somebody looks.

    Attributes:
        path: String, the file, or a name of what is no file.
        levels: Tuple of `Level`, finest first.
        channels: Integer.
        micrometres: Float, side of a pixel of level 0; `None` if nobody knows.
        notes: Sequence of strings, what is to be said about the file.
    """

    path: str
    levels: tuple[Level, ...]
    channels: int
    micrometres: float | None
    notes: Sequence[str]

    # A window has four numbers.
    def read(self, level, top, left, height, width, cache=None) -> np.ndarray:
        """Reads a window; several threads may at the same time.

        Args:
            level: Integer, index of `levels`.
            top: Integer, first row, in pixels of the level; may lie outside.
            left: Integer, first column.
            height: Integer, rows.
            width: Integer, columns.
            cache: `TileCache` that keeps decoded tiles and counts, or `None`.

        Returns:
            Array `(height, width, channels)`, uint8, not to be changed; what lies
            outside is zero.

        Raises:
            UnreadableImage: If a part is damaged.
        """

    def close(self) -> None:
        """Lets go of what is open; nothing is read after that."""


def make_levels(sizes):
    """Returns the `Level`s of images that show the same at several resolutions.

    Writers of pyramids divide by whole numbers and round the size up or down: where a
    whole number explains both sides of a level it is the downsample, else the ratio of
    the sizes is.

    Args:
        sizes: Sequence of (height, width), finest first.
    """
    height, width = sizes[0]
    levels = []
    for h, w in sizes:
        whole = round(height / h if height >= width else width / w)
        fits = all(
            shrunk in (full // whole, -(-full // whole))
            for full, shrunk in ((height, h), (width, w))
        )
        ratios = (whole, whole) if fits else (height / h, width / w)
        levels.append(Level(h, w, *map(float, ratios)))
    return tuple(levels)


# A window has four numbers.
def read_tiles(level, tile_shape, channels, window, tile):
    """Makes a window of the tiles that it touches.

    Args:
        level: `Level`.
        tile_shape: (height, width) of a tile.
        channels: Integer.
        window: (top, left, height, width).
        tile: Function of (row, column) of a tile that returns its pixels, uint8
            `(h, w, channels)`; those at the border may be cut.

    Returns:
        Array `(height, width, channels)`, uint8, not to be changed; what lies outside
        is zero.
    """
    top, left, height, width = window
    bottom, right = min(top + height, level.height), min(left + width, level.width)
    rows = range(max(top, 0) // tile_shape[0], -(-bottom // tile_shape[0]))
    columns = range(max(left, 0) // tile_shape[1], -(-right // tile_shape[1]))
    if len(rows) == len(columns) == 1 and (bottom - top, right - left) == window[2:]:
        y, x = top - rows[0] * tile_shape[0], left - columns[0] * tile_shape[1]
        if y >= 0 and x >= 0:  # As most are.
            return tile(rows[0], columns[0])[y : y + height, x : x + width]
    pixels = np.zeros((height, width, channels), np.uint8)
    for row in rows:
        y = row * tile_shape[0]
        first_y, last_y = max(y, top, 0), min(y + tile_shape[0], bottom)
        for column in columns:
            x = column * tile_shape[1]
            first_x, last_x = max(x, left, 0), min(x + tile_shape[1], right)
            if first_y < last_y and first_x < last_x:
                pixels[first_y - top : last_y - top, first_x - left : last_x - left] = (
                    tile(row, column)[
                        first_y - y : last_y - y, first_x - x : last_x - x
                    ]
                )
    return pixels


def no_cache(cache):
    """Returns the cache that was given, or one that keeps nothing."""
    return TileCache(0) if cache is None else cache


def to_channels(pixels, channels):
    """Returns grey or colour `(h, w, C)`, uint8, with so many channels.

    Args:
        pixels: Array `(h, w, C)`, uint8.
        channels: Integer. Grey becomes three that are alike, and colour its brightness
            as television has it; anything else must be as it is.
    """
    if channels == pixels.shape[2]:
        return pixels
    if pixels.shape[2] == 1:
        return np.repeat(pixels, channels, axis=2)
    red, green, blue = np.moveaxis(pixels.astype(np.uint32), 2, 0)
    grey = (19_595 * red + 38_470 * green + 7_471 * blue + 2**15) >> 16
    return grey[..., None].astype(np.uint8)


def import_tifffile(path):
    """Returns the module that parses and writes TIFF, or says how to get it."""
    try:
        import tifffile
    except ImportError as error:
        raise InputError(
            f"'{os.fspath(path)}' is a TIFF, which tifffile and imagecodecs read and "
            "write: pip install 'ram_tf[large]'."
        ) from error
    return tifffile
