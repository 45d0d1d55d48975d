"""Draws what a trained model looked at, or how it trained.

  ram-tf visualize --workdir=DIR --kind=glimpses --output=glimpses.png
  ram-tf visualize --workdir=DIR --kind=animation --output=glimpses.gif
  ram-tf visualize --workdir=DIR --kind=glimpses --images=a.png,b.jpg
    --output=mine.png
  ram-tf visualize --workdir=DIR --kind=curves --output=curves.png
  ram-tf visualize --workdir=DIR --kind=eig --output=eig.png

`eig` draws the expected information gain that a model of the family pham looks for.
"""

from absl import flags

from ram_tf.commands import command_line

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    command_line.define_path("workdir", None, "Folder of a run.", required=True)
    flags.DEFINE_enum(
        "kind",
        "glimpses",
        ["glimpses", "animation", "eig", "curves"],
        "Picture to draw.",
    )
    command_line.define_path("output", None, "Picture to write.", required=True)
    flags.DEFINE_multi_string(
        "images", None, "Image file, or several; default the first test images."
    )
    flags.DEFINE_integer("num_images", 6, "Test images to draw.", lower_bound=1)
    flags.DEFINE_integer("num_glimpses", None, "Default as trained.", lower_bound=1)
    flags.DEFINE_string("policy", None, "Policy that looks; default the family's.")
    command_line.define_path(
        "checkpoint", "best", "best, last, or a checkpoint's folder."
    )
    command_line.define_path(
        "datapath", None, "Where the data are; default as trained."
    )


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf.studies.draw import draw

    draw(
        FLAGS.workdir,
        FLAGS.kind,
        FLAGS.output,
        images=command_line.paths(FLAGS.images),
        num_images=FLAGS.num_images,
        num_glimpses=FLAGS.num_glimpses,
        policy=FLAGS.policy,
        checkpoint=FLAGS.checkpoint,
        datapath=FLAGS.datapath,
    )


COMMAND = command_line.Command(main, define_flags)
