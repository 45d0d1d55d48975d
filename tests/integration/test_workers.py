"""Two workers as real processes on one machine: they train, resume, and one dies."""

import contextlib
import json
import runpy
import signal
import socket

import pytest

from ram_tf import experiment
from tests.comparisons import assert_close
from tests.integration.conftest import (
    assert_same_arrays,
    read_arrays,
    read_rows,
    read_state,
)

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def two_of(fork, config, workdir):
    """Starts two workers of one job and gives their `Command`s; leaves none behind."""
    probes = [socket.socket() for _ in range(2)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    hosts = [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]
    for probe in probes:
        probe.close()
    arguments = (
        "train.py",
        f"--config={config}",
        f"--workdir={workdir}",
        "--strategy=multi_worker",
        "--epochs=2",
    )
    workers = [
        fork(
            *arguments,
            environment={
                "TF_CONFIG": json.dumps(
                    {
                        "cluster": {"worker": hosts},
                        "task": {"type": "worker", "index": index},
                    }
                )
            },
        )
        for index in range(2)
    ]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.process.kill()


def finish(workers):
    results = [worker.finish() for worker in workers]
    assert [result.status for result in results] == [0, 0], results
    return results


def assert_same_rows(workdir, reference, tolerance):
    ours, theirs = (
        read_rows(folder / "metrics.csv") for folder in (workdir, reference)
    )
    for row, expected in zip(ours, theirs, strict=True):
        for name in row.keys() - {"images_per_second"}:
            found = float(row[name])
            assert found == pytest.approx(float(expected[name]), abs=tolerance), name


@pytest.fixture(scope="module")
def two_workers(tiny_config, fork, tmp_path_factory):
    """The workdir of a run by two workers, and what they said. Not to be written to."""
    workdir = tmp_path_factory.mktemp("workers") / "run"
    with two_of(fork, tiny_config, workdir) as workers:
        return workdir, finish(workers)


def test_the_chief_alone_reports_and_writes(two_workers):
    workdir, (chief, other) = two_workers
    assert "2 replica(s)" in chief.out and "test accuracy" in chief.out
    assert other.out == ""
    assert len(read_rows(workdir / "metrics.csv")) == 2
    assert read_state(workdir / "checkpoints" / "last")["step"] == 14


def test_two_workers_end_as_two_replicas_of_one_process(
    two_workers, tiny_config, monkeypatch, tmp_path
):
    """The same images and the same noise on replica 0 and 1, wherever they are."""
    monkeypatch.syspath_prepend(tiny_config.parent)
    config = runpy.run_path(str(tiny_config))["get_config"]()
    config.train.epochs = 2
    config.runtime.strategy = "mirrored"
    config.runtime.deterministic = False  # That would hold for the tests after it.
    experiment.run(config, tmp_path / "run", report=lambda line: None)
    ours, theirs = (
        read_arrays(folder / "checkpoints" / "last" / "model.weights.h5")
        for folder in (two_workers[0], tmp_path / "run")
    )
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert_close(values, theirs[name], 1e-4, what=name)
    assert_same_rows(two_workers[0], tmp_path / "run", tolerance=1e-4)


@contextlib.contextmanager
def two_under_way(fork, config, workdir):
    """Two workers, once the first one has saved something."""
    with two_of(fork, config, workdir) as workers:
        last = workdir / "checkpoints" / "last"
        workers[0].wait_for(lambda: read_state(last)["step"] >= 3)
        yield workers


def assert_goes_on(fork, config, workdir, reference):
    """The same commands end with the weights of a run that nothing happened to."""
    with two_of(fork, config, workdir) as workers:
        chief, _ = finish(workers)
    assert "resuming from step" in chief.out
    for name in ("last", "best"):
        for file in ("model.weights.h5", "optimizer.h5"):
            ours, theirs = (
                folder / "checkpoints" / name / file for folder in (workdir, reference)
            )
            assert_same_arrays(ours, theirs)
    # What each worker had counted of an epoch was shared out anew.
    assert_same_rows(workdir, reference, tolerance=1e-6)


def test_a_killed_worker_ends_the_job_which_starts_again_where_it_was(
    two_workers, tiny_config, fork, tmp_path
):
    workdir = tmp_path / "run"
    last = workdir / "checkpoints" / "last"
    with two_under_way(fork, tiny_config, workdir) as (chief, other):
        other.send(signal.SIGKILL).finish()
        result = chief.finish()
    assert result.status == 2, result.err
    assert "another worker is gone" in result.err
    assert result.err.count("\n") == 1
    assert 3 <= read_state(last)["step"] < 14
    assert_goes_on(fork, tiny_config, workdir, two_workers[0])


def test_a_signal_to_one_worker_stops_all_of_them_and_saves(
    two_workers, tiny_config, fork, tmp_path
):
    workdir = tmp_path / "run"
    last = workdir / "checkpoints" / "last"
    with two_under_way(fork, tiny_config, workdir) as (chief, other):
        other.send(signal.SIGTERM)
        results = chief.finish(), other.finish()
    statuses = [result.status for result in results]
    assert statuses == [128 + signal.SIGTERM] * 2, results
    assert "the same command goes on" in results[0].out
    assert 3 < read_state(last)["step"] < 14
    assert_goes_on(fork, tiny_config, workdir, two_workers[0])


def test_without_a_cluster_it_says_what_is_missing(tiny_config, refuse, tmp_path):
    line = refuse(
        "train.py",
        f"--config={tiny_config}",
        f"--workdir={tmp_path / 'run'}",
        "--strategy=multi_worker",
    )
    assert "TF_CONFIG" in line
