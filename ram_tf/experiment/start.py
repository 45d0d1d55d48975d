"""The weights that a phase starts from."""

import pathlib
import re

from ram_tf import pretrained
from ram_tf.errors import InputError, warn
from ram_tf.experiment.build import build_network
from ram_tf.experiment.config import last_phase
from ram_tf.experiment.workdir import read_run
from ram_tf.families import find_family
from ram_tf.training.checkpointing import find_checkpoint, load_weights, read_state


def starts_elsewhere(config, phase):
    """Whether a phase's own section names the weights that it starts from."""
    section = config.phases[phase.name]
    return "pretrain_checkpoint" in section and section.pretrain_checkpoint is not None


def find_weights(config, phase, folder):
    """Returns the checkpoint that a phase starts from, or `None`."""
    if (folder / "checkpoints" / "last").exists():
        return None  # It goes on with its own.
    given = config.train.pretrain_checkpoint
    if given:
        place = pretrained.locate(given)
        if find_family(config.family).pretrained and not place.is_dir():
            return str(place)  # For the network to make sense of.
        return _checkpoint_path(place, phase.starts_from)
    if phase.starts_from is None:
        return None
    before = folder.parent / phase.starts_from
    found, _ = find_checkpoint(before / "checkpoints" / "best", warn)
    if found is None:
        raise InputError(
            f"phase {phase.name} starts from the weights of phase {phase.starts_from}, "
            f"and {before} has none: name a workdir that has with "
            "--pretrain_checkpoint, or train with --training_phase=all."
        )
    return found


def take_over(network, weights, phase, config):
    """Gives a network the weights that a phase starts from.

    Of another phase, those of what looked in it: the rest did not learn then, and may
    have other sizes now.
    """
    if not pathlib.Path(weights).is_dir():
        network.load_pretrained(weights)
        return
    run = pathlib.Path(weights).parent.parent
    if not (run / "config.json").exists():
        load_weights(network, weights)
        return
    its_config, class_names, image_shape = read_run(run)
    if its_config.family != config.family:
        raise InputError(
            f"the weights of {weights} are of family {its_config.family}, this model "
            f"is of {config.family}."
        )
    before = last_phase(its_config)
    looker = before.view(network)
    if looker is network:
        load_weights(network, weights)
        return
    donor = build_network(its_config, image_shape, len(class_names))
    load_weights(donor, weights)
    try:
        looker.set_weights(before.view(donor).get_weights())
    except ValueError as error:
        raise InputError(
            f"the weights of {weights} do not fit this model: {error} Start from a "
            f"phase {before.name} with the same classes and the same parts."
        ) from error


def check_start(config):
    """Refuses weights to start from that nothing here can read.

    A folder may still be written by a phase that trains before.
    """
    given = config.train.pretrain_checkpoint
    if not given:
        return
    place = pretrained.locate(given)
    if re.search(r"\.(ckpt|pt|pth|tar)\b", place.name) and not place.is_dir():
        known = "the folder of a run, a checkpoint folder in one, packaged:NAME"
        if find_family(config.family).pretrained:
            known += ", imagenet or a Keras .weights.h5 file"
        raise InputError(
            f"pretrain_checkpoint {given!r} names weights of another program: expected "
            f"{known}. ram-tf import-checkpoint, which is "
            "tools/import_torch_checkpoint.py, makes a run of RAM's published weights."
        )


def _checkpoint_path(path, phase_name):
    """A checkpoint folder, or the best checkpoint of a workdir or of a phase in it."""
    path = pathlib.Path(path)
    for folder in (path / (phase_name or "."), path):
        if (folder / "checkpoints").is_dir():
            found, _ = find_checkpoint(folder / "checkpoints" / "best", warn)
            if found is not None:
                return found
    read_state(path)
    return path
