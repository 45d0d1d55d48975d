"""Trains a model, or goes on with a run that was stopped.

  python train.py                                     the bundled digits
  python train.py --config=configs/ram_mnist.py --datapath=DIR --workdir=runs/a
  python train.py --config.train.epochs=5             any key of the config
  python train.py --dataset=svhn --datapath=DIR --training_phase=first --lr=0.001

Short names: --datapath --lr --batch --batchv --T --epochs --pretrain_checkpoint
--strategy --mixed_precision. A family that trains in phases takes --training_phase
(first, second, third, or all, the default) and, with one phase, --ccebal, the weight of
its classification loss; without --config, --dataset names the config,
configs/pham_<dataset>.py.
"""

import pathlib
import sys

from absl import flags
from ml_collections import config_flags

from ram_tf import command
from ram_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parent
FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file("config", None, "Python file of the config.")
flags.DEFINE_string("workdir", None, "Folder of the run; default runs/<config name>.")
flags.DEFINE_alias("logfolder", "workdir")
flags.DEFINE_bool("overwrite", False, "Delete what is in the workdir, start anew.")
flags.DEFINE_string("training_phase", "all", "Phase to train, or all in their order.")

# Short names of config keys.
SHORT_NAMES = {
    "datapath": "data.datapath",
    "batch": "train.batch_size",
    "batchv": "eval.batch_size",
    "T": "train.num_glimpses",
    "strategy": "runtime.strategy",
    "mixed_precision": "runtime.mixed_precision",
}
# Those that a phase sets for itself.
PHASE_NAMES = {
    "lr": "learning_rate",
    "epochs": "epochs",
    "pretrain_checkpoint": "pretrain_checkpoint",
    "ccebal": "weights.classification",
}
# The weight of the classification loss in the phases that have no choice.
FIXED_CCEBAL = {"first": 1.0, "second": 0.0}


def rewrite(argv):
    """Turns the short names into overrides of the config, and chooses its file."""
    given = command.flag_values(argv)
    phase = given.get("training_phase", "all")
    phase_names = {
        name: f"train.{key}" if phase == "all" else f"phases.{phase}.{key}"
        for name, key in PHASE_NAMES.items()
    }
    # A family of one phase has no use for the flag.
    several = "training_phase" in given or "dataset" in given
    refused = ["ccebal", *(["epochs", "lr"] if several else [])]
    refused = [name for name in refused if given.get(name, "None") != "None"]
    if phase == "all" and refused:
        raise InputError(
            f"--{refused[0]} needs one --training_phase: for all of them use "
            f"--config.phases.NAME.{PHASE_NAMES[refused[0]]}."
        )
    if phase in FIXED_CCEBAL and "ccebal" in given:
        argv = _overrule_ccebal(argv, given["ccebal"], phase)
    if "dataset" in given or ("training_phase" in given and "config" not in given):
        argv = _config_of_dataset(argv, given)
    return command.expand_short_names(argv, SHORT_NAMES | phase_names)


def _overrule_ccebal(argv, value, phase):
    fixed = FIXED_CCEBAL[phase]
    if value != "None" and command.number(value, "ccebal") != fixed:
        print(
            f"warning: --ccebal={value} is overruled: phase {phase} has {fixed:g}.",
            file=sys.stderr,
        )
    return command.without_flag(argv, "ccebal")


def _config_of_dataset(argv, given):
    if "config" in given:
        raise InputError("--dataset names a config: give it or --config, not both.")
    name = given.get("dataset", "digits")
    file = ROOT / "configs" / f"pham_{name}.py"
    if not file.exists():
        known = sorted(path.stem[5:] for path in file.parent.glob("pham_*.py"))
        raise InputError(
            f"no config for --dataset={name}: expected one of {', '.join(known)}."
        )
    return [*command.without_flag(argv, "dataset"), f"--config={file}"]


def main(arguments):
    from ram_tf import experiment

    config = CONFIG.value
    experiment.prefer(config, config_flags.get_override_values(FLAGS["config"]))
    config_file = pathlib.Path(config_flags.get_config_filename(FLAGS["config"]))
    workdir = FLAGS.workdir or pathlib.Path("runs") / config_file.stem
    return experiment.run(
        config,
        workdir,
        phase=FLAGS.training_phase,
        overwrite=FLAGS.overwrite,
        started=command.STARTED,
    )


if __name__ == "__main__":
    command.run(
        main, rewrite=rewrite, default_config=ROOT / "configs" / "ram_digits.py"
    )
