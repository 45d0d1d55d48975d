"""Files that are there whole or not at all."""

import contextlib
import json
import os
import pathlib
import secrets
import stat
import sys

_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}


@contextlib.contextmanager
def whole_file(path):
    """Opens a text file that is written aside: it replaces `path` when it is whole.

    A file that is there keeps its mode. Through a link its target is written. What is
    no file, a pipe or a device, is written to as it is.
    """
    # As names of files are, which need not be text.
    how = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}
    stream = _open_stream(path, how)
    if stream is not None:
        with stream:
            yield stream
        return
    path = pathlib.Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for each of several writers; the mode is that of any new file.
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.writing")
    try:
        with open(aside, "x", **how) as file:
            with contextlib.suppress(FileNotFoundError):
                os.chmod(aside, stat.S_IMODE(os.stat(path).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
        flush(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path, content):
    """Writes a JSON file."""
    with whole_file(path) as file:
        json.dump(content, file, indent=1)


def flush(path):
    """Waits until what was written to a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_stream(path, how):
    """Opens what is written to as it is; `None` if `path` is a file or not there."""
    name = os.path.abspath(path)
    if name in _STANDARD:
        # After what was printed, and where the next line will follow.
        sys.stdout.flush()
        return open(os.dup(_STANDARD[name]), "w", **how)
    try:
        is_stream = not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return None
    return open(path, "w", **how) if is_stream else None
