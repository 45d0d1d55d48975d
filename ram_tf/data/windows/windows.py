"""The images of a data set, and what a retina sees of them, read as it looks."""

import bisect
import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ram_tf.data.windows.cache import TileCache
from ram_tf.data.windows.places import to_pixels
from ram_tf.errors import InputError
from ram_tf.processors import num_processors

CACHE_BYTES = 2**28
# Pixels of a level that are read at once, and the most that an overview may have.
# What a byte is multiplied with, as the retina does.
_BYTE = np.float32(1 / 255)
_STRIP_PIXELS, _OVERVIEW_PIXELS = 2**22, 2**24


class Windows:
    """Images that are read where somebody looks, one object for all splits.

    Args:
        readers: Sequence of `Reader`s, all with the same number of channels.
        max_cache_bytes: Integer, the most that decoded tiles may take together.
        threads: Integer or `None`: one for each processor.
    """

    def __init__(self, readers, max_cache_bytes=CACHE_BYTES, threads=None):
        self.readers = tuple(readers)
        if not self.readers:
            raise InputError("There is no image to read windows of.")
        first = self.readers[0]
        for reader in self.readers:
            if reader.channels != first.channels:
                raise InputError(
                    f"Images must have equally many channels: '{first.path}' has "
                    f"{first.channels}, '{reader.path}' {reader.channels}. Set "
                    "`data.channels` to 1 or 3."
                )
        self.channels = first.channels
        self.sizes = np.array([reader.levels[0][:2] for reader in self.readers])
        self._downsamples = [
            [level.downsample for level in reader.levels] for reader in self.readers
        ]
        self.micrometres = np.array(
            [np.nan if r.micrometres is None else r.micrometres for r in self.readers]
        )
        self.cache = TileCache(max_cache_bytes)
        self.threads = num_processors() if threads is None else threads
        self._pool = ThreadPoolExecutor(self.threads, "ram_tf_windows")

    def __len__(self):
        return len(self.readers)

    @property
    def counts(self):
        """`Counts` of what was read since `reset_counts`."""
        return self.cache.counts

    def reset_counts(self):
        """Sets all counts to zero."""
        self.cache.reset_counts()

    def take(self, positions):
        """Returns some of the images, in an order of their own, for a `Split`."""
        return Part(self, np.asarray(positions))

    def level_for(self, index, ratio):
        """Returns the level to read: the coarsest that is not coarser than asked.

        Args:
            index: Integer, position of the image.
            ratio: Float, pixels of level 0 to a pixel that is asked for.
        """
        # They ascend, and that of level 0 is 1.
        return max(bisect.bisect_right(self._downsamples[index], ratio) - 1, 0)

    def cut(self, indices, locations, sides, size, reduce=None):
        """Cuts what a retina sees of some images, as `ram_tf.layers.Retina` does.

        A patch of side s spans the pixels [p - s // 2, p - s // 2 + s) of level 0 on
        each axis, where p is the pixel that the location points at. It is read from
        the coarsest level that has a pixel or more for each of its own, and averaged
        by the areas of what each pixel covers, parts of pixels included. What lies
        outside of the image is zero.

        Args:
            indices: Integer array `(B,)`, positions of images.
            locations: Float array `(B, N, 2)`, (x, y) in [-1, 1].
            sides: Sequence of integers, sides of the patches in pixels of level 0.
            size: Integer, side in pixels of what is returned.
            reduce: Function of patches `(1, 1, side, side, C)`, float32 in [0, 1], and
                `size` that averages those of level 0, or `None`. With
                `ram_tf.ops.reduce_patches` they have the very bits of a `Retina` that
                has the image in memory; without it they may differ in the last, and so
                do patches of more than 2048 pixels a side, which are never held whole.

        Returns:
            glimpses: Array `(B, N, scales, size, size, C)`, float32 in [0, 1].
            inside: Array `(B, N, scales, size, size, 1)`, float32: which share of each
                pixel lies inside of its image. To normalise, as the retina does:
                glimpses / stddev - inside * mean / stddev.

        Raises:
            UnreadableImage: If a part of an image is damaged.
        """
        indices, sides = np.asarray(indices).tolist(), list(map(int, sides))
        locations = np.asarray(locations, np.float32)
        batch, num = locations.shape[:2]
        shape = (batch, num, len(sides), size, size)
        glimpses = np.empty((*shape, self.channels), np.float32)
        shares = {}
        pixels = to_pixels(locations, self.sizes[indices][:, None]).tolist()

        def look(place):
            image, glimpse, scale = place
            patch, share = self._patch(
                indices[image], pixels[image][glimpse], sides[scale], size, reduce
            )
            if patch.dtype == np.uint8:
                np.multiply(patch, _BYTE, out=glimpses[place], dtype=np.float32)
            else:
                glimpses[place] = patch
            if share is not None:
                shares[place] = share

        self._for_all(look, list(np.ndindex(batch, num, len(sides))))
        self.cache.add(windows=math.prod(shape[:3]))
        if not shares:  # As it mostly is: an array that takes no memory.
            return glimpses, np.broadcast_to(np.float32(1), (*shape, 1))
        inside = np.ones((*shape, 1), np.float32)
        for place, share in shares.items():
            inside[place] = share
        return glimpses, inside

    def overview(self, index, side):
        """Reads a whole image from the smallest level that has enough pixels.

        Args:
            index: Integer, position of the image.
            side: Integer, how many pixels there must be on each axis, if the image has
                them.

        Returns:
            Array `(h, w, C)`, uint8: the level as it is; if that is larger than any
            overview needs, averaged by threads, a strip after the other.
        """
        reader = self.readers[index]
        enough = [n for n, level in enumerate(reader.levels) if min(level[:2]) >= side]
        chosen = min(enough, key=lambda n: reader.levels[n].height, default=0)
        level = reader.levels[chosen]
        height, width = level[:2]
        if height * width <= _OVERVIEW_PIXELS:
            return reader.read(chosen, 0, 0, height, width, self.cache)
        share = math.sqrt(_OVERVIEW_PIXELS / (height * width))
        share = min(1.0, max(share, side / min(height, width)))
        size = math.ceil(height * share), math.ceil(width * share)
        return self._shrink(index, chosen, size)

    def thumbnail(self, index, longest_side):
        """Returns a whole image with so many pixels along its longer side.

        Args:
            index: Integer, position of the image.
            longest_side: Integer; an image that has fewer pixels stays as it is.

        Returns:
            Array `(h, w, C)`, uint8.
        """
        height, width = self.sizes[index].tolist()
        ratio = max(height, width) / longest_side
        if ratio <= 1:
            return self.readers[index].read(0, 0, 0, height, width, self.cache)
        size = max(round(height / ratio), 1), max(round(width / ratio), 1)
        level = self.level_for(index, min(height / size[0], width / size[1]))
        return self._shrink(index, level, size)

    def close(self):
        """Closes all images; nothing is read after that."""
        self._pool.shutdown()
        for reader in self.readers:
            reader.close()

    def _patch(self, index, pixel, side, size, reduce):
        """Returns one patch `(size, size, C)` and what of it is inside.

        Bytes are pixels as they are, everything else is in [0, 1].
        """
        reader = self.readers[index]
        chosen = self.level_for(index, side / size)
        level = reader.levels[chosen]
        starts = [pixel[axis] - side // 2 for axis in (0, 1)]
        exact = _exact_window(starts, side, size, level)
        if exact is not None:
            return reader.read(chosen, *exact, size, size, self.cache), None
        axes = [
            _axis(starts[axis], side, size, level[2 + axis], level[axis])
            for axis in (0, 1)
        ]
        rows, columns = axes
        inside = None
        if rows.inside is not None or columns.inside is not None:
            ones = np.ones(size, np.float32)
            down, across = (
                ones if axis.inside is None else axis.inside for axis in axes
            )
            inside = np.multiply.outer(down, across)[..., None]
        if rows.count * columns.count > _STRIP_PIXELS:
            return self._wide_patch(reader, chosen, rows, columns), inside
        read = reader.read(
            chosen, rows.first, columns.first, rows.count, columns.count, self.cache
        )
        if chosen == 0 and reduce is not None:
            scaled = read.astype(np.float32) * _BYTE
            return np.asarray(reduce(scaled[None, None], size))[0, 0], inside
        return _average(read, rows.edges, columns.edges) / 255, inside

    def _wide_patch(self, reader, chosen, rows, columns):
        """Averages a patch of too many pixels to be held, a strip after the other."""
        level = reader.levels[chosen]
        left, top = max(columns.first, 0), max(rows.first, 0)
        width = min(columns.first + columns.count, level.width) - left
        bottom = min(rows.first + rows.count, level.height)
        size = len(rows.edges) - 1
        sums = np.zeros((size, size, reader.channels))
        if width <= 0:
            return sums
        across = columns.edges + columns.first - left
        step = max(1, _STRIP_PIXELS // width)
        for first in range(top, bottom, step):
            height = min(step, bottom - first)
            strip = reader.read(chosen, first, left, height, width, self.cache)
            down = _sums(strip, rows.edges + rows.first - first)
            sums += _sums(down.swapaxes(0, 1), across).swapaxes(0, 1)
        return sums / _areas(rows.edges, columns.edges) / 255

    def _shrink(self, index, chosen, size):
        """Averages a level to (height, width), a strip after the other."""
        reader = self.readers[index]
        level = reader.levels[chosen]
        columns = np.linspace(0, level.width, size[1] + 1)
        edges = np.linspace(0, level.height, size[0] + 1)
        result = np.empty((*size, self.channels), np.uint8)
        ratio = level.height / size[0]
        step = max(1, int(_STRIP_PIXELS / (level.width * ratio)))

        def fill(start):
            own = edges[start : start + step + 1]
            first = int(own[0])
            count = min(math.ceil(own[-1]), level.height) - first
            strip = reader.read(chosen, first, 0, count, level.width, self.cache)
            result[start : start + step] = np.rint(
                _average(strip, own - first, columns)
            )

        self._for_all(fill, range(0, size[0], step))
        return result

    def _for_all(self, function, places):
        """Calls a function for all of many places, by the threads."""
        if self.threads == 1:
            for place in places:
                function(place)
            return
        shares = [places[first :: self.threads] for first in range(self.threads)]

        def go(share):
            for place in share:
                function(place)

        for done in [self._pool.submit(go, share) for share in shares if len(share)]:
            done.result()


class Part:
    """Some of the images of `Windows`, as the images of a split.

    Args:
        windows: `Windows`.
        positions: Integer array `(n,)`, positions of images there.
    """

    def __init__(self, windows, positions):
        self.windows = windows
        self.positions = np.asarray(positions, np.int32)

    def __len__(self):
        return len(self.positions)


class _Axis(NamedTuple):
    """What a patch reads along one axis of a level.

    Attributes:
        first: Integer, the first pixel.
        count: Integer, how many.
        edges: Array `(size + 1,)`, float64: where the pixels of the patch begin and
            end, counted from the first.
        inside: Array `(size,)`, float32: which share lies inside of the level; `None`
            if all of it does.
    """

    first: int
    count: int
    edges: np.ndarray
    inside: np.ndarray | None


def _exact_window(starts, side, size, level):
    """Returns where a patch begins in a level that has its very pixels, or `None`."""
    first = []
    for start, downsample, length in zip(starts, level[2:], level[:2], strict=True):
        own = start / downsample
        inside = own.is_integer() and 0 <= own <= length - size
        if not inside or side != size * downsample:
            return None
        first.append(int(own))
    return first


def _axis(start, side, size, downsample, length):
    """Returns the `_Axis` of a patch that begins at a pixel of level 0."""
    first = math.floor(start / downsample)
    edges = (start + np.arange(size + 1) * (side / size)) / downsample - first
    count = math.ceil(edges[-1] - 1e-9)
    inside = None
    if first < 0 or first + count > length:
        clipped = np.clip(edges, -first, length - first)
        inside = (clipped[1:] - clipped[:-1]) / (edges[1:] - edges[:-1])
        inside = inside.astype(np.float32)
    return _Axis(first, count, edges, inside)


def _average(pixels, rows, columns):
    """Averages uint8 `(h, w, C)` between edges of rows and columns: `(p, q, C)`."""
    sums = _sums(_sums(pixels, rows).swapaxes(0, 1), columns).swapaxes(0, 1)
    return sums / _areas(rows, columns)


def _areas(rows, columns):
    heights, widths = rows[1:] - rows[:-1], columns[1:] - columns[:-1]
    return np.multiply.outer(heights, widths)[..., None]


def _sums(pixels, edges):
    """Sums `(n, m, C)` along the first axis between edges, parts of pixels included.

    Sums in float64 of what lies before each edge are exact as long as all of it fits
    into 53 bits. (A product of matrices would let threads wait for each other.)

    Args:
        pixels: Array `(n, m, C)`.
        edges: Increasing floats `(size + 1,)`; what lies outside of 0 and n is empty.

    Returns:
        Float64 array `(size, m, C)`.
    """
    count = len(pixels)
    edges = np.clip(edges, 0, count)
    whole = np.minimum(edges.astype(np.int64), count - 1)
    before = np.zeros((count + 1, *pixels.shape[1:]))
    np.cumsum(pixels, axis=0, dtype=np.float64, out=before[1:])
    at = before[whole] + (edges - whole)[:, None, None] * pixels[whole]
    return at[1:] - at[:-1]
