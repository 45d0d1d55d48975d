"""A family that trains in phases: all at once, one by one, or stopped in between."""

import json
import shutil
import signal

import pytest

from tests.integration.conftest import (
    ROOT,
    assert_same_run,
    read_arrays,
    read_state,
)

PHASES = ("first", "second", "third")
FROZEN = {
    "second": ("patch_encoder", "location_mixer", "core", "classifier"),
    "third": (),
}
PUBLISHED = (
    "--dataset=svhn",
    "--lr=0.001",
    "--training_phase=first",
    "--ccebal=1",
    "--batch=64",
    "--batchv=64",
    "--T=7",
    "--epochs=1000",
    "--pretrain_checkpoint=None",
)


def config_of(workdir):
    return json.loads((workdir / "config.json").read_text())


def best_weights(workdir):
    return read_arrays(workdir / "checkpoints" / "best" / "model.weights.h5")


def assert_same_phases(workdir, reference, phases=PHASES):
    for phase in phases:
        assert_same_run(workdir / phase, reference / phase)


# What the phases leave


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


def test_the_published_command_line_gives_the_published_settings(refuse, tmp_path):
    """Cut off where the data, which are not there, are read."""
    workdir = tmp_path / "svhn_log_first"
    line = refuse(
        "train.py",
        *PUBLISHED,
        f"--datapath={tmp_path}/data",
        f"--logfolder={workdir}",
    )
    assert f"{tmp_path}/data" in line
    config = config_of(workdir / "first")
    assert config["family"] == "pham"
    assert config["data"]["name"] == "svhn"
    assert config["data"]["datapath"] == f"{tmp_path}/data"
    assert config["phases"] == {"first": {"weights": {"classification": 1.0}}}
    train = config["train"]
    assert (train["learning_rate"], train["epochs"]) == (0.001, 1000)
    assert (train["batch_size"], train["num_glimpses"]) == (64, 7)
    assert train["pretrain_checkpoint"] is None
    assert config["eval"]["batch_size"] == 64
    sizes = ("glimpse_size", "feature_units", "latent_units", "hidden_units")
    assert [config["model"][name] for name in sizes] == [8, 128, 256, 512]
    assert config["model"]["num_flows"] == 4
    assert train["schedule"]["kind"] == "plateau" and train["clip_norm"] == 10


def test_each_phase_has_its_own_published_settings(refuse, tmp_path):
    """Without short names: 1000, 100 and 100 epochs, ccebal 1, 0 and 16."""
    workdir = tmp_path / "run"
    refuse(
        "train.py",
        "--dataset=svhn",
        f"--datapath={tmp_path}/data",
        f"--workdir={workdir}",
    )
    configs = {phase: config_of(workdir / phase) for phase in PHASES}
    assert [configs[phase]["train"]["epochs"] for phase in PHASES] == [1000, 100, 100]
    weights = [configs[phase]["phases"][phase]["weights"] for phase in PHASES]
    assert [each.get("classification", 0) for each in weights] == [1, 0, 16]


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
@pytest.mark.parametrize("num_flows", [0, 1])
def test_phases_killed_in_each_of_them_end_with_the_same_numbers(
    num_flows, tiny_pham, start, succeed, tmp_path
):
    reference, workdir = tmp_path / "reference", tmp_path / "run"
    arguments = (
        "train.py",
        f"--config={tiny_pham}",
        "--training_phase=all",
        f"--config.model.num_flows={num_flows}",
    )
    succeed(*arguments, f"--workdir={reference}")
    arguments = (*arguments, f"--workdir={workdir}")
    for phase in PHASES:
        result = kill_in(phase, workdir, start(*arguments))
        assert result.status == -signal.SIGKILL
        assert not (workdir / phase / "results.json").exists()
    result = start(*arguments).finish()
    assert (result.status, result.err) == (0, "")
    assert "resuming from step 3 " in result.out
    assert_same_phases(workdir, reference)


@pytest.mark.slow
def test_phases_one_after_the_other_are_all_of_them(
    tiny_pham, trained_phases, succeed, tmp_path
):
    """As published: a folder each, and the last one's as pretrain_checkpoint."""
    before = None
    for phase in PHASES:
        workdir = tmp_path / f"log_{phase}"
        succeed(
            "train.py",
            f"--config={tiny_pham}",
            f"--logfolder={workdir}",
            f"--training_phase={phase}",
            f"--pretrain_checkpoint={before}",
        )
        assert_same_run(workdir / phase, trained_phases / phase)
        before = workdir


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


def test_the_configs_of_the_published_data_sets_are_there():
    names = ("svhn", "cifar10", "cifar100", "cinic10", "tinyimagenet")
    for name in names:
        assert (ROOT / "configs" / f"pham_{name}.py").exists()
