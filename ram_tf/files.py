"""Files that are there whole or not at all."""

import contextlib
import errno
import json
import os
import pathlib
import re
import secrets
import shutil
import stat
import sys
import tempfile

from ram_tf.errors import InputError

# What a file system answers that cannot do what others can.
_CANNOT = {
    *(errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP),
    *(errno.EPERM, errno.EACCES),
}
_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}


def expand_path(path):
    """Returns a path as a string, with the home folder in the place of a `~`.

    Args:
        path: String or path. One that begins with `~` and exists as it is stays so.

    Raises:
        InputError: If it is an address of another machine, or nobody knows the home.
    """
    text = os.fspath(path)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if scheme:
        raise InputError(
            f"{text!r} is an address ({scheme[1]}): only files of this machine are "
            "read and written. Copy it here, or mount it, and give the path."
        )
    expanded = os.path.expanduser(text)
    if text.startswith("~") and expanded == text and not os.path.lexists(text):
        home = text.partition("/")[0]
        raise InputError(
            f"no home folder {home!r} is known for {text!r}: write the whole path, or "
            f"./{text} for a name that begins so."
        )
    return expanded


def cache_folder():
    """Returns the folder of all that this package keeps: `ram_tf` in the user's cache.

    It may be removed at any time; what was in it is made again.

    Of a user without a home it is one in the system's folder of temporary files.
    """
    cache = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    if cache.startswith("~"):
        cache = tempfile.gettempdir()
    return pathlib.Path(cache) / "ram_tf"


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
            with contextlib.suppress(FileNotFoundError), _where_it_can():
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
    """Waits until what was written to a file, or the names in a folder, are on disk.

    Some file systems write folders as they like, which is passed over.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with _where_it_can() if os.path.isdir(path) else contextlib.nullcontext():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_renames(folder):
    """Tries what checkpoints and exports need: to rename folders and to delete them.

    Args:
        folder: Path of a folder to try it in.

    Raises:
        InputError: If it cannot be done there.
    """
    trial = pathlib.Path(folder) / f".{secrets.token_hex(4)}.writing"
    try:
        old, new = trial / "old", trial / "new"
        old.mkdir(parents=True)
        (old / "file").write_bytes(b"whole")
        old.rename(new)
        shutil.rmtree(trial)
    except OSError as error:
        shutil.rmtree(trial, ignore_errors=True)
        raise InputError(
            f"the file system of {folder} cannot rename or delete a folder with files "
            f"({error.strerror}), which is how what is there is always whole: write "
            "to a folder on another one, and copy that when it is done."
        ) from error


def discard(folder):
    """Deletes a folder, whose name is free afterwards in any case.

    What a file system keeps because another process has it open is deleted the next
    time.
    """
    folder = pathlib.Path(folder)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.deleted"))
    prefix, suffix = f"{folder.name}.", ".deleted"
    for entry in folder.parent.iterdir():
        if entry.name.startswith(prefix) and entry.name.endswith(suffix):
            shutil.rmtree(entry, ignore_errors=True)


@contextlib.contextmanager
def _where_it_can():
    """Passes over what a file system cannot do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _CANNOT:
            raise


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
