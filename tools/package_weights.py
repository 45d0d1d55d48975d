"""Keeps a run's best weights inside the package, under a name.

python tools/package_weights.py --workdir=runs/ram_mnist --name=ram_mnist [--half]
"""

from absl import flags

from ram_tf.commands import command_line

FLAGS = flags.FLAGS


def define_flags():
    command_line.define_path("workdir", None, "Folder of a run.", required=True)
    flags.DEFINE_string("name", None, "Name of the packaged model.", required=True)
    flags.DEFINE_bool("half", False, "Store the weights in 16 bits, half the size.")


def main(arguments):
    from ram_tf import pretrained

    folder = pretrained.package(FLAGS.workdir, FLAGS.name, half=FLAGS.half)
    print(f"wrote {folder}: use it as --workdir={pretrained.PREFIX}{FLAGS.name}")


if __name__ == "__main__":
    command_line.run(command_line.Command(main, define_flags))
