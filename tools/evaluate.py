"""Compares policies on the same trained weights: `ram-tf evaluate`."""

from ram_tf.commands import command_line, evaluate

if __name__ == "__main__":
    command_line.run(evaluate.COMMAND)
