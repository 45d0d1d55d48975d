"""What the answers of an exported model share: classes, labels, gains on the grid."""

import tensorflow as tf
from keras import ops


class Labels:
    """Turns class probabilities into what a client reads.

    Args:
        class_names: Sequence of strings.
    """

    def __init__(self, class_names):
        # As names of folders are, which need not be text.
        self._names = [name.encode(errors="surrogateescape") for name in class_names]

    def predict(self, probabilities):
        """Returns `probabilities` `(batch, classes)`, `classes` and `labels`."""
        best = ops.argmax(probabilities, axis=-1)
        return {
            "probabilities": probabilities,
            "classes": tf.cast(best, tf.int64),
            "labels": tf.gather(tf.constant(self._names), best),
        }


def gain_on_grid(network, gain):
    """Gains `(..., cells)` on the grid; -1 where seen, as JSON has no infinity."""
    gain = ops.where(gain < 0, -1.0, gain)
    return ops.reshape(gain, (-1, *gain.shape[1:-1], *network.grid))


def copy_key(seed, copy):
    """Seeds `(batch, 2)` of the copies of examples with seeds `(batch,)`."""
    low = tf.cast(tf.math.floormod(seed, 2**31 - 1), tf.int32)
    return tf.stack([low, tf.fill(tf.shape(low), copy)], axis=-1)
