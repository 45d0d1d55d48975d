"""Asks a served model: classifies files, or looks step by step.

  ram-tf serve-client --model=digits IMAGE...
  ram-tf serve-client --model=digits --rest=localhost:8501 FOLDER
  ram-tf serve-client --model=digits --step --output=path.png IMAGE
  ram-tf serve-client --model=digits --load_seconds=60 IMAGE...

With `--step` the client points a sensor at one image, glimpse by glimpse, and draws the
path. With `--load_seconds` many clients send good and bad requests at once.
"""

from absl import flags

from ram_tf.commands import command_line

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("model", None, "Name of the served model.", required=True)
    flags.DEFINE_string("grpc", "localhost:8500", "Address of the server for gRPC.")
    flags.DEFINE_string("rest", None, "Address for REST, used instead.")
    flags.DEFINE_bool("step", False, "Look through the step service.")
    flags.DEFINE_integer(
        "num_glimpses", 6, "The most to take with --step.", lower_bound=1
    )
    flags.DEFINE_integer("seed", 0, "Seed of --step.")
    command_line.define_path("output", None, "Picture to write with --step.")
    flags.DEFINE_float(
        "load_seconds", None, "Send requests for so long.", lower_bound=0
    )
    flags.DEFINE_integer("clients", 8, "How many send at once.", lower_bound=1)


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf.serving import client, requests

    def connect():
        if FLAGS.rest:
            return client.RestClient(FLAGS.rest, FLAGS.model)
        return client.GrpcClient(FLAGS.grpc, FLAGS.model)

    if FLAGS.load_seconds:
        requests.load(connect, arguments, FLAGS.load_seconds, FLAGS.clients)
    elif FLAGS.step:
        requests.step(
            connect(), arguments, FLAGS.num_glimpses, FLAGS.seed, FLAGS.output
        )
    else:
        requests.classify(connect(), arguments)


COMMAND = command_line.Command(main, define_flags, positional="images and folders")
