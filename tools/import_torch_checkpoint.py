"""Turns a checkpoint of the published PyTorch RAM into a workdir.

  python tools/import_torch_checkpoint.py --checkpoint=FILE --stddev=0.17 \
    --workdir=runs/published
  python tools/evaluate.py --workdir=runs/published --datapath=DIR

Needs no PyTorch, and runs nothing that the file may hold.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from ram_tf.commands import command_line

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file("config", None, "Of RAM on the same data.")
flags.DEFINE_string("checkpoint", None, "The file to import.", required=True)
flags.DEFINE_string("workdir", None, "Folder to write.", required=True)
flags.DEFINE_float("stddev", 0.17, "Sigma of its policy.", lower_bound=1e-6)
flags.DEFINE_integer("num_scales", 1, "Patches of a glimpse.", lower_bound=1)
flags.DEFINE_float("scale_factor", 2, "Ratio of neighbouring patches.", lower_bound=1)


def main(arguments):
    from ram_tf.interchange import published_ram

    published_ram.import_ram(
        FLAGS.checkpoint,
        FLAGS.workdir,
        CONFIG.value,
        stddev=FLAGS.stddev,
        num_scales=FLAGS.num_scales,
        scale_factor=FLAGS.scale_factor,
    )


if __name__ == "__main__":
    command_line.run(main, default_config=ROOT / "configs" / "ram_mnist.py")
