import hashlib
import json
import shutil

import numpy as np
import pytest

from ram_tf import experiment, pretrained
from ram_tf.data.windows import NpyReader, Windows
from ram_tf.errors import InputError
from ram_tf.studies.draw import draw
from ram_tf.studies.evaluate import evaluate


def write_arrays(folder):
    """Writes two images of one channel; returns their paths."""
    paths = [folder / "large.npy", folder / "larger.npy"]
    for path, side in zip(paths, (200, 300)):
        np.save(path, np.zeros((side, side), "uint8"))
    return paths


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[pytest.mark.slow] if name.startswith("pham") else [],
        )
        for name in pretrained.names()
    ],
)
def test_a_packaged_model_is_small_whole_and_looks(name, tmp_path):
    folder = pretrained.locate(f"packaged:{name}")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 4e6
    restored = experiment.restore(f"packaged:{name}")
    assert restored.config.data.datapath is None
    if None in restored.image_shape:  # Read in windows: positions stand for images.
        arrays = [NpyReader(path) for path in write_arrays(tmp_path)]
        restored.network.look_into(Windows(arrays))
        images = np.arange(2)
    else:
        images = np.zeros((2, *restored.image_shape), "uint8")
    looked = restored.network(images, policy=restored.pick(), num_glimpses=3)
    assert looked.logits.shape == (2, 3, len(restored.class_names))


def test_the_packaged_digits_are_recognised():
    report = []
    compared = evaluate(
        "packaged:ram_digits",
        chosen=["mean"],
        seeds=1,
        max_examples=360,
        report=report.append,
    )
    assert compared["policies"]["mean"]["accuracy"]["mean"][-1] > 0.93


def test_an_unknown_packaged_model_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="'vgg'.*packaged:ram_digits"):
        experiment.restore("packaged:vgg")


def test_any_other_name_is_a_folder(tmp_path):
    assert pretrained.locate(tmp_path) == tmp_path
    assert str(pretrained.locate("runs/packaged")) == "runs/packaged"


def test_packaging_keeps_the_weights_and_forgets_the_place_and_the_optimizer(tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(pretrained.locate("packaged:ram_digits"), workdir)
    config = json.loads((workdir / "config.json").read_text())
    config["data"]["datapath"] = "/home/somebody/digits"
    config["train"]["pretrain_checkpoint"] = "/home/somebody/run"
    config["phases"]["train"]["pretrain_checkpoint"] = "/home/somebody/run"
    (workdir / "config.json").write_text(json.dumps(config))
    best = workdir / "checkpoints" / "best"
    state = json.loads((best / "state.json").read_text())
    (best / "optimizer.h5").write_bytes(b"0")
    digest = hashlib.sha256(b"0").hexdigest()
    state |= {"digests": {**state["digests"], "optimizer.h5": digest}, "history": [{}]}
    (best / "state.json").write_text(json.dumps(state))
    folder = pretrained.package(workdir, "mine", tmp_path)
    assert "somebody" not in "".join(p.read_text() for p in folder.rglob("*.json"))
    assert not list(folder.rglob("optimizer.h5"))
    before = experiment.restore(pretrained.locate("packaged:ram_digits")).network
    after = experiment.restore(folder).network
    for one, other in zip(before.weights, after.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_the_bits_keep_the_weights_to_their_last_digits(tmp_path):
    whole = pretrained.locate("packaged:ram_digits")
    folder = pretrained.package(whole, "small", tmp_path, half=True)
    weights = "checkpoints/best/model.weights.h5"
    size, before = [(run / weights).stat().st_size for run in (folder, whole)]
    assert size < 0.55 * before
    before = experiment.restore(whole).network
    after = experiment.restore(folder).network
    for one, other in zip(before.weights, after.weights, strict=True):
        assert other.dtype == "float32"
        np.testing.assert_array_equal(np.asarray(one).astype("float16"), other)


@pytest.mark.parametrize("name", ["", "..", "a/b", "/tmp/a"])
def test_a_name_that_leads_elsewhere_is_refused(name, tmp_path):
    (tmp_path / "kept").mkdir()
    with pytest.raises(InputError, match="cannot be named"):
        pretrained.package(pretrained.locate("packaged:ram_digits"), name, tmp_path)
    assert (tmp_path / "kept").exists()


def test_damaged_weights_are_not_packaged(tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(pretrained.locate("packaged:ram_digits"), workdir)
    weights = workdir / "checkpoints" / "best" / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError, match="damaged"):
        pretrained.package(workdir, "mine", tmp_path)


def test_only_a_run_can_be_packaged_and_only_a_whole_one_replaces_another(tmp_path):
    folder = pretrained.package("packaged:ram_digits", "mine", tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "dataset.json", "checkpoints"):
        with pytest.raises(InputError, match=name):
            pretrained.package(run, "mine", tmp_path)
        if name != "checkpoints":
            shutil.copy(folder / name, run)
    for path, content in before.items():
        assert path.read_bytes() == content


def test_a_packaged_model_can_be_packaged_again_in_half_the_size(tmp_path):
    folder = pretrained.package("packaged:ram_digits", "mine", tmp_path)
    weights = folder / "checkpoints" / "best" / "model.weights.h5"
    size = weights.stat().st_size
    pretrained.package(folder, "mine", tmp_path, half=True)
    assert weights.stat().st_size < 0.55 * size
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    experiment.restore(folder)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("class_names", [*"0123456798"], "6, 7, 9, 8"),
        ("image_shape", [48, 40, 1], "48x40x1"),
    ],
)
def test_other_data_than_it_was_trained_on_are_refused(name, value, said, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(pretrained.locate("packaged:ram_digits"), workdir)
    dataset = json.loads((workdir / "dataset.json").read_text())
    (workdir / "dataset.json").write_text(json.dumps(dataset | {name: value}))
    with pytest.raises(InputError, match=said):
        evaluate(workdir, chosen=["mean"], max_examples=10)
    with pytest.raises(InputError, match=said):
        draw(workdir, "glimpses", tmp_path / "glimpses.png")


def test_what_is_packaged_can_be_built_from_its_config():
    for name in pretrained.names():
        config = experiment.restore(f"packaged:{name}").config
        assert set(config.eval.policies) <= set(experiment.build_policies(config))
