"""Turns a checkpoint of the published PyTorch RAM into a workdir.

  ram-tf import-checkpoint --checkpoint=FILE --stddev=0.17 --workdir=runs/published
  ram-tf evaluate --workdir=runs/published --datapath=DIR

Needs no PyTorch, and runs nothing that the file may hold.
"""

from absl import flags

from ram_tf.commands import command_line

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    command_line.define_path("checkpoint", None, "The file to import.", required=True)
    command_line.define_path("workdir", None, "Folder to write.", required=True)
    flags.DEFINE_float("stddev", 0.17, "Sigma of its policy.", lower_bound=1e-6)
    flags.DEFINE_integer("num_scales", 1, "Patches of a glimpse.", lower_bound=1)
    flags.DEFINE_float(
        "scale_factor", 2, "Ratio of neighbouring patches.", lower_bound=1
    )


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf.interchange import published_ram

    published_ram.import_ram(
        FLAGS.checkpoint,
        FLAGS.workdir,
        command_line.read_config(COMMAND),
        stddev=FLAGS.stddev,
        num_scales=FLAGS.num_scales,
        scale_factor=FLAGS.scale_factor,
    )


COMMAND = command_line.Command(main, define_flags, default_config="ram_mnist")
