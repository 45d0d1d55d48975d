"""Stopped anywhere and started again, a run ends with the same numbers."""

import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
from PIL import Image

from tests.integration.conftest import (
    assert_refused,
    assert_same_run,
    read_rows,
    read_state,
)


def _step(workdir):
    return read_state(workdir / "checkpoints" / "last")["step"]


def _kill_after_checkpoint(command, workdir):
    """Kills as soon as a checkpoint inside an epoch is there."""
    before = _step(workdir)
    command.wait_for(lambda: _step(workdir) > before and _step(workdir) % 7)
    return command.send(signal.SIGKILL).finish()


def _kill_between_epochs(command, workdir):
    """Kills when validation is done and reported, and nothing of it saved."""
    events = workdir / "tensorboard" / "validation"
    before = len(list(events.glob("*")))
    command.wait_for(lambda: len(list(events.glob("*"))) > before)
    return command.send(signal.SIGKILL).finish()


def _kill_while_writing(command, workdir):
    """Kills while the folder of a checkpoint that is being written is there."""

    def writing():
        return any(
            (workdir / "checkpoints" / f"{name}.writing").exists()
            for name in ("last", "best")
        )

    while True:
        command.wait_for(writing).send(signal.SIGSTOP)
        time.sleep(0.01)  # Until it has stopped.
        if writing():
            return command.send(signal.SIGKILL).finish()
        command.send(signal.SIGCONT)


def _truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def test_a_killed_run_ends_with_the_same_numbers(tiny_config, trained, fork, tmp_path):
    workdir = tmp_path / "run"
    arguments = ("train.py", f"--config={tiny_config}", f"--workdir={workdir}")
    result = _kill_after_checkpoint(fork(*arguments), workdir)
    assert result.status == -signal.SIGKILL
    result = fork(*arguments).finish()
    assert (result.status, result.err) == (0, "")
    assert "resuming from step " in result.out
    assert_same_run(workdir, trained)


@pytest.mark.slow
def test_a_run_stopped_in_every_way_ends_with_the_same_numbers(
    tiny_config, trained, fork, run, tmp_path
):
    workdir = tmp_path / "run"
    arguments = ("train.py", f"--config={tiny_config}", f"--workdir={workdir}")
    last = workdir / "checkpoints" / "last"

    for stop in (_kill_after_checkpoint, _kill_between_epochs):
        result = stop(fork(*arguments), workdir)
        assert result.status == -signal.SIGKILL
    assert _step(workdir) == 6

    # A damaged checkpoint: the one before it, at step 3, is there.
    _truncate(last / "model.weights.h5")
    result = _kill_while_writing(fork(*arguments), workdir)
    assert result.status == -signal.SIGKILL

    # A clean stop; while the run holds the workdir, no other may.
    before = _step(workdir)
    command = fork(*arguments).wait_for(lambda: _step(workdir) > before)
    command.send(signal.SIGSTOP)
    second = run(*arguments)
    assert_refused("train.py", second)
    assert f"another process is training in {workdir}" in second.err
    result = command.send(signal.SIGTERM).send(signal.SIGCONT).finish()
    assert (result.status, result.err) == (143, "")
    assert "resuming from step 3 " in result.out
    assert f"falling back to {last}.previous (step 3)" in result.out
    assert f"stopped at step {_step(workdir)} and saved in {last}" in result.out

    _truncate(last / "state.json")
    result = fork(*arguments).wait_for(lambda: _step(workdir)).finish()
    assert (result.status, result.err) == (0, "")
    assert f"checkpoint {last} is damaged" in result.out
    assert f"falling back to {last}.previous" in result.out
    assert not list(workdir.rglob("*.writing"))
    assert_same_run(workdir, trained)


@pytest.mark.slow
def test_a_folder_read_from_a_file_ends_with_the_same_numbers_as_from_memory(
    tiny_config, fork, tmp_path
):
    config = tiny_config.with_name("tiny_folder.py")
    config.write_text(
        "import common\nimport tiny\n\n\ndef get_config():\n"
        "    config = tiny.get_config()\n    config.data = common.folder()\n"
        "    config.data.image_size = (12, 10)\n    return config\n"
    )
    rng = np.random.default_rng(0)
    for number in range(200):
        path = tmp_path / "images" / str(number % 3) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (12, 10 + number % 4, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    def begin(name, *more):
        places = f"--datapath={tmp_path / 'images'}", f"--workdir={tmp_path / name}"
        words = "train.py", f"--config={config}", *places, *more
        return fork(*words, environment=cache)

    result = begin("memory").finish()
    assert (result.status, result.err) == (0, "")
    assert not (tmp_path / "cache").exists()
    file = "--config.data.max_gigabytes=0"
    _kill_after_checkpoint(begin("file", file), tmp_path / "file")
    result = begin("file", file).finish()
    assert (result.status, result.err) == (0, "")
    assert "resuming from step " in result.out and "decoding" not in result.out
    assert_same_run(tmp_path / "file", tmp_path / "memory")


@pytest.mark.slow
def test_an_interrupt_stops_cleanly_and_overwrite_starts_anew(
    tiny_config, trained, fork, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    arguments = (f"--config={tiny_config}", f"--workdir={workdir}", "--overwrite")
    command = fork("train.py", *arguments)
    command.wait_for(lambda: not (workdir / "results.json").exists())
    command.wait_for(lambda: _step(workdir))
    result = command.send(signal.SIGINT).finish()
    assert (result.status, result.err) == (130, "")
    assert "the same command goes on" in result.out
    assert "resuming" not in result.out
    assert 0 < _step(workdir) < 28
    assert not (workdir / "results.json").exists()


def test_a_finished_run_only_reports(tiny_config, trained, succeed, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    kept = {
        path: path.stat().st_mtime_ns for path in (workdir / "checkpoints").rglob("*")
    }
    result = succeed("train.py", f"--config={tiny_config}", f"--workdir={workdir}")
    assert "test accuracy" in result.out and f"wrote {workdir}" in result.out
    assert "Epoch" not in result.out
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert_same_run(workdir, trained)


def test_a_changed_config_is_refused_with_the_keys_that_differ(
    tiny_config, trained, refuse
):
    line = refuse(
        "train.py",
        f"--config={tiny_config}",
        f"--workdir={trained}",
        "--lr=0.5",
        "--config.model.core.units=32",
    )
    assert "model.core.units was 16, is 32" in line
    assert "train.learning_rate was 0.001, is 0.5" in line
    assert "--overwrite" in line and "train.epochs" not in line


@pytest.mark.slow
def test_what_the_final_test_alone_reads_may_change_until_it_is_done(
    tiny_config, trained, succeed, refuse, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    command = (
        "train.py",
        f"--config={tiny_config}",
        f"--workdir={workdir}",
        "--config.eval.mc_samples=3",
    )
    assert "eval.mc_samples was 2, is 3" in refuse(*command)
    (workdir / "results.json").unlink()
    result = succeed(*command)
    assert "Epoch" not in result.out and "3 sample(s) averaged" in result.out
    config = json.loads((workdir / "config.json").read_text())
    assert config["eval"]["mc_samples"] == 3


def test_without_a_whole_checkpoint_a_run_stops_in_one_line(
    tiny_config, trained, run, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    (workdir / "results.json").unlink()
    for name in ("last", "last.previous"):
        _truncate(workdir / "checkpoints" / name / "model.weights.h5")
    result = run("train.py", f"--config={tiny_config}", f"--workdir={workdir}")
    assert_refused("train.py", result)
    assert "no whole checkpoint" in result.err and "--overwrite" in result.err
    assert len(read_rows(workdir / "metrics.csv")) == 4


DECIDING = """
import tiny


def get_config():
    config = tiny.get_config()
    config.train.schedule = {
        "kind": "plateau",
        "monitor": "val_loss",
        "factor": 0.1,  # Soon nothing moves, and so nothing gets better.
        "patience": 1,
        "min_delta": 100.0,
        "minimum": 0.0,
    }
    config.train.learning_rate = 0.05
    config.train.early_stopping_patience = 3
    config.train.epochs = 12
    return config
"""


@pytest.mark.slow
def test_a_plateau_schedule_and_early_stopping_resume_exactly(
    tiny_config, succeed, fork, tmp_path
):
    config = tiny_config.with_name("deciding.py")
    config.write_text(DECIDING)
    reference, workdir = tmp_path / "reference", tmp_path / "run"
    succeed("train.py", f"--config={config}", f"--workdir={reference}")
    rates = {row["learning_rate"] for row in read_rows(reference / "metrics.csv")}
    assert len(rates) > 1
    assert len(read_rows(reference / "metrics.csv")) < 12
    arguments = ("train.py", f"--config={config}", f"--workdir={workdir}")
    for stop in (_kill_after_checkpoint, _kill_while_writing, _kill_between_epochs):
        assert stop(fork(*arguments), workdir).status == -signal.SIGKILL
    succeed(*arguments)
    assert_same_run(workdir, reference)


def test_without_its_best_checkpoint_a_run_stops_in_one_line(
    tiny_config, trained, refuse, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    (workdir / "results.json").unlink()
    for folder in (workdir / "checkpoints").glob("best*"):
        shutil.rmtree(folder)
    line = refuse("train.py", f"--config={tiny_config}", f"--workdir={workdir}")
    assert "no best checkpoint" in line and "--overwrite" in line
