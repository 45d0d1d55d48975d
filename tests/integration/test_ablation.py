"""Variants of a config, trained, compared, and used like any other run."""

import csv
import json
import shutil

import numpy as np
import pytest

from ram_tf import experiment
from ram_tf.studies.evaluate import evaluate
from tests.integration.conftest import read_rows

NAMES = ["both", "fit only"]
IMAGES_PER_EPOCH = 7 * 16  # Of the tiny config.


@pytest.mark.slow
def test_variants_are_compared(trained_variants):
    rows = read_rows(trained_variants / "comparison.csv")
    assert [row["variant"] for row in rows] == NAMES
    for row in rows:
        runs = [trained_variants / row["variant"] / f"seed_{s}" for s in (0, 1)]
        results = [json.loads((run / "results.json").read_text()) for run in runs]
        assert not any("test" in result for result in results)
        tests = [result["validation"] for result in results]
        accuracy = [test["accuracy"] for test in tests]
        assert float(row["accuracy"]) == pytest.approx(np.mean(accuracy))
        std = np.std(accuracy, ddof=1)
        assert float(row["std"]) == pytest.approx(std)
        assert float(row["seeds_error"]) == pytest.approx(std / np.sqrt(2))
        errors = [test["standard_error"] for test in tests]
        assert float(row["standard_error"]) == pytest.approx(np.mean(errors))
        assert row["seeds"] == "2"
        assert row["looks"] == "2"
        assert float(row["after_looks"]) == pytest.approx(np.mean(accuracy))
        configs = [json.loads((run / "config.json").read_text()) for run in runs]
        assert [config["runtime"]["seed"] for config in configs] == [0, 1]
    assert json.loads(rows[1]["overrides"]) == {"phases.train.weights.uncertainty": 0.0}
    weights = configs[0]["phases"]["train"]["weights"]
    assert weights["uncertainty"] == 0 and weights["error_fit"] == 1
    for picture in ("convergence", "glimpses"):
        assert (trained_variants / f"{picture}.png").stat().st_size > 5000
        with np.load(trained_variants / f"{picture}.npz") as data:
            assert set(data) == {f"{name} {axis}" for name in NAMES for axis in "xy"}
            assert data["both y"].shape == (2, 2)
            unit = IMAGES_PER_EPOCH if picture == "convergence" else 1
            np.testing.assert_array_equal(data["both x"], unit * np.arange(1, 3))


@pytest.mark.slow
def test_variants_name_the_config_that_they_vary(
    tiny_active, trained_variants, succeed, tmp_path
):
    file = tmp_path / "variants.py"
    file.write_text(
        f"BASE = {str(tiny_active)!r}\n"
        "VARIANTS = {'center': {'policy.kind': 'center', 'train.epochs': 2,\n"
        "                       'eval.policies': ('learned',)}}\n"
    )
    workdir = tmp_path / "runs"
    result = succeed("tools/ablate.py", f"--variants={file}", f"--workdir={workdir}")
    assert "active_ram (train)" in result.out
    # It was told to look at one place, and draws nothing to average over.
    assert "collapsed" not in result.out
    assert "learned policy, 1 sample(s) averaged" in result.out
    # One training seed says nothing of others.
    (row,) = read_rows(workdir / "comparison.csv")
    assert (row["std"], row["seeds_error"], row["seeds"]) == ("", "", "1")
    assert "over images of one run, 1 training seed(s)" in result.out
    # What looks at the centre shows and predicts by looking there.
    results = json.loads((workdir / "center/seed_0/results.json").read_text())
    assert set(results["comparison"]["policies"]) == {"learned"}
    assert results["steps"] == 14
    restored = experiment.restore(workdir / "center" / "seed_0")
    assert restored.pick() is restored.pick("learned") == restored.pick("center")
    assert "mean" not in restored.policies


@pytest.fixture
def copied(trained_variants, variants, tiny_active, tmp_path):
    """A copy of the trained variants, and the command that goes on with it."""
    workdir = tmp_path / "variants"
    shutil.copytree(trained_variants, workdir)
    return workdir, (
        "tools/ablate.py",
        f"--config={tiny_active}",
        f"--variants={variants}",
        f"--workdir={workdir}",
    )


@pytest.mark.slow
def test_variants_go_on_where_they_stopped_and_look_longer(
    trained_variants, copied, succeed
):
    workdir, command = copied
    result = succeed(*command, "--seeds=0,1", "--num_glimpses=5")
    assert "Epoch" not in result.out  # All were trained.
    row, *_ = read_rows(workdir / "comparison.csv")
    before, *_ = read_rows(trained_variants / "comparison.csv")
    same = set(row) - {"looks", "after_looks"}
    assert {key: row[key] for key in same} == {key: before[key] for key in same}
    assert row["looks"] == "5"
    with np.load(workdir / "glimpses.npz") as longer:
        assert longer["both y"].shape == (2, 5)
        last = longer["both y"][:, -1].mean()
        assert float(row["after_looks"]) == pytest.approx(last)
        folder = workdir / "both" / "seed_1"
        measured = evaluate(
            folder,
            split="validation",
            num_glimpses=[5],
            chosen=["learned"],
            seeds=1,
            max_examples=experiment.restore(folder).config.eval.max_examples,
        )
        accuracy = measured["policies"]["learned"]["accuracy"]["mean"]
        assert longer["both y"][1].tolist() == pytest.approx(accuracy)


@pytest.mark.parametrize(
    "content, said",
    [
        ("VARIANTS = {'a': {'train.momentum': 1}}", "train.momentum"),
        ("VARIANTS = {'a': {'train.epochs': 'many'}}", "train.epochs"),
        ("VARIANTS = {}", "nothing to compare"),
        ("variants = {}", "VARIANTS"),
        ("VARIANTS = {", "VARIANTS"),
        ("VARIANTS = {'a': tru}", "NameError"),
        ("VARIANTS = ['a']", "must be a dictionary"),
        ("VARIANTS = {'a': None}", "must be a dictionary"),
        ("VARIANTS = {'a': {}, 'b': {'eval.policies': ('mean',)}}", "'learned'"),
        (None, "VARIANTS"),
    ],
)
def test_variants_that_cannot_be_are_refused(
    tiny_active, refuse, tmp_path, content, said
):
    file = tmp_path / "variants.py"
    if content is not None:
        file.write_text(content)
    line = refuse(
        "tools/ablate.py",
        f"--config={tiny_active}",
        f"--variants={file}",
        f"--workdir={tmp_path / 'runs'}",
    )
    assert said in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "argument, said",
    [("--seeds=0.7", "whole number, got '0.7'"), ("--split=test", "not measured on")],
)
def test_a_comparison_of_other_runs_is_refused(copied, refuse, argument, said):
    _, command = copied
    assert said in refuse(*command, argument)


@pytest.mark.slow
def test_stopping_is_measured_and_drawn(trained_variants, succeed, tmp_path):
    numbers, picture = tmp_path / "numbers.json", tmp_path / "stopping.png"
    succeed(
        "tools/evaluate.py",
        f"--workdir={trained_variants / 'both' / 'seed_0'}",
        "--num_glimpses=3",
        "--policy=learned,mean",
        "--seeds=2",
        "--stop=settled:0,0.5,1000",
        f"--json={numbers}",
        f"--plot={picture}",
    )
    measured = json.loads(numbers.read_text())["policies"]
    for name in ("learned", "mean"):
        rows = measured[name]["stopping"]
        assert [row["epsilon"] for row in rows] == [0, 0.5, 1000]
        assert rows[0]["glimpses"] == 1  # Any class that leads is enough.
        assert rows[0]["glimpses"] <= rows[1]["glimpses"] <= rows[2]["glimpses"] <= 3
        assert rows[0]["accuracy"] == pytest.approx(
            measured[name]["accuracy"]["mean"][0]
        )
    with np.load(picture.with_suffix(".npz")) as data:
        assert {"mean x", "mean, stopping early y"} <= set(data)


@pytest.mark.slow
def test_predicting_stops_when_it_is_sure(trained_variants, succeed, images, tmp_path):
    workdir = f"--workdir={trained_variants / 'both' / 'seed_0'}"
    looks = {}
    for epsilon in ("0", "1000"):
        path = tmp_path / f"{epsilon}.csv"
        succeed(
            "tools/predict.py",
            workdir,
            images,
            "--num_glimpses=3",
            f"--stop_epsilon={epsilon}",
            f"--output={path}",
        )
        with open(path, newline="") as file:
            looks[epsilon] = [
                len(row["locations"].split()) for row in csv.DictReader(file)
            ]
    assert set(looks["0"]) == {1}
    assert max(looks["1000"]) == 3


@pytest.mark.slow
def test_what_stopping_saves_is_measured(trained_variants, succeed, tmp_path):
    result = succeed(
        "tools/benchmark.py",
        f"--workdir={trained_variants / 'both' / 'seed_0'}",
        "--stop_epsilon=0,1000",
        "--batch=24",
        "--repeats=3",
        f"--json={tmp_path / 'stopping.json'}",
    )
    assert "24 images at once" in result.out
    at_once, never = json.loads((tmp_path / "stopping.json").read_text())
    assert at_once["epsilon"] == 0 and at_once["glimpses"] == 1
    assert never["epsilon"] == 1000 and never["glimpses"] > 1
    assert "time_share" in at_once and "time_share" in never


def test_a_model_that_does_not_know_when_to_stop_says_so(request, refuse, images):
    workdir = request.getfixturevalue("trained")
    line = refuse(
        "tools/predict.py", f"--workdir={workdir}", images, "--stop_epsilon=1"
    )
    assert "when to stop" in line
