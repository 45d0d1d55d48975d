"""A trained experiment, read back from its workdir."""

import contextlib
import dataclasses
import pathlib
from typing import Any

import keras

from ram_tf import data, pretrained
from ram_tf.errors import InputError, warn
from ram_tf.experiment.build import (
    build_network,
    build_policies,
    default_policy,
    load_data,
    pick_policies,
)
from ram_tf.experiment.config import last_phase
from ram_tf.experiment.workdir import check_classes, read_dataset, read_run
from ram_tf.families import find_family
from ram_tf.files import expand_path
from ram_tf.training.checkpointing import find_checkpoint, load_weights, read_state


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained experiment, read back from its workdir.

    Attributes:
        config: The effective config, a `ConfigDict`.
        network: The built model with its weights: of several phases, what of it looks.
        policies: Dictionary name -> policy: `learned`, the family's own, the controls.
        class_names: Tuple of strings.
        image_shape: Tuple `(height, width, channels)`.
        checkpoint: Path of the checkpoint folder.
        fingerprint: That of the data it was trained on, or `None`: not known.
        value_range: What pixels of more than 8 bits are read by, see
            `data.decode_image`.
    """

    config: Any
    network: Any
    policies: dict
    class_names: tuple
    image_shape: tuple
    checkpoint: pathlib.Path
    fingerprint: str | None = None
    value_range: tuple | None = None

    def pick(self, name=None):
        """Returns a policy by name, the one that the family shows if `None`."""
        if name is None:
            return default_policy(self.config, self.policies)
        return pick_policies(self.policies, [name])[name]


def restore(workdir, checkpoint="best", dtype=None):
    """Reads a trained experiment back.

    Args:
        workdir: Folder of a run, or `packaged:NAME`.
        checkpoint: `"best"`, `"last"`, or the path of a checkpoint folder.
        dtype: Name of the dtype policy to build the network with, or `None` for the one
            that it was trained with. That of the process stays what it is.
    """
    workdir = run_folder(pretrained.locate(workdir))
    config, class_names, image_shape = read_run(workdir)
    if checkpoint in ("best", "last"):
        path, _ = find_checkpoint(workdir / "checkpoints" / checkpoint, warn)
        if path is None:
            raise InputError(
                f"no checkpoint {checkpoint!r} in {workdir}: train for at least one "
                "epoch first."
            )
    else:
        path = pathlib.Path(expand_path(checkpoint))
        read_state(path)
    with _dtype_policy(dtype or config.runtime.mixed_precision):
        network = build_network(config, image_shape, len(class_names))
        policies = build_policies(config)
    load_weights(network, path)
    network = last_phase(config).view(network)
    return Trained(
        config,
        network,
        policies,
        class_names,
        image_shape,
        path,
        read_dataset(workdir).get("fingerprint"),
        # Of data sets of files alone.
        config.data.value_range if "value_range" in config.data else None,
    )


@contextlib.contextmanager
def _dtype_policy(name):
    """The process's dtype policy for a while."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def run_folder(workdir):
    """The folder of a run: in a workdir of several phases, its last one there.

    Each says of which family it is: another family may have phases of the same names.
    """
    if (workdir / "config.json").exists():
        return workdir
    found = {}
    for path in workdir.glob("*/config.json"):
        folder = path.parent
        if (folder / "checkpoints").is_dir():
            config, *_ = read_run(folder)
            phases = find_family(config.family).phases
            names = [phase.name for phase in phases] if len(phases) > 1 else []
            if folder.name in names:
                found[config.family, names.index(folder.name)] = folder
    families = sorted({family for family, _ in found})
    if len(families) > 1:
        raise InputError(
            f"{workdir} holds phases of {' and '.join(families)}: name the folder of "
            "one phase."
        )
    return found[max(found)] if found else workdir


def read_image(path, trained, notes=None):
    """Decodes a file as the model was trained on: see `data.read_image`."""
    return data.read_image(path, trained.image_shape, trained.value_range, notes)


def load_data_for(trained, datapath=None, report=print, split=None):
    """Loads data to use a trained model on: those of its run if `datapath` is `None`.

    Says so where the images are others than those of the run.

    Args:
        trained: A `Trained`.
        datapath: Path to other data. Of a folder of pictures one split is read then,
            which may lack classes of the model: its own test split, or all of it.
        report: Function of one line of text.
        split: Name of the split to read there instead, or "all".

    Returns:
        A `Dataset`.

    Raises:
        InputError: If their classes or sizes are others.
    """
    options = {}
    of_folders = trained.config.data.name in ("folder", "windows")
    if of_folders and (datapath or split == "all"):
        options["measured"] = data.Measured(
            trained.class_names, trained.fingerprint, split
        )
    elif split == "all":
        raise InputError(
            f"--split=all is for a folder of pictures, not for "
            f"{trained.config.data.name}: use test or validation."
        )
    dataset = load_data(trained.config, datapath, report, **options)
    check_classes(trained.class_names, trained.image_shape, dataset)
    if dataset.windows is not None:
        trained.network.look_into(dataset.windows)
    if trained.fingerprint not in (None, dataset.fingerprint):
        report(
            f"warning: these data ({dataset.fingerprint}) are not those of the run "
            f"({trained.fingerprint}): it may have learned from what is tested here."
        )
    return dataset
