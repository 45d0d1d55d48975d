"""Searches for the best values of a config's keys.

  python tools/tune.py --space=configs/spaces/ram.py --tuner=hyperband --max_trials=12 \
    --workdir=runs/search

A file of a space holds `SPACE`, a dictionary: dotted config key -> function of (hp,
name), see keras-tuner's `HyperParameters`, and `BASE`, its config unless --config names
another. The same command goes on with a search that was interrupted. Several processes
share a search with keras-tuner's environment variables.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from ram_tf.commands import command_line

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = "configs/spaces/"
FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file("config", None, "Python file of the config.")
flags.DEFINE_string("space", None, "Python file of the space.", required=True)
flags.DEFINE_string("workdir", None, "Folder of the search.", required=True)
flags.DEFINE_enum(
    "tuner", "random", ["random", "bayesian", "grid", "hyperband"], "How to search."
)
flags.DEFINE_integer("max_trials", 20, "Trials.", lower_bound=1)
flags.DEFINE_string("objective", "val_accuracy", "Log of an epoch that decides.")
flags.DEFINE_string("training_phase", None, "Phase to search for, of several.")
flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)

SHORT_NAMES = {
    "datapath": "data.datapath",
    "pretrain_checkpoint": "train.pretrain_checkpoint",
}


def rewrite(argv):
    """Turns the short names into overrides of the config, and chooses its file."""
    argv = command_line.choose_base(argv, "space", "SPACE", EXAMPLES, ROOT)
    return command_line.expand_short_names(argv, SHORT_NAMES)


def main(arguments):
    from ram_tf import experiment
    from ram_tf.studies import tuning

    experiment.prefer(CONFIG.value, config_flags.get_override_values(FLAGS["config"]))
    return tuning.search(
        CONFIG.value,
        command_line.read_names(FLAGS.space, "SPACE", EXAMPLES)["SPACE"],
        FLAGS.workdir,
        tuner=FLAGS.tuner,
        max_trials=FLAGS.max_trials,
        objective=FLAGS.objective,
        phase=FLAGS.training_phase,
        seed=FLAGS.seed,
    )


if __name__ == "__main__":
    command_line.run(
        main, rewrite=rewrite, default_config=ROOT / "configs" / "ram_digits.py"
    )
