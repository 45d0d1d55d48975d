"""Files that are there whole or not at all, whatever stands at their path."""

import errno
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import threading

import h5py
import keras
import numpy as np
import pytest

from ram_tf.errors import InputError
from ram_tf.experiment.workdir import locked
from ram_tf.files import check_renames, expand_path, whole_file, write_json
from ram_tf.training.checkpointing import (
    DamagedCheckpoint,
    find_checkpoint,
    load_weights,
    save_checkpoint,
)


@pytest.fixture
def umask():
    """New files are for their owner to write and for the group to read."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def write(path, text="new"):
    with whole_file(path) as file:
        file.write(text)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "in" / "a.txt"
    write(path, "old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
        1 / 0  # noqa: B018
    assert path.read_text() == "old"
    write(path)
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_of_two_writers_of_one_path_both_succeed_and_the_last_one_counts(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path) as first:
        first.write("first")
        with whole_file(path) as second:
            second.write("second, and longer")
        assert path.read_text() == "second, and longer"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_reaches_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    path, done = tmp_path / "a.txt", []
    sync, replace = os.fsync, os.replace

    def note_sync(descriptor):
        of = os.fstat(descriptor)
        done.append("folder" if stat.S_ISDIR(of.st_mode) else f"{of.st_size} bytes")
        sync(descriptor)

    def note_replace(*paths):
        done.append("replace")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    write(path, "four")
    assert done == ["4 bytes", "replace", "folder"]


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    target, link = tmp_path / "elsewhere" / "a.txt", tmp_path / "link"
    link.symlink_to(target)
    for text in ("one", "two"):  # The target is not there at first.
        write(link, text)
        assert link.is_symlink() and not target.is_symlink()
        assert target.read_text() == text
    assert [entry.name for entry in target.parent.iterdir()] == ["a.txt"]


def test_a_pipe_is_written_to(tmp_path):
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_text()), daemon=True)
    reader.start()
    write(path)
    reader.join(timeout=10)
    assert read == ["new"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_is_written_to():
    """A terminal, whose name no file can take: nothing breaks where this fails."""
    ours, theirs = os.openpty()
    try:
        write(os.ttyname(theirs))
        assert os.read(ours, 100) == b"new"
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("to", ["pipe", "file"])
def test_standard_output_is_written_to_in_turn(to, tmp_path, root):
    program = (
        # Where this fails, /dev/stdout must not become a file for everybody.
        "import os\n"
        "os.replace = os.rename = None\n"
        "from ram_tf.files import write_json\n"
        "print('before')\n"
        "write_json('/dev/stdout', [1])\n"
        "print('\\nafter')"
    )
    command = {"args": [sys.executable, "-c", program], "cwd": root, "check": True}
    if to == "pipe":
        printed = subprocess.run(**command, capture_output=True).stdout
    else:
        with open(tmp_path / "log", "wb") as log:
            subprocess.run(**command, stdout=log)
        printed = (tmp_path / "log").read_bytes()
    assert printed == b"before\n[\n 1\n]\nafter\n"


def test_a_file_keeps_its_mode_and_a_new_one_has_the_usual_one(tmp_path, umask):
    path = tmp_path / "a.json"
    write_json(path, {})
    assert mode(path) == 0o640
    path.chmod(0o604)
    write_json(path, {"a": 1})
    assert mode(path) == 0o604


def test_a_linked_checkpoint_is_written_where_it_is(tmp_path):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    last, elsewhere = tmp_path / "last", tmp_path / "elsewhere" / "kept"
    save_checkpoint(elsewhere, network, None, {"step": 0})
    last.symlink_to(elsewhere)
    for step in (1, 2, 3):
        save_checkpoint(last, network, None, {"step": step})
        assert last.is_symlink()
        assert find_checkpoint(last)[1]["step"] == step
    (last / "state.json").unlink()
    assert find_checkpoint(last, lambda line: None)[1]["step"] == 2


def test_between_the_two_renames_of_a_checkpoint_there_is_always_a_whole_one(
    tmp_path, monkeypatch
):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    last = tmp_path / "last"
    save_checkpoint(last, network, None, {"step": 1})
    last.rename(tmp_path / "last.previous")  # Killed there.

    def fail(self, target):
        raise OSError("killed")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="killed"):
        patch.setattr(pathlib.Path, "rename", fail)
        save_checkpoint(last, network, None, {"step": 2})
    assert find_checkpoint(last, lambda line: None)[1]["step"] == 1


def cannot(*arguments, **options):
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


def one_weight():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def test_a_file_is_written_where_modes_and_folders_are_not(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write(path, "old")
    sync = os.fsync

    def only_files(descriptor):
        return (
            cannot() if stat.S_ISDIR(os.fstat(descriptor).st_mode) else sync(descriptor)
        )

    monkeypatch.setattr(os, "chmod", cannot)
    monkeypatch.setattr(os, "fsync", only_files)
    write(path)
    assert path.read_text() == "new"


@pytest.mark.parametrize("what", ["rename", "delete"])
def test_a_workdir_without_what_a_checkpoint_needs_is_refused(
    tmp_path, monkeypatch, what
):
    workdir = tmp_path / "run"
    if what == "rename":
        monkeypatch.setattr(pathlib.Path, "rename", cannot)
    else:
        monkeypatch.setattr(
            shutil, "rmtree", lambda path, **options: options or cannot()
        )
    with (
        pytest.raises(InputError, match="cannot rename or delete a folder") as raised,
        locked(workdir),
    ):
        pytest.fail("it was taken")
    assert str(workdir) in str(raised.value)
    assert os.strerror(errno.ENOTSUP) in str(raised.value)


def test_trying_a_folder_leaves_nothing(tmp_path):
    check_renames(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_is_written_beside_one_that_is_held_open(tmp_path, monkeypatch):
    """Over NFS, what another process has open stays in its folder."""
    last, network = tmp_path / "last", one_weight()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *paths, **options: None)
        for step in (1, 2, 3, 4):
            save_checkpoint(last, network, None, {"step": step})
            assert find_checkpoint(last)[1]["step"] == step
    assert len(list(tmp_path.iterdir())) > 2
    save_checkpoint(last, network, None, {"step": 5})
    assert {path.name for path in tmp_path.iterdir()} == {"last", "last.previous"}


def test_weights_are_read_where_hdf5_cannot_lock(tmp_path, monkeypatch):
    network, other, last = one_weight(), one_weight(), tmp_path / "last"
    network.layers[0].kernel.assign([[3.0], [4.0]])
    save_checkpoint(last, network, None, {"step": 1})
    opened = h5py.File

    def without_locks(name, *rest, **options):
        if isinstance(name, (str, os.PathLike)):
            raise BlockingIOError(errno.EAGAIN, "unable to lock file")
        return opened(name, *rest, **options)

    monkeypatch.setattr(h5py, "File", without_locks)
    load_weights(other, last)
    np.testing.assert_array_equal(other.layers[0].kernel, [[3.0], [4.0]])


@pytest.mark.parametrize("damage", [None, b"", b"no HDF5"])
def test_weights_that_cannot_be_read_are_not_said_not_to_fit(tmp_path, damage):
    network, last = one_weight(), tmp_path / "last"
    save_checkpoint(last, network, None, {"step": 1})
    file = last / "model.weights.h5"
    file.unlink() if damage is None else file.write_bytes(damage)
    with pytest.raises(DamagedCheckpoint) as raised:
        load_weights(network, last)
    assert "fit" not in str(raised.value) and str(last) in str(raised.value)


# Paths


@pytest.mark.parametrize("path", ["a", "./a", "/a/~b", "a:b", "C:/a", "a//b", ""])
def test_a_path_stays_as_it_is(path):
    assert expand_path(path) == path


def test_a_path_of_nobody_is_refused_unless_it_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no home folder '~no_such_user' is known"):
        expand_path("~no_such_user/x")
    (tmp_path / "~$notes.png").write_bytes(b"")
    assert expand_path("~$notes.png") == "~$notes.png"


def test_a_home_that_nobody_knows_is_said(monkeypatch):
    """As in a container whose user has neither a name nor HOME."""

    def unknown(*arguments):
        raise KeyError("no such user")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(InputError, match="no home folder '~' is known for '~/x'"):
        expand_path("~/x")
