"""What would only fail after hours of training, refused before it begins."""

from ram_tf.errors import InputError
from ram_tf.evaluation.movement import TOLERATED
from ram_tf.experiment.build import build_policies, pick_policies
from ram_tf.experiment.config import configured, phase_config, plain
from ram_tf.experiment.start import check_start
from ram_tf.families import find_family
from ram_tf.training.optimizers import make_optimizer


def check(config):
    """Refuses what would only fail after hours of training, before it begins."""
    for phase in find_family(config.family).phases:
        check_phase(phase_config(config, phase), phase)


def check_phase(config, phase):
    """Refuses a phase's config that training would only trip over later."""
    _check_numbers(config)
    check_start(config)
    evaluated = pick_policies(build_policies(config), config.eval.policies)
    if "learned" not in evaluated:
        raise InputError(
            f"eval.policies {tuple(evaluated)} must include 'learned', the policy that "
            "was trained with."
        )
    phase = configured(phase, config)
    train = config.train
    make_optimizer(
        train.learning_rate, plain(train.schedule), total_steps=1, steps_per_epoch=1
    )
    for key, name in _monitored(train).items():
        check_monitor(phase, key, name)


def check_monitor(phase, key, name):
    """Raises an `InputError` if no epoch of a phase logs `name`, or it decides nothing.

    Args:
        phase: A `Phase`.
        key: What asks for it, to be named.
        name: Name of a log.
    """
    names = ["loss", "accuracy", *phase.weights]
    names += [f"val_{name}" for name in names if name not in phase.training_only]
    names += ["spread", "coverage", "revisits", *TOLERATED]
    if name not in names:
        raise InputError(
            f"{key} is {name!r}, expected one of {', '.join(sorted(names))}."
        )


def _monitored(train):
    """The names of logs that decide something, by their keys."""
    monitored = {"train.monitor": train.monitor}
    if train.schedule.kind == "plateau":
        monitored["train.schedule.monitor"] = train.schedule.monitor
    return monitored


def _check_numbers(config):
    """Refuses numbers of the train and eval sections that cannot be meant."""
    for section in ("train", "eval"):
        for name, value in plain(config[section]).items():
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if is_number and not 0 < value < float("inf"):
                raise InputError(f"{section}.{name} must be positive, got {value}.")


def check_batches(config, strategy):
    """Refuses batches that the replicas of a strategy cannot share."""
    replicas = strategy.num_replicas_in_sync
    for name in ("train", "eval"):
        size = config[name].batch_size
        if size % replicas:
            raise InputError(
                f"{name}.batch_size {size} cannot be shared by {replicas} replicas: "
                f"use a multiple of {replicas}."
            )
