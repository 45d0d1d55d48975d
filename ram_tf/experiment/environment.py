"""With what a result was made."""

import pathlib
import platform
import shlex
import subprocess
import sys

import keras
import tensorflow as tf


def describe_command(argv=None):
    """Returns the command line of this process, its program by its name alone.

    Args:
        argv: List of strings, or `None`: `sys.argv`.
    """
    program, *arguments = sys.argv if argv is None else argv
    program = pathlib.Path(program)
    script = ["python", program.name] if program.suffix == ".py" else [program.name]
    return shlex.join([*script, *arguments])


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
