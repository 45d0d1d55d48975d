"""Checkpoints that are whole or not there, and a callback that writes and resumes.

A checkpoint is a folder: `model.weights.h5`, `optimizer.h5` and `state.json` (step,
history of epochs, metrics so far, and a digest of the other two files). It is written
aside and renamed; the one it replaces stays beside it as `<name>.previous`.
"""

import hashlib
import io
import json
import math
import pathlib
import shutil
import time

import h5py
import keras
import tensorflow as tf

from ram_tf.errors import InputError
from ram_tf.files import discard, flush, write_json
from ram_tf.training.monitors import monitor_mode

FORMAT_VERSION = 1
WEIGHTS, OPTIMIZER, STATE = "model.weights.h5", "optimizer.h5", "state.json"
# How long training took, beside the checkpoints, and how often it is written at least.
SECONDS, EVERY_SECONDS = "seconds.json", 10.0


class DamagedCheckpoint(InputError):
    """A checkpoint folder that is incomplete or whose digests do not match."""


def save_checkpoint(folder, network, optimizer, state):
    """Writes a checkpoint; on failure the one that was there stays as it was.

    Args:
        folder: Path of the checkpoint, for example `workdir/checkpoints/last`.
        network: A built Keras model.
        optimizer: A built Keras optimizer, or `None`: nothing to resume from.
        state: JSON-serialisable dictionary.
    """
    folder = _target(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f"{folder.name}.writing")
    previous = folder.with_name(f"{folder.name}.previous")
    discard(aside)
    try:
        aside.mkdir()
        # HDF5 writes to memory: it takes the process down when the disk is full.
        files = {WEIGHTS: _Memory()}
        network.save_weights(files[WEIGHTS])
        if optimizer is not None:
            files[OPTIMIZER] = _Memory()
            with h5py.File(files[OPTIMIZER], "w") as file:
                for index, variable in enumerate(optimizer.variables):
                    file[str(index)] = _read(variable)
        for name, file in files.items():
            (aside / name).write_bytes(file.getbuffer())
        digests = {name: digest_file(aside / name) for name in files}
        content = {"format_version": FORMAT_VERSION, "digests": digests, **state}
        (aside / STATE).write_text(json.dumps(content, indent=1))
        for path in (*aside.iterdir(), aside):
            flush(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    if folder.exists():
        discard(previous)
        folder.rename(previous)
    aside.rename(folder)
    flush(folder.parent)


def read_state(folder):
    """Checks a checkpoint and returns its state.

    Raises:
        DamagedCheckpoint: If a file is missing or is not what was written.
        InputError: If a later version of the package wrote it.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise DamagedCheckpoint(
            f"no checkpoint {folder}: expected a folder with {WEIGHTS}, {OPTIMIZER} "
            f"and {STATE}, or a workdir's best or last."
        )
    try:
        state = json.loads((folder / STATE).read_text())
        version, digests = state["format_version"], state["digests"]
        damaged = [
            name for name in digests if digest_file(folder / name) != digests[name]
        ]
    except (OSError, ValueError, KeyError) as error:
        raise DamagedCheckpoint(f"checkpoint {folder} is damaged: {error}") from error
    if damaged:
        raise DamagedCheckpoint(
            f"checkpoint {folder} is damaged: {', '.join(damaged)} is not what was "
            "written."
        )
    if version > FORMAT_VERSION:
        raise InputError(
            f"checkpoint {folder} has format version {version}, this package reads up "
            f"to {FORMAT_VERSION}: update the package."
        )
    return state


def find_checkpoint(folder, report=print):
    """Returns the newest whole checkpoint of `folder` and its state.

    Falls back on the previous one, and says so.

    Returns:
        `(path, state)`, or `(None, None)` if there never was one.
    """
    folder = _target(folder)
    candidates = [folder, folder.with_name(f"{folder.name}.previous")]
    candidates = [path for path in candidates if path.exists()]
    for path in candidates:
        try:
            state = read_state(path)
        except DamagedCheckpoint as error:
            report(f"{error}")
            continue
        if path != folder:
            report(f"falling back to {path} (step {state['step']})")
        return path, state
    if candidates:
        raise InputError(
            f"no whole checkpoint in {folder.parent}: restore one from a backup, or "
            "start anew with --overwrite."
        )
    return None, None


def load_weights(network, folder):
    """Loads a checkpoint's weights into a built network."""
    content = _read_file(pathlib.Path(folder) / WEIGHTS)
    try:
        network.load_weights(content)
    except OSError as error:
        raise DamagedCheckpoint(f"checkpoint {folder} is damaged: {error}.") from error
    except (ValueError, KeyError) as error:
        reason = str(error).partition("List of objects")[0].strip(". \n")
        raise InputError(
            f"the weights of {folder} do not fit this model: {reason}. Use the config "
            "they were trained with."
        ) from error


def load_optimizer(optimizer, folder):
    """Loads a checkpoint's optimizer state into a built optimizer."""
    with h5py.File(_read_file(pathlib.Path(folder) / OPTIMIZER)) as file:
        if len(file) != len(optimizer.variables):
            raise InputError(
                f"the optimizer of {folder} has {len(file)} variables, this one "
                f"{len(optimizer.variables)}: use the config it was trained with."
            )
        for index, variable in enumerate(optimizer.variables):
            variable.assign(file[str(index)][()])


class Checkpointing(keras.callbacks.Callback):
    """Saves `last` and `best`, keeps the history, and resumes exactly.

    Comes after all callbacks that decide something, so that it sees what they did.
    Those that decide from the history of epochs (early stopping, plateau) are not
    saved: on resume they are shown the history again.

    Attributes:
        history: List of the logs of all finished epochs.
        best: `{"epoch", "monitor", "value"}` of the best epoch, or `None`.
        seconds: Seconds that processes before this one spent on training, what was
            done again since a checkpoint included.

    Args:
        folder: The `checkpoints` folder.
        every_steps: Int. `last` is written every so many steps and after each epoch.
        steps_per_epoch: Int.
        monitor: Name of the epoch log that decides `best`, see `monitors.monitor_mode`.
            Any finite value is better than one that is not.
        replayed: Callbacks that are shown the history on resume.
        writes: Boolean. Whether it saves, or leaves that to another worker.
        report: Function of one line of text.
    """

    def __init__(
        self,
        folder,
        every_steps,
        steps_per_epoch,
        monitor,
        replayed=(),
        writes=True,
        report=print,
    ):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.every_steps = every_steps
        self.steps_per_epoch = steps_per_epoch
        self.monitor = monitor
        self.mode = monitor_mode(monitor)
        self.replayed = tuple(replayed)
        self.writes = writes
        self.report = report
        self.history = []
        self.best = None
        self.seconds = 0.0
        self._started = self._noted = None

    def on_train_begin(self, logs=None):
        self._started = self._noted = time.monotonic()
        path, state = find_checkpoint(self.folder / "last", self.report)
        if path is None:
            return
        self.history, self.best = state["history"], state["best"]
        self.seconds = max(state["seconds"], _read_seconds(self.folder / SECONDS))
        for epoch, epoch_logs in enumerate(self.history):
            for callback in self.replayed:
                callback.on_epoch_end(epoch, dict(epoch_logs))
        trainer = self.model
        load_weights(trainer.network, path)
        load_optimizer(trainer.optimizer, path)
        trainer.steps.assign(state["step"])
        for variable, value in zip(trainer.metrics_variables, state["metrics"]):
            variable.assign(value)
        self.report(
            f"resuming from step {state['step']} (epoch "
            f"{state['step'] / self.steps_per_epoch:.2f}), {path}"
        )

    def total_seconds(self):
        """Seconds that all processes spent on training, this one included."""
        return self.seconds + time.monotonic() - self._started

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.steps_per_epoch:
            return  # The end of the epoch saves, after everything else has run.
        if self.model.step % self.every_steps == 0 or self.model.stop_training:
            self._save("last")
        elif time.monotonic() - self._noted >= EVERY_SECONDS:
            self._note_seconds()

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        self.history.append(logs)
        if self.monitor not in logs:
            raise InputError(
                f"train.monitor is {self.monitor!r}, expected one of "
                f"{', '.join(sorted(logs))}."
            )
        value = logs[self.monitor]
        if not math.isfinite(value):
            self.report(
                f"warning: {self.monitor} is {value} after epoch {epoch + 1}, which "
                "any number is better than"
            )
        if self._is_best(value):
            self.best = {"epoch": epoch, "monitor": self.monitor, "value": value}
            self._save("best")
        self._save("last")

    def _is_best(self, value):
        if self.best is None:
            return True
        before = self.best["value"]
        if not math.isfinite(before) or not math.isfinite(value):
            return math.isfinite(value)
        return value > before if self.mode == "max" else value < before

    def _save(self, name):
        trainer = self.model
        state = {
            "step": trainer.step,
            "history": self.history,
            "best": self.best,
            "seconds": self.total_seconds(),
            # Read by every worker: what each of them counted is summed here.
            "metrics": [_read(value).item() for value in trainer.metrics_variables],
        }
        if self.writes:
            save_checkpoint(
                self.folder / name, trainer.network, trainer.optimizer, state
            )
            self._note_seconds()

    def _note_seconds(self):
        """Keeps what a process that is killed before its next checkpoint spent."""
        self._noted = time.monotonic()
        if self.writes and (self.folder / "last").exists():
            write_json(self.folder / SECONDS, self.total_seconds())


def _read_seconds(path):
    """What was noted of the time that training took, 0 if nothing was."""
    try:
        return float(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return 0.0


def _target(folder):
    """Where a checkpoint is: a link is kept, and what it leads to is written."""
    folder = pathlib.Path(folder)
    return folder.resolve() if folder.is_symlink() else folder


class _Memory(io.BytesIO):
    """A file in memory, with the ending that Keras asks of a name."""

    def __str__(self):
        return WEIGHTS


def _read_file(path):
    """A file in memory: HDF5 would lock it on disk, which not every one lets it."""
    try:
        return _Memory(path.read_bytes())
    except OSError as error:
        raise DamagedCheckpoint(f"cannot read {path}: {error.strerror}.") from error


def _read(variable):
    """The value of a Keras variable, on one device or mirrored on several."""
    return tf.convert_to_tensor(variable.value).numpy()


def digest_file(path):
    """The SHA-256 of a file, in hexadecimal digits: what `state.json` keeps of it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
