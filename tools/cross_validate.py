"""Compares a policy with a control, fold by fold: `ram-tf cross-validate`."""

from ram_tf.commands import command_line, cross_validate

if __name__ == "__main__":
    command_line.run(cross_validate.COMMAND)
