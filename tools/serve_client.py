"""Asks a served model: `ram-tf serve-client`."""

from ram_tf.commands import command_line, serve_client

if __name__ == "__main__":
    command_line.run(serve_client.COMMAND)
