"""Writes the next version of a trained model for TensorFlow Serving.

ram-tf export --workdir=runs/ram_digits --output=models/digits
ram-tf export --workdir=DIR --output=models/NAME --mc_samples=10
ram-tf export --workdir=DIR --output=models/NAME --stop=little_to_gain:0.05
"""

from absl import flags

from ram_tf.commands import command_line

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    command_line.define_path("workdir", None, "Folder of a run.", required=True)
    command_line.define_path(
        "output", None, "Folder of the model: models/NAME.", required=True
    )
    command_line.define_path(
        "checkpoint", "best", "best, last, or a checkpoint's folder."
    )
    flags.DEFINE_integer(
        "mc_samples",
        None,
        "Sampled sequences of glimpses to average; default one of the policy shown.",
        lower_bound=1,
    )
    command_line.define_stop()


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf.serving.export import export

    export(
        FLAGS.workdir,
        FLAGS.output,
        checkpoint=FLAGS.checkpoint,
        mc_samples=FLAGS.mc_samples,
        stop=command_line.one_stop(),
    )


COMMAND = command_line.Command(main, define_flags)
