"""Compares policies on the same trained weights, glimpse by glimpse.

ram-tf evaluate --workdir=runs/ram_digits
ram-tf evaluate --workdir=DIR --num_glimpses=4,6,12 --mc_samples=10
  --policy=learned,mean,random --seeds=5 --json=results.json
ram-tf evaluate --workdir=DIR --robustness
ram-tf evaluate --workdir=DIR --stop=little_to_gain:0.02,0.05,0.1
  --plot=stopping.png
"""

from absl import flags

from ram_tf.commands import command_line

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string("workdir", None, "Folder of a run.", required=True)
    flags.DEFINE_string("checkpoint", "best", "best, last, or a checkpoint's folder.")
    flags.DEFINE_list("num_glimpses", None, "Numbers of glimpses; default as trained.")
    flags.DEFINE_integer(
        "mc_samples", None, "Copies averaged; default as configured.", 1
    )
    flags.DEFINE_list("policy", None, "Policies to compare; default all.")
    flags.DEFINE_integer("seeds", 5, "Evaluation seeds.", lower_bound=1)
    flags.DEFINE_enum(
        "split",
        None,
        ["test", "validation", "all"],
        "Images to read; default test, of another folder without one all.",
    )
    flags.DEFINE_integer("max_examples", None, "Only the first images.", lower_bound=1)
    flags.DEFINE_string("datapath", None, "Where the data are; default as trained.")
    flags.DEFINE_bool("robustness", False, "Also scaled, shifted and cluttered images.")
    command_line.define_stop()
    flags.DEFINE_string("json", None, "File for the numbers.")
    flags.DEFINE_string("plot", None, "Picture of accuracy against glimpses.")


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf.studies.evaluate import evaluate

    evaluate(
        FLAGS.workdir,
        checkpoint=FLAGS.checkpoint,
        num_glimpses=command_line.integers(FLAGS.num_glimpses, "num_glimpses"),
        mc_samples=FLAGS.mc_samples,
        chosen=FLAGS.policy,
        seeds=FLAGS.seeds,
        split=FLAGS.split,
        max_examples=FLAGS.max_examples,
        datapath=FLAGS.datapath,
        robustness=FLAGS.robustness,
        stops=command_line.stops(),
        output=FLAGS.json,
        plot=FLAGS.plot,
    )


COMMAND = command_line.Command(main, define_flags)
