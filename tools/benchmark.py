"""Measures speed against this machine's matrix product: `ram-tf benchmark`."""

from ram_tf.commands import benchmark, command_line

if __name__ == "__main__":
    command_line.run(benchmark.COMMAND)
