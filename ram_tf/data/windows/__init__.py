"""Images that nobody could read whole: windows of them, read where somebody looks.

Another format is one file with a `Reader`, and one line in `opening.READERS`. Nothing
here imports TensorFlow.
"""

from ram_tf.data.windows.cache import Counts, TileCache
from ram_tf.data.windows.hunt import HuntReader
from ram_tf.data.windows.hunt_windows import HuntWindows
from ram_tf.data.windows.npy import NpyReader
from ram_tf.data.windows.opening import open_reader
from ram_tf.data.windows.places import to_micrometres, to_pixels
from ram_tf.data.windows.reader import Level, Reader, UnreadableImage
from ram_tf.data.windows.tiff import TiffReader
from ram_tf.data.windows.windows import Part, Windows
from ram_tf.data.windows.writing import write_pyramid

__all__ = [
    "Counts",
    "HuntReader",
    "HuntWindows",
    "Level",
    "NpyReader",
    "Part",
    "Reader",
    "TiffReader",
    "TileCache",
    "UnreadableImage",
    "Windows",
    "open_reader",
    "to_micrometres",
    "to_pixels",
    "write_pyramid",
]
