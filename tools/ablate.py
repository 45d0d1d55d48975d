"""Trains variants of one config and compares them.

  python tools/ablate.py --config=configs/active_ram_mnist.py --datapath=DIR \
    --variants=configs/variants/active_ram.py --workdir=runs/variants --seeds=0,1,2 \
    --num_glimpses=50

A file of variants holds `VARIANTS`, a dictionary: name -> {dotted config key: value},
and `BASE`, the config that they vary unless --config names another. The same command
goes on where it was stopped.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from ram_tf.commands import command_line

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = "configs/variants/"
FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file("config", None, "Python file of the config.")
flags.DEFINE_string("variants", None, "Python file of the variants.", required=True)
flags.DEFINE_string("workdir", None, "Folder of the comparison.", required=True)
flags.DEFINE_list("seeds", ["0"], "Seeds, each of which trains every variant.")
flags.DEFINE_enum(
    "split",
    "validation",
    ["validation", "test"],
    "Images to compare on; those of the test are for what was chosen without them.",
)
flags.DEFINE_integer("num_glimpses", None, "Compared after training; as trained.", 1)


def rewrite(argv):
    """Turns the short names into overrides of the config, and chooses its file."""
    argv = command_line.choose_base(argv, "variants", "VARIANTS", EXAMPLES, ROOT)
    return command_line.expand_short_names(argv, {"datapath": "data.datapath"})


def main(arguments):
    from ram_tf import experiment
    from ram_tf.studies import ablation

    experiment.prefer(CONFIG.value, config_flags.get_override_values(FLAGS["config"]))
    names = command_line.read_names(FLAGS.variants, "VARIANTS", EXAMPLES)
    seeds = [command_line.number(seed, "seeds", int) for seed in FLAGS.seeds]
    return ablation.run(
        CONFIG.value,
        names["VARIANTS"],
        FLAGS.workdir,
        seeds=seeds,
        num_glimpses=FLAGS.num_glimpses,
        split=FLAGS.split,
    )


if __name__ == "__main__":
    command_line.run(
        main, rewrite=rewrite, default_config=ROOT / "configs" / "ram_digits.py"
    )
