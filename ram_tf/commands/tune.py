"""Searches for the best values of a config's keys.

  ram-tf tune --space=ram --tuner=hyperband --max_trials=12 --workdir=runs/search

A file of a space holds `SPACE`, a dictionary: dotted config key -> function of (hp,
name), see keras-tuner's `HyperParameters`, and `BASE`, its config unless --config names
another. The same command goes on with a search that was interrupted. Several processes
share a search with keras-tuner's environment variables.
"""

from absl import flags

from ram_tf.commands import command_line

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "space", None, "Name of a space, or its python file.", required=True
    )
    command_line.define_path("workdir", None, "Folder of the search.", required=True)
    flags.DEFINE_enum(
        "tuner", "random", ["random", "bayesian", "grid", "hyperband"], "How to search."
    )
    flags.DEFINE_integer("max_trials", 20, "Trials to run.", lower_bound=1)
    flags.DEFINE_string("objective", "val_accuracy", "Log of an epoch that decides.")
    flags.DEFINE_string("training_phase", None, "Phase to search for, of several.")
    flags.DEFINE_integer("seed", 0, "Seed of the search.", lower_bound=0)


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf.studies import tuning

    return tuning.search(
        command_line.read_config(COMMAND),
        command_line.read_names(FLAGS.space, "space")["SPACE"],
        FLAGS.workdir,
        tuner=FLAGS.tuner,
        max_trials=FLAGS.max_trials,
        objective=FLAGS.objective,
        phase=FLAGS.training_phase,
        seed=FLAGS.seed,
    )


COMMAND = command_line.Command(
    main,
    define_flags,
    default_config="ram_digits",
    short_names=("datapath", "pretrain_checkpoint"),
    decider=("space", command_line.base_of("space")),
)
