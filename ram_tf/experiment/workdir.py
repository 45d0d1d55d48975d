"""The folder of a run: what it holds, who holds it, and what may go on in it."""

import contextlib
import json
import os
import pathlib
import shutil

from ram_tf import locks
from ram_tf.errors import InputError, warn
from ram_tf.evaluation.words import describe_shape
from ram_tf.experiment import past_configs
from ram_tf.experiment.config import last_epoch
from ram_tf.files import check_renames, write_json

# Keys that may differ when a run goes on: the data may have moved, or be read from a
# file where there is less memory, and what the final test depends on may change until
# it is done, say because memory ran out there. Batches of another size also draw other
# noise in validation, which only estimates otherwise.
_PLACES = ("data.datapath", "data.max_gigabytes", "data.cache_gigabytes")


_TEST_ONLY = ("eval.batch_size", "eval.mc_samples", "eval.policies", "eval.seeds")


_WRITTEN = (
    "config.json",
    "dataset.json",
    "checkpoints",
    "metrics.csv",
    "tensorboard",
    "figures",
    "results.json",
)


def phase_folder(workdir, phase, family):
    """Returns the folder of a phase: the workdir, or one inside it."""
    workdir = pathlib.Path(workdir)
    return workdir / phase.name if len(family.phases) > 1 else workdir


def read_run(folder):
    """Reads what a run was of: its config, class names, and the shape of its images.

    A relative datapath is that of where the run was started, if it is still there.
    """
    path = folder / "config.json"
    config = past_configs.complete(read_json(path), path, warn)
    past_configs.check_complete(config, path)
    dataset = read_dataset(folder)
    if config.data.datapath and "datapath_from" in dataset:
        given = pathlib.Path(dataset["datapath_from"], config.data.datapath)
        here = pathlib.Path(config.data.datapath).exists()
        if given.exists() or not here:
            config.data.datapath = str(given)
    return config, tuple(dataset["class_names"]), tuple(dataset["image_shape"])


def read_dataset(folder):
    """Reads what a run keeps of its data, `describe_data`; older ones keep less."""
    return read_json(folder / "dataset.json")


def describe_data(dataset, datapath=None):
    """What a run keeps of its data.

    Args:
        dataset: A `Dataset`.
        datapath: Where the data are, or `None`. If it is relative, the folder that it
            was given in is kept.
    """
    known = {
        "class_names": dataset.class_names,
        "image_shape": dataset.image_shape,
        "fingerprint": dataset.fingerprint,
    }
    if datapath and not os.path.isabs(os.path.expanduser(datapath)):
        known["datapath_from"] = os.getcwd()
    return known


def check_classes(class_names, image_shape, dataset):
    """Refuses classes or sizes that a model was not trained on.

    A label is a number: of other classes it would be counted as another one.
    """
    own = tuple(class_names), tuple(image_shape)
    found = tuple(dataset.class_names), tuple(dataset.image_shape)
    if found != own:
        raise InputError(
            f"these data have {_describe_classes(*found)}, the model was trained on "
            f"{_describe_classes(*own)}: give a --datapath with the same ones."
        )


def _describe_classes(class_names, image_shape, longest=10):
    names = ", ".join(class_names[:longest])
    more = ", ..." if len(class_names) > longest else ""
    shape = describe_shape(image_shape)
    return f"{len(class_names)} classes ({names}{more}) in images of {shape}"


@contextlib.contextmanager
def locked(workdir):
    """Holds the workdir for this process; the lock goes with the process.

    Raises:
        InputError: If another process holds it, or no checkpoint can be written there.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / ".lock", "w") as file:
        locks.hold(
            file,
            f"another process is training in {workdir}: wait for it, stop it, or use "
            "another --workdir.",
        )
        check_renames(workdir)
        yield


def claim(workdir, config, report):
    """Refuses to go on with a run of another config; a new run's is written."""
    path = workdir / "config.json"
    if not is_begun(workdir):
        write_config(workdir, config)
        return
    allowed = _PLACES if is_finished(workdir) else (*_PLACES, *_TEST_ONLY)
    old = past_configs.complete(read_json(path), path, report)
    old, new = (json.loads(each.to_json()) for each in (old, config))
    differing = sorted(_differences(old, new, allowed))
    if differing:
        raise InputError(
            f"{workdir} holds a run of another config; differing: "
            f"{'; '.join(differing)}. Use another --workdir, or --overwrite to "
            "delete it and start anew."
        )


def write_config(workdir, config):
    """Writes a config as the `config.json` of a run."""
    write_json(workdir / "config.json", json.loads(config.to_json()))


def is_begun(workdir):
    """Returns whether a folder holds a run that has saved something."""
    return any(workdir.glob("checkpoints/*")) and (workdir / "config.json").exists()


def is_finished(workdir):
    """Returns whether a folder holds a run that was tested."""
    return (workdir / "results.json").exists()


def begin(folders, configs, overwrite, stay):
    """Writes the configs of phases, by name, into their folders, but for some."""
    for name, folder in folders.items():
        if overwrite:
            _delete_run(folder)
        for known in (*_WRITTEN, "checkpoints/seconds.json"):
            for aside in folder.glob(f"{known}.*.writing"):  # By a killed process.
                aside.unlink()
        if folder not in stay:
            write_config(folder, configs[name])


def folders_to_train(folders, configs, overwrite, until_epoch):
    """The folders of phases, by name, in which something is left to be trained."""
    left = set()
    for name, folder in folders.items():
        ended_before = _ended_before(folder, last_epoch(configs[name], until_epoch))
        if overwrite or not is_finished(folder) or ended_before is not None:
            left.add(folder)
    return left


def _ended_before(folder, last):
    """The epoch after which a finished phase ended, if it was before `last`."""
    if not is_finished(folder):
        return None
    ended = read_json(folder / "results.json").get("until_epoch", last)
    return ended if ended < last else None


def check_data(dataset, kept, to_train, accept, report):
    """Refuses to train over other data than those of the runs that are there.

    Other images move between training and test, and what was learned from is tested.

    Args:
        dataset: A `Dataset`.
        kept: Set of the folders of phases that may have a run, which is kept.
        to_train: Set of the folders of phases that will be trained.
        accept: Boolean. Whether other images will do; other classes never do.
        report: Function of one line of text.

    Returns:
        Those of `kept` whose finished run was over other data.
    """
    changed = []
    for folder in sorted(filter(is_begun, kept)):
        was = read_dataset(folder)
        if to_train:
            check_classes(was["class_names"], was["image_shape"], dataset)
        before = was.get("fingerprint")
        if before is None and folder in to_train:
            report(
                f"{folder} keeps no fingerprint of its data: that of these is taken, "
                f"{dataset.fingerprint}"
            )
        if before in (None, dataset.fingerprint):
            continue
        changed.append(folder)
        what = (
            f"the data have changed since {folder} began: {before} then, "
            f"{dataset.fingerprint} now"
        )
        if to_train and not accept:
            raise InputError(
                f"{what}. Images may have moved between training and test: give back "
                "the data as they were, or go on with these by --accept_changed_data, "
                "or start anew with --overwrite."
            )
        report(f"{what}; {'accepted' if to_train else 'nothing of it is rewritten'}")
    return [folder for folder in changed if folder not in to_train]


def reopen(folders, configs, until_epoch, report):
    """Takes back the results of phases that ended earlier than is asked for now."""
    for name, folder in folders.items():
        last = last_epoch(configs[name], until_epoch)
        before = _ended_before(folder, last)
        if before is not None:
            report(f"{folder} ended after epoch {before} and goes on to {last}")
            (folder / "results.json").unlink()


def read_json(path):
    """Reads a file that a run wrote, or refuses the folder."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise InputError(
            f"cannot read {path}, which is not there: --workdir takes the folder of a "
            "run, or of one of its phases, that has come so far."
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot read {path} ({error}): restore it from a backup, or use the "
            "folder of another run."
        ) from error


def _delete_run(workdir):
    """Deletes what a run writes, and nothing else: the folder may hold other things."""
    for name in _WRITTEN:
        entry = workdir / name
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def _differences(old, new, allowed, prefix=""):
    """Yields what differs, but for the keys that may."""
    for key in {*old, *new}:
        left, right = old.get(key, "nothing"), new.get(key, "nothing")
        if isinstance(left, dict) and isinstance(right, dict):
            yield from _differences(left, right, allowed, f"{prefix}{key}.")
        elif left != right and f"{prefix}{key}" not in allowed:
            yield f"{prefix}{key} was {left!r}, is {right!r}"


def check_later_phases(workdir, family, overwritten):
    """Refuses to delete the weights that another phase's result comes from."""
    names = {phase.name for phase in overwritten}
    for phase in family.phases:
        kept = phase.starts_from in names and phase.name not in names
        if kept and (phase_folder(workdir, phase, family) / "checkpoints").exists():
            raise InputError(
                f"{workdir} holds a phase {phase.name} that started from phase "
                f"{phase.starts_from}, which --overwrite would delete: overwrite all "
                "of them with --training_phase=all, or use another --workdir."
            )
