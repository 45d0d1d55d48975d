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
HIDDEN = RNG.standard_normal((3, 5)).astype("float32")
IMAGES = RNG.random((3, 14, 17, 1), "float32")


@dataclasses.dataclass(frozen=True)
class Contract:
    """How to test one class.

    Attributes:
        make: Returns a new object.
        inputs: Positional call arguments.
        options: Keyword call arguments.
        output_dtype: Name of the dtype of floating outputs under `mixed_bfloat16`, in
            the order of the outputs.
        parameters: Exact number of parameters once built.
    """

    make: Callable
    inputs: tuple
    parameters: int
    output_dtypes: tuple = ("bfloat16",)
    options: dict = dataclasses.field(default_factory=dict)


def small_ram(**parts):
    return models.RAM(
        4,
        retina=layers.Retina(6, 2),
        glimpse_network=parts.get("glimpse_network") or layers.MlpGlimpse(7, 5, 8),
        core=parts.get("core") or layers.RectifierCell(9),
        location=layers.GaussianLocation(0.2, hidden_units=6),
    )


LOOK = {"policy": policies.GaussianPolicy(), "num_glimpses": 3, "training": True}
ROLLOUT = ("float32", "bfloat16", "float32", "float32", "float32", "float32")

CONTRACTS = {
    "Retina": Contract(lambda: layers.Retina(6, 2), (IMAGES, LOCATIONS), 0),
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
    "RectifierCell": Contract(
        lambda: layers.RectifierCell(5),
        (HIDDEN, [HIDDEN]),
        2 * (5 * 5 + 5),
        ("bfloat16", "bfloat16"),
    ),
    "GaussianLocation": Contract(
        lambda: layers.GaussianLocation(0.2, hidden_units=4),
        (HIDDEN,),
        (5 * 4 + 4) + (4 * 2 + 2),
        ("float32", "float32"),
    ),
    "ValueBaseline": Contract(layers.ValueBaseline, (HIDDEN,), 6, ("float32",)),
    "RAM": Contract(small_ram, (IMAGES,), 933, ROLLOUT, LOOK),
    "RAM with a convolutional glimpse network": Contract(
        lambda: small_ram(glimpse_network=layers.ConvGlimpse((3, 4, 5), 8)),
        (IMAGES,),
        2121,
        ROLLOUT,
        LOOK,
    ),
    "RAM with an LSTM core": Contract(
        lambda: small_ram(core=keras.layers.LSTMCell(9)), (IMAGES,), 1410, ROLLOUT, LOOK
    ),
    "RAM with a GRU core": Contract(
        lambda: small_ram(core=keras.layers.GRUCell(9)), (IMAGES,), 1275, ROLLOUT, LOOK
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
}
