"""The commands one after another on one small run, as a user meets them."""

import csv
import io
import json
import os
import shutil
import signal
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.integration.conftest import ROOT, assert_same_arrays, read_rows
from tests.omniglot import write_omniglot

POLICIES = {"learned", "mean", "random", "center", "raster"}
MEASURES = {"accuracy", "accuracy_one_sample", "nll", "calibration_error"}
TINY_OPEN_SET_CONFIG = """
import omniglot
import tiny


def get_config():
    config = tiny.get_config()
    whole = omniglot.get_config()
    config.family = whole.family
    config.data = whole.data
    config.data.image_size = (20, 20)
    config.phases = whole.phases
    config.eval.max_examples = 1000
    config.eval.policies = ("learned",)
    return config
"""


def test_a_run_leaves_what_the_contract_names(trained):
    results = json.loads((trained / "results.json").read_text())
    test = results["test"]
    assert test["num_examples"] == 48
    assert len(test["accuracy_per_glimpse"]) == 2
    assert test["accuracy"] == test["accuracy_per_glimpse"][-1]
    # Each a count: of 48 images, and of two samples of each.
    for count in (48 * test["accuracy"], 2 * 48 * test["accuracy_one_sample"]):
        assert count == pytest.approx(round(count), abs=1e-4)
    assert results["train_seconds"] > 0
    learned = results["comparison"]["policies"]["learned"]
    assert test["standard_error"] == learned["accuracy"]["standard_error"][-1]
    assert results["steps"] == 28
    config = json.loads((trained / "config.json").read_text())
    assert config["train"]["epochs"] == 4 and config["runtime"]["seed"] == 0
    rows = read_rows(trained / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= rows[0].keys()
    assert {"spread", "coverage", "revisits", "images_per_second"} <= rows[0].keys()
    rates = [float(row["images_per_second"]) for row in rows]
    assert results["images_per_second"] == pytest.approx(np.median(rates))
    for name in ("best", "last"):
        assert {path.name for path in (trained / "checkpoints" / name).iterdir()} == {
            "model.weights.h5",
            "optimizer.h5",
            "state.json",
        }
    assert list((trained / "tensorboard").rglob("events.*"))
    pictures = {path.name for path in (trained / "figures").glob("*.png")}
    assert pictures == {"epoch_0002.png", "epoch_0004.png", "test_glimpses.png"}


@pytest.mark.slow
def test_evaluate_compares_every_policy(trained, succeed, tmp_path):
    path = tmp_path / "new" / "numbers.json"
    result = succeed(
        "tools/evaluate.py",
        f"--workdir={trained}",
        "--mc_samples=3",
        "--seeds=2",
        "--max_examples=40",
        f"--json={path}",
    )
    assert f"wrote {path}" in result.out and "\x1b" not in result.out
    assert " % (" in result.out and "/40)" in result.out
    whole = json.loads(path.read_text())
    assert whole["policies"].keys() == POLICIES
    assert (whole["mc_samples"], whole["seeds"], whole["num_examples"]) == (3, 2, 40)
    for measured in whole["policies"].values():
        for name in MEASURES:
            errors = {"mean", "std", "standard_error"}
            if name == "calibration_error":  # No mean over images.
                errors.remove("standard_error")
            assert measured[name].keys() == errors
            for key in errors - {"std"}:
                assert len(measured[name][key]) == 2
            if measured["seeds"] == 1:
                assert measured[name]["std"] is None
            else:
                assert len(measured[name]["std"]) == 2
    # What does not sample is run once.
    seeds = {name: measured["seeds"] for name, measured in whole["policies"].items()}
    assert (seeds["learned"], seeds["center"]) == (2, 1)
    learned = whole["policies"]["learned"]
    first, other = learned["num_correct"]
    assert (first + other) / 80 == pytest.approx(learned["accuracy"]["mean"][-1])
    assert f"the first {100 * first / 40:.2f} % ({first}/40)" in result.out


def test_evaluate_agrees_with_the_final_test(trained, succeed, tmp_path):
    path = tmp_path / "numbers.json"
    succeed(
        "tools/evaluate.py",
        f"--workdir={trained}",
        "--policy=learned,center",
        "--num_glimpses=2,1",
        "--seeds=1",
        "--max_examples=48",
        f"--json={path}",
    )
    whole = json.loads(path.read_text())
    compared = whole["policies"]
    assert whole["by_num_glimpses"].keys() == {"2", "1"}
    once = whole["by_num_glimpses"]["1"]["policies"]["learned"]["accuracy"]["mean"]
    assert len(once) == 1
    results = json.loads((trained / "results.json").read_text())
    final = results["comparison"]["policies"]
    assert compared.keys() == {"learned", "center"}
    for name, measured in compared.items():
        assert measured["accuracy"] == final[name]["accuracy"]


@pytest.mark.slow
def test_evaluate_reads_any_checkpoint_and_perturbed_images(trained, succeed, tmp_path):
    path = tmp_path / "numbers.json"
    last = trained / "checkpoints" / "last.previous"
    result = succeed(
        "tools/evaluate.py",
        f"--workdir={trained}",
        f"--checkpoint={last}",
        "--policy=mean",
        "--max_examples=20",
        "--split=validation",
        "--robustness",
        f"--json={path}",
    )
    assert f"{last}, digits validation set" in result.out
    robustness = json.loads(path.read_text())["robustness"]
    assert len(robustness) == 4
    for accuracy in robustness.values():
        assert len(accuracy["mean"]) == len(accuracy["standard_error"]) == 2


@pytest.mark.parametrize(
    ("kind", "name", "arguments"),
    [
        ("glimpses", "new/glimpses.png", ["--num_images=2", "--checkpoint=last"]),
        ("animation", "animation.gif", ["--num_images=2", "--num_glimpses=3"]),
        ("curves", "curves.png", []),
    ],
)
def test_visualize_draws_each_kind(kind, name, arguments, trained, succeed, tmp_path):
    output = tmp_path / name
    result = succeed(
        "tools/visualize.py",
        f"--workdir={trained}",
        f"--kind={kind}",
        f"--output={output}",
        *arguments,
    )
    assert f"wrote {output}" in result.out
    with Image.open(output) as picture:
        picture.load()
        assert getattr(picture, "n_frames", 1) == (3 if kind == "animation" else 1)
    assert len(np.load(output.with_suffix(".npz")).files) > 1


def test_visualize_draws_files(trained, images, succeed, tmp_path):
    succeed(
        "tools/visualize.py",
        f"--workdir={trained}",
        f"--images={images}/colour.png,{images}/odd.jpg",
        "--policy=random",
        f"--output={tmp_path}/x.png",
    )
    with np.load(tmp_path / "x.npz") as numbers:
        assert numbers["images"].shape == (2, 20, 20, 1)
        assert numbers["locations"].shape == (2, 2, 2)


@pytest.mark.slow
def test_a_file_is_classified_alike_in_any_order_and_batch(
    trained_phases, succeed, images, tmp_path
):
    files = sorted(path for path in images.rglob("*.*") if path.suffix != ".txt")
    rows = []
    for order, batch_size in ((files, 2), (files[::-1], 1), (files, 64)):
        path = tmp_path / f"{len(rows)}.csv"
        succeed(
            "tools/predict.py",
            f"--workdir={trained_phases}",
            *order,
            f"--batch_size={batch_size}",
            f"--output={path}",
        )
        rows.append(sorted(read_rows(path), key=lambda row: row["file"]))
    assert len(rows[0]) == 3
    assert rows[0] == rows[1] == rows[2]


def test_predict_reads_files_and_folders_of_any_size_and_colour(
    trained, images, succeed, tmp_path
):
    predict = ("tools/predict.py", f"--workdir={trained}")
    output = tmp_path / "new" / "predictions.csv"
    result = succeed(*predict, images, f"--output={output}", "--batch_size=2")
    assert f"wrote {output}: 3 images" in result.out
    rows = read_rows(output)
    assert [row["file"] for row in rows] == [
        str(images / name) for name in ("colour.png", "in/grey.bmp", "odd.jpg")
    ]
    for row in rows:
        # The best of ten classes.
        assert row["class"] in "0123456789" and 0.1 <= float(row["probability"]) <= 1
        assert len(row["locations"].split()) == 2
    # Two processes or machines could have shared them.
    for index in range(2):
        shard = f"--shard={index}/2"
        succeed(*predict, images, f"--output={tmp_path / 'part.csv'}", shard)
    parts = [read_rows(tmp_path / f"part-0000{i}-of-00002.csv") for i in range(2)]
    names = [os.path.relpath(row["file"], images) for row in rows]
    of_shard = [zlib.crc32(os.fsencode(name)) % 2 for name in names]
    assert parts == [
        [row for row, shard in zip(rows, of_shard) if shard == index]
        for index in range(2)
    ]
    # The same on the terminal, one file after the other, and nothing else.
    result = succeed(*predict, *(row["file"] for row in rows))
    assert list(csv.DictReader(io.StringIO(result.out))) == rows


@pytest.mark.slow
def test_benchmark_measures_what_the_contract_names(tiny_config, succeed, tmp_path):
    path = tmp_path / "speed.json"
    result = succeed(
        "tools/benchmark.py",
        f"--config={tiny_config}",
        "--image_size=20,30",
        "--batch=8",
        "--repeats=3",
        f"--json={path}",
    )
    assert f"wrote {path}" in result.out
    numbers = json.loads(path.read_text())
    for name in (
        "train_images_per_second",
        "eval_images_per_second",
        "flops_per_image",
        "eval_flops_per_image",
        "matmul_gflops",
        "train_fraction",
    ):
        assert numbers[name] > 0


@pytest.mark.slow
def test_short_names_and_a_config_after_its_overrides(
    tiny_config, trained, succeed, tmp_path
):
    workdir = tmp_path / "run"
    result = succeed(
        "train.py",
        "--lr=0.002",
        "--batch",
        "32",
        "--batchv=24",
        "--T=3",
        "--epochs=1",
        "--pretrain_checkpoint=None",
        "--strategy=mirrored",  # A plain process has one CPU device: one replica.
        "--config.train.steps_per_epoch=2",
        f"--logfolder={workdir}",
        f"--config={tiny_config}",
    )
    assert "1 replica(s)" in result.out
    config = json.loads((workdir / "config.json").read_text())
    assert config["train"]["learning_rate"] == 0.002
    assert config["train"]["batch_size"] == 32
    assert config["train"]["num_glimpses"] == 3
    assert config["train"]["epochs"] == 1
    assert config["train"]["pretrain_checkpoint"] is None
    assert config["eval"]["batch_size"] == 24
    assert config["runtime"]["strategy"] == "mirrored"
    results = json.loads((workdir / "results.json").read_text())
    assert results["steps"] == 2 and len(results["test"]["accuracy_per_glimpse"]) == 3


@pytest.mark.slow
def test_an_open_set_is_trained_and_told_apart(tiny_config, succeed, tmp_path):
    (tmp_path / "data").mkdir()
    archives = write_omniglot(tmp_path / "data")
    config = tiny_config.with_name("tiny_open_set.py")
    shutil.copy(ROOT / "configs" / "omniglot.py", config.parent)
    config.write_text(TINY_OPEN_SET_CONFIG)
    workdir = tmp_path / "run"
    result = succeed(
        "train.py",
        f"--config={config}",
        f"--datapath={archives}",
        f"--workdir={workdir}",
    )
    assert "learned, 2 averaged, unknown" in result.out
    (measured,) = json.loads((workdir / "results.json").read_text())["comparison"][
        "policies"
    ].values()
    whole, known, unknown = (
        measured[name]["mean"][-1]
        for name in ("accuracy", "accuracy_known", "accuracy_unknown")
    )
    assert min(known, unknown) <= whole <= max(known, unknown)


@pytest.mark.slow
def test_training_starts_from_the_weights_of_another_run(
    tiny_config, trained, succeed, tmp_path
):
    workdir = tmp_path / "run"
    succeed(
        "train.py",
        f"--config={tiny_config}",
        f"--workdir={workdir}",
        f"--pretrain_checkpoint={trained}",
        "--epochs=1",
        "--config.train.steps_per_epoch=1",
        "--lr=1e-30",
    )
    name = "checkpoints/best/model.weights.h5"
    assert_same_arrays(workdir / name, trained / name)


@pytest.mark.slow
def test_a_folder_of_colour_images_goes_through_everything(
    tiny_config, succeed, tmp_path
):
    draw = np.random.default_rng(0)
    for name in ("cats", "dogs", "emus"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for number in range(8):
            pixels = draw.integers(0, 256, (31 + number, 47, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.jpg")
    workdir = tmp_path / "run"
    result = succeed(
        "train.py",
        f"--config={ROOT}/configs/ram_folder.py",
        f"--datapath={tmp_path}/data",
        f"--workdir={workdir}",
        "--config.data.image_size=(24,40)",
        "--config.model.core.units=16",
        "--config.runtime.xla=False",
        "--batch=5",
        "--batchv=3",
        "--T=2",
        "--epochs=1",
        "--config.eval.mc_samples=2",
        "--config.eval.policies=('learned',)",
    )
    assert "images of 24x40x3" in result.out
    output = tmp_path / "predictions.csv"
    succeed(
        "tools/predict.py",
        f"--workdir={workdir}",
        tmp_path / "data" / "emus",
        f"--output={output}",
    )
    assert {row["class"] for row in read_rows(output)} <= {"cats", "dogs", "emus"}
    assert len(read_rows(output)) == 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("xla", "dtype"), [(False, "mixed_bfloat16"), (True, "mixed_float16")]
)
def test_reduced_precision_trains_stops_and_resumes(
    dtype, xla, tiny_config, start, succeed, tmp_path
):
    workdir = tmp_path / "run"
    arguments = (
        "train.py",
        f"--config={tiny_config}",
        f"--workdir={workdir}",
        f"--mixed_precision={dtype}",
        f"--config.runtime.xla={xla}",
        "--epochs=2",
    )
    command = start(*arguments)
    command.wait_for((workdir / "checkpoints" / "last").exists)
    result = command.send(signal.SIGTERM).finish()
    assert (result.status, result.err) == (143, "")
    succeed(*arguments)
    losses = [float(row["loss"]) for row in read_rows(workdir / "metrics.csv")]
    assert len(losses) == 2 and np.isfinite(losses).all()
    succeed(
        "tools/evaluate.py", f"--workdir={workdir}", "--policy=learned", "--seeds=1"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("evaluate", ["--seeds=1", "--max_examples=16", "--robustness"]),
        ("visualize", ["--output={tmp}/x.png"]),
        ("predict", ["{tmp}/image.png"]),
    ],
)
def test_a_fresh_process_prints_no_noise(script, arguments, trained, start, tmp_path):
    Image.new("L", (20, 20)).save(tmp_path / "image.png")
    arguments = [word.format(tmp=tmp_path) for word in arguments]
    result = start(f"tools/{script}.py", f"--workdir={trained}", *arguments).finish()
    assert (result.status, result.err) == (0, "")


@pytest.mark.slow
def test_a_run_with_xla_prints_no_noise(tiny_config, start, tmp_path):
    result = start(
        "train.py",
        f"--config={tiny_config}",
        f"--workdir={tmp_path}/run",
        "--config.runtime.xla=True",
        "--epochs=1",
    ).finish()
    assert (result.status, result.err) == (0, "")
