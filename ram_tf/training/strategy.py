"""Devices and machines: which strategy a run uses, and who writes what it makes."""

import contextlib
import functools
import json
import os

import tensorflow as tf

from ram_tf.errors import InputError

NAMES = ("auto", "one_device", "mirrored", "multi_worker")


@functools.cache  # Two mirrored strategies of one process disturb each other.
def make_strategy(name="auto"):
    """Returns the `tf.distribute` strategy of that name, one in a process.

    Args:
        name: `"one_device"`; `"mirrored"`, a replica on each visible GPU, or on each
            logical CPU device where there is no GPU; `"multi_worker"`, as `TF_CONFIG`
            says, asked for before anything is computed; `"auto"`, mirrored when there
            are several GPUs.
    """
    if name not in NAMES:
        raise InputError(
            f"unknown runtime.strategy {name!r}: expected one of {', '.join(NAMES)}."
        )
    if name == "multi_worker":  # Before anything that looks at the devices.
        is_chief(name)  # Refuses what TensorFlow would wait for in vain.
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one_device"
    if name == "one_device":
        return tf.distribute.get_strategy()
    devices = gpus or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def is_chief(name="auto"):
    """Whether this process writes: the only one, or the first of several workers.

    Args:
        name: Name of a strategy.
    """
    if name != "multi_worker":
        return True
    try:
        said = json.loads(os.environ["TF_CONFIG"])
        cluster, task = said["cluster"], said["task"]
        kind, index = task["type"], int(task["index"])
        cluster[kind][index]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            "runtime.strategy multi_worker needs the environment variable TF_CONFIG, "
            'such as {"cluster": {"worker": ["host:port", "host:port"]}, "task": '
            f'{{"type": "worker", "index": 0}}}}; got {os.environ.get("TF_CONFIG")!r}.'
        ) from error
    return kind == "chief" or (index == 0 and "chief" not in cluster)


@contextlib.contextmanager
def all_workers(name):
    """Says so in one line when another worker of a strategy of that name is gone."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if name != "multi_worker":
            raise
        raise InputError(
            f"another worker is gone ({error.message.strip().splitlines()[0][:200]}): "
            "start all of them again with the same command; they go on from the last "
            "checkpoint."
        ) from error


def wait_for_all(strategy):
    """Waits until every worker is here."""
    any_worker(strategy, False)


def leave_together(strategy):
    """Waits until every worker has come to its end, and lets none of them down.

    A worker that has all of the others' numbers may leave before they have its own, and
    TensorFlow then says that it is gone. So they meet twice, and the first meeting
    is sure: whoever comes to the second one has ended the first. What the second
    one's early leavers break matters to nobody.
    """
    wait_for_all(strategy)
    with contextlib.suppress(tf.errors.UnavailableError, tf.errors.AbortedError):
        wait_for_all(strategy)


def any_worker(strategy, flag):
    """Whether the flag of any worker is set. All of them must ask."""
    return _mean_over_workers(strategy, flag) > 0


def check_alike(strategy, step):
    """Refuses workers that did not begin at the same step: they read other folders."""
    mean = _mean_over_workers(strategy, step)
    if any_worker(strategy, abs(mean - step) > 0.5):
        raise InputError(
            f"this worker begins at step {step}, all of them at {mean:g} on average: "
            "--workdir must be one folder that every worker reads and writes."
        )


def _mean_over_workers(strategy, number):
    """The mean of a number over all workers, or the number of the only one."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return number
    return float(_mean(strategy, tf.constant(float(number))))


@tf.function(autograph=False)
def _mean(strategy, value):
    """The mean of a scalar over the replicas of all workers."""

    def reduce(value):
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.identity(value))

    return strategy.experimental_local_results(strategy.run(reduce, (value,)))[0]
