"""Keras may run on several backends; we run on TensorFlow alone."""

import json
import os
import pathlib

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


def _keras_home():
    named = os.environ.get("KERAS_HOME")
    if named is not None:
        return pathlib.Path(named).expanduser()
    home = os.path.expanduser("~")
    return pathlib.Path(home if os.access(home, os.W_OK) else "/tmp", ".keras")
