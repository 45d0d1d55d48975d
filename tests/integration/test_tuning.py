"""Searches as real processes: finished, interrupted, with bad trials, and shared."""

import json
import math
import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.integration.conftest import ROOT, read_rows, read_state

SPACE = """
SPACE = {
    "train.learning_rate": lambda hp, name: hp.Choice(name, [1e-3, 3e-3, 1e-2]),
    "model.core.units": lambda hp, name: hp.Choice(name, [8, 12]),
}
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("spaces") / "space.py"
    path.write_text(SPACE)
    return path


def words(config, space, workdir, *more):
    return (
        "tools/tune.py",
        f"--config={config}",
        f"--space={space}",
        f"--workdir={workdir}",
        "--config.train.epochs=2",
        *more,
    )


@pytest.fixture(scope="module")
def searched(tiny_config, space, succeed, tmp_path_factory):
    """The folder of a finished search. Not to be written to."""
    workdir = tmp_path_factory.mktemp("search") / "run"
    result = succeed(*words(tiny_config, space, workdir, "--max_trials=3"))
    assert "3 trials, 0 failed" in result.out and "best trial" in result.out
    return workdir


def test_a_search_leaves_a_table_a_plot_and_the_best_config(searched, succeed):
    rows = read_rows(searched / "trials.csv")
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    assert {row["status"] for row in rows} == {"COMPLETED"}
    points = {(row["train.learning_rate"], row["model.core.units"]) for row in rows}
    assert len(points) == 3
    assert (searched / "search.png").stat().st_size > 5000
    for row in rows:
        folder = searched / "trials" / row["trial"]
        config = json.loads((folder / "config.json").read_text())
        assert config["train"]["learning_rate"] == float(row["train.learning_rate"])
        assert config["model"]["core"]["units"] == int(row["model.core.units"])
        results = json.loads((folder / "results.json").read_text())
        assert results["best"]["value"] == pytest.approx(float(row["score"]))
        assert "validation" in results and "test" not in results
    best = max(rows, key=lambda row: float(row["score"]))
    namespace = {}
    exec((searched / "best_config.py").read_text(), namespace)
    config = namespace["get_config"]()
    assert config.train.learning_rate == float(best["train.learning_rate"])
    assert config.data.get_type("datapath") is str


def test_the_best_config_trains_and_a_trial_is_an_ordinary_workdir(
    searched, succeed, tmp_path
):
    result = succeed(
        "train.py",
        f"--config={searched / 'best_config.py'}",
        f"--workdir={tmp_path / 'run'}",
        "--config.train.epochs=1",
    )
    assert "test accuracy" in result.out
    succeed(
        "tools/evaluate.py",
        f"--workdir={searched / 'trials' / '0'}",
        "--policy=mean",
        "--seeds=1",
    )


def test_a_finished_search_is_told_again_and_another_one_refused(
    searched, tiny_config, space, succeed, refuse, tmp_path
):
    before = (searched / "trials.csv").read_text()
    result = succeed(*words(tiny_config, space, searched, "--max_trials=3"))
    assert "best trial" in result.out and "Epoch" not in result.out
    assert (searched / "trials.csv").read_text() == before
    other = tmp_path / "other.py"
    other.write_text(SPACE.replace("[8, 12]", "[8, 16]"))
    for changed in (
        words(tiny_config, other, searched),
        words(tiny_config, space, searched, "--objective=val_loss"),
        words(tiny_config, space, searched, "--tuner=grid"),
        words(tiny_config, space, searched, "--config.train.batch_size=8"),
    ):
        assert "holds another search" in refuse(*changed)


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(
    tiny_config, run, tmp_path
):
    space = tmp_path / "space.py"
    space.write_text(
        "SPACE = {'train.learning_rate': "
        "lambda hp, name: hp.Choice(name, [1e30, 1e-3])}"
    )
    workdir = tmp_path / "search"
    result = run(*words(tiny_config, space, workdir, "--tuner=grid", "--max_trials=2"))
    assert result.status == 0, result.err
    rows = {
        float(row["train.learning_rate"]): row
        for row in read_rows(workdir / "trials.csv")
    }
    assert "2 trials, 1 failed" in result.out
    assert math.isnan(float(rows[1e30]["score"]))
    assert "not finite" in rows[1e30]["message"]
    assert rows[1e-3]["status"] == "COMPLETED"


@pytest.mark.slow
def test_hyperband_trains_the_best_further(tiny_config, space, succeed, tmp_path):
    workdir = tmp_path / "search"
    succeed(
        *words(
            tiny_config,
            space,
            workdir,
            "--tuner=hyperband",
            "--max_trials=6",
            "--config.train.epochs=4",
        )
    )
    rows = read_rows(workdir / "trials.csv")
    assert len(rows) == 6 and {"2", "4"} <= {row["epochs"] for row in rows}
    longer = [row for row in rows if row["epochs"] == "4"]
    configs = [
        json.loads((workdir / "trials" / row["trial"] / "config.json").read_text())
        for row in longer
    ]
    assert any(config["train"]["pretrain_checkpoint"] for config in configs)
    for config in configs:
        assert config["train"]["epochs"] == 4


def test_an_interrupted_search_goes_on(tiny_config, space, start, tmp_path):
    workdir = tmp_path / "search"
    command = words(tiny_config, space, workdir, "--max_trials=2")
    last = workdir / "trials" / "1" / "checkpoints" / "last"
    stopped = start(*command).wait_for(lambda: read_state(last)["step"] >= 3)
    result = stopped.send(signal.SIGTERM).finish()
    assert result.status == 128 + signal.SIGTERM, result.err
    assert not (workdir / "best_config.py").exists()
    result = start(*command).finish()
    assert result.status == 0, result.err
    assert "resuming from step" in result.out
    rows = read_rows(workdir / "trials.csv")
    assert [row["status"] for row in rows] == ["COMPLETED", "COMPLETED"]


@pytest.mark.slow
def test_a_chief_and_two_workers_share_a_search(tiny_config, space, tmp_path):
    workdir = tmp_path / "search"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = {}
    for name in ("chief", "tuner0", "tuner1"):
        processes[name] = subprocess.Popen(
            [
                sys.executable,
                *words(tiny_config, space, workdir, "--max_trials=4"),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "KERASTUNER_TUNER_ID": name,
                "KERASTUNER_ORACLE_IP": "127.0.0.1",
                "KERASTUNER_ORACLE_PORT": str(port),
            },
        )
    said = {name: each.communicate(timeout=300)[0] for name, each in processes.items()}
    assert [each.returncode for each in processes.values()] == [0, 0, 0], said
    rows = read_rows(workdir / "trials.csv")
    assert len(rows) == 4
    assert {row["status"] for row in rows} == {"COMPLETED"}
    for name in ("tuner0", "tuner1"):
        assert "trial " in said[name], said
    assert "4 trials, 0 failed" in said["chief"]
