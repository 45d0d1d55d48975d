"""Choosing a model's parts by name."""

import keras

from ram_tf import layers
from ram_tf.errors import InputError

CORES = {
    "rectifier": layers.RectifierCell,
    "lstm": keras.layers.LSTMCell,
    "gru": keras.layers.GRUCell,
}


def make_part(choices, name, options):
    """Builds the part that `options` names under `kind` with the others of them.

    Args:
        choices: Dictionary kind -> class.
        name: String, the part's name in the model section of a config.
        options: Dictionary.
    """
    options = dict(options)
    kind = options.pop("kind")
    if kind not in choices:
        known = ", ".join(sorted(choices))
        raise InputError(
            f"unknown model.{name}.kind {kind!r}: expected one of {known}."
        )
    return choices[kind](**options)
