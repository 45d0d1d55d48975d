"""Optimizers and learning-rate schedules, by the names that config files use."""

import keras

from ram_tf.errors import InputError
from ram_tf.training.callbacks import ReduceOnPlateau


@keras.saving.register_keras_serializable(package="ram_tf")
class BoundedExponentialDecay(keras.optimizers.schedules.ExponentialDecay):
    """Keras's exponential decay that never falls below `minimum`."""

    def __init__(self, *args, minimum=0.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.minimum = minimum

    def __call__(self, step):
        return keras.ops.maximum(super().__call__(step), self.minimum)

    def get_config(self):
        return {**super().get_config(), "minimum": self.minimum}


def _constant(learning_rate, total_steps, steps_per_epoch):
    return learning_rate, []


def _cosine(learning_rate, total_steps, steps_per_epoch, *, warmup_steps, minimum):
    """Linear warm-up, then half a cosine down to `minimum` at the last step.

    Warm-up begins one part of `warmup_steps` up, so that the first step learns.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / max(warmup_steps, 1),
        decay_steps=max(total_steps - warmup_steps, 1),
        alpha=minimum / learning_rate,
        warmup_target=learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    return schedule, []


def _exponential(
    learning_rate, total_steps, steps_per_epoch, *, rate, every_steps, minimum
):
    """Times `rate` every `every_steps` steps, continuously, down to `minimum`."""
    schedule = BoundedExponentialDecay(
        learning_rate, every_steps, rate, minimum=minimum
    )
    return schedule, []


def _epoch(learning_rate, total_steps, steps_per_epoch, *, rate, minimum):
    """Times `rate` after every epoch, down to `minimum`."""
    schedule = BoundedExponentialDecay(
        learning_rate, steps_per_epoch, rate, staircase=True, minimum=minimum
    )
    return schedule, []


# The keys of a schedule, by name.
def _plateau(
    learning_rate,
    total_steps,
    steps_per_epoch,
    *,
    monitor,
    factor,
    patience,
    min_delta,
    minimum,
):
    """Times `factor` when `monitor` has not improved for `patience` epochs."""
    callback = ReduceOnPlateau(
        monitor,
        factor=factor,
        patience=patience,
        min_delta=min_delta,
        min_lr=minimum,
    )
    return learning_rate, [callback]


SCHEDULES = {
    "constant": _constant,
    "cosine": _cosine,
    "exponential": _exponential,
    "epoch": _epoch,
    "plateau": _plateau,
}


def make_optimizer(learning_rate, schedule, *, total_steps, steps_per_epoch):
    """Builds Adam with a schedule.

    Args:
        learning_rate: Float > 0, the initial or highest rate.
        schedule: Dictionary: `kind`, a key of `SCHEDULES`, and its options.
        total_steps: Int, steps of the whole run.
        steps_per_epoch: Int.

    Returns:
        A Keras optimizer and the callbacks that the schedule needs.
    """
    options = dict(schedule)
    kind = options.pop("kind")
    if kind not in SCHEDULES:
        raise InputError(
            f"unknown train.schedule.kind {kind!r}: expected one of "
            f"{', '.join(sorted(SCHEDULES))}."
        )
    try:
        rate, callbacks = SCHEDULES[kind](
            learning_rate, total_steps, steps_per_epoch, **options
        )
    except TypeError as error:
        raise InputError(
            f"train.schedule of kind {kind!r} does not fit its options "
            f"{sorted(options)}: {error}."
        ) from error
    # Under a float16 policy small gradients vanish unless the loss is scaled.
    optimizer = keras.optimizers.Adam(rate)
    if keras.config.dtype_policy().name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer, callbacks
