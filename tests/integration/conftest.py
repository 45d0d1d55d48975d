"""Real processes, as a user starts them, with settings small enough for a test."""

import csv
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import filelock
import h5py
import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The default experiment, cut to what shows that everything is connected.
TINY_CONFIG = """
import ram_digits


def get_config():
    config = ram_digits.get_config()
    # As published; what is rewarded after each glimpse is in test_rewards.py.
    config.phases.train.returns = "right"
    config.phases.train.weights.early_classification = 0.0
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
    config.eval.policies = ("learned", "center")
    config.runtime.xla = False
    return config
"""

TINY_ACTIVE_CONFIG = """
import tiny


def get_config():
    config = tiny.get_config()
    config.family = "active_ram"
    config.model.error_head = {"shared": False}
    weights = config.phases.train.weights
    weights.error_fit = 1.0
    weights.uncertainty = 1e-3
    weights.intrinsic_belief = 1e-2
    weights.early_classification = 0.5
    config.train.epochs = 2
    config.train.picture_every_epochs = 100
    config.eval.policies = ("learned",)
    return config
"""

# The three phases on a grid of 2x3 cells. A Gaussian posterior is traced sooner.
TINY_PHAM_CONFIG = """
import pham_digits


def get_config():
    config = pham_digits.get_config()
    config.data.digit_size = 6
    config.data.canvas = (6, 8)
    config.data.test_places = 1
    config.model.glimpse_size = 4
    config.model.feature_units = 4
    config.model.latent_units = 3
    config.model.hidden_units = 6
    config.model.num_flows = 0
    config.policy.num_samples = 2
    for phase in config.phases.values():
        phase.epochs = 2
        phase.steps_per_epoch = 7
    config.train.num_glimpses = 2
    config.train.batch_size = 16
    config.train.steps_per_epoch = 7
    config.train.checkpoint_every_steps = 3
    config.train.steps_per_execution = 2
    config.train.picture_every_epochs = 100
    config.eval.batch_size = 16
    config.eval.max_examples = 16
    config.eval.seeds = 1
    config.eval.policies = ("learned", "random")
    config.runtime.xla = False
    return config
"""


@dataclasses.dataclass
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str


class Command:
    """A started process of a script.

    Args:
        process: A `subprocess.Popen`, or what is like one.
    """

    def __init__(self, process):
        self.process = process
        self.pid = process.pid

    def wait_for(self, condition, timeout=300):
        """Polls until `condition()` holds; fails if the process ends before."""
        deadline = time.monotonic() + timeout
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                result = self.send(signal.SIGKILL).finish()
                pytest.fail(f"never happened: {result.out}{result.err}")
            time.sleep(0.0005)
        return self

    def send(self, number):
        self.process.send_signal(number)
        return self

    def finish(self, timeout=600):
        """Waits for the end and returns the `Result`."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate(timeout=60)
            raise
        return Result(self.process.returncode, out, err)


class Forked:
    """A process that a `Server` forked, as a `subprocess.Popen`."""

    def __init__(self, server, *request):
        self.server = server
        self.pid = server.ask("start", *request)
        self.returncode = None
        self.written = None

    def poll(self):
        if self.returncode is None:
            ended = self.server.ask("poll", self.pid)
            if ended is not None:
                self.returncode, *self.written = ended
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout):
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.005)
        return self.written


class Server:
    """Forks commands off `server.py`, which imports TensorFlow once for all of them."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, pathlib.Path(__file__).with_name("server.py")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # What importing TensorFlow prints.
            text=True,
            # As ram_tf.command sets it before the import.
            env={**_environment(), "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def start(self, script, *arguments, environment=None):
        words = [str(word) for word in arguments]
        return Command(Forked(self, str(script), words, environment or {}))

    def ask(self, *request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def _environment():
    """The environment without what changes how a command reports."""
    hidden = ("TF_CPP_MIN_LOG_LEVEL", "RAM_TF_TRACEBACK")
    return {name: value for name, value in os.environ.items() if name not in hidden}


@pytest.fixture(scope="session")
def start():
    """Returns a function that starts a fresh process and gives its `Command`."""

    def start_fresh(script, *arguments):
        return Command(
            subprocess.Popen(
                [sys.executable, script, *map(str, arguments)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=_environment(),
            )
        )

    return start_fresh


@pytest.fixture(scope="session")
def fork():
    """As `start`, without the seconds of an import; takes environment variables too."""
    server = Server()
    yield server.start
    server.process.stdin.close()
    server.process.wait()


@pytest.fixture(scope="session")
def run(fork):
    """Returns a function that runs a script to its end and gives its `Result`."""

    def run_to_its_end(*words):
        return fork(*words).finish()

    return run_to_its_end


@pytest.fixture(scope="session")
def succeed(run):
    """Returns a function that runs a script that must succeed without any noise."""

    def run_well(*arguments):
        result = run(*arguments)
        assert (result.status, result.err) == (0, ""), result.err + result.out
        return result

    return run_well


@pytest.fixture(scope="session")
def refuse(run):
    """Returns a function that runs a script that must refuse in one clear line.

    It returns that line.
    """

    def run_badly(script, *arguments):
        result = run(script, *arguments)
        assert_refused(script, result)
        return result.err

    return run_badly


@pytest.fixture(scope="session")
def once(tmp_path_factory, worker_id):
    """Returns a function that fills a folder once for all processes of the tests."""
    root = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        root = root.parent  # This process's own is a folder of the one they share.

    def share(name, fill):
        folder, done = root / name, root / f"{name}.done"
        with filelock.FileLock(root / f"{name}.lock"):
            if not done.exists():
                fill(folder)
                done.touch()
        return folder

    return share


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory):
    """Path of a config that trains in seconds, beside the one that it builds on."""
    folder = tmp_path_factory.mktemp("configs")
    for name in ("common", "ram_digits"):
        shutil.copy(ROOT / "configs" / f"{name}.py", folder)
    path = folder / "tiny.py"
    path.write_text(TINY_CONFIG)
    return path


@pytest.fixture(scope="session")
def trained(tiny_config, start, once):
    """The workdir of a finished run of the tiny config. Not to be written to."""

    def train(workdir):
        result = start(
            "train.py", f"--config={tiny_config}", f"--workdir={workdir}"
        ).finish()
        assert (result.status, result.err) == (0, "")

    return once("trained", train)


@pytest.fixture(scope="session")
def tiny_active(tiny_config):
    """Path of the tiny config of active RAM."""
    path = tiny_config.with_name("tiny_active.py")
    path.write_text(TINY_ACTIVE_CONFIG)
    return path


@pytest.fixture(scope="session")
def variants(tiny_active):
    """Path of two variants of the tiny config of active RAM."""
    path = tiny_active.with_name("variants.py")
    path.write_text(
        "VARIANTS = {'both': {}, "
        "'fit only': {'phases.train.weights.uncertainty': 0.0}}\n"
    )
    return path


@pytest.fixture(scope="session")
def trained_variants(tiny_active, variants, succeed, once):
    """The folder of the variants, trained with two seeds. Not to be written to."""

    def train(folder):
        result = succeed(
            "tools/ablate.py",
            f"--config={tiny_active}",
            f"--variants={variants}",
            f"--workdir={folder}",
            "--seeds=0,1",
        )
        assert "fit only" in result.out and "wrote" in result.out

    return once("trained_variants", train)


@pytest.fixture(scope="session")
def tiny_pham(tiny_config):
    """Path of a config with three phases, beside the one that it builds on."""
    shutil.copy(ROOT / "configs" / "pham_digits.py", tiny_config.parent)
    path = tiny_config.with_name("tiny_pham.py")
    path.write_text(TINY_PHAM_CONFIG)
    return path


@pytest.fixture(scope="session")
def trained_phases(tiny_pham, succeed, once):
    """The workdir of all phases of the tiny config. Not to be written to."""

    def train(workdir):
        succeed(
            "train.py",
            f"--config={tiny_pham}",
            f"--workdir={workdir}",
            "--training_phase=all",
        )

    return once("trained_phases", train)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of files unlike the training images: colour, odd sizes, nested."""
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    shapes = {"colour.png": (20, 20, 3), "odd.jpg": (37, 23, 3), "in/grey.bmp": (9, 50)}
    for name, shape in shapes.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8)).save(path)
    (folder / "notes.txt").write_text("no image")
    return folder


def assert_refused(script, result):
    """Status 2 and one line on stderr, whatever it is about."""
    name = pathlib.Path(script).name
    assert result.status == 2, result.err + result.out
    assert result.err.startswith(f"{name}: error: "), result.err
    assert result.err.count("\n") == 1 and result.err.endswith("\n"), result.err


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


def assert_same_training(workdir, reference):
    """Weights, optimizer and history of two runs are the same numbers."""
    for name in ("last", "best"):
        ours, theirs = (
            folder / "checkpoints" / name for folder in (workdir, reference)
        )
        assert read_state(ours)["step"] == read_state(theirs)["step"] > 0
        for file in ("model.weights.h5", "optimizer.h5"):
            assert_same_arrays(ours / file, theirs / file)
    ours, theirs = (_timeless_rows(folder) for folder in (workdir, reference))
    assert [row["epoch"] for row in ours] == [str(n) for n in range(len(ours))]
    assert ours == theirs


def assert_same_run(workdir, reference):
    """Weights, optimizer, history and results of two runs are the same numbers."""
    assert_same_training(workdir, reference)
    ours, theirs = (
        json.loads((folder / "results.json").read_text())
        for folder in (workdir, reference)
    )
    for key in ("test", "comparison", "best", "steps"):
        assert ours[key] == theirs[key]


def _timeless_rows(workdir):
    rows = read_rows(workdir / "metrics.csv")
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]
