"""With what a result was made."""

import pathlib
import platform
import subprocess

import keras
import tensorflow as tf


def describe_environment(source=pathlib.Path(__file__).parent):
    """Returns versions, machine and commit, as far as they can be known.

    `dirty` says whether a file that git knows was changed since the commit.

    Args:
        source: Folder of the code.
    """

    def ask(*words):
        asked = subprocess.run(
            ["git", *words], capture_output=True, text=True, check=True, cwd=source
        )
        return asked.stdout.strip()

    try:
        # An installed package may lie inside somebody else's repository.
        ask("ls-files", "--error-unmatch", ".")
        commit = ask("rev-parse", "--short", "HEAD")
        dirty = bool(ask("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        commit = dirty = None
    return {
        "commit": commit,
        "dirty": dirty,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
