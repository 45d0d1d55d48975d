"""Trains variants of one config and compares them: `ram-tf ablate`."""

from ram_tf.commands import ablate, command_line

if __name__ == "__main__":
    command_line.run(ablate.COMMAND)
