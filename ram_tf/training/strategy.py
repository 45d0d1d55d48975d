"""Devices: which strategy a run uses."""

import functools

import tensorflow as tf

from ram_tf.errors import InputError

NAMES = ("auto", "one_device", "mirrored", "multi_worker")


@functools.cache  # Two mirrored strategies of one process disturb each other.
def make_strategy(name="auto"):
    """Returns the `tf.distribute` strategy of that name, one in a process.

    Args:
        name: `"one_device"`; `"mirrored"`, a replica on each visible GPU, or on each
            logical CPU device where there is no GPU; `"multi_worker"`, as `TF_CONFIG`
            says; `"auto"`, mirrored when there are several GPUs.
    """
    if name not in NAMES:
        raise InputError(
            f"unknown runtime.strategy {name!r}: expected one of {', '.join(NAMES)}."
        )
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one_device"
    if name == "one_device":
        return tf.distribute.get_strategy()
    if name == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = gpus or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
