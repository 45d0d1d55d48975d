"""Writes an image as a TIFF with tiles and levels: `ram-tf write-pyramid`."""

from ram_tf.commands import command_line, write_pyramid

if __name__ == "__main__":
    command_line.run(write_pyramid.COMMAND)
