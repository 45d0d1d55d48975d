"""Photographs of all kinds through both phases, killed on the way, and used."""

import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf

from tests.comparisons import assert_close
from tests.integration.conftest import ROOT, read_rows, read_state
from tests.photographs import write_photographs

pytestmark = pytest.mark.slow

CONFIG = """
import photos_small


def get_config():
    config = photos_small.get_config()
    config.data.square = 64
    config.data.validation_fraction = 0.25
    config.model.size = 64
    config.model.core.units = 16
    config.model.emission.units = 8
    config.phases.pretrain.epochs = 1
    config.phases.attend.epochs = 1
    config.phases.attend.batch_size = 4
    config.train.num_glimpses = 2
    config.train.batch_size = 4
    config.train.checkpoint_every_steps = 1
    config.train.picture_every_epochs = 100
    config.eval.batch_size = 8
    config.eval.mc_samples = 2
    config.eval.policies = ("learned",)
    return config
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return write_photographs(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(scope="module")
def both_phases(photographs, start, succeed, tmp_path_factory):
    """The workdir of both phases, the first one killed on the way."""
    folder = tmp_path_factory.mktemp("fine_grained")
    for name in ("common", "photos_small"):
        shutil.copy(ROOT / "configs" / f"{name}.py", folder)
    config = folder / "tiny_photos.py"
    config.write_text(CONFIG)
    arguments = (
        "train.py",
        f"--config={config}",
        f"--datapath={photographs}",
        f"--workdir={folder / 'run'}",
        "--training_phase=all",
    )
    last = folder / "run" / "pretrain" / "checkpoints" / "last"
    command = start(*arguments)
    command.wait_for(lambda: read_state(last)["step"] >= 1)
    command.send(signal.SIGKILL).finish()
    result = succeed(*arguments)
    assert "resuming from step" in result.out
    return folder / "run"


def test_each_combination_of_resolutions_is_reported(both_phases):
    rows = read_rows(both_phases / "pretrain" / "metrics.csv")
    for name in ("high_medium", "high_low", "medium_low", "high_medium_low"):
        assert rows[-1][f"val_{name}_accuracy"], name


def test_a_trained_model_is_drawn_and_predicts(
    both_phases, photographs, succeed, tmp_path
):
    picture, table = tmp_path / "glimpses.png", tmp_path / "found.csv"
    image = photographs / "bee" / "3.jpg"
    succeed(
        "tools/visualize.py",
        f"--workdir={both_phases}",
        f"--images={image}",
        f"--output={picture}",
    )
    with np.load(picture.with_suffix(".npz")) as data:
        assert data["region_weights"].shape == (1, 2, 2, 2)
        assert_close(data["region_weights"].sum(axis=(2, 3)), np.ones((1, 2)))
        assert data["boxes"].shape == (1, 2, 2, 4)
    succeed(
        "tools/predict.py",
        f"--workdir={both_phases}",
        str(photographs),
        f"--output={table}",
    )
    assert len(read_rows(table)) == 3 * 6


def test_a_sensor_begins_with_a_coarse_view(both_phases, succeed, tmp_path):
    output = tmp_path / "photos"
    succeed("export_saved_model.py", f"--workdir={both_phases}", f"--output={output}")
    signatures = tf.saved_model.load(str(output / "1")).signatures

    def call(name, **inputs):
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        return {key: np.asarray(v) for key, v in signatures[name](**tensors).items()}

    images = np.random.default_rng(0).random((3, 64, 64, 3), "float32")
    whole = call("serving_default", images=images)
    seed = np.zeros(3, "int64")
    place = np.zeros((3, 2), "float32")
    sensed = call("sense", images=images, location=place, seed=seed)
    assert sensed["overview"].shape == (3, 64, 64, 3)
    state = call("start", seed=seed, overview=sensed["overview"])
    for step in range(2):
        location = state["location"]
        assert_close(location, whole["locations"][:, step], 1e-4)
        glimpse = call("sense", images=images, location=location, seed=seed)["glimpse"]
        answer = call("look", glimpse=glimpse, **state)
        belief = whole["probabilities_per_glimpse"][:, step]
        assert_close(answer["probabilities"], belief, 1e-4)
        names = [name for name in answer if name.startswith("state_")]
        state = {name: answer[name] for name in (*names, "location")}
