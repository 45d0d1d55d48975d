"""One line for every public layer and model: how to make it and call it.

A discovery test fails when a public class has no line here.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from ram_tf import layers, models, policies

RNG = np.random.default_rng(0)
GLIMPSES = RNG.random((3, 2, 6, 6, 1), "float32")
LOCATIONS = RNG.uniform(-1, 1, (3, 2)).astype("float32")
PLACES_AND_SCALES = np.float32([(0, 0, 0), (-0.7, 1, 1), (0.2, -0.4, -1)])
HIDDEN = RNG.standard_normal((3, 5)).astype("float32")
IMAGES = RNG.random((3, 14, 17, 1), "float32")
PATCHES = RNG.random((3, 2, 4, 4, 1), "float32")
REGIONS = RNG.standard_normal((3, 4, 6)).astype("float32")
FEATURES = RNG.standard_normal((3, 6)).astype("float32")
STATE = RNG.standard_normal((3, 8)).astype("float32")
NOISE = RNG.standard_normal((3, 2, 5)).astype("float32")


@dataclasses.dataclass(frozen=True)
class Contract:
    """How to test one class.

    Attributes:
        make: Returns a new object.
        inputs: Positional call arguments.
        parameters: Exact number of parameters once built.
        output_dtypes: Names of the dtypes of the outputs under `mixed_bfloat16`, in
            their order, that of a dictionary's sorted names.
        options: Keyword call arguments.
        fixed: Those to change so that nothing is drawn.
        idle: Names of the parts that the call leaves alone.
    """

    make: Callable
    inputs: tuple
    parameters: int
    output_dtypes: tuple = ("bfloat16",)
    options: dict = dataclasses.field(default_factory=dict)
    fixed: dict = dataclasses.field(default_factory=dict)
    idle: tuple = ()


def small_ram(make=models.RAM, **parts):
    return make(
        4,
        retina=layers.Retina(6, 2),
        glimpse_network=parts.get("glimpse_network") or layers.MlpGlimpse(7, 5, 8),
        core=parts.get("core") or layers.RectifierCell(9),
        location=layers.GaussianLocation(0.2, hidden_units=6),
    )


def small_mram(make=models.MRAM, **parts):
    parts = {
        "retina": layers.Retina(6, 2),
        "glimpse_network": layers.MlpGlimpse(7, 5, 8, product=True),
        "lower": layers.RectifierCell(9),
        "upper": layers.RectifierCell(6),
        "location": layers.GaussianLocation(0.2),
        **parts,
    }
    return make(4, **parts)


def small_dram(**parts):
    parts = {
        "location": layers.GaussianLocation(0.2, detach_inputs=False),
        "context": layers.ContextNetwork(6, (2, 3), (3, 3), (2, 1)),
        "overview_size": 8,
        **parts,
    }
    return small_mram(models.DRAM, **parts)


def small_zoom(zoom=(0.5, 2.0)):
    """The parts of a DRAM that decides how wide to look."""
    return {
        "retina": layers.Retina(6, 2, zoom=zoom),
        "location": layers.GaussianLocation(
            (0.2, 0.1, 0.3), detach_inputs=False, num_coordinates=3
        ),
    }


def small_pham(**options):
    sizes = {"glimpse_size": 4, "feature_units": 6, "latent_units": 5}
    return models.PHAM(4, hidden_units=8, **sizes, **{"num_flows": 1, **options})


@keras.saving.register_keras_serializable(package="ram_tf_tests")
class TinyBackbone(keras.layers.Layer):
    """What a `Backbone` is, of one convolution."""

    def __init__(self, units=6, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.network = keras.layers.Conv2D(units, 3, 2, "same", activation="relu")

    def build(self, input_shape):
        self.network.build(input_shape)
        self.built = True

    def call(self, images, training=False):
        return self.network(images)

    def compute_output_shape(self, input_shape):
        return self.network.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def small_fine_grained(**options):
    options = {"num_scales": 2, "start_size": 2, "size": 8, **options}
    return models.FineGrained(
        4,
        backbone=TinyBackbone(),
        core=keras.layers.LSTMCell(9),
        emission=options.pop("emission", None) or layers.AttentionEmission(5),
        **options,
    )


def ram_contract(make, parameters, policy=policies.GaussianPolicy):
    options = {"policy": policy(), "num_glimpses": 3, "training": True}
    fixed = {"policy": policy(sample=False)}
    return Contract(make, (IMAGES,), parameters, ROLLOUT, options, fixed)


ROLLOUT = ("float32", "bfloat16", "float32", "float32", "float32", "float32")

# The parts of `small_pham` on images of 8x10 pixels: 3x4 cells of 4x4.
ENCODER = (9 * 64 + 64) + 4 * 64 + (2 * 2 * 64 * 6 + 6)
MIXER = (2 * 6 + 6) + 4 * 6
CELL = (6 * 8 + 8) + (8 * 8 + 8) + 2 * 8
MASKED = 2 * ((6 * 11 + 5 * 5 + 11) + 2 * 11) + (6 * 70 + 5 * 70 + 70)
FLOW = 1 + 2 * ((6 * 6 + 6) + (6 * 5 + 5)) + MASKED + 1
POSTERIOR = (8 * 8 + 8) + 2 * 8 + (8 * 16 + 16) + FLOW
DECODER = (9 * 5 * 6 + 6) + 7 * (9 * 6 * 6 + 6) + 2 * 6 * (3 * 3 + 6 * 3 * 4)

# Of `small_dram` and `small_mram` on grey images.
SEEN = (72 * 7 + 7) + (2 * 5 + 5) + (7 * 8 + 8) + (5 * 8 + 8)
TWO_LAYERS = (8 * 9 + 9) + (9 * 9 + 9) + (9 * 6 + 6) + (6 * 6 + 6)
CONVOLVED = (9 * 2 + 2) + (9 * 2 * 3 + 3)

# Of `small_fine_grained` on grey images.
TINY_BACKBONE = 9 * 6 + 6
HEADS = 3 * (12 * 4 + 4) + (18 * 4 + 4)

CONTRACTS = {
    "AttentionEmission": Contract(
        lambda: layers.AttentionEmission(7),
        (REGIONS, HIDDEN),
        (6 + 1) + (6 * 7 + 7) + 5 * 7 + 7,
        ("float32", "float32"),
        idle=("first_score",),
    ),
    "RecurrentEmission": Contract(
        lambda: layers.RecurrentEmission(8),
        (REGIONS, HIDDEN, [STATE, STATE]),
        (4 * 6 * 8 + 8) + 4 * (5 * 8 + 8 * 8 + 8) + (8 * 2 + 2),
        3 * ("float32",),
        idle=("start",),
    ),
    "Backbone": Contract(
        lambda: layers.Backbone("mobilenet_v3_small"),
        (RNG.random((2, 32, 32, 3), "float32"),),
        939_120,
    ),
    "ResolutionClassifier": Contract(
        lambda: models.ResolutionClassifier(4, TinyBackbone(), size=8),
        (IMAGES[:, :12, :12],),
        TINY_BACKBONE + HEADS,
        (*ROLLOUT[:5], *4 * ("float32",)),
        {"policy": policies.CenterPolicy(), "num_glimpses": 1, "training": True},
    ),
    "FineGrained": Contract(
        lambda: small_fine_grained(mix_location=True),
        (IMAGES[:, :12, :12],),
        TINY_BACKBONE
        + HEADS
        + 4 * (12 * 9 + 9 * 9 + 9)  # The core.
        + (6 + 1)
        + (6 * 5 + 5)
        + 9 * 5
        + 5  # The emission.
        + (9 + 1)
        + (9 * 4 + 4)
        + (2 * 12 + 12),
        (*ROLLOUT, "float32"),
        {"policy": policies.ContextPolicy(), "num_glimpses": 3, "training": True},
        {"policy": policies.ContextPolicy(sample=False)},
        idle=("resolutions.heads",),
    ),
    "Retina": Contract(lambda: layers.Retina(6, 2), (IMAGES, LOCATIONS), 0),
    "Retina that zooms": Contract(
        lambda: layers.Retina(6, 2, zoom=(0.5, 3.0)), (IMAGES, PLACES_AND_SCALES), 0
    ),
    "MlpGlimpse": Contract(
        lambda: layers.MlpGlimpse(7, 5, 8),
        (GLIMPSES, LOCATIONS),
        (72 * 7 + 7) + (2 * 5 + 5) + (7 * 8 + 8) + (5 * 8 + 8),
    ),
    "ConvGlimpse": Contract(
        lambda: layers.ConvGlimpse((3, 4, 5), 8),
        (GLIMPSES, LOCATIONS),
        (2 * 9 * 3 + 3)
        + (3 * 9 * 4 + 4)
        + (4 * 9 * 5 + 5)
        + (180 * 8 + 8)
        + (2 * 8 + 8),
    ),
    "MlpGlimpse that multiplies": Contract(
        lambda: layers.MlpGlimpse(7, 5, 8, product=True), (GLIMPSES, LOCATIONS), SEEN
    ),
    "ContextNetwork": Contract(
        lambda: layers.ContextNetwork(6, (2, 3), (3, 3), (2, 1)),
        (IMAGES,),
        CONVOLVED + (7 * 9 * 3 * 6 + 6),
    ),
    "RectifierCell": Contract(
        lambda: layers.RectifierCell(5),
        (HIDDEN, [HIDDEN]),
        2 * (5 * 5 + 5),
        ("bfloat16", "bfloat16"),
    ),
    "PoolingCell": Contract(
        lambda: layers.PoolingCell(5),
        (HIDDEN, [HIDDEN, HIDDEN]),
        2 * (5 * 5 + 5),
        ("bfloat16", "bfloat16", "bfloat16"),
    ),
    "GaussianLocation": Contract(
        lambda: layers.GaussianLocation(0.2, hidden_units=4),
        (HIDDEN,),
        (5 * 4 + 4) + (4 * 2 + 2),
        ("float32", "float32"),
    ),
    "GaussianLocation of a scale too": Contract(
        lambda: layers.GaussianLocation((0.2, 0.1, 0.3), num_coordinates=3),
        (HIDDEN,),
        5 * 3 + 3,
        ("float32", "float32"),
    ),
    "ValueBaseline": Contract(layers.ValueBaseline, (HIDDEN,), 6, ("float32",)),
    "ErrorHead": Contract(
        layers.ErrorHead,
        (HIDDEN, HIDDEN[:, :4]),
        (5 + 4) * 4 + 4,
        ("float32", "float32"),
    ),
    "MatmulConvolution": Contract(
        lambda: layers.MatmulConvolution(5, (3, 2), activation="tanh"),
        (IMAGES,),
        3 * 2 * 5 + 5,
    ),
    "PatchEncoder": Contract(
        lambda: layers.PatchEncoder(6), (PATCHES,), ENCODER, options={"training": True}
    ),
    "LocationMixer": Contract(
        layers.LocationMixer, (FEATURES, LOCATIONS), MIXER, options={"training": True}
    ),
    "LayerNormCell": Contract(
        lambda: layers.LayerNormCell(8),
        (FEATURES, [STATE]),
        CELL,
        ("bfloat16", "bfloat16"),
    ),
    "SplineFlow": Contract(
        lambda: layers.SplineFlow(1),
        (NOISE, FEATURES[:, None]),
        FLOW,
        ("float32", "float32"),
    ),
    "Posterior": Contract(
        lambda: layers.Posterior(5, 8, 6, num_blocks=1),
        (STATE, NOISE),
        POSTERIOR,
        3 * ("float32",),
    ),
    "Posterior without a flow": Contract(
        lambda: layers.Posterior(5, 8, 6, num_blocks=0),
        (STATE, NOISE),
        (8 * 8 + 8) + 2 * 8 + (8 * 10 + 10),
        3 * ("float32",),
    ),
    "FeatureDecoder": Contract(
        lambda: layers.FeatureDecoder(6, (3, 4)), (HIDDEN,), DECODER, ("float32",)
    ),
    "PartialVae": Contract(
        lambda: layers.PartialVae(6, 5, (3, 4), num_flows=1),
        (STATE, NOISE),
        POSTERIOR + DECODER + 1,
        4 * ("float32",),
        idle=("log_variance",),
    ),
    "PHAM": Contract(
        lambda: small_pham(dropout=0.0),
        (IMAGES[:, :8, :10],),
        ENCODER + MIXER + CELL + (8 * 4 + 4) + POSTERIOR + DECODER + 1,
        (*ROLLOUT[:5], "int32", "bfloat16"),
        {"policy": policies.CentralCells(), "num_glimpses": 3, "training": True},
        idle=("partial_vae",),
    ),
    "DRAM": ram_contract(
        small_dram,
        SEEN
        + TWO_LAYERS
        + (6 * 2 + 2)
        + (6 + 1)
        + (9 * 4 + 4)
        + CONVOLVED
        + (4 * 4 * 3 * 6 + 6),
        policies.OpeningPolicy,
    ),
    "DRAM that zooms": ram_contract(
        lambda: small_dram(**small_zoom()),
        SEEN
        + 5  # Of a third number in a location.
        + TWO_LAYERS
        + (6 * 3 + 3)
        + (6 + 1)
        + (9 * 4 + 4)
        + CONVOLVED
        + (4 * 4 * 3 * 6 + 6),
        policies.OpeningPolicy,
    ),
    "MRAM": ram_contract(
        small_mram, SEEN + TWO_LAYERS + (9 * 2 + 2) + (9 + 1) + (6 * 4 + 4)
    ),
    "RAM": ram_contract(small_ram, 933),
    "ActiveRAM": dataclasses.replace(
        ram_contract(lambda: small_ram(models.ActiveRAM), 933 + (9 + 4) * 4 + 4),
        output_dtypes=(*ROLLOUT, "float32", "float32"),
    ),
    "RAM with a convolutional glimpse network": ram_contract(
        lambda: small_ram(glimpse_network=layers.ConvGlimpse((3, 4, 5), 8)), 2121
    ),
    "RAM with an LSTM core": ram_contract(
        lambda: small_ram(core=keras.layers.LSTMCell(9)), 1410
    ),
    "RAM with a GRU core": ram_contract(
        lambda: small_ram(core=keras.layers.GRUCell(9)), 1275
    ),
}

# The published sizes.
NAMED_MODELS = {
    "RAM, 28x28, 8x8 at one scale, one-layer location head": (
        lambda: models.RAM(10),
        (None, 28, 28, 1),
        209_677,
    ),
    "RAM, 60x60, 12x12 at three scales, two-layer location head": (
        lambda: models.RAM(
            10,
            retina=layers.Retina(12, 3),
            location=layers.GaussianLocation(0.03, hidden_units=128),
        ),
        (None, 60, 60, 1),
        289_421,
    ),
    "DRAM, 60x60, 12x12 at two scales, a context of 24x24": (
        lambda: models.DRAM(10, retina=layers.Retina(12, 2)),
        (None, 60, 60, 1),
        1_462_637,
    ),
    "MRAM, 28x28, 8x8 at one scale": (
        lambda: models.MRAM(10),
        (None, 28, 28, 1),
        1_128_717,
    ),
    "PHAM, svhn and cifar10: 8x8 of 32x32, four flows": (
        lambda: models.PHAM(10),
        (None, 32, 32, 3),
        9_833_616,
    ),
    "Backbone, ResNet-50 for 96x96": (
        lambda: layers.Backbone("resnet50", stride_one=True),
        (None, 96, 96, 3),
        23_583_104,
    ),
    "PatchEncoder, tinyimagenet: 16x16": (
        lambda: layers.PatchEncoder(512),
        (None, 16, 16, 3),
        3_261_824,
    ),
}
