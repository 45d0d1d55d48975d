"""Measures speed as a share of what this machine's matrix product reaches.

  python tools/benchmark.py --config=configs/ram_mnist.py --batch=512 --datapath=DIR \
    --json=speed.json
  python tools/benchmark.py --image_size=100,100 --batch=512 \
    --config.model.retina.size=12 --config.model.retina.num_scales=4
  python tools/benchmark.py --saved_model=models/NAME --workdir=DIR
  python tools/benchmark.py --workdir=DIR --stop_epsilon=0.5,1,2

With `--image_size` the images are random bytes and no data are read; without it, the
data pipeline, and the time from the start of train.py to its first step, are measured
too.
"""

import pathlib
import sys

from absl import flags
from ml_collections import config_flags

from ram_tf.commands import command_line
from ram_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLAGS = flags.FLAGS
CONFIG = config_flags.DEFINE_config_file("config", None, "Python file of the config.")
flags.DEFINE_list("image_size", None, "HEIGHT,WIDTH of random one-channel images.")
flags.DEFINE_bool("start", True, "Time train.py to its first step.")
flags.DEFINE_integer("repeats", 15, "Timed calls; medians are printed.", lower_bound=3)
flags.DEFINE_string("saved_model", None, "Folder of an exported model to measure.")
flags.DEFINE_string("workdir", None, "Run to measure, or that was exported.")
flags.DEFINE_list("stop_epsilon", None, "How sure is sure enough to stop looking.")
flags.DEFINE_string("json", None, "File for the numbers.")

SHORT_NAMES = {"batch": "train.batch_size", "datapath": "data.datapath"}


def main(arguments):
    from ram_tf import benchmark, experiment

    overrides = config_flags.get_override_values(FLAGS["config"])
    experiment.prefer(CONFIG.value, overrides)
    if (FLAGS.saved_model or FLAGS.stop_epsilon) and not FLAGS.workdir:
        raise InputError("--saved_model and --stop_epsilon need a run: give --workdir.")
    if FLAGS.stop_epsilon:
        benchmark.measure_stopping(
            FLAGS.workdir,
            [
                command_line.number(epsilon, "stop_epsilon")
                for epsilon in FLAGS.stop_epsilon
            ],
            batch_size=overrides.get("train.batch_size", 512),
            datapath=CONFIG.value.data.get("datapath"),
            repeats=FLAGS.repeats,
            output=FLAGS.json,
        )
        return
    if FLAGS.saved_model:
        benchmark.measure_export(
            FLAGS.saved_model, FLAGS.workdir, repeats=FLAGS.repeats, output=FLAGS.json
        )
        return
    timed = FLAGS.start and not FLAGS.image_size
    # The command line as it was rewritten: the config's file and its overrides.
    configured = [word for word in sys.argv[1:] if word.startswith("--config")]
    benchmark.run(
        CONFIG.value,
        image_size=command_line.integers(FLAGS.image_size, "image_size", count=2),
        start_command=[str(ROOT / "train.py"), *configured] if timed else None,
        repeats=FLAGS.repeats,
        output=FLAGS.json,
    )


if __name__ == "__main__":
    command_line.run(
        main,
        default_config=ROOT / "configs" / "ram_digits.py",
        rewrite=lambda argv: command_line.expand_short_names(argv, SHORT_NAMES),
    )
