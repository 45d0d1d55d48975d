"""Trains a model, or goes on with a run that was stopped.

  python train.py                                     the bundled digits
  python train.py --config=configs/ram_mnist.py --datapath=DIR --workdir=runs/a
  python train.py --config.train.epochs=5             any key of the config

Short names: --datapath --lr --batch --batchv --T --epochs --pretrain_checkpoint
--strategy --mixed_precision.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from ram_tf import command

ROOT = pathlib.Path(__file__).resolve().parent
FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file("config", None, "Python file of the config.")
flags.DEFINE_string("workdir", None, "Folder of the run; default runs/<config name>.")
flags.DEFINE_alias("logfolder", "workdir")
flags.DEFINE_bool("overwrite", False, "Delete what is in the workdir, start anew.")

# Short names of config keys.
SHORT_NAMES = {
    "datapath": "data.datapath",
    "lr": "train.learning_rate",
    "batch": "train.batch_size",
    "batchv": "eval.batch_size",
    "T": "train.num_glimpses",
    "epochs": "train.epochs",
    "pretrain_checkpoint": "train.pretrain_checkpoint",
    "strategy": "runtime.strategy",
    "mixed_precision": "runtime.mixed_precision",
}


def main(arguments):
    from ram_tf import experiment

    config_file = pathlib.Path(config_flags.get_config_filename(FLAGS["config"]))
    workdir = FLAGS.workdir or pathlib.Path("runs") / config_file.stem
    return experiment.run(
        CONFIG.value, workdir, overwrite=FLAGS.overwrite, started=command.STARTED
    )


if __name__ == "__main__":
    command.run(
        main,
        default_config=ROOT / "configs" / "ram_digits.py",
        short_names=SHORT_NAMES,
    )
