"""Trains a model, or goes on with a run that was stopped: `ram-tf train`."""

from ram_tf.commands import command_line, train

if __name__ == "__main__":
    command_line.run(train.COMMAND)
