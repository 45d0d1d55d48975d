"""Compares a learned policy with a control over all pictures, fold by fold.

  ram-tf cross-validate --config=photos_small --datapath=DIR
    --workdir=runs/photos_folds --folds=5 --control=center

Trains on all folds of a folder of pictures but one, in turn, and tests on that one, the
control on the same features. The same command goes on where it was stopped.
"""

from absl import flags

from ram_tf.commands import command_line

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    command_line.define_path(
        "workdir", None, "Folder of the comparison.", required=True
    )
    flags.DEFINE_integer("folds", 5, "Number of folds.", lower_bound=2)
    flags.DEFINE_enum(
        "control", "center", ["center", "random", "raster"], "What it is compared with."
    )
    flags.DEFINE_integer("mc_samples", 1, "Paths averaged, on both sides.", 1)


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf.studies import cross_validation

    return cross_validation.run(
        command_line.read_config(COMMAND),
        FLAGS.workdir,
        num_folds=FLAGS.folds,
        control=FLAGS.control,
        mc_samples=FLAGS.mc_samples,
    )


COMMAND = command_line.Command(
    main, define_flags, default_config="photos_small", short_names=("datapath",)
)
