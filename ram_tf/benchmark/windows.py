"""What reading windows costs: beside tifffile alone, and in images of several sizes."""

import contextlib
import json
import os
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ram_tf.data.windows import Windows, open_reader
from ram_tf.data.windows.reader import import_tifffile
from ram_tf.files import whole_file
from ram_tf.processors import num_processors

# Windows of one scale, as others measure them.
_SIDE, _BATCH = 96, 64
# Six glimpses of a retina of several scales.
_SIZE, _SIDES, _NUM_GLIMPSES = 24, (24, 96, 384, 1536), 6
# How six glimpses are measured, in this order, and what is said of it.
KINDS = {
    "disk": "no tile kept, the file forgotten by the system",
    "cold": "no tile kept",
    "new": "tiles of this image kept",
    "warm": "all tiles kept before",
}


def measure_windows(paths, *, repeats=15, threads=None, output=None, report=print):
    """Measures how fast images are read in windows, and how much memory that takes.

    Windows a second: random windows of 96 x 96 pixels of level 0 as float32, with no
    tile kept, and the same by tifffile alone, a handle for each thread, in turn.
    Glimpses: six of 24 x 24 pixels at four scales, up to 1536, at random places. For
    the same places in turn: no tile is kept from one glimpse to the next, and the
    system is asked to forget the file before; the same without that; tiles are kept,
    beginning with none, as a model meets a new image; and all tiles are there. Memory:
    the most that Python and NumPy held at once, from opening the file on.

    Args:
        paths: Sequence of paths of tiled TIFFs.
        repeats: Integer, timed calls; medians are reported.
        threads: Integer or `None`: one for each processor.
        output: Path of a JSON file for the numbers, or `None`.
        report: Function of one line of text.

    Returns:
        Dictionary of the numbers of each path, a dictionary.
    """
    threads = num_processors() if threads is None else threads
    paths = [os.fspath(path) for path in paths]
    found = _measure_glimpses(paths, repeats, threads)
    for path, numbers in found.items():
        numbers.update(_measure_rate(path, repeats, threads))
        numbers["peak_megabytes"] = _measure_memory(path, threads)
        for line in _describe(path, numbers, threads):
            report(line)
    if output is not None:
        with whole_file(output) as file:
            json.dump({"threads": threads, "files": found}, file, indent=2)
        report(f"wrote {output}")
    return found


def _describe(path, numbers, threads):
    height, width = numbers["size"]
    yield (
        f"{path}: {height:,} x {width:,} pixels, {numbers['levels']} levels, "
        f"{threads} threads"
    )
    yield (
        f"  windows of {_SIDE} x {_SIDE}: {numbers['windows_per_second']:,.0f} a "
        f"second, tifffile alone {numbers['tifffile_windows_per_second']:,.0f}: "
        f"{numbers['rate_over_tifffile']:.2f} of it"
    )
    for kind, meaning in KINDS.items():
        yield (
            f"  {_NUM_GLIMPSES} glimpses, {meaning}: {numbers[f'{kind}_ms']:.1f} ms, "
            f"{numbers[f'{kind}_bytes']:,} bytes, {numbers[f'{kind}_tiles']} tiles"
        )
    yield f"  peak memory: {numbers['peak_megabytes']:.1f} MB"


def _measure_rate(path, repeats, threads):
    images = Windows([open_reader(path)], max_cache_bytes=0, threads=threads)
    rng = np.random.default_rng(0)
    ours, alone = [], []
    with ThreadPoolExecutor(threads) as pool:
        handles = [_Alone(path) for _ in range(threads)]
        for _ in range(repeats + 1):  # The first is not timed.
            places = rng.uniform(-0.9, 0.9, (1, _BATCH, 2))
            images.cut([0], places, [_SIDE], _SIDE)  # The system keeps what is read.
            ours.append(_seconds(images.cut, [0], places, [_SIDE], _SIDE))
            starts = [handles[0].start(place) for place in places[0]]

            shape = _BATCH, _SIDE, _SIDE, images.channels

            def read(number, starts=starts, shape=shape):
                batch = np.empty(shape, np.float32)
                for place in range(number, _BATCH, threads):
                    pixels = handles[number].read(*starts[place])
                    np.multiply(
                        pixels, np.float32(1 / 255), out=batch[place], dtype=np.float32
                    )

            alone.append(
                _seconds(lambda read=read: list(pool.map(read, range(threads))))
            )
        for handle in handles:
            handle.close()
    images.close()
    ours, alone = np.array(ours[1:]), np.array(alone[1:])
    return {
        "windows_per_second": float(_BATCH / np.median(ours)),
        "tifffile_windows_per_second": float(_BATCH / np.median(alone)),
        "rate_over_tifffile": float(np.median(alone / ours)),
    }


def _measure_glimpses(paths, repeats, threads):
    images = {path: Windows([open_reader(path)], threads=threads) for path in paths}
    rng = np.random.default_rng(0)
    measured = {path: {kind: [] for kind in KINDS} for path in paths}
    for _ in range(repeats + 1):  # The first is not timed.
        places = rng.uniform(-0.9, 0.9, (_NUM_GLIMPSES, 1, 1, 2))
        for path, image in images.items():  # In turn: other work slows all of them.
            _forget(path)
            for kind, results in measured[path].items():
                results.append(_look(image, places, kind))
    found = {}
    for path, image in images.items():
        levels = image.readers[0].levels
        numbers = {"size": list(levels[0][:2]), "levels": len(levels)}
        for kind, results in measured[path].items():
            seconds, num_bytes, tiles = np.median(results[1:], axis=0)
            numbers[f"{kind}_ms"] = 1e3 * float(seconds)
            numbers[f"{kind}_bytes"] = int(num_bytes)
            numbers[f"{kind}_tiles"] = int(tiles)
        found[path] = numbers
        image.close()
    return found


def _look(image, places, kind):
    """Takes glimpses one after the other; returns seconds, bytes and tiles."""
    image.reset_counts()
    if kind == "new":
        image.cache.clear()
    seconds = 0.0
    for place in places:
        if kind in ("disk", "cold"):
            image.cache.clear()
        seconds += _seconds(image.cut, [0], place, _SIDES, _SIZE)
    counts = image.counts
    return seconds, counts.bytes_read, counts.tiles_decoded


def _measure_memory(path, threads):
    """Returns the most megabytes that opening it and 20 x 6 glimpses held at once."""
    rng = np.random.default_rng(0)
    tracemalloc.start()
    image = Windows([open_reader(path)], threads=threads)
    for places in rng.uniform(-1, 1, (20, _NUM_GLIMPSES, 1, 1, 2)):
        _look(image, places, "new")
    image.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def _seconds(function, *arguments):
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def _forget(path):
    """Asks the system to forget what it keeps of a file, where it can be asked."""
    with contextlib.suppress(AttributeError), open(path, "rb") as file:  # On macOS.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class _Alone:
    """Windows of level 0 by tifffile and nothing else: what ours is compared with."""

    def __init__(self, path):
        self.file = import_tifffile(path).TiffFile(path)
        self.page = max(self.file.pages, key=lambda page: page.shaped[2])
        self.offsets = self.page.dataoffsets
        self.sizes = self.page.databytecounts

    def start(self, place):
        height, width = self.page.shaped[2:4]
        top, left = (place[::-1] + 1) / 2 * (height, width)
        return int(top) - _SIDE // 2, int(left) - _SIDE // 2

    def read(self, top, left):
        page, handle = self.page, self.file.filehandle
        columns = -(-page.imagewidth // page.tilewidth)
        pixels = np.zeros((_SIDE, _SIDE, page.samplesperpixel), np.uint8)
        for row in range(
            top // page.tilelength, (top + _SIDE - 1) // page.tilelength + 1
        ):
            for column in range(
                left // page.tilewidth, (left + _SIDE - 1) // page.tilewidth + 1
            ):
                index = row * columns + column
                handle.seek(self.offsets[index])
                data = handle.read(self.sizes[index])
                tile, _, _ = page.decode(data, index, jpegtables=page.jpegtables)
                y, x = row * page.tilelength, column * page.tilewidth
                rows = max(y, top), min(y + page.tilelength, top + _SIDE)
                across = max(x, left), min(x + page.tilewidth, left + _SIDE)
                pixels[
                    rows[0] - top : rows[1] - top, across[0] - left : across[1] - left
                ] = tile[0, rows[0] - y : rows[1] - y, across[0] - x : across[1] - x]
        return pixels

    def close(self):
        self.file.close()
