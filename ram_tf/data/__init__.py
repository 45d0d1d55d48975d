"""Image data sets, read into memory and served as reproducible batches."""

from ram_tf.data.dataset import Dataset, Share, Split, Targets
from ram_tf.data.decode import decode_image, read_image
from ram_tf.data.folder import Measured
from ram_tf.data.notes import Notes
from ram_tf.data.sources import SOURCES, load
from ram_tf.data.synthetic import synthetic
from ram_tf.data.transforms import (
    Clutter,
    ColorJitter,
    HorizontalFlip,
    RandomResizedCrop,
    Translate,
    TranslateAndScale,
)
from ram_tf.data.walk import Found, find_images
from ram_tf.data.windows_source import why_not_large
from ram_tf.data.xor import xor

__all__ = [
    "SOURCES",
    "Clutter",
    "ColorJitter",
    "Dataset",
    "Found",
    "HorizontalFlip",
    "Measured",
    "Notes",
    "RandomResizedCrop",
    "Share",
    "Split",
    "Targets",
    "Translate",
    "TranslateAndScale",
    "decode_image",
    "find_images",
    "load",
    "read_image",
    "synthetic",
    "why_not_large",
    "xor",
]
