"""Small weights that we trained, each a workdir without its optimizer.

Wherever a command reads a `--workdir`, `packaged:NAME` names one of them.
"""

import io
import json
import pathlib
import re
import shutil

import h5py

from ram_tf.errors import InputError
from ram_tf.files import expand_path, write_json
from ram_tf.training.checkpointing import WEIGHTS, digest_file, read_state

PREFIX = "packaged:"
_HERE = pathlib.Path(__file__).resolve().parent


def names():
    """The names of the packaged models."""
    return sorted(path.parent.name for path in _HERE.glob("*/config.json"))


def locate(workdir):
    """The folder of a workdir that may be a packaged model's name.

    Raises:
        InputError: If no packaged model has that name.
    """
    if not str(workdir).startswith(PREFIX):
        return pathlib.Path(expand_path(workdir))
    name = str(workdir).removeprefix(PREFIX)
    if name not in names():
        known = ", ".join(PREFIX + known for known in names())
        raise InputError(f"no packaged model {name!r}: expected one of {known}.")
    return _HERE / name


def family(name):
    """The name of a packaged model's family."""
    return json.loads((_HERE / name / "config.json").read_text())["family"]


def card(name):
    """What is known of a packaged model: the content of its `card.json`.

    Returns:
        Dictionary with `description`, `config`, `glimpses`, `parameters`, the
        `command` and `commit` that measured it, `num_examples`, and `scores`, by what
        was measured: `{"accuracy", "standard_error"}` in %, the error `None` where it
        is not known. `classify` looks as in `mean_policy`, or in `gain`. Nothing of a
        model that was packaged a moment ago: `tools/make_tables.py` writes the cards.
    """
    path = _HERE / name / "card.json"
    return json.loads(path.read_text()) if path.exists() else {}


def package(workdir, name, root=_HERE, half=False):
    """Keeps the best weights of a run, with what is needed to use them.

    Args:
        workdir: Folder of a run of one phase, or `packaged:NAME`.
        name: String of letters, digits and underscores, the packaged model's.
        root: Folder to put it in.
        half: Boolean. Store the weights in float16; they are read back as float32.

    Returns:
        Path of its folder.
    """
    if not re.fullmatch(r"\w+", name):
        raise InputError(
            f"a packaged model cannot be named {name!r}: use letters, digits and _."
        )
    workdir, folder = locate(workdir), pathlib.Path(root) / name
    best = workdir / "checkpoints" / "best"
    try:
        config = json.loads((workdir / "config.json").read_text())
        dataset = json.loads((workdir / "dataset.json").read_text())
    except FileNotFoundError as error:
        raise InputError(
            f"{workdir} is not the folder of a run: {error.filename} is missing."
        ) from error
    state = read_state(best)
    # Where the data were, and what it started from, is nobody else's concern.
    config["data"]["datapath"] = None
    dataset.pop("datapath_from", None)
    for section in (config["train"], *config["phases"].values()):
        if "pretrain_checkpoint" in section:
            section["pretrain_checkpoint"] = None
    # Under another name until it is whole: what it replaces may be where it comes from.
    written = folder.with_name(f"{name}.written")
    shutil.rmtree(written, ignore_errors=True)
    kept = written / "checkpoints" / "best"
    kept.mkdir(parents=True)
    if half:
        _copy_as_half(best / WEIGHTS, kept / WEIGHTS)
    else:
        shutil.copy(best / WEIGHTS, kept)
    write_json(written / "config.json", config)
    write_json(written / "dataset.json", dataset)
    shared = {key: state[key] for key in ("format_version", "step", "best")}
    digests = {WEIGHTS: digest_file(kept / WEIGHTS)}
    write_json(kept / "state.json", {**shared, "digests": digests})
    shutil.rmtree(folder, ignore_errors=True)
    written.rename(folder)
    return folder


def _copy_as_half(weights, copy):
    """Copies a file of weights, what is float32 in it as float16."""
    # In memory: on disk HDF5 would lock them, which not every file system lets it.
    content = io.BytesIO()
    with (
        h5py.File(io.BytesIO(weights.read_bytes())) as source,
        h5py.File(content, "w") as target,
    ):

        def write(path, item):
            if isinstance(item, h5py.Dataset):
                values = item[()]
                values = values.astype("float16") if item.dtype == "float32" else values
                target[path] = values
            else:
                target.require_group(path)
            target[path].attrs.update(item.attrs)

        source.visititems(write)
        target.attrs.update(source.attrs)
    copy.write_bytes(content.getbuffer())
