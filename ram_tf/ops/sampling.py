"""Draws from the standard normal, plain or more evenly spread."""

import tensorflow as tf
from keras import ops

from ram_tf import random

SAMPLINGS = ("random", "antithetic", "quasi")


def standard_normals(shape, seed, sampling="random"):
    """Draws standard normal vectors.

    Args:
        shape: `(batch, samples, units)`.
        seed: Int32 tensor `(2,)`.
        sampling: `"random"`: independent. `"antithetic"`: in pairs z, -z.
            `"quasi"`: points of a Sobol sequence, shifted at random for each element
            of the batch, so that each one is standard normal.

    Returns:
        Float32 tensor of `shape`.
    """
    batch, samples, units = shape
    if sampling == "random":
        return random.normal(shape, seed)
    if sampling == "antithetic":
        half = random.normal((batch, -(-samples // 2), units), seed)
        pairs = ops.stack([half, -half], axis=2)
        return ops.reshape(pairs, (batch, -1, units))[:, :samples]
    if sampling == "quasi":
        # The library leaves out the origin, which balances the others.
        points = tf.math.sobol_sample(units, samples)[:-1]
        points = ops.concatenate([ops.zeros((1, units)), points])
        shift = random.uniform((batch, 1, units), seed)
        uniform = tf.math.floormod(points + shift, 1.0)
        return tf.math.ndtri(ops.clip(uniform, 1e-6, 1 - 1e-6))
    raise ValueError(f"`sampling` must be one of {SAMPLINGS}. Received: {sampling!r}.")
