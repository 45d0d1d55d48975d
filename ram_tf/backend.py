"""What we run on: of Keras's backends TensorFlow alone, of systems Linux and macOS."""

import json
import os
import pathlib
import sys

from ram_tf.errors import InputError


def check_backend():
    """Refuses a process that sets Keras to another backend, before it is imported.

    Raises:
        InputError: If the environment or Keras's own file names another one.
    """
    file = _keras_home() / "keras.json"
    try:
        configured = json.loads(file.read_text()).get("backend")
    except (OSError, ValueError, AttributeError):  # Keras passes over it, too.
        configured = None
    named = os.environ.get("KERAS_BACKEND")
    backend = named or configured or "tensorflow"
    if backend != "tensorflow":
        where = "KERAS_BACKEND" if named else f"the backend in {file}"
        raise InputError(
            f"{where} is {backend!r}, and ram_tf runs on TensorFlow alone: set "
            "KERAS_BACKEND=tensorflow."
        )


def check_system():
    """Refuses a system that nobody has run this on.

    Raises:
        InputError: If it is Windows.
    """
    if sys.platform == "win32":
        raise InputError(
            "ram_tf runs on Linux and macOS: on Windows, install and start it in the "
            "Windows Subsystem for Linux (wsl --install)."
        )


def _keras_home():
    named = os.environ.get("KERAS_HOME")
    if named is not None:
        return pathlib.Path(os.path.expanduser(named))
    home = os.path.expanduser("~")
    return pathlib.Path(home if os.access(home, os.W_OK) else "/tmp", ".keras")
