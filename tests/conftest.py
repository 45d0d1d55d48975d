"""Two logical CPU devices for every test, fixed seeds, and the real data if any."""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# What XLA compiles here runs once: time is spared without LLVM's passes.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# Nor is it kept: nothing is left in the cache of whoever runs the tests.
os.environ.setdefault("TF_XLA_FLAGS", "--tf_xla_persistent_cache_directory=")

import keras
import pytest
import tensorflow as tf
from absl import flags

from ram_tf.commands import command_line, train

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get("RAM_TF_DATA_DIR", ROOT / "../shared/data"))

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

# Set once: each time TensorFlow throws away all kernels that it has made, and nothing
# here draws from its own generators.
tf.random.set_seed(0)
tf.random.set_seed = lambda seed: None


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def real_data():
    """Returns a function name -> folder of real data; skips where it is absent."""

    def find(name):
        folder = DATA / name
        if not folder.is_dir():
            pytest.skip(f"no real data at {folder}: set RAM_TF_DATA_DIR")
        return folder

    return find


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture
def understand(monkeypatch):
    """Returns a function: words of train.py's command line -> the config they mean.

    The flags are those of a process that has just started, each time.
    """

    def read(*words):
        monkeypatch.setattr(sys, "argv", ["train.py"])
        monkeypatch.setattr(sys, "path", [*sys.path])
        before = set(flags.FLAGS)
        try:
            command_line.define(train.COMMAND)
            command_line.parse(train.COMMAND, ["train.py", *map(str, words)])
            return train.configure()
        finally:
            for name in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, name)

    return read
