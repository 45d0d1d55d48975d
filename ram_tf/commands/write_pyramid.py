"""Writes an image as a TIFF with tiles and levels, a tile at a time.

  ram-tf write-pyramid flat.npy --output=flat.tif
  ram-tf write-pyramid --hunt=65536 --output=hunt.tif

It reads what `data.name=windows` reads, or computes an image of the hunt.
"""

from absl import flags

from ram_tf.commands import command_line
from ram_tf.errors import InputError

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    command_line.define_path("output", None, "File to write.", required=True)
    flags.DEFINE_integer("tile", 256, "Side of a tile in pixels, a multiple of 16.")
    flags.DEFINE_string(
        "compression", "jpeg", "As tifffile calls it: jpeg, deflate, zstd, none."
    )
    flags.DEFINE_integer(
        "hunt", None, "Side in pixels of an image of the hunt, in place of a file."
    )
    flags.DEFINE_integer("label", 0, "Class of the hunt's target, from 0 to 3.")
    flags.DEFINE_integer("seed", 0, "Seed of the hunt's image.")


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf.data.windows import HuntReader, open_reader, write_pyramid

    if len(arguments) + (FLAGS.hunt is not None) != 1:
        raise InputError("give one image to read, or --hunt=SIDE, not both.")
    if FLAGS.hunt is None:
        reader = open_reader(arguments[0])
    else:
        reader = HuntReader(FLAGS.hunt, FLAGS.label, seed=FLAGS.seed)
    compression = None if FLAGS.compression == "none" else FLAGS.compression
    write_pyramid(reader, FLAGS.output, FLAGS.tile, compression)
    height, width = reader.levels[0][:2]
    print(f"wrote {height:,} x {width:,} pixels to {FLAGS.output}")


COMMAND = command_line.Command(main, define_flags, positional="an image")
