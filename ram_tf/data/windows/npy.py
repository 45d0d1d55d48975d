"""A plain array in a `.npy` file, which is mapped into memory and not read whole."""

import os

import numpy as np

from ram_tf.data.windows.reader import Level, UnreadableImage, no_cache, to_channels

MAGIC = b"\x93NUMPY"


class NpyReader:
    """Reads windows of a `.npy` file: uint8, `(height, width)` or with channels last.

    Args:
        path: Path of the file.
        channels: 1, 3 or `None`: as many as the file has.
        value_range: Not used: bytes are read as they are.

    Raises:
        UnreadableImage: If it is no such array, or shorter than its header says.
    """

    def __init__(self, path, channels=None, value_range=None):
        self.path = os.fspath(path)
        try:
            pixels = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = " ".join(str(error).split())
            raise UnreadableImage(
                f"'{self.path}' is no array that can be read: {reason}. Write it again "
                "with numpy.save.",
                self.path,
            ) from error
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
            raise UnreadableImage(
                f"'{self.path}' must hold uint8 of shape (height, width) or (height, "
                f"width, channels). Received: {pixels.dtype} {pixels.shape}.",
                self.path,
            )
        # A plain view of the map: slicing a `memmap` costs more than the copy.
        self._pixels = np.asarray(pixels).reshape(*pixels.shape[:2], -1)
        self._size = os.path.getsize(self.path)
        self.levels = (Level(*self._pixels.shape[:2]),)
        own = self._pixels.shape[2]
        if channels not in (None, own) and own not in (1, 3):
            raise UnreadableImage(
                f"'{self.path}' has {own} channels, of which no {channels} are made. "
                "Leave `data.channels` out.",
                self.path,
            )
        self.channels = own if channels is None else channels
        self.micrometres = None
        self.notes = ()

    # A window has four numbers.
    def read(self, level, top, left, height, width, cache=None):
        """Reads a window, as `Reader` says."""
        whole = self.levels[level]
        if os.path.getsize(self.path) < self._size:  # Its pages would end the process.
            raise UnreadableImage(
                f"'{self.path}' became shorter while it was read. Start again when "
                "nobody writes it.",
                self.path,
                level,
            )
        rows = slice(max(top, 0), max(min(top + height, whole.height), 0))
        columns = slice(max(left, 0), max(min(left + width, whole.width), 0))
        pixels = np.zeros((height, width, self.channels), np.uint8)
        part = to_channels(self._pixels[rows, columns], self.channels)
        y, x = rows.start - top, columns.start - left
        pixels[y : y + part.shape[0], x : x + part.shape[1]] = part
        no_cache(cache).add(bytes_read=part.nbytes)
        return pixels

    def close(self):
        """Lets go of the file."""
        self._pixels = None
