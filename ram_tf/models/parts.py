"""Choosing a recurrent model's parts by name, and running them."""

import keras
from keras import ops

from ram_tf import layers
from ram_tf.errors import InputError

CORES = {
    "rectifier": layers.RectifierCell,
    "lstm": keras.layers.LSTMCell,
    "gru": keras.layers.GRUCell,
    "pooling": layers.PoolingCell,
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


def first_states(core, batch_size):
    """The states of an RNN cell before its first step, a list of tensors."""
    return _as_list(core.get_initial_state(batch_size=batch_size))


def run_core(core, features, states, training):
    """One step of an RNN cell: its output, and its states as a list of tensors."""
    hidden, states = core(features, states, training=training)
    return hidden, _as_list(states)


def read_steps(network, hidden, before, classify_last=None):
    """Classifies hidden states and values them.

    Args:
        network: A model with a `classifier` and a `baseline`.
        hidden: Tensor `(batch, time, units)`, to classify.
        before: Tensor `(batch, time, other units)`, to value.
        classify_last: Int or `None`. Logits of only so many last steps.

    Returns:
        `{"logits": (batch, time, classes), "baselines": (batch, time)}`.
    """
    steps, units = hidden.shape[1:]
    classified = hidden[:, -(classify_last or steps) :]
    # Matrices, not stacks of them, which XLA transposes in the backward pass.
    logits = network.classifier(ops.reshape(classified, (-1, units)))
    baselines = network.baseline(ops.reshape(before, (-1, before.shape[-1])))
    return {
        "logits": ops.reshape(logits, (-1, classified.shape[1], logits.shape[-1])),
        "baselines": ops.reshape(baselines, (-1, steps)),
    }


def _as_list(states):
    return list(states) if isinstance(states, (list, tuple)) else [states]
