"""Keras layers: the replaceable parts of a hard-attention model."""

from ram_tf.layers.attention_emission import AttentionEmission
from ram_tf.layers.backbone import Backbone
from ram_tf.layers.context_network import ContextNetwork
from ram_tf.layers.conv_glimpse import ConvGlimpse
from ram_tf.layers.error_head import ErrorHead
from ram_tf.layers.feature_decoder import FeatureDecoder
from ram_tf.layers.gaussian_location import GaussianLocation
from ram_tf.layers.layer_norm_cell import LayerNormCell
from ram_tf.layers.location_mixer import LocationMixer
from ram_tf.layers.matmul_convolution import MatmulConvolution
from ram_tf.layers.mlp_glimpse import MlpGlimpse
from ram_tf.layers.partial_vae import PartialVae
from ram_tf.layers.patch_encoder import PatchEncoder
from ram_tf.layers.pooling_cell import PoolingCell
from ram_tf.layers.posterior import Posterior
from ram_tf.layers.rectifier_cell import RectifierCell
from ram_tf.layers.recurrent_emission import RecurrentEmission
from ram_tf.layers.retina import Retina
from ram_tf.layers.spline_flow import SplineFlow
from ram_tf.layers.value_baseline import ValueBaseline

__all__ = [
    "AttentionEmission",
    "Backbone",
    "ContextNetwork",
    "ConvGlimpse",
    "ErrorHead",
    "FeatureDecoder",
    "GaussianLocation",
    "LayerNormCell",
    "LocationMixer",
    "MatmulConvolution",
    "MlpGlimpse",
    "PartialVae",
    "PatchEncoder",
    "PoolingCell",
    "Posterior",
    "RectifierCell",
    "RecurrentEmission",
    "Retina",
    "SplineFlow",
    "ValueBaseline",
]
