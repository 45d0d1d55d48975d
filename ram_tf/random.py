"""Random numbers that do not depend on history.

A seed is an int32 tensor `(2,)`. Training derives it from (run seed, step, replica), so
a run that was stopped and resumed draws the numbers of one that was not, nothing has to
be saved, and replicas never share their noise. Layers used on their own fall back on a
`ReplicaSeedGenerator`.

A server takes one seed an example, `(batch, 2)`: then the draws of an example depend on
its own seed alone, and not on those it shares a batch with.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

# Named, because XLA's own choice takes some forty times as long on a CPU.
_ALGORITHM = "philox"


def make_seed(*numbers):
    """Folds any number of integers (Python or tensors) into one seed."""
    seed = tf.zeros((2,), tf.int32)
    for number in numbers:
        seed = fold_in(seed, number)
    return seed


def fold_in(seed, number):
    """Returns a new seed that depends on `seed` and an integer."""
    number = tf.cast(number, tf.int32)
    return _each(
        lambda one: tf.random.experimental.stateless_fold_in(one, number, _ALGORITHM),
        seed,
    )


def normal(shape, seed):
    """Draws standard normal numbers of `shape`, whose first dimension is the batch."""
    if seed.shape.rank == 2:
        shape = shape[1:]
    return _each(
        lambda one: tf.random.stateless_normal(shape, one, alg=_ALGORITHM),
        seed,
        tf.float32,
    )


def uniform(shape, seed, minimum=0, maximum=1, dtype=tf.float32):
    """Draws from [minimum, maximum) as `normal` does."""
    if seed.shape.rank == 2:
        shape = shape[1:]
    return _each(
        lambda one: tf.random.stateless_uniform(
            shape, one, minimum, maximum, dtype, alg=_ALGORITHM
        ),
        seed,
        dtype,
    )


def dropout(x, rate, seed):
    """Drops each element with probability `rate` and scales up the others."""
    return tf.nn.experimental.stateless_dropout(x, rate, seed=seed, rng_alg=_ALGORITHM)


def _each(function, seed, dtype=tf.int32):
    """Applies `function` to a seed `(2,)`, or to each of a batch of them."""
    seed = tf.convert_to_tensor(seed)
    if seed.shape.rank == 1:
        return function(seed)
    return tf.map_fn(function, seed, fn_output_signature=dtype)


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
    count = 2 * num_glimpses + 1
    seeds = _each(lambda one: tf.stack([fold_in(one, i) for i in range(count)]), seed)
    seeds = tf.unstack(seeds, count, axis=-2)
    return RolloutSeeds(seeds[:num_glimpses], seeds[num_glimpses:-1], seeds[-1])


class GlimpseSeeds(NamedTuple):
    """The seeds of one glimpse: what the sensor draws, and the decision after it."""

    sense: Any
    decide: Any


def glimpse_seeds(seed, step, num_glimpses):
    """What `rollout_seeds` gives to glimpse `step`, an int or a scalar tensor."""
    return GlimpseSeeds(fold_in(seed, step), fold_in(seed, num_glimpses + step))


def decision_seed(seed, step, num_glimpses):
    """What `rollout_seeds` gives to decide after glimpse `step`, a batch's own each.

    Args:
        seed: Int32 tensor `(batch, 2)`.
        step: Int32 tensor `(batch,)`.
        num_glimpses: Int, of the rollout.
    """
    return tf.map_fn(
        lambda pair: fold_in(pair[0], num_glimpses + pair[1]),
        (seed, step),
        fn_output_signature=tf.int32,
    )


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
