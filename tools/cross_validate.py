"""Compares a learned policy with a control on the same features, over all pictures.

  python tools/cross_validate.py --config=configs/photos_small.py --datapath=DIR \
    --workdir=runs/photos_folds --folds=5 --control=center

Trains on all folds of a folder of pictures but one, in turn, and tests on that one. The
same command goes on where it was stopped.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from ram_tf.commands import command_line

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file("config", None, "Python file of the config.")
flags.DEFINE_string("workdir", None, "Folder of the comparison.", required=True)
flags.DEFINE_integer("folds", 5, "Number of folds.", lower_bound=2)
flags.DEFINE_enum(
    "control", "center", ["center", "random", "raster"], "What it is compared with."
)
flags.DEFINE_integer("mc_samples", 1, "Paths averaged, on both sides.", 1)


def rewrite(argv):
    """Turns the short names into overrides of the config."""
    return command_line.expand_short_names(argv, {"datapath": "data.datapath"})


def main(arguments):
    from ram_tf import experiment
    from ram_tf.studies import cross_validation

    experiment.prefer(CONFIG.value, config_flags.get_override_values(FLAGS["config"]))
    return cross_validation.run(
        CONFIG.value,
        FLAGS.workdir,
        num_folds=FLAGS.folds,
        control=FLAGS.control,
        mc_samples=FLAGS.mc_samples,
    )


if __name__ == "__main__":
    command_line.run(
        main, rewrite=rewrite, default_config=ROOT / "configs" / "photos_small.py"
    )
