"""Where the configs that come with the package are, and what a name of one means.

A wheel holds them as `ram_tf/configs`; a checkout has them beside the package.
"""

import difflib
import pathlib

from ram_tf.errors import InputError
from ram_tf.files import expand_path

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# What a file of each kind holds, and where those with a name are.
KINDS = {
    "config": ("get_config()", "."),
    "space": ("SPACE", "spaces"),
    "variants": ("VARIANTS", "variants"),
}
# Holds what configs share, and is none.
SHARED = "common"


def config_folder():
    """Returns the folder of the configs: the installed one, or the checkout's."""
    installed = PACKAGE / "configs"
    return installed if installed.is_dir() else PACKAGE.parent / "configs"


def names(kind="config"):
    """Returns the names of all files of a kind, sorted."""
    files = (config_folder() / KINDS[kind][1]).glob("*.py")
    return sorted(file.stem for file in files if file.stem != SHARED)


def find(text, kind="config"):
    """Returns the file that a path or a name means.

    Args:
        text: Path of a file, or the name of one that comes with the package:
            `ram_mnist` is `configs/ram_mnist.py`.
        kind: A key of `KINDS`.

    Raises:
        InputError: If it is neither.
    """
    path = pathlib.Path(expand_path(text))
    if path.is_file():
        return path
    content, folder = KINDS[kind]
    known = names(kind)
    if text in known:
        return config_folder() / folder / f"{text}.py"
    near = difflib.get_close_matches(path.stem, known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"{', '.join(known)}."
    raise InputError(
        f"no {kind} file {str(text)!r}: expected a python file with {content}, or a "
        f"name: {hint}"
    )


def find_base(text):
    """Returns the config that a file names as its `BASE`: a name or a path.

    A path is relative to what holds `configs/`.
    """
    return find(text if text in names() else config_folder().parent / text)
