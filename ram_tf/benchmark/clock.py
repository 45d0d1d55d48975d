"""Times of calls, in turn with a reference."""

import time

import numpy as np
import tensorflow as tf

MATMUL_SIDE = 2048


def matmul_call():
    """Returns a call of one 2048^3 float32 matrix product."""
    a = tf.random.stateless_normal((MATMUL_SIDE, MATMUL_SIDE), (0, 0))
    return tf.function(lambda: tf.linalg.matmul(a, a))


def paired_seconds(function, reference, repeats):
    """Times two calls in turn, so that a machine that slows down slows both.

    Returns:
        Median seconds of each, and the median over pairs of reference / function.
    """
    wait_for(function())
    wait_for(reference())
    pairs = np.array(
        [(seconds_of(function), seconds_of(reference)) for _ in range(repeats)]
    )
    ratio = np.median(pairs[:, 1] / pairs[:, 0])
    return (*np.median(pairs, axis=0), ratio)


def median_seconds(function, repeats):
    """Returns the median of so many calls' seconds, after one that is not timed."""
    wait_for(function())
    return float(np.median([seconds_of(function) for _ in range(repeats)]))


def seconds_of(function):
    """Returns the seconds that a call takes until all it returned is there."""
    started = time.perf_counter()
    wait_for(function())
    return time.perf_counter() - started


def wait_for(result):
    """Waits until tensors are computed, wherever they are."""
    for tensor in tf.nest.flatten(result):
        np.asarray(tensor)
