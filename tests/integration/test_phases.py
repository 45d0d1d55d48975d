"""A family that trains in phases: all at once, one by one, or stopped in between."""

import json
import shutil
import signal

import pytest

from tests.data.test_builders import OFFICIAL, TOP, pack, write_cinic10
from tests.integration.conftest import assert_same_run, read_arrays, read_state
from tests.test_train import PUBLISHED_LINES, published_line

PHASES = ("first", "second", "third")
FROZEN = {
    "second": ("patch_encoder", "location_mixer", "core", "classifier"),
    "third": (),
}


def config_of(workdir):
    return json.loads((workdir / "config.json").read_text())


def best_weights(workdir):
    return read_arrays(workdir / "checkpoints" / "best" / "model.weights.h5")


def assert_same_phases(workdir, reference, phases=PHASES):
    for phase in phases:
        assert_same_run(workdir / phase, reference / phase)


# What the phases leave


@pytest.mark.slow
def test_each_phase_leaves_a_run_of_its_own(trained_phases):
    for phase in PHASES:
        folder = trained_phases / phase
        results = json.loads((folder / "results.json").read_text())
        assert results["steps"] == 14
        compared = results["comparison"]["policies"]
        assert compared.keys() == {"learned", "random"}
        assert len(results["test"]["accuracy_per_glimpse"]) == 2
        config = config_of(folder)
        assert list(config["phases"]) == [phase]
        assert config["train"]["epochs"] == 2
    # The first one's policy looks at random; the others predict what they gain.
    assert "predicted_gain" in compared["learned"]
    assert "predicted_gain" not in compared["random"]
    assert not (trained_phases / "checkpoints").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("before", "phase"), [PHASES[:2], PHASES[1:]])
def test_a_phase_starts_from_the_weights_of_the_one_before(
    before, phase, trained_phases
):
    start = best_weights(trained_phases / before)
    end = best_weights(trained_phases / phase)
    assert start.keys() == end.keys()
    moved = {name for name in start if (start[name] != end[name]).any()}
    assert moved
    for part in FROZEN[phase]:
        assert any(part in name.split("/") for name in start), part
        assert not any(part in name.split("/") for name in moved), part


@pytest.mark.slow
def test_finished_phases_only_report(tiny_pham, trained_phases, succeed, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(trained_phases, workdir)
    result = succeed(
        "train.py",
        f"--config={tiny_pham}",
        f"--workdir={workdir}",
        "--training_phase=all",
    )
    assert "Epoch" not in result.out
    assert result.out.count("test accuracy") == 3
    assert_same_phases(workdir, trained_phases)


# The published command line


@pytest.mark.slow
def test_the_published_lines_train_all_phases(run, tmp_path):
    """Word for word, on a tiny archive of the official layout, with small parts.

    The last overrides end each phase when its validation no longer improves, long
    before its published number of epochs.
    """
    write_cinic10(tmp_path / "tree", each=12)
    (tmp_path / "data").mkdir()
    pack(tmp_path / "tree", tmp_path / "data" / OFFICIAL["cinic10"], TOP["cinic10"])
    for phase in PHASES:
        result = run(
            "train.py",
            *published_line("cinic10", phase, tmp_path / "data", tmp_path),
            "--config.model.feature_units=4",
            "--config.model.latent_units=3",
            "--config.model.hidden_units=6",
            "--config.model.num_flows=0",
            "--config.policy.num_samples=2",
            "--config.eval.policies=learned",
            "--config.eval.seeds=1",
            "--config.runtime.xla=False",
            "--config.train.picture_every_epochs=1000",
            "--config.train.monitor=val_accuracy",
            "--config.train.early_stopping_patience=1",
        )
        assert result.status == 0, result.err
        folder = tmp_path / f"cinic10_log_{phase}" / phase
        assert json.loads((folder / "results.json").read_text())["steps"] > 0
        config = config_of(folder)
        assert config["data"]["name"] == "cinic10"
        assert config["train"]["epochs"] == PUBLISHED_LINES[phase][1]
        before = PUBLISHED_LINES[phase][2]
        if before:
            start = tmp_path / f"cinic10_log_{before}" / before / "checkpoints" / "best"
            said = f"{phase} starts from the weights of {start}"
            assert said in result.out


def test_ccebal_is_the_weight_of_the_third_phase(refuse, tiny_pham, tmp_path):
    refuse(
        "train.py",
        f"--config={tiny_pham}",
        f"--workdir={tmp_path}/run",
        "--training_phase=third",
        "--ccebal=8",
        "--pretrain_checkpoint=nowhere",
    )
    config = config_of(tmp_path / "run" / "third")
    assert config["phases"]["third"]["weights"] == {
        "classification": 8.0,
        "kl": 1.0,
        "reconstruction": 1.0,
    }


@pytest.mark.slow
def test_ccebal_is_overruled_where_a_phase_has_no_choice(
    tiny_pham, trained_phases, run, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(trained_phases / "first", workdir / "first")
    result = run(
        "train.py",
        f"--config={tiny_pham}",
        f"--workdir={workdir}",
        "--training_phase=first",
        "--ccebal=3",
    )
    assert result.status == 0
    assert result.err == "warning: --ccebal=3 is overruled: phase first has 1.\n"
    # It is the same run: nothing of its config differs.
    assert "test accuracy" in result.out and "Epoch" not in result.out


def test_a_number_for_every_phase_holds_in_every_phase(tiny_pham, refuse, tmp_path):
    refuse(
        "train.py",
        f"--config={tiny_pham}",
        f"--workdir={tmp_path}/run",
        "--config.train.epochs=3",
        "--config.phases.third.epochs=4",
        "--config.data.digit_size=30",
    )
    epochs = [
        config_of(tmp_path / "run" / phase)["train"]["epochs"] for phase in PHASES
    ]
    assert epochs == [3, 3, 4]


# Stopped and started again


def kill_in(phase, workdir, command):
    """Kills a command as soon as a phase has a checkpoint inside an epoch."""
    last = workdir / phase / "checkpoints" / "last"
    command.wait_for(lambda: read_state(last)["step"] % 7)
    return command.send(signal.SIGKILL).finish()


@pytest.mark.slow
def test_phases_killed_in_each_of_them_end_with_the_same_numbers(
    tiny_pham, fork, succeed, tmp_path
):
    """With a flow, which is initialised by the first batch."""
    reference, workdir = tmp_path / "reference", tmp_path / "run"
    arguments = (
        "train.py",
        f"--config={tiny_pham}",
        "--training_phase=all",
        "--config.model.num_flows=1",
        # What is drawn and compared is traced anew by each process.
        "--config.train.picture_every_epochs=100",
        "--config.eval.policies=learned",
    )
    succeed(*arguments, f"--workdir={reference}")
    arguments = (*arguments, f"--workdir={workdir}")
    for phase in PHASES:
        result = kill_in(phase, workdir, fork(*arguments))
        assert result.status == -signal.SIGKILL
        assert not (workdir / phase / "results.json").exists()
    result = fork(*arguments).finish()
    assert (result.status, result.err) == (0, "")
    assert "resuming from step 3 " in result.out
    assert_same_phases(workdir, reference)


@pytest.mark.slow
def test_a_phase_finds_the_one_before_in_its_workdir(
    tiny_pham, trained_phases, succeed, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(trained_phases / "first", workdir / "first")
    result = succeed(
        "train.py",
        f"--config={tiny_pham}",
        f"--workdir={workdir}",
        "--training_phase=second",
    )
    assert f"second starts from the weights of {workdir}/first" in result.out
    assert_same_phases(workdir, trained_phases, ("second",))
    assert not (workdir / "third").exists()
