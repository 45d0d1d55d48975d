"""Turns a published PyTorch RAM into a workdir: `ram-tf import-checkpoint`."""

from ram_tf.commands import command_line, import_checkpoint

if __name__ == "__main__":
    command_line.run(import_checkpoint.COMMAND)
