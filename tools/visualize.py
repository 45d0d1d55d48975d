"""Draws what a trained model looked at: `ram-tf visualize`."""

from ram_tf.commands import command_line, visualize

if __name__ == "__main__":
    command_line.run(visualize.COMMAND)
