"""Trains a model, or goes on with a run that was stopped.

  python train.py                                     the bundled digits
  python train.py --config=configs/ram_mnist.py --datapath=DIR --workdir=runs/a
  python train.py --config.train.epochs=5             any key of the config
  python train.py --dataset=svhn --datapath=DIR --training_phase=first --lr=0.001

Short names: --datapath --lr --batch --batchv --T --epochs --pretrain_checkpoint
--strategy --mixed_precision. A family of several phases takes --training_phase (PHAM:
first, second, third, or all, the default); its --lr, --epochs and --ccebal, the weight
of the classification loss, need one phase. Without --config, --dataset names the
config, configs/pham_<dataset>.py.
"""

import pathlib
import sys

from absl import flags
from ml_collections import config_flags

from ram_tf.commands import command_line
from ram_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parent
FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file("config", None, "Python file of the config.")
flags.DEFINE_string("workdir", None, "Folder of the run; default runs/<config name>.")
flags.DEFINE_alias("logfolder", "workdir")
flags.DEFINE_bool("overwrite", False, "Delete what is in the workdir, start anew.")
flags.DEFINE_bool(
    "accept_changed_data", False, "Go on over other images than the run began with."
)
flags.DEFINE_string("training_phase", "all", "Phase to train, or all in their order.")
for kind, name, description in (
    (flags.FloatParser(), "lr", "Learning rate of the phase."),
    (flags.IntegerParser(), "epochs", "Epochs of the phase."),
    (flags.FloatParser(), "ccebal", "Weight of the phase's classification loss."),
    (flags.ArgumentParser(), "pretrain_checkpoint", "Weights that it starts from."),
):
    flags.DEFINE(command_line.OrNone(kind), name, None, description)

# Short names of config keys.
SHORT_NAMES = {
    "datapath": "data.datapath",
    "batch": "train.batch_size",
    "batchv": "eval.batch_size",
    "T": "train.num_glimpses",
    "strategy": "runtime.strategy",
    "mixed_precision": "runtime.mixed_precision",
}
# Those that a phase may set for itself: which key they are depends on the family.
PHASE_NAMES = {
    "lr": "learning_rate",
    "epochs": "epochs",
    "pretrain_checkpoint": "pretrain_checkpoint",
    "ccebal": "weights.classification",
}
# The weight of the classification loss in the phases that have no choice.
FIXED_CCEBAL = {("pham", "first"): 1.0, ("pham", "second"): 0.0}


def rewrite(argv):
    """Turns short names into overrides of the config, and chooses its file."""
    given = command_line.flag_values(argv)
    if "dataset" in given:
        argv = _config_of_dataset(argv, given)
    return command_line.expand_short_names(argv, SHORT_NAMES)


def _config_of_dataset(argv, given):
    if "config" in given:
        raise InputError("--dataset names a config: give it or --config, not both.")
    name = given["dataset"]
    file = ROOT / "configs" / f"pham_{name}.py"
    if not file.exists():
        known = sorted(path.stem[5:] for path in file.parent.glob("pham_*.py"))
        raise InputError(
            f"no config for --dataset={name}: expected one of {', '.join(known)}."
        )
    return [*command_line.without_flag(argv, "dataset"), f"--config={file}"]


def configure():
    """Returns the config that the parsed command line means."""
    from ram_tf import experiment
    from ram_tf.families import find_family

    config = CONFIG.value
    family = find_family(config.family)
    if FLAGS.training_phase != "all":
        family.phase(FLAGS.training_phase)  # It is known.
    overrides = config_flags.get_override_values(FLAGS["config"])
    values = {}
    for name in PHASE_NAMES:
        # None means unset; but a phase can be told to start from no weights.
        told = FLAGS[name].present and name == "pretrain_checkpoint"
        if FLAGS[name].value is None and not told:
            continue
        key = _phase_key(name, family.phases)
        if key in overrides:
            raise InputError(f"--{name} and --config.{key} are one key: give only one.")
        if name != "ccebal" or not _is_fixed(config.family, FLAGS.ccebal):
            values[key] = FLAGS[name].value
    config = experiment.vary(config, values)
    experiment.prefer(config, {*overrides, *values})
    return config


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


def _is_fixed(family, ccebal):
    """Whether the phase has no choice; says so if another weight was given."""
    phase = FLAGS.training_phase
    fixed = FIXED_CCEBAL.get((family, phase))
    if fixed is not None and ccebal != fixed:
        print(
            f"warning: --ccebal={ccebal:g} is overruled: phase {phase} has {fixed:g}.",
            file=sys.stderr,
        )
    return fixed is not None


def main(arguments):
    from ram_tf import experiment

    config = configure()
    config_file = pathlib.Path(config_flags.get_config_filename(FLAGS["config"]))
    workdir = FLAGS.workdir or pathlib.Path("runs") / config_file.stem
    return experiment.run(
        config,
        workdir,
        phase=FLAGS.training_phase,
        overwrite=FLAGS.overwrite,
        started=command_line.STARTED,
        accept_changed_data=FLAGS.accept_changed_data,
    )


if __name__ == "__main__":
    command_line.run(
        main, rewrite=rewrite, default_config=ROOT / "configs" / "ram_digits.py"
    )
