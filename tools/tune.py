"""Searches for the best values of a config's keys: `ram-tf tune`."""

from ram_tf.commands import command_line, tune

if __name__ == "__main__":
    command_line.run(tune.COMMAND)
