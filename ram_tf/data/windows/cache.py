"""Decoded tiles that are kept, as many as may be, and counts of what was read."""

import collections
import threading
from typing import NamedTuple


class Counts(NamedTuple):
    """What was read.

    Attributes:
        bytes_read: Integer, bytes that came from files. (Of what is computed, and of
            plain arrays, the bytes of the windows.)
        tiles_decoded: Integer, tiles that were decoded.
        tiles_cached: Integer, tiles that were there already.
        windows: Integer, windows that were read.
    """

    bytes_read: int = 0
    tiles_decoded: int = 0
    tiles_cached: int = 0
    windows: int = 0


class TileCache:
    """Keeps the tiles that were used last; threads may share it.

    A tile that two threads ask for at the same time is decoded once.

    Args:
        max_bytes: Integer, the most that all tiles may take together; 0 keeps none.
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept = collections.OrderedDict()
        self._coming = {}
        self._bytes = 0
        self._counts = Counts()._asdict()

    @property
    def counts(self):
        """The `Counts` so far."""
        with self._lock:
            return Counts(**self._counts)

    @property
    def num_bytes(self):
        """Bytes of the tiles that are kept."""
        with self._lock:
            return self._bytes

    def reset_counts(self):
        """Sets all counts to zero."""
        with self._lock:
            self._counts = Counts()._asdict()

    def clear(self):
        """Forgets all tiles; the counts stay."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def add(self, **counts):
        """Adds to counts, by the names of `Counts`."""
        with self._lock:
            self._count(**counts)

    def get(self, key, make):
        """Returns a tile: the one that is kept, or else that which `make()` returns.

        Args:
            key: Hashable.
            make: Function that returns the array and how many bytes it read for it.

        Raises:
            Exception: What `make` raises, in every thread that waits for the tile.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                self._count(tiles_cached=1)
                return self._kept[key]
            coming = self._coming.get(key)
            mine = coming is None
            if mine:
                coming = self._coming[key] = _Coming()
            else:
                self._count(tiles_cached=1)
                if coming.done is None:
                    coming.done = threading.Event()
        if not mine:
            coming.done.wait()
            if coming.error is not None:
                raise coming.error
            return coming.tile
        bytes_read = 0
        try:
            coming.tile, bytes_read = make()
        except BaseException as error:
            coming.error = error
            raise
        finally:
            with self._lock:
                del self._coming[key]
                if coming.error is None:
                    self._count(bytes_read=bytes_read, tiles_decoded=1)
                    self._keep(key, coming.tile)
            if coming.done is not None:
                coming.done.set()
        return coming.tile

    def _keep(self, key, tile):
        if tile.nbytes <= self.max_bytes:
            self._kept[key] = tile
            self._bytes += tile.nbytes
        while self._bytes > self.max_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes

    def _count(self, **counts):
        for name, count in counts.items():
            self._counts[name] += count


class _Coming:
    """A tile that a thread is decoding; `done` is made when another waits for it."""

    __slots__ = ("done", "error", "tile")

    def __init__(self):
        self.done = self.error = self.tile = None
