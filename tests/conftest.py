"""Two logical CPU devices for every test, fixed seeds, and the real data if any."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get("RAM_TF_DATA_DIR", ROOT / "../shared/data"))

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)


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
