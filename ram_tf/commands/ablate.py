"""Trains variants of one config and compares them.

  ram-tf ablate --config=active_ram_mnist --datapath=DIR
    --variants=active_ram --workdir=runs/variants --seeds=0,1,2
    --num_glimpses=50

A file of variants holds `VARIANTS`, a dictionary: name -> {dotted config key: value},
and `BASE`, the config that they vary unless --config names another. The same command
goes on where it was stopped.
"""

from absl import flags

from ram_tf.commands import command_line

FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "variants", None, "Name of variants, or their python file.", required=True
    )
    command_line.define_path(
        "workdir", None, "Folder of the comparison.", required=True
    )
    flags.DEFINE_list("seeds", ["0"], "Seeds, each of which trains every variant.")
    flags.DEFINE_enum(
        "split",
        "validation",
        ["validation", "test"],
        "Images to compare on; those of the test are for what was chosen without them.",
    )
    flags.DEFINE_integer(
        "num_glimpses", None, "Compared after training; as trained.", 1
    )


def main(arguments):
    """Makes the one call of this command, with what its flags say."""
    from ram_tf.studies import ablation

    names = command_line.read_names(FLAGS.variants, "variants")
    seeds = [command_line.number(seed, "seeds", int) for seed in FLAGS.seeds]
    return ablation.run(
        command_line.read_config(COMMAND),
        names["VARIANTS"],
        FLAGS.workdir,
        seeds=seeds,
        num_glimpses=FLAGS.num_glimpses,
        split=FLAGS.split,
    )


COMMAND = command_line.Command(
    main,
    define_flags,
    default_config="ram_digits",
    short_names=("datapath",),
    decider=("variants", command_line.base_of("variants")),
)
