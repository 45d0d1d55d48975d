"""Keras layers: the replaceable parts of a hard-attention model."""

from ram_tf.layers.conv_glimpse import ConvGlimpse
from ram_tf.layers.gaussian_location import GaussianLocation
from ram_tf.layers.mlp_glimpse import MlpGlimpse
from ram_tf.layers.rectifier_cell import RectifierCell
from ram_tf.layers.retina import Retina
from ram_tf.layers.value_baseline import ValueBaseline

__all__ = [
    "ConvGlimpse",
    "GaussianLocation",
    "MlpGlimpse",
    "RectifierCell",
    "Retina",
    "ValueBaseline",
]
