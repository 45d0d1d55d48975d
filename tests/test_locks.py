"""Locks: contention alone is called contention, on any system and file system."""

import errno
import os
import subprocess
import sys

import pytest

from ram_tf import locks
from ram_tf.errors import InputError, warn_once
from ram_tf.processors import num_processors

TAKEN = "another process is at it."
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


@pytest.fixture(autouse=True)
def nothing_said_before():
    warn_once.cache_clear()


def refuse_with(monkeypatch, number):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)


def test_one_holds_it_until_the_file_is_closed(tmp_path, capsys):
    path = tmp_path / "lock"
    with open(path, "w") as first:
        locks.hold(first, TAKEN)
        with open(path, "w") as second, pytest.raises(InputError, match=TAKEN):
            locks.hold(second, TAKEN)
    with open(path, "w") as third:
        locks.hold(third, TAKEN)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", NO_LOCKS)
def test_without_locks_it_goes_on_with_one_warning(
    tmp_path, monkeypatch, capsys, number
):
    refuse_with(monkeypatch, number)
    for name in ("one", "two"):
        with open(tmp_path / name, "w") as file:
            locks.hold(file, TAKEN)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the file system at /")
    assert os.strerror(number) in line


def test_where_a_system_has_no_locks_it_goes_on_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(locks, "fcntl", None)
    with open(tmp_path / "one", "w") as file:
        locks.hold(file, TAKEN)
    assert "has no locks" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_any_other_reason_is_the_one_that_is_named(tmp_path, monkeypatch, number):
    refuse_with(monkeypatch, number)
    with (
        open(tmp_path / "one", "w") as file,
        pytest.raises(InputError, match=os.strerror(number)) as raised,
    ):
        locks.hold(file, TAKEN)
    assert TAKEN not in str(raised.value)


def test_a_lock_that_nobody_holds_is_free(tmp_path, monkeypatch):
    path = tmp_path / "one"
    assert not locks.is_free(path)  # Nobody has ever held it.
    with open(path, "w") as file:
        locks.hold(file, TAKEN)
        assert not locks.is_free(path)
    assert locks.is_free(path)
    refuse_with(monkeypatch, errno.ENOLCK)
    assert not locks.is_free(path)  # Nobody knows.


def test_locks_import_where_there_are_none(root):
    code = "import sys; sys.modules['fcntl'] = None; from ram_tf import locks"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_processors_are_counted_on_any_system(monkeypatch):
    assert 1 <= num_processors() <= os.cpu_count()
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert num_processors() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)  # It may not be known.
    assert num_processors() == 1
