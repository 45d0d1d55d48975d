"""Searches as real processes: finished, interrupted, with bad trials, and shared."""

import json
import math
import os
import runpy
import shutil
import signal
import socket

import keras
import keras_tuner
import pytest
from keras_tuner.engine import base_tuner

from ram_tf import experiment
from ram_tf.errors import InputError
from ram_tf.families import find_family
from ram_tf.studies import sharing, tuning
from ram_tf.training.checkpointing import save_checkpoint
from ram_tf.training.loop import NonFiniteLoss
from tests.integration.conftest import (
    assert_same_run,
    assert_same_training,
    read_rows,
    read_state,
)

SPACE = """
SPACE = {
    "train.learning_rate": lambda hp, name: hp.Choice(name, [1e-3, 3e-3, 1e-2]),
    "model.core.units": lambda hp, name: hp.Choice(name, [8, 12]),
}
"""

# Hyperband makes of 3 epochs: three trials of one, and the best of them goes on to 3.
CONFIG = """
import tiny


def get_config():
    config = tiny.get_config()
    config.train.epochs = 3
    config.train.picture_every_epochs = 100
    config.eval.policies = ("learned",)
    config.eval.seeds = 1
    return config
"""

# A search that is told to stop once it has trained a step.
STOPPED = """
import os
import runpy
import signal
import sys

from ram_tf.studies import tuning


def report(line):
    print(line)
    if line.startswith("first step"):
        os.kill(os.getpid(), signal.SIGTERM)


folder, config, space, workdir = sys.argv[1:]
sys.path.append(folder)
status = tuning.search(
    runpy.run_path(config)["get_config"](),
    runpy.run_path(space)["SPACE"],
    workdir,
    tuner="hyperband",
    max_trials=4,
    report=report,
)
sys.exit(status)
"""


@pytest.fixture(scope="module")
def config(tiny_config):
    path = tiny_config.with_name("to_search.py")
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("spaces") / "space.py"
    path.write_text(SPACE)
    return path


def words(config, space, workdir, *more, tuner="hyperband"):
    return (
        "tools/tune.py",
        f"--config={config}",
        f"--space={space}",
        f"--workdir={workdir}",
        f"--tuner={tuner}",
        *more,
    )


@pytest.fixture(scope="module")
def first_round(config, space, succeed, tmp_path_factory):
    """The folder of a search whose trials are all short. Not to be written to."""
    workdir = tmp_path_factory.mktemp("search") / "run"
    result = succeed(*words(config, space, workdir, "--max_trials=3"))
    assert "3 trials, 0 failed" in result.out and "best trial" in result.out
    return workdir


@pytest.fixture(scope="module")
def searched(config, space, first_round, succeed, tmp_path_factory):
    """The folder of that search, gone on with by one trial. Not to be written to."""
    workdir = tmp_path_factory.mktemp("search") / "run"
    shutil.copytree(first_round, workdir)
    succeed(*words(config, space, workdir, "--max_trials=4"))
    return workdir


@pytest.fixture(scope="module")
def best_trained(searched, succeed, tmp_path_factory):
    """The workdir of the best config, trained. Not to be written to."""
    workdir = tmp_path_factory.mktemp("best") / "run"
    best = f"--config={searched / 'best_config.py'}"
    result = succeed("train.py", best, f"--workdir={workdir}")
    assert "test accuracy" in result.out
    return workdir


def read_json(path):
    return json.loads(path.read_text())


def parent(workdir):
    """The trial that the fourth one goes on from."""
    trial = read_json(workdir / "oracle" / "trial_3" / "trial.json")
    return trial["hyperparameters"]["values"]["tuner/trial_id"]


@pytest.mark.slow
def test_a_search_leaves_a_table_a_plot_and_the_best_config(searched):
    rows = read_rows(searched / "trials.csv")
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert {row["status"] for row in rows} == {"COMPLETED"}
    assert [row["epochs"] for row in rows] == ["1", "1", "1", "3"]
    points = [(row["train.learning_rate"], row["model.core.units"]) for row in rows]
    assert len(set(points[:3])) == 3 and points[3] == points[int(parent(searched))]
    assert (searched / "search.png").stat().st_size > 5000
    for row in rows:
        folder = searched / "trials" / row["trial"]
        config = read_json(folder / "config.json")
        assert config["train"]["learning_rate"] == float(row["train.learning_rate"])
        assert config["model"]["core"]["units"] == int(row["model.core.units"])
        results = read_json(folder / "results.json")
        assert results["best"]["value"] == pytest.approx(float(row["score"]))
        assert "validation" in results and "test" not in results
        best = max(
            float(row["val_accuracy"]) for row in read_rows(folder / "metrics.csv")
        )
        assert best == pytest.approx(float(row["score"]))
    best = max(rows, key=lambda row: float(row["score"]))
    namespace = {}
    exec((searched / "best_config.py").read_text(), namespace)
    assert f"trained {best['epochs']} of the 3 epochs" in namespace["__doc__"]
    config = namespace["get_config"]()
    assert config.train.learning_rate == float(best["train.learning_rate"])
    assert config.data.get_type("datapath") is str


@pytest.mark.slow
def test_a_trial_that_goes_on_equals_a_run_that_never_paused(searched, best_trained):
    """What was promoted was the best, so the best config is that of both trials."""
    for trial in ("3", parent(searched)):
        config = read_json(searched / "trials" / trial / "config.json")
        assert config == read_json(best_trained / "config.json")
    assert_same_training(searched / "trials" / "3", best_trained)


@pytest.mark.slow
def test_an_interrupted_trial_goes_on_as_if_nothing_had_happened(
    config, space, first_round, searched, run, tmp_path
):
    workdir, script = tmp_path / "search", tmp_path / "stopped.py"
    shutil.copytree(first_round, workdir)
    # Killed before that, in the middle of a copy.
    (workdir / "trials" / "3.writing" / "checkpoints").mkdir(parents=True)
    script.write_text(STOPPED)
    result = run(script, config.parent, config, space, workdir)
    assert result.status == 128 + signal.SIGTERM, result.err
    assert f"trial 3 goes on from trial {parent(workdir)}, epoch 1" in result.out
    assert "resuming from step 7 " in result.out
    assert "the same command goes on" in result.out
    trial = workdir / "trials" / "3"
    assert read_state(trial / "checkpoints" / "last")["step"] == 8
    assert not list(workdir.rglob("*.writing"))
    result = run(*words(config, space, workdir, "--max_trials=4"))
    assert result.status == 0, result.err
    assert "resuming from step 8 " in result.out
    assert_same_training(trial, searched / "trials" / "3")
    table = (searched / "trials.csv").read_text()
    assert (workdir / "trials.csv").read_text() == table


@pytest.mark.slow
def test_a_trial_is_an_ordinary_workdir_that_trains_to_its_end(
    searched, best_trained, succeed, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(searched / "trials" / parent(searched), workdir)
    best = f"--config={searched / 'best_config.py'}"
    result = succeed("train.py", best, f"--workdir={workdir}")
    assert f"{workdir} ended after epoch 1 and goes on to 3" in result.out
    assert_same_run(workdir, best_trained)
    succeed("tools/evaluate.py", f"--workdir={workdir}", "--policy=mean", "--seeds=1")


def _remove(trial):
    shutil.rmtree(trial)


def _truncate(trial):
    path = trial / "checkpoints" / "last" / "model.weights.h5"
    os.truncate(path, path.stat().st_size // 2)


def _shorten(trial):
    path = trial / "results.json"
    path.write_text(json.dumps(read_json(path) | {"until_epoch": 2}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage, said",
    [
        (_remove, "No such file"),
        (_truncate, "model.weights.h5 is not what was written"),
        (_shorten, "ended after epoch 2, expected 1"),
    ],
)
def test_a_trial_that_cannot_go_on_fails_and_the_search_goes_on(
    config, space, first_round, run, tmp_path, damage, said
):
    workdir = tmp_path / "search"
    shutil.copytree(first_round, workdir)
    for trial in ("0", "1", "2"):
        damage(workdir / "trials" / trial)
    result = run(*words(config, space, workdir, "--max_trials=4"))
    assert result.status == 0, result.err
    assert "4 trials, 1 failed" in result.out
    # When it fails, and at the end once more.
    line, again = (line for line in result.out.splitlines() if "trial 3 failed" in line)
    assert line == again
    assert f"cannot go on from trial {parent(workdir)}" in line and said in line
    row = read_rows(workdir / "trials.csv")[3]
    assert row["status"] == "FAILED" and said in row["message"]
    assert row["epochs"] == ""
    assert not (workdir / "trials" / "3").exists()


@pytest.mark.slow
def test_a_finished_search_is_told_again_and_another_one_refused(
    searched, config, space, succeed, refuse, tmp_path
):
    before = (searched / "trials.csv").read_text()
    result = succeed(*words(config, space, searched, "--max_trials=4"))
    assert "best trial" in result.out and "Epoch" not in result.out
    assert (searched / "trials.csv").read_text() == before
    other = tmp_path / "other.py"
    other.write_text(SPACE.replace("[8, 12]", "[8, 16]"))
    for changed in (
        words(config, other, searched),
        words(config, space, searched, "--objective=val_loss"),
        words(config, space, searched, tuner="grid"),
        words(config, space, searched, "--config.train.batch_size=8"),
    ):
        assert "holds another search" in refuse(*changed)


# Trained by a double: what matters is what it is told, and what it says.


@pytest.fixture
def pham(root, monkeypatch):
    """A config of three phases, each of three epochs."""
    monkeypatch.syspath_prepend(root / "configs")
    import pham_digits

    return experiment.vary(pham_digits.get_config(), {"train.epochs": 3})


@pytest.fixture
def told(monkeypatch):
    """What each trial is told: its config, last epoch, and checkpoint to go on from.

    The score is the number of the trial, but at a learning rate above 1 it fails.
    """
    told = []

    def train(config, workdir, *, phase, until_epoch, **options):
        folder = workdir / phase
        last = folder / "checkpoints" / "last"
        told.append((config, until_epoch, read_state(last)["step"]))
        if config.train.learning_rate > 1:
            raise NonFiniteLoss("the loss was not finite at step 2")
        network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        for name in ("last", "best"):
            state = {"step": len(told)}
            save_checkpoint(folder / "checkpoints" / name, network, None, state)
        best = {"value": len(told)}
        results = {"best": best, "epochs": 1, "until_epoch": until_epoch}
        (folder / "results.json").write_text(json.dumps(results))

    monkeypatch.setattr(experiment, "run", train)
    return told


def rates(*values):
    return {"train.learning_rate": lambda hp, name: hp.Choice(name, list(values))}


def test_a_phase_that_goes_on_keeps_the_start_it_was_given(pham, told, tmp_path):
    pham.train.pretrain_checkpoint = "given"
    phase = find_family("pham").phase("second")
    lines = []
    options = {"tuner": "hyperband", "max_trials": 4, "phase": "second"}
    space = rates(1e-4, 1e-3, 1e-2)
    tuning.search(pham, space, tmp_path, report=lines.append, **options)
    assert [until for _, until, _ in told] == [1, 1, 1, 3]
    # The third was the best, and the fourth found its checkpoint before it began.
    assert [step for *_, step in told] == [0, 0, 0, 3]
    configs = [experiment.phase_config(config, phase).train for config, *_ in told]
    assert {train.pretrain_checkpoint for train in configs} == {"given"}
    assert {train.epochs for train in configs} == {3}
    assert configs[3].to_dict() == configs[2].to_dict()
    assert "--training_phase=second trains all epochs" in lines[-1]
    namespace = {}
    exec((tmp_path / "best_config.py").read_text(), namespace)
    best = experiment.phase_config(namespace["get_config"](), phase)
    assert best.train.to_dict() == configs[3].to_dict()


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian"])
def test_the_seed_decides_what_is_tried(tuner, pham, told, tmp_path):
    space = {"train.learning_rate": lambda hp, name: hp.Float(name, 1e-4, 1e-2)}
    tried = []
    for name, options in (("one", {}), ("same", {"seed": 0}), ("other", {"seed": 1})):
        told.clear()
        options |= {"tuner": tuner, "max_trials": 3, "phase": "first"}
        tuning.search(pham, space, tmp_path / name, report=lambda line: None, **options)
        tried.append([config.train.learning_rate for config, *_ in told])
    assert len(set(tried[0])) == 3
    assert tried[0] == tried[1] != tried[2]


@pytest.mark.slow
def test_of_trials_that_are_equally_good_the_first_is_the_best(
    pham, monkeypatch, tmp_path
):
    def train(config, workdir, *, phase, **options):
        folder = workdir / phase
        folder.mkdir(parents=True)
        results = {"best": {"value": 0.5}, "epochs": 1}
        (folder / "results.json").write_text(json.dumps(results))

    monkeypatch.setattr(experiment, "run", train)
    lines = []
    options = {"tuner": "grid", "max_trials": 3, "phase": "first"}
    for _ in range(2):  # And as the finished search is told again.
        tuning.search(
            pham, rates(1e-4, 1e-3, 1e-2), tmp_path, report=lines.append, **options
        )
        assert any(line.startswith("best trial 0, ") for line in lines)
        lines.clear()


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(pham, told, tmp_path):
    lines = []
    options = {"tuner": "grid", "max_trials": 2, "phase": "first"}
    tuning.search(pham, rates(1e30, 1e-3), tmp_path, report=lines.append, **options)
    assert len(told) == 2 and "2 trials, 1 failed" in lines
    failed, completed = read_rows(tmp_path / "trials.csv")
    assert math.isnan(float(failed["score"])) and failed["epochs"] == ""
    assert "not finite" in failed["message"]
    told_at_the_end = lines[lines.index("2 trials, 1 failed") + 1]
    assert lines.count(told_at_the_end) == 2  # And as it failed.
    assert "trial 0 failed: " in told_at_the_end and "not finite" in told_at_the_end
    assert completed["status"] == "COMPLETED" and completed["epochs"] == "1"


GRID = {"tuner": "grid", "phase": "first", "report": lambda line: None}


@pytest.mark.slow
def test_a_search_goes_on_in_a_folder_that_reads_as_a_pattern(pham, told, tmp_path):
    workdir, space = tmp_path / "lr[1e-3]*?", rates(1e-4, 1e-3, 1e-2)
    tuning.search(pham, space, workdir, max_trials=2, **GRID)
    tuning.search(pham, space, workdir, max_trials=3, **GRID)
    assert len(told) == 3
    assert [row["score"] for row in read_rows(workdir / "trials.csv")] == [
        *("1.0", "2.0", "3.0")
    ]


@pytest.mark.parametrize("name", ["oracle.json", "tuner0.json", "trial_0/trial.json"])
def test_a_state_that_is_cut_in_half_is_one_line(pham, told, tmp_path, name):
    tuning.search(pham, rates(1e-4, 1e-3), tmp_path, max_trials=1, **GRID)
    path = tmp_path / "oracle" / name
    path.write_text(path.read_text()[: len(path.read_text()) // 2])
    with pytest.raises(InputError, match="state of the search in .* is damaged"):
        tuning.search(pham, rates(1e-4, 1e-3), tmp_path, max_trials=2, **GRID)
    shutil.rmtree(tmp_path / "oracle")
    tuning.search(pham, rates(1e-4, 1e-3), tmp_path, max_trials=2, **GRID)
    assert len(read_rows(tmp_path / "trials.csv")) == 2


def test_a_folder_has_one_search_at_a_time(pham, told, tmp_path):
    options = {**GRID, "max_trials": 1}
    with (
        sharing.held(tmp_path),
        pytest.raises(InputError, match="another search is running in"),
    ):
        tuning.search(pham, rates(1e-3, 1e-2), tmp_path, **options)
    assert not told
    tuning.search(pham, rates(1e-3, 1e-2), tmp_path, **options)
    assert len(told) == 1


@pytest.fixture
def member(monkeypatch):
    """Returns a function that makes this process a member of a shared search."""

    def be(name, port, address="127.0.0.1"):
        values = {"TUNER_ID": name, "ORACLE_IP": address, "ORACLE_PORT": str(port)}
        for key, value in values.items():
            monkeypatch.setenv(f"KERASTUNER_{key}", value)

    return be


def test_a_port_that_is_taken_is_one_line(member, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        member("chief", port)
        with (
            pytest.raises(InputError, match=f"cannot listen at 127.0.0.1:{port} "),
            sharing.held(tmp_path),
        ):
            pytest.fail("it was taken")
    with sharing.held(tmp_path):
        pass


@pytest.mark.parametrize("port", ["", "many", "70000"])
def test_a_port_that_is_none_is_one_line(member, tmp_path, port):
    member("chief", port)
    with pytest.raises(InputError, match="PORT"), sharing.held(tmp_path):
        pytest.fail("it was taken")


def test_two_workers_have_two_names(member, tmp_path):
    for name in ("a", "b"):
        member(name, 1)
        with sharing.held(tmp_path):
            if name == "a":
                with (
                    pytest.raises(InputError, match="another worker of the search"),
                    sharing.held(tmp_path),
                ):
                    pytest.fail("it was taken")


def test_the_trials_of_workers_that_are_gone_are_ended(member, tmp_path):
    oracle = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("score", "max"), max_trials=2, seed=1
    )
    oracle.verbose = 0
    oracle.update_space(_space())
    base_tuner.BaseTuner(oracle, directory=str(tmp_path), project_name="oracle")
    member("a", 1)
    with sharing.held(tmp_path):
        oracle.create_trial("a")
        assert sharing.missing_workers(oracle, tmp_path) == {}
    oracle.create_trial("never seen")  # Of a file system without locks, say.
    assert sharing.missing_workers(oracle, tmp_path) == {"a": "0"}
    sharing.end_trials_of({"a": "0"}, oracle)
    assert set(oracle.ongoing_trials) == oracle.tuner_ids == {"never seen"}
    assert oracle.trials["0"].status == "FAILED"
    assert "its worker a ended" in oracle.trials["0"].message


def _space():
    parameters = keras_tuner.HyperParameters()
    parameters.Float("rate", 0.0, 1.0)
    return parameters


@pytest.mark.parametrize(
    "space, options, said",
    [
        ({"train.epochs": None}, {"tuner": "hyperband"}, "which hyperband decides"),
        ({"phases.first.epochs": None}, {"tuner": "hyperband"}, "hyperband decides"),
        ({"train.monitor": None}, {}, "train.monitor, which the objective decides"),
        ({}, {"phase": None}, "phases first, second, third: name the one"),
        ({}, {"phase": "second"}, "--pretrain_checkpoint"),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused(pham, tmp_path, space, options, said):
    options = {"phase": "first", **options}
    with pytest.raises(InputError, match=said):
        tuning.search(pham, rates(1e-3, 1e-2) | space, tmp_path / "search", **options)
    assert not (tmp_path / "search").exists()


@pytest.mark.slow
def test_a_run_that_stopped_early_has_nothing_to_go_on_with(tiny_config, tmp_path):
    """A learning rate that moves nothing: the second epoch is no better."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tiny_config.parent)
        config = runpy.run_path(str(tiny_config))["get_config"]()
    config.train.learning_rate = 1e-30
    config.train.early_stopping_patience = 1
    config.runtime.deterministic = False  # That would hold for the tests after it.
    for until, epochs in ((1, 1), (3, 2), (None, 2)):
        experiment.run(
            config, tmp_path / "run", until_epoch=until, report=lambda line: None
        )
        results = read_json(tmp_path / "run" / "results.json")
        assert results["epochs"] == epochs
        assert results["until_epoch"] == (until or config.train.epochs)


@pytest.mark.slow
def test_a_chief_and_two_workers_share_a_search(config, space, fork, tmp_path):
    workdir = tmp_path / "search"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    commands = [
        fork(
            *words(config, space, workdir, "--max_trials=6"),
            environment={
                "KERASTUNER_TUNER_ID": name,
                "KERASTUNER_ORACLE_IP": "127.0.0.1",
                "KERASTUNER_ORACLE_PORT": str(port),
            },
        )
        for name in ("chief", "tuner0", "tuner1")
    ]
    results = [command.finish() for command in commands]
    assert [result.status for result in results] == [0, 0, 0], results
    rows = read_rows(workdir / "trials.csv")
    assert len(rows) == 6
    assert {row["status"] for row in rows} == {"COMPLETED"}
    assert sorted(row["epochs"] for row in rows) == ["1"] * 3 + ["3"] * 3
    chief, *workers = results
    assert all("trial " in worker.out for worker in workers), results
    assert any("goes on from trial" in worker.out for worker in workers), results
    assert "6 trials, 0 failed" in chief.out
