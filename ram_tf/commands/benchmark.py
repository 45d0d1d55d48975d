"""Measures speed as a share of what this machine's matrix product reaches.

  ram-tf benchmark --config=ram_mnist --batch=512 --datapath=DIR --json=speed.json
  ram-tf benchmark --image_size=100,100 --batch=512
    --config.model.retina.size=12 --config.model.retina.num_scales=4
  ram-tf benchmark --saved_model=models/NAME --workdir=DIR
  ram-tf benchmark --workdir=DIR --stop=settled:0.5,1,2
  ram-tf benchmark --windows=small.tif,large.tif

With `--image_size` the images are random bytes and no data are read; without it, the
data pipeline, and the time from the start of training to its first step, are measured
too.
"""

from absl import flags
from ml_collections import config_flags

from ram_tf.commands import command_line
from ram_tf.errors import InputError

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_list("image_size", None, "HEIGHT,WIDTH of random one-channel images.")
    flags.DEFINE_bool("start", True, "Time training's start to its first step.")
    flags.DEFINE_integer(
        "repeats", 15, "Timed calls; medians are printed.", lower_bound=3
    )
    command_line.define_path(
        "saved_model", None, "Folder of an exported model to measure."
    )
    command_line.define_path("workdir", None, "Run to measure, or that was exported.")
    command_line.define_stop()
    flags.DEFINE_list("windows", None, "TIFF files to read in windows, FILE,FILE.")
    command_line.define_path("json", None, "File for the numbers.")


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf import benchmark

    config, asked = command_line.read_config(COMMAND), command_line.asked(COMMAND)
    if FLAGS.windows is not None:
        if FLAGS.workdir or FLAGS.saved_model or FLAGS.image_size or asked:
            raise InputError("--windows goes with --repeats and --json alone.")
        benchmark.measure_windows(
            command_line.paths(FLAGS.windows),
            repeats=FLAGS.repeats,
            output=FLAGS.json,
        )
        return
    stops = command_line.stops()
    if (FLAGS.saved_model or stops) and not FLAGS.workdir:
        raise InputError("--saved_model and --stop need a run: give --workdir.")
    if stops:
        benchmark.measure_stopping(
            FLAGS.workdir,
            stops,
            batch_size=asked.get("train.batch_size", 512),
            datapath=config.data.datapath,
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
    benchmark.run(
        config,
        image_size=command_line.integers(FLAGS.image_size, "image_size", count=2),
        start_command=training_words(asked) if timed else None,
        repeats=FLAGS.repeats,
        output=FLAGS.json,
    )


def training_words(asked):
    """Returns the words, after `python`, of the command that trains the same config.

    Args:
        asked: Dotted key -> value, what `command_line.asked` returns.
    """
    file = config_flags.get_config_filename(FLAGS["config"])
    values = [f"--config.{key}={value}" for key, value in asked.items()]
    return ["-m", "ram_tf.commands", "train", f"--config={file}", *values]


COMMAND = command_line.Command(
    main,
    define_flags,
    default_config="ram_digits",
    short_names=("batch", "datapath"),
)
