"""Pyramids of any image that is read in windows, written a tile at a time."""

import os
import pathlib
import secrets

import numpy as np

from ram_tf.data.windows.cache import TileCache
from ram_tf.data.windows.reader import import_tifffile
from ram_tf.errors import InputError

_CACHE_BYTES = 2**26


def write_pyramid(reader, path, tile=256, compression="jpeg"):
    """Writes an image as a BigTIFF with tiles, its levels in sub-IFDs.

    The levels are those of the image; of one without smaller levels each is made of
    averages of 2 x 2 pixels of the one before, down to a single tile. A few tiles are
    in memory at a time, whatever the size.

    Args:
        reader: `Reader` of 1 or 3 channels.
        path: Path of the file, which is there whole or not at all.
        tile: Integer, side of a tile in pixels, a multiple of 16.
        compression: What `tifffile` calls it, as "jpeg", "deflate" or "zstd"; `None`
            for none.

    Raises:
        InputError: If it cannot be written so.
    """
    tifffile = import_tifffile(path)
    if tile < 16 or tile % 16 or reader.channels not in (1, 3):
        raise InputError(
            "Tiles have sides of a multiple of 16, and images 1 or 3 channels. "
            f"Received: tile={tile}, {reader.channels} channels."
        )
    sizes = [level[:2] for level in reader.levels]
    if len(sizes) == 1:
        while max(sizes[-1]) > tile:
            sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
        read = _halved(reader, sizes, tile)
    else:
        cache = TileCache(_CACHE_BYTES)

        def read(level, *window):
            return reader.read(level, *window, cache)

    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.writing")
    options = {
        "dtype": np.uint8,
        "tile": (tile, tile),
        "photometric": "rgb" if reader.channels == 3 else "minisblack",
        "compression": compression,
        "metadata": None,
        **_resolution(reader.micrometres),
    }
    try:
        with tifffile.TiffWriter(aside, bigtiff=True) as file:
            for level, size in enumerate(sizes):
                file.write(
                    _tiles(read, level, size, tile),
                    shape=(*size, reader.channels)[: 3 if reader.channels > 1 else 2],
                    subfiletype=int(level > 0),
                    subifds=None if level else len(sizes) - 1,
                    **options,
                )
        os.replace(aside, path)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        raise InputError(
            f"'{path}' cannot be written with compression={compression!r}: {reason}."
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _tiles(read, level, size, tile):
    """Yields the tiles of a level; those over its border repeat their last pixels."""
    height, width = size
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            rows, columns = min(tile, height - top), min(tile, width - left)
            pixels = read(level, top, left, rows, columns)
            missing = ((0, tile - rows), (0, tile - columns), (0, 0))
            pixels = np.pad(pixels, missing, mode="edge")
            yield pixels if pixels.shape[2] > 1 else pixels[:, :, 0]


def _halved(reader, sizes, tile):
    """Returns a function that reads levels that are made by halving level 0.

    It halves a quarter of a window after the other, and so on down to level 0: no
    window that is held is larger than the one that is asked for.
    """
    cache = TileCache(_CACHE_BYTES)

    def read(level, top, left, height, width):
        if level == 0:
            return reader.read(0, top, left, height, width, cache)
        pixels = np.empty((height, width, reader.channels), np.uint8)
        half, whole = tile // 2, sizes[level - 1]
        for y in range(0, height, half):
            for x in range(0, width, half):
                first = 2 * (top + y), 2 * (left + x)
                below = read(
                    level - 1,
                    *first,
                    min(2 * min(half, height - y), whole[0] - first[0]),
                    min(2 * min(half, width - x), whole[1] - first[1]),
                )
                pixels[y : y + half, x : x + half] = _halve(below)
        return pixels

    return read


def _halve(pixels):
    odd = [(0, side % 2) for side in pixels.shape[:2]]
    pixels = np.pad(pixels, (*odd, (0, 0)), mode="edge").astype(np.uint16)
    height, width, channels = pixels.shape
    boxes = pixels.reshape(height // 2, 2, width // 2, 2, channels)
    return ((boxes.sum(axis=(1, 3)) + 2) // 4).astype(np.uint8)


def _resolution(micrometres):
    if micrometres is None:
        return {}
    return {"resolution": (1e4 / micrometres,) * 2, "resolutionunit": "CENTIMETER"}
