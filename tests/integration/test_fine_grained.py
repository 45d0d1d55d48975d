"""Photographs of all kinds through both phases, compared with a control, and used."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ram_tf import trained
from tests.integration.conftest import ROOT, read_rows

NUM_EACH = 6
CONFIG = """
import photos_small


def get_config():
    config = photos_small.get_config()
    config.data.square = 64
    config.data.validation_fraction = 0.25
    config.model.size = 32
    config.model.core.units = 16
    config.model.emission.units = 8
    config.phases.pretrain.epochs = 1
    config.phases.attend.epochs = 1
    config.train.num_glimpses = 2
    config.train.batch_size = 4
    config.train.picture_every_epochs = 1
    config.eval.batch_size = 8
    config.eval.mc_samples = 2
    return config
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Three classes of photographs of several sizes, modes and orientations."""
    root = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for label, name in enumerate(("ant", "bee", "cat")):
        for i in range(NUM_EACH):
            size = (70 + 9 * i, 64 + 5 * label, 3)
            values = rng.integers(0, 120, size) + 60 * label
            image = Image.fromarray(values.astype(np.uint8))
            exif = Image.Exif()
            if i == 1:
                image = image.convert("L")
            elif i == 2:
                image = image.convert("CMYK")
            elif i == 3:
                exif[0x0112] = 6  # Turned by a quarter.
            path = root / name / f"{i}.jpg"
            path.parent.mkdir(exist_ok=True)
            image.save(path, exif=exif)
    return root


@pytest.fixture(scope="module")
def folds(photographs, succeed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    for name in ("photos_small", "ram_digits", "ram_folder"):
        shutil.copy(ROOT / "configs" / f"{name}.py", folder)
    config = folder / "tiny_photos.py"
    config.write_text(CONFIG)
    arguments = (
        "tools/cross_validate.py",
        f"--config={config}",
        f"--datapath={photographs}",
        f"--workdir={folder / 'runs'}",
        "--folds=2",
    )
    return folder / "runs", arguments, succeed(*arguments)


def test_every_picture_is_tested_once_by_both(folds):
    workdir, _, result = folds
    found = json.loads((workdir / "cross_validation.json").read_text())
    assert found["num_examples"] == 3 * NUM_EACH
    accuracy = found["accuracy"]
    difference = accuracy["learned"] - accuracy["center"]
    assert found["difference"]["mean"] == pytest.approx(difference)
    assert found["difference"]["error"] >= 0
    assert "paired by picture" in result.out


def test_the_control_starts_from_the_same_features(folds):
    workdir, _, _ = folds
    for fold in (0, 1):
        learned, control = (
            trained.restore(workdir / f"fold_{fold}" / name / "attend")
            for name in ("learned", "center")
        )
        ours, theirs = (
            restored.network.backbone.get_weights() for restored in (learned, control)
        )
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
        assert control.pick() is control.pick("center")
        assert learned.pick() is learned.pick("mean")


def test_each_combination_of_resolutions_is_reported(folds):
    rows = read_rows(folds[0] / "fold_0" / "learned" / "pretrain" / "metrics.csv")
    for name in ("high_medium", "high_low", "medium_low", "high_medium_low"):
        assert 0 <= float(rows[-1][f"val_{name}_accuracy"]) <= 1


def test_what_is_complete_is_not_trained_again(folds, succeed):
    workdir, arguments, _ = folds
    before = (workdir / "cross_validation.json").read_text()
    assert "Epoch" not in succeed(*arguments).out
    assert (workdir / "cross_validation.json").read_text() == before


def test_a_trained_model_is_drawn_and_predicts(folds, photographs, succeed):
    run = folds[0] / "fold_0" / "learned"
    picture, table = folds[0] / "glimpses.png", folds[0] / "found.csv"
    image = photographs / "bee" / "3.jpg"
    succeed(
        "tools/visualize.py",
        f"--workdir={run}",
        f"--images={image}",
        f"--output={picture}",
    )
    with np.load(picture.with_suffix(".npz")) as data:
        assert data["region_weights"].shape == (1, 2, 2, 2)
        np.testing.assert_allclose(
            data["region_weights"].sum(axis=(2, 3)), 1, atol=1e-5
        )
        assert data["boxes"].shape == (1, 2, 2, 4)
    succeed(
        "tools/predict.py", f"--workdir={run}", str(photographs), f"--output={table}"
    )
    assert len(read_rows(table)) == 3 * NUM_EACH


@pytest.mark.slow
def test_a_sensor_begins_with_a_coarse_view(folds, succeed, tmp_path):
    run, output = folds[0] / "fold_0" / "learned", tmp_path / "photos"
    succeed("export_saved_model.py", f"--workdir={run}", f"--output={output}")
    signatures = tf.saved_model.load(str(output / "1")).signatures

    def call(name, **inputs):
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        return {key: np.asarray(v) for key, v in signatures[name](**tensors).items()}

    images = np.random.default_rng(0).random((3, 64, 64, 3), "float32")
    whole = call("serving_default", images=images)
    sensed = call("sense", images=images, location=np.zeros((3, 2), "float32"))
    assert sensed["overview"].shape == (3, 32, 32, 3)
    state = call("start", seed=np.zeros(3, "int64"), overview=sensed["overview"])
    for step in range(2):
        location = state["location"]
        np.testing.assert_allclose(location, whole["locations"][:, step], atol=1e-5)
        glimpse = call("sense", images=images, location=location)["glimpse"]
        answer = call("look", glimpse=glimpse, **state)
        belief = whole["probabilities_per_glimpse"][:, step]
        np.testing.assert_allclose(answer["probabilities"], belief, atol=1e-5)
        names = [name for name in answer if name.startswith("state_")]
        state = {name: answer[name] for name in (*names, "location")}
