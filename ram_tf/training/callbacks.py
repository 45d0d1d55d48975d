"""Callbacks of a run: progress, metrics file, stopping cleanly."""

import csv
import pathlib
import signal
import sys
import time

import keras
import numpy as np

from ram_tf.files import whole_file
from ram_tf.training.monitors import monitor_mode


class ProgressBar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar with the figures a person watches.

    In a file, where a bar cannot move, it is one line an epoch.
    """

    shown = ("loss", "accuracy", "images_per_second", "val_loss", "val_accuracy")

    def set_params(self, params):
        super().set_params({**params, "verbose": 1 if sys.stdout.isatty() else 2})

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, self._pick(logs))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, self._pick(logs))

    def _pick(self, logs):
        names = {"images_per_second": "images/s"}
        return {
            names.get(name, name): logs[name] for name in self.shown if name in logs
        }


class MetricsFile(keras.callbacks.Callback):
    """Writes `metrics.csv`, a row an epoch, from the history a checkpoint keeps.

    The file is written whole each time, so a resumed run neither repeats nor misses a
    row. Comes after `Checkpointing` in the list.
    """

    def __init__(self, path, checkpointing):
        super().__init__()
        self.path = pathlib.Path(path)
        self.checkpointing = checkpointing

    def on_train_begin(self, logs=None):
        if self.checkpointing.history:
            self._write(self.checkpointing.history)

    def on_epoch_end(self, epoch, logs=None):
        self._write(self.checkpointing.history)

    def _write(self, history):
        names = list(dict.fromkeys(name for row in history for name in row))
        with whole_file(self.path) as file:
            writer = csv.DictWriter(file, ["epoch", *names])
            writer.writeheader()
            for number, row in enumerate(history):
                writer.writerow({"epoch": number, **row})


class FirstStep(keras.callbacks.Callback):
    """Reports that the first training step is compiled, and when it was done.

    Args:
        started: `time.time()` at the start of the command.
        report: Function of one line of text.
    """

    def __init__(self, started, report=print):
        super().__init__()
        self.started = started
        self.report = report
        self._told = False

    def on_train_begin(self, logs=None):
        self._told = False  # Every phase has a step of its own.

    def on_train_batch_begin(self, batch, logs=None):
        if not self._told:
            self.report("compiling the training step ...")
            self._told = True

    def on_train_batch_end(self, batch, logs=None):
        if self.started is not None:
            seconds = time.time() - self.started
            self.report(f"first step done {seconds:.1f} s after the command started")
            self.started = None


class StopOnSignal(keras.callbacks.Callback):
    """Ends training cleanly on SIGINT or SIGTERM, after the running call.

    A second signal has its usual effect.

    Attributes:
        received: The signal's number, or `None`.

    Args:
        agree: Function `flag -> flag`: whether any worker has received one, asked by
            all of them after every call.
    """

    def __init__(self, agree=bool):
        super().__init__()
        self.agree = agree
        self.received = None
        self._handlers = {}

    def on_train_begin(self, logs=None):
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._receive)

    def on_train_batch_end(self, batch, logs=None):
        if self.agree(self.received is not None):
            self.received = self.received or signal.SIGTERM
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.on_train_batch_end(None)

    def on_train_end(self, logs=None):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _receive(self, number, frame):
        self.received = number
        signal.signal(number, self._handlers[number])


class _WorstIfNotFinite:
    """Shows a callback that watches `monitor` the worst value where it is not finite.

    Keras takes the first value for the best so far, and nothing is better than NaN.
    """

    def on_epoch_end(self, epoch, logs=None):
        value = logs.get(self.monitor)
        shown = dict(logs)
        if value is not None and not np.isfinite(value):
            shown[self.monitor] = np.inf if self.mode == "min" else -np.inf
        super().on_epoch_end(epoch, shown)
        added = {name: shown[name] for name in shown if name not in logs}
        logs.update(added)


class EarlyStopping(_WorstIfNotFinite, keras.callbacks.EarlyStopping):
    """Keras's, that knows for every log whether more is better."""

    def __init__(self, monitor, **options):
        super().__init__(monitor, mode=monitor_mode(monitor), **options)


class ReduceOnPlateau(_WorstIfNotFinite, keras.callbacks.ReduceLROnPlateau):
    """Keras's, that knows for every log whether more is better."""

    def __init__(self, monitor, **options):
        super().__init__(monitor, mode=monitor_mode(monitor), **options)
