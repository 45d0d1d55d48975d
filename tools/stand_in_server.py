"""Answers as TensorFlow Serving would, to try a client where there is no server.

  python tools/stand_in_server.py --model=models/digits

A stand-in: one model, no batching, this machine only.
"""

import threading

from absl import flags

from ram_tf import command

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "Folder of an exported model.", required=True)
flags.DEFINE_integer("port", 8500, "Port for gRPC; 0 for a free one.")
flags.DEFINE_integer("rest_api_port", 8501, "Port for REST; 0 for a free one.")


def main(arguments):
    from ram_tf.serving.stand_in import StandIn

    server = StandIn(FLAGS.model, FLAGS.port, FLAGS.rest_api_port)
    print(
        f"{server.name} version {server.version}: gRPC on localhost:{server.grpc_port},"
        f" REST on localhost:{server.rest_port}; Ctrl-C ends it",
        flush=True,
    )
    threading.Event().wait()


if __name__ == "__main__":
    command.run(main)
