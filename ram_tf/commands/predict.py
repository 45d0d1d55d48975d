"""Classifies image files and says where the model looked.

ram-tf predict --workdir=DIR IMAGE... --output=predictions.csv
ram-tf predict --workdir=DIR FOLDER
ram-tf predict --workdir=DIR --stop=settled:1 FOLDER
ram-tf predict --workdir=DIR --shard=0/4 FOLDER --output=predictions.csv

The same command goes on where it was stopped. With --shard=I/N, N of these commands, I
from 0, share the files, on one machine or many. With --skip_unreadable files that
cannot be read are listed in the end, and the exit status is 3 then.
"""

from absl import flags

from ram_tf.commands import command_line
from ram_tf.errors import InputError

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    command_line.define_path("workdir", None, "Folder of a run.", required=True)
    command_line.define_path(
        "checkpoint", "best", "best, last, or a checkpoint's folder."
    )
    command_line.define_path("output", None, "CSV file; default the terminal.")
    flags.DEFINE_string("policy", None, "Policy that looks; default the family's.")
    flags.DEFINE_integer("num_glimpses", None, "Default as trained.", lower_bound=1)
    command_line.define_stop()
    flags.DEFINE_bool("xla", False, "Compile with XLA: slower to start, then faster.")
    flags.DEFINE_integer("batch_size", 64, "Images at a time.", lower_bound=1)
    flags.DEFINE_bool(
        "skip_unreadable", False, "Go on without files that cannot be read; status 3."
    )
    flags.DEFINE_string("shard", "0/1", "I/N: part I, from 0, of N parts.")


def main(arguments):
    """Makes the one call of this command, with what its flags say.

    Returns:
        The exit status: 3 if files were skipped.
    """
    from ram_tf.serving import prediction

    skipped = prediction.predict(
        FLAGS.workdir,
        arguments,
        output=FLAGS.output,
        shard=_shard(FLAGS.shard),
        policy=FLAGS.policy,
        num_glimpses=FLAGS.num_glimpses,
        stop=command_line.one_stop(),
        batch_size=FLAGS.batch_size,
        xla=FLAGS.xla,
        checkpoint=FLAGS.checkpoint,
        skip_unreadable=FLAGS.skip_unreadable,
    )
    return 3 if skipped else 0


def _shard(text):
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise InputError(f"--shard={text}: expected I/N, part I, from 0, of N: 0/4.")
    return int(index), int(count)


COMMAND = command_line.Command(main, define_flags, positional="images and folders")
