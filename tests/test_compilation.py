"""Compiled programs are kept from one process to the next."""

import os
import subprocess
import sys

import pytest

from ram_tf import compilation

DIRECTORY = "--tf_xla_persistent_cache_directory"
PROGRAM = """
from ram_tf.compilation import keep_compiled
print(keep_compiled())
import tensorflow as tf
multiply = tf.function(lambda x: tf.sin(x @ x), jit_compile=True)
print(float(tf.reduce_sum(multiply(tf.eye(3)))))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=0")
    return tmp_path / "cache" / "ram_tf" / "compiled"


def test_the_folder_is_that_of_this_machine_and_tensorflow(cache, monkeypatch):
    folder = compilation.keep_compiled()
    assert folder.parent == cache and folder.is_dir()
    flags = os.environ["TF_XLA_FLAGS"].split()
    assert flags[0] == "--tf_xla_auto_jit=0" and f"{DIRECTORY}={folder}" in flags
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    assert compilation.keep_compiled() == folder
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=1")
    assert compilation.keep_compiled() != folder


@pytest.mark.parametrize("directory", ["", "/somewhere/else"])
def test_a_user_s_own_directory_stays(directory, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", f"{DIRECTORY}={directory}")
    assert compilation.keep_compiled() is None
    assert os.environ["TF_XLA_FLAGS"] == f"{DIRECTORY}={directory}"


@pytest.mark.parametrize("name", ["a file/cache", "two words"])
def test_where_nothing_can_be_kept_nothing_is(name, tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
    assert compilation.keep_compiled() is None
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_auto_jit=0"


def test_what_was_made_first_makes_room(cache, monkeypatch):
    monkeypatch.setattr(compilation, "MOST_BYTES", 25)
    paths = [cache / "other" / f"{number}.pb" for number in range(4)]
    paths[0].parent.mkdir(parents=True)
    for number, path in enumerate(paths):
        path.write_bytes(bytes(10))
        os.utime(path, (number, number))
    compilation.keep_compiled()
    assert [path.exists() for path in paths] == [False, False, True, True]


@pytest.mark.slow
def test_a_second_process_finds_the_program_of_the_first(cache):
    first = run()
    (program,) = cache.glob("*/*.pb")
    os.utime(program, (0, 0))
    assert run() == first
    # It was read, and not written again.
    assert list(cache.glob("*/*.pb")) == [program] and program.stat().st_mtime == 0


def run():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    return done.stdout
