"""Writes a trained model for TensorFlow Serving: `ram-tf export`."""

from ram_tf.commands import command_line, export

if __name__ == "__main__":
    command_line.run(export.COMMAND)
