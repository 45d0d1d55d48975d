"""Locks that one process holds at a time, and that go with it."""

import errno
import os

from ram_tf.errors import InputError, warn_once

try:
    import fcntl
except ImportError:  # Not on Windows.
    fcntl = None

# What a file system that knows no locks answers; some cluster file systems do.
_WITHOUT = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


def hold(file, taken):
    """Locks an open file for this process until it is closed, or the process ends.

    Where the system or the file system has no locks, it goes on without, with a
    warning: one for each file system.

    Args:
        file: A file that is open for writing.
        taken: What to say, in one line, if another process holds it.

    Raises:
        InputError: If another process holds it, or it cannot be locked for another
            reason, which is named.
    """
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(taken) from error
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise InputError(f"cannot lock {file.name}: {error}.") from error
        mount = _mount_point(file.name)
        warn_once(
            f"the file system at {mount} has no locks ({error.strerror}): nothing "
            "keeps two processes from writing to one folder there, so start only one."
        )


def take(file, shared=False, wait=False):
    """Locks an open file if it can be had, until it is closed or the process ends.

    Args:
        file: A file that is open, for writing unless it is to be shared.
        shared: Boolean. Let others share it; nobody has it alone meanwhile.
        wait: Boolean. Wait for it.

    Returns:
        Boolean, whether it was had; `None` where the system or the file system has no
        locks.
    """
    if fcntl is None:
        return None
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise
        return None
    return True


def is_free(path):
    """Returns whether a file that was locked is no longer.

    It is not known to be where the system or the file system has no locks.
    """
    if fcntl is None:
        return False
    try:
        with open(path, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _mount_point(path):
    path = os.path.abspath(os.path.dirname(path))
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
