"""Real processes, as a user starts them, with settings small enough for a test."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The default experiment, cut to what shows that everything is connected.
TINY_CONFIG = '''
import ram_digits


def get_config():
    config = ram_digits.get_config()
    config.data.digit_size = 12
    config.data.canvas = (20, 20)
    config.data.test_places = 1
    config.model.glimpse_network.glimpse_units = 8
    config.model.glimpse_network.location_units = 8
    config.model.glimpse_network.units = 16
    config.model.core.units = 16
    config.model.location.hidden_units = 8
    config.train.num_glimpses = 2
    config.train.batch_size = 16
    config.train.epochs = 4
    config.train.steps_per_epoch = 7
    config.train.checkpoint_every_steps = 3
    config.train.steps_per_execution = 2
    config.train.picture_every_epochs = 2
    config.eval.batch_size = 32
    config.eval.max_examples = 48
    config.eval.mc_samples = 2
    config.runtime.xla = False
    return config
'''


class Command:
    """A started script.

    Args:
        script: Path from the root of the repository.
        arguments: What follows it on the command line.
        environment: Variables that the process gets besides.
    """

    def __init__(self, script, *arguments, environment=None, cwd=ROOT, **options):
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / script), *map(str, arguments)],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**_environment(), **(environment or {})},
            **options,
        )

    def finish(self, timeout=240):
        """Waits for the end; then `status`, `out` and `err` are there."""
        try:
            self.out, self.err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.out, self.err = self.process.communicate()
            raise
        self.status = self.process.returncode
        return self

    def wait_for(self, condition, timeout=120):
        """Polls until `condition()` holds; fails if the process ends before."""
        deadline = time.monotonic() + timeout
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                self.finish()
                pytest.fail(f"never happened: {self.out}{self.err}")
            time.sleep(0.0005)

    def send(self, number):
        self.process.send_signal(number)
        return self


def _environment():
    """The environment without what pytest's own process set for TensorFlow."""
    environment = dict(os.environ)
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    environment.pop("RAM_TF_TRACEBACK", None)
    return environment


@pytest.fixture(scope="session")
def start():
    """Returns a function that starts a script and gives its `Command`."""
    return Command


@pytest.fixture(scope="session")
def run():
    """Returns a function that runs a script to its end."""
    return lambda *arguments, **options: Command(*arguments, **options).finish()


@pytest.fixture(scope="session")
def succeed(run):
    """Returns a function that runs a script that must succeed without any noise."""

    def run_well(*arguments, **options):
        command = run(*arguments, **options)
        assert (command.status, command.err) == (0, ""), command.err + command.out
        return command

    return run_well


@pytest.fixture(scope="session")
def refuse(run):
    """Returns a function that runs a script that must refuse in one clear line.

    It returns that line. Lines of warnings may stand before it.
    """

    def run_badly(script, *arguments, **options):
        command = run(script, *arguments, **options)
        lines = command.err.splitlines()
        name = pathlib.Path(script).name
        assert command.status == 2, command.err + command.out
        assert lines and lines[-1].startswith(f"{name}: error: "), command.err
        assert all(line.startswith("warning: ") for line in lines[:-1]), command.err
        return lines[-1]

    return run_badly


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory):
    """Path of a config that trains in seconds, with another that it builds on."""
    folder = tmp_path_factory.mktemp("configs")
    shutil.copy(ROOT / "configs" / "ram_digits.py", folder)
    path = folder / "tiny.py"
    path.write_text(TINY_CONFIG)
    return path


@pytest.fixture(scope="session")
def trained(tiny_config, succeed, tmp_path_factory):
    """A finished run of the tiny config: its workdir. Not to be written to."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    succeed("train.py", f"--config={tiny_config}", f"--workdir={workdir}")
    return workdir


def read_state(checkpoint):
    """The `state.json` of a checkpoint; `{"step": 0}` while there is none."""
    try:
        return json.loads((checkpoint / "state.json").read_text())
    except (OSError, ValueError):
        return {"step": 0}


def read_arrays(path):
    """All arrays of an HDF5 file by name."""
    arrays = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(keep)
    return arrays


def read_rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def assert_same_arrays(path, other):
    """Bit for bit, names and all."""
    one, two = read_arrays(path), read_arrays(other)
    assert one and one.keys() == two.keys()
    for name, array in one.items():
        assert array.dtype == two[name].dtype
        np.testing.assert_array_equal(array, two[name], err_msg=f"{path}: {name}")


def assert_same_run(workdir, reference):
    """Weights, optimizer, history and results of two runs are the same numbers."""
    for name in ("last", "best"):
        ours, theirs = (folder / "checkpoints" / name for folder in (workdir, reference))
        assert read_state(ours)["step"] == read_state(theirs)["step"] > 0
        for file in ("model.weights.h5", "optimizer.h5"):
            assert_same_arrays(ours / file, theirs / file)
    ours, theirs = (_timeless_rows(folder) for folder in (workdir, reference))
    assert [row["epoch"] for row in ours] == [str(n) for n in range(len(ours))]
    assert ours == theirs
    ours, theirs = (
        json.loads((folder / "results.json").read_text())
        for folder in (workdir, reference)
    )
    for key in ("test", "comparison", "best", "steps"):
        assert ours[key] == theirs[key]


def _timeless_rows(workdir):
    rows = read_rows(workdir / "metrics.csv")
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]
