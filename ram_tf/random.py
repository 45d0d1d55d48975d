"""Random numbers that do not depend on history.

A seed is an int32 tensor `(2,)`. Training derives it from (run seed, step, replica), so
a run that was stopped and resumed draws the numbers of one that was not, nothing has to
be saved, and replicas never share their noise. Layers used on their own fall back on a
`ReplicaSeedGenerator`.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf


def make_seed(*numbers):
    """Folds any number of integers (Python or tensors) into one seed."""
    seed = tf.zeros((2,), tf.int32)
    for number in numbers:
        seed = fold_in(seed, number)
    return seed


def fold_in(seed, number):
    """Returns a new seed that depends on `seed` and an integer."""
    return tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int32))


class RolloutSeeds(NamedTuple):
    """The seeds of one rollout.

    Attributes:
        sense: List, what the sensor draws at each glimpse.
        decide: List, what is drawn after each glimpse, to decide or to imagine.
        start: What is drawn before the first glimpse.
    """

    sense: list
    decide: list
    start: Any


def rollout_seeds(seed, num_glimpses):
    """Derives the `RolloutSeeds` of a rollout from its seed."""
    seeds = [fold_in(seed, index) for index in range(2 * num_glimpses + 1)]
    return RolloutSeeds(seeds[:num_glimpses], seeds[num_glimpses:-1], seeds[-1])


def replica_id():
    """The index of the replica that runs this code, 0 outside `strategy.run`."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group if context else 0


@keras.saving.register_keras_serializable(package="ram_tf")
class ReplicaSeedGenerator(keras.random.SeedGenerator):
    """A Keras seed generator whose draws differ between replicas.

    A plain `SeedGenerator` gives every replica of a strategy the same numbers.
    """

    def next(self, ordered=True):
        state = super().next(ordered)  # Its dtype depends on the version of Keras.
        seed = tf.cast(tf.math.floormod(tf.cast(state, tf.int64), 2**31 - 1), tf.int32)
        return fold_in(seed, replica_id())
