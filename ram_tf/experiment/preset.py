"""Trained models by name, as built Keras models to use and to train on."""

import dataclasses
import inspect
import pathlib
from typing import Any

from ram_tf import pretrained
from ram_tf.errors import InputError
from ram_tf.experiment.build import make_policy
from ram_tf.experiment.config import configured, last_phase
from ram_tf.experiment.restore import restore, run_folder
from ram_tf.families import Phase, find_family
from ram_tf.files import expand_path
from ram_tf.models import AttentionModel


@dataclasses.dataclass(frozen=True)
class Preset:
    """What a model from a preset came with.

    Attributes:
        name: The preset's name, or the folder of the run.
        policy: The policy that predicts.
        num_glimpses: Int, how often it looks.
        class_names: Tuple of strings.
        image_shape: `(height, width, channels)` of the images that it knows.
        phase: The `Phase` that it was trained in last, to train it on.
        training_policy: The policy that it was trained with.
    """

    name: str
    policy: Any
    num_glimpses: int
    class_names: tuple
    image_shape: tuple
    phase: Phase
    training_policy: Any


def presets():
    """Lists the packaged models that a model class's `from_preset` makes.

    Returns:
        Dictionary name -> dictionary: `model`, the name of its class in `ram_tf`, and
        what its card says, see `pretrained.card`.
    """
    found = {}
    for name in pretrained.names():
        card = pretrained.card(name)
        found[name] = {"model": model_class(pretrained.family(name)).__name__, **card}
    return found


def model_class(family):
    """Returns the class of a family's models."""
    build = find_family(family).build
    return build if inspect.isclass(build) else build.__self__


def read_preset(wanted, name):
    """Makes the model of a preset: see `AttentionModel.from_preset`.

    Args:
        wanted: The class that was asked; `AttentionModel` for any.
        name: A preset's name, `packaged:NAME`, or the folder of a run.
    """
    trained = restore(_locate(name))
    network, config = trained.network, trained.config
    own = type(network)
    if wanted not in (own, AttentionModel):
        raise InputError(
            f"{name} is a model of another class: use {own.__name__}.from_preset, not "
            f"{wanted.__name__}.from_preset."
        )
    phase = last_phase(config)
    network.preset = Preset(
        name=str(name).removeprefix(pretrained.PREFIX),
        policy=trained.pick(),
        num_glimpses=config.train.num_glimpses,
        class_names=trained.class_names,
        image_shape=trained.image_shape,
        phase=configured(phase, config),
        training_policy=make_policy(phase.policy, config),
    )
    return network


def _locate(name):
    """The folder of a preset; a packaged one's name stands before a folder's."""
    if name in pretrained.names() or str(name).startswith(pretrained.PREFIX):
        own = str(name).removeprefix(pretrained.PREFIX)
        return pretrained.locate(pretrained.PREFIX + own)
    folder = pathlib.Path(expand_path(name))
    if not (run_folder(folder) / "config.json").exists():
        raise InputError(
            f"there is no preset {str(name)!r}: expected one of "
            f"{', '.join(pretrained.names())}, or the folder of a run."
        )
    return folder
