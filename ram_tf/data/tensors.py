"""Arrays as constants that a graph reads, and files that are mapped as such."""

import os

import numpy as np
import tensorflow as tf


def as_constant(array):
    """Returns an array as a tensor on the CPU, made outside of any graph.

    A memory-mapped file as a whole stays in the file: what is read of it is loaded when
    it is, and given up when memory is needed.

    Args:
        array: Array, or `np.memmap`.
    """
    with tf.init_scope(), tf.device("CPU:0"):
        if _is_whole_file(array):
            return tf.raw_ops.ImmutableConst(
                dtype=array.dtype,
                shape=array.shape,
                memory_region_name=os.fspath(array.filename),
            )
        return tf.constant(array)


def _is_whole_file(array):
    return (
        isinstance(array, np.memmap)
        and array.flags.c_contiguous
        and array.nbytes == os.path.getsize(array.filename)
    )
