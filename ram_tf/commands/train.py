"""Trains a model, or goes on with a run that was stopped.

  ram-tf train                                     the bundled digits
  ram-tf train --config=ram_mnist --datapath=DIR --workdir=runs/a
  ram-tf train --config.train.epochs=5             any key of the config
  ram-tf train --dataset=svhn --datapath=DIR --training_phase=first --lr=0.001

A family of several phases takes --training_phase (PHAM: first, second, third, or all,
the default); its --lr, --epochs and --ccebal need one phase.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from ram_tf.commands import command_line, config_files
from ram_tf.errors import InputError, warn

FLAGS = flags.FLAGS

# Short names of keys that a phase may set for itself: the phase decides which key.
PHASE_NAMES = {
    "lr": "learning_rate",
    "epochs": "epochs",
    "pretrain_checkpoint": "pretrain_checkpoint",
    "ccebal": "weights.classification",
}


def define_flags():
    """Defines the flags of this command."""
    command_line.define_path("workdir", None, "Folder of the run; default runs/NAME.")
    flags.DEFINE_alias("logfolder", "workdir")
    flags.DEFINE_bool("overwrite", False, "Delete what is in the workdir, start anew.")
    flags.DEFINE_bool(
        "accept_changed_data",
        False,
        "Go on over other images than the run began with.",
    )
    flags.DEFINE_string(
        "dataset", None, "Data set of PHAM: names the config, pham_<dataset>."
    )
    flags.DEFINE_string(
        "training_phase", "all", "Phase to train, or all in their order."
    )
    for kind, name, description in (
        (flags.FloatParser(), "lr", "Learning rate of the phase."),
        (flags.IntegerParser(), "epochs", "Epochs of the phase."),
        (flags.FloatParser(), "ccebal", "Weight of the phase's classification loss."),
        (
            command_line.PathParser(),
            "pretrain_checkpoint",
            "Weights that it starts from.",
        ),
    ):
        flags.DEFINE(command_line.OrNone(kind), name, None, description)


def config_of_dataset(dataset, config):
    """Returns the file of the config that --dataset names, alone."""
    if config is not None:
        raise InputError("--dataset names a config: give it or --config, not both.")
    prefix = "pham_"
    known = [name for name in config_files.names() if name.startswith(prefix)]
    if prefix + dataset not in known:
        known = ", ".join(name.removeprefix(prefix) for name in known)
        raise InputError(f"no config for --dataset={dataset}: expected one of {known}.")
    return config_files.find(prefix + dataset)


def configure():
    """Returns the config that the parsed command line means."""
    from ram_tf.families import find_family

    family = find_family(FLAGS.config.family)
    if FLAGS.training_phase != "all":
        family.phase(FLAGS.training_phase)  # It is known.
    values = {}
    for name in PHASE_NAMES:
        # None means unset; but a phase can be told to start from no weights.
        told = FLAGS[name].present and name == "pretrain_checkpoint"
        if FLAGS[name].value is None and not told:
            continue
        key = _phase_key(name, family.phases)
        if not _is_fixed(name, family):
            values[name] = key, FLAGS[name].value
    return command_line.read_config(COMMAND, values)


def _phase_key(name, phases):
    """The key that a short name stands for, in a family of these phases."""
    key = PHASE_NAMES[name]
    if FLAGS.training_phase != "all" and len(phases) > 1:
        return f"phases.{FLAGS.training_phase}.{key}"
    if len(phases) > 1 and name != "pretrain_checkpoint":
        raise InputError(
            f"--{name} needs one --training_phase: for all of them use "
            f"--config.phases.NAME.{key}."
        )
    return f"phases.{phases[0].name}.{key}" if name == "ccebal" else f"train.{key}"


def _is_fixed(name, family):
    """Whether the phase has no choice; says so if another value was given."""
    phase, value = FLAGS.training_phase, FLAGS[name].value
    fixed = family.fixed.get(phase, {}).get(PHASE_NAMES[name])
    if fixed is not None and value != fixed:
        warn(f"--{name}={value:g} is overruled: phase {phase} has {fixed:g}.")
    return fixed is not None


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf import experiment

    config = configure()
    file = pathlib.Path(config_flags.get_config_filename(FLAGS["config"]))
    return experiment.run(
        config,
        FLAGS.workdir or pathlib.Path("runs") / file.stem,
        phase=FLAGS.training_phase,
        overwrite=FLAGS.overwrite,
        started=command_line.STARTED,
        accept_changed_data=FLAGS.accept_changed_data,
    )


COMMAND = command_line.Command(
    main,
    define_flags,
    default_config="ram_digits",
    short_names=("datapath", "batch", "batchv", "T", "strategy", "mixed_precision"),
    decider=("dataset", config_of_dataset),
)
