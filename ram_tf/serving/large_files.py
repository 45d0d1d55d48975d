"""Files of images that are read in windows, for a model that looks into them."""

import numpy as np

from ram_tf.data.windows import (
    UnreadableImage,
    Windows,
    open_reader,
    to_micrometres,
    to_pixels,
)
from ram_tf.data.windows.reader import make_levels


class Blank:
    """A black image of one pixel, in the place of one that cannot be read.

    Args:
        channels: Int.
    """

    path = "nothing"
    levels = make_levels([(1, 1)])
    micrometres = None
    notes = ()

    def __init__(self, channels):
        self.channels = channels

    # A window has four numbers.
    def read(self, level, top, left, height, width, cache=None):
        """Returns zeros, as `Reader` says."""
        return np.zeros((height, width, self.channels), np.uint8)

    def close(self):
        """Does nothing: nothing is open."""


class LargeFiles:
    """Files that a network looks into, some at a time.

    Args:
        network: An `AttentionModel` of images that are read in windows; it looks into
            these files from now on.
        channels: Int.
        value_range: What samples of more than 8 bits are read by, or `None`.
        skip_unreadable: Boolean. See black where a file cannot be read.

    Attributes:
        bytes_read: Int, of all files so far.
    """

    def __init__(self, network, channels, value_range=None, skip_unreadable=False):
        self.network = network
        self.channels = channels
        self.value_range = value_range
        self.skip_unreadable = skip_unreadable
        self.bytes_read = 0
        self._unopened = {}
        network.look_into(Windows([Blank(channels)]), skip_unreadable)

    def open(self, paths):
        """Looks into these files instead; returns their positions, int32 `(n,)`.

        Raises:
            UnreadableImage: If one cannot be opened, and none is to be skipped.
        """
        self.close()
        self._unopened = {}
        readers = [self._open(k, path) for k, path in enumerate(paths)]
        self.network.sensor.windows = Windows(readers)
        self.network.sensor.unreadable.clear()
        return np.arange(len(readers), dtype=np.int32)

    @property
    def unreadable(self):
        """Dictionary: position of a file that was not read -> why."""
        return {**self._unopened, **self.network.sensor.unreadable}

    def notes(self):
        """Returns what is to be said about each open file, a list of lines each."""
        return [reader.notes for reader in self.network.sensor.windows.readers]

    def describe_places(self, position, locations):
        """Writes where a file was looked at: pixels of level 0, and micrometres.

        Args:
            position: Int, of the file.
            locations: Float array `(glimpses, 2)`, NaN where it did not look any more.

        Returns:
            Two strings of "(x,y) (x,y)"; the second is empty where nobody knows.
        """
        windows = self.network.sensor.windows
        locations = locations[~np.isnan(locations[:, 0])]
        pixels = to_pixels(locations, windows.sizes[position])
        whole = " ".join(f"({x},{y})" for y, x in pixels)
        micrometres = windows.micrometres[position]
        if np.isnan(micrometres):
            return whole, ""
        places = to_micrometres(pixels, micrometres)
        return whole, " ".join(f"({x:.1f},{y:.1f})" for y, x in places)

    def close(self):
        """Closes the files that are looked into."""
        windows = self.network.sensor.windows
        self.bytes_read += windows.counts.bytes_read
        windows.close()

    def _open(self, position, path):
        try:
            return open_reader(
                path, channels=self.channels, value_range=self.value_range
            )
        except UnreadableImage as error:
            if not self.skip_unreadable:
                raise
            self._unopened[position] = str(error)
            return Blank(self.channels)
