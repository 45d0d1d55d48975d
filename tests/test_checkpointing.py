"""What checkpoints keep beside the weights."""

import json
import types

import keras
import pytest

from ram_tf.training import checkpointing
from ram_tf.training.checkpointing import Checkpointing, read_state

STEPS_PER_EPOCH = 100


class Clock:
    """Stands for the module `time`."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """A clock that every process starts anew, and that only the test moves."""
    clock = Clock()
    monkeypatch.setattr(checkpointing, "time", clock)
    return clock


def start(folder, clock, every_steps=3):
    """A process that trains one weight, a step a call of what it returns."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD()
    optimizer.build(network.trainable_variables)
    steps = keras.Variable(0, dtype="int64")
    trainer = types.SimpleNamespace(
        network=network,
        optimizer=optimizer,
        steps=steps,
        step=0,
        metrics_variables=[],
        stop_training=False,
    )
    callback = Checkpointing(
        folder, every_steps, STEPS_PER_EPOCH, "loss", report=lambda line: None
    )
    callback.set_model(trainer)
    clock.now = 1000.0 * len(list(folder.glob("*")))  # Of another machine, say.
    callback.on_train_begin()
    trainer.step = int(steps.value)

    def step(seconds):
        clock.now += seconds
        trainer.step += 1
        callback.on_train_batch_end((trainer.step - 1) % STEPS_PER_EPOCH)
        if trainer.step % STEPS_PER_EPOCH == 0:
            callback.on_epoch_end(0, {"loss": 1.0})

    return step


def seconds_of(folder):
    return read_state(folder / "last")["seconds"]


def test_the_time_of_killed_processes_counts_though_their_steps_are_done_again(
    tmp_path, clock
):
    step = start(tmp_path, clock)
    for _ in range(5):  # Saved after three.
        step(20)
    assert seconds_of(tmp_path) == 60
    step = start(tmp_path, clock)  # Killed at 100.
    for _ in range(3):
        step(1)
    assert read_state(tmp_path / "last")["step"] == 6
    assert seconds_of(tmp_path) == 103


def test_the_time_since_an_older_checkpoint_counts_where_the_last_is_damaged(
    tmp_path, clock
):
    step = start(tmp_path, clock)
    for _ in range(6):
        step(1)
    (tmp_path / "last" / "state.json").unlink()
    step = start(tmp_path, clock)  # From the checkpoint after three.
    for _ in range(3):
        step(1)
    assert seconds_of(tmp_path) == 9


def test_the_time_is_written_no_more_often_than_it_must(tmp_path, clock):
    step = start(tmp_path, clock, every_steps=1000)
    for _ in range(STEPS_PER_EPOCH):
        step(1)
    note = tmp_path / "seconds.json"
    assert json.loads(note.read_text()) == 100
    for _ in range(9):
        step(1)
    assert json.loads(note.read_text()) == 100
    step(1)
    assert json.loads(note.read_text()) == 110


def test_a_run_that_never_saved_starts_anew(tmp_path, clock):
    step = start(tmp_path, clock)
    for _ in range(2):
        step(50)
    assert not list(tmp_path.iterdir())
