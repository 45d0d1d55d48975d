import contextlib
import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import data, experiment, layers, models, policies
from ram_tf.errors import InputError
from ram_tf.families import fine_grained, ram
from ram_tf.training.callbacks import EarlyStopping
from ram_tf.training.checkpointing import Checkpointing, load_weights, read_state
from ram_tf.training.loop import Loop
from ram_tf.training.optimizers import SCHEDULES, make_optimizer
from ram_tf.training.trainer import Trainer

COSINE = {"kind": "cosine", "warmup_steps": 0, "minimum": 0.0}
WARM = {"kind": "cosine", "warmup_steps": 20, "minimum": 0.01}
EXPONENTIAL = {"kind": "exponential", "rate": 0.97, "every_steps": 10, "minimum": 0.05}
EPOCH = {"kind": "epoch", "rate": 0.5, "minimum": 0.02}
PLATEAU = {
    "kind": "plateau",
    "monitor": "loss",
    "factor": 0.5,
    "patience": 2,
    "min_delta": 100.0,  # Nothing counts as better, so every patience runs out.
    "minimum": 0.0,
}


def make(schedule, learning_rate=0.1):
    return make_optimizer(learning_rate, schedule, total_steps=100, steps_per_epoch=10)


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ({"kind": "constant"}, 0, 0.1),
        ({"kind": "constant"}, 99, 0.1),
        (COSINE, 0, 0.1),
        (COSINE, 25, 0.1 * (1 + math.cos(math.pi / 4)) / 2),
        (COSINE, 50, 0.05),
        (COSINE, 100, 0.0),
        (COSINE, 1000, 0.0),
        (WARM, 0, 0.1 / 20),  # The first step learns.
        (WARM, 10, 0.1 / 20 + (0.1 - 0.1 / 20) / 2),
        (WARM, 20, 0.1),
        (WARM, 60, 0.055),  # Half way down from 0.1 to 0.01.
        (WARM, 100, 0.01),
        (EXPONENTIAL, 0, 0.1),
        (EXPONENTIAL, 5, 0.1 * 0.97**0.5),
        (EXPONENTIAL, 10, 0.097),
        (EXPONENTIAL, 20, 0.1 * 0.97**2),
        (EXPONENTIAL, 1000, 0.05),
        (EPOCH, 0, 0.1),
        (EPOCH, 9, 0.1),
        (EPOCH, 10, 0.05),
        (EPOCH, 29, 0.025),
        (EPOCH, 30, 0.02),
        (EPOCH, 99, 0.02),
        (PLATEAU, 99, 0.1),
    ],
)
def test_the_learning_rate_at_a_step(schedule, step, expected):
    optimizer, _ = make(schedule)
    optimizer.build([keras.Variable(0.0)])
    optimizer.iterations.assign(step)
    assert float(optimizer.learning_rate) == pytest.approx(expected, abs=1e-7)


def test_every_kind_has_its_values_checked():
    kinds = {s["kind"] for s in (COSINE, EXPONENTIAL, EPOCH, PLATEAU)}
    assert kinds | {"constant"} == set(SCHEDULES)


@pytest.mark.parametrize(
    ("monitor", "values", "expected"),
    [
        ("val_loss", [3, 2, 1, 1, 1, 1], [1, 1, 1, 1, 0.5, 0.5]),
        ("val_loss", [1, 1, 1, 1, 1, 1], [1, 1, 0.5, 0.5, 0.25, 0.25]),
        ("val_accuracy", [1, 2, 3, 2, 2, 4], [1, 1, 1, 1, 0.5, 0.5]),
        ("val_accuracy", [4, 3, 2, 1, 0, 0], [1, 1, 0.5, 0.5, 0.3, 0.3]),
        ("coverage", [1, 2, 3, 2, 2, 4], [1, 1, 1, 1, 0.5, 0.5]),
        ("revisits", [3, 2, 1, 1, 1, 1], [1, 1, 1, 1, 0.5, 0.5]),
        # A number is better than what is none.
        ("val_loss", [np.nan, 3, 2, np.nan, 1, 1], [1, 1, 1, 1, 1, 1]),
        ("val_accuracy", [np.nan, 1, 2, np.nan, 3, 4], [1, 1, 1, 1, 1, 1]),
        ("val_loss", [-np.inf, 3, 2, 1, 1, 1], [1, 1, 1, 1, 1, 0.5]),
    ],
)
def test_a_plateau_lowers_the_rate_after_its_patience(monitor, values, expected):
    minimum = 0.3 if expected[-1] == 0.3 else 0.0
    schedule = {**PLATEAU, "monitor": monitor, "min_delta": 0.5, "minimum": minimum}
    optimizer, (callback,) = make(schedule, learning_rate=1.0)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer)
    callback.set_model(model)
    callback.on_train_begin()
    found = []
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {monitor: float(value)})
        found.append(float(optimizer.learning_rate))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("monitor", "values", "stops_after"),
    [
        ("val_loss", [np.nan, 3, 2, 1, 1, 1], 6),
        ("val_loss", [3, np.nan, 2, 2, 2], 5),
        ("coverage", [np.nan, 1, 2, 3, 3, 3], 6),
        ("coverage", [0.1, 0.2, 0.3, 0.4], None),
        ("high_low_accuracy", [0.1, 0.2, 0.3, 0.4], None),
        ("reconstruction", [0.1, 0.2, 0.3, 0.4], 3),
    ],
)
def test_training_stops_when_no_number_is_better_for_a_while(
    monitor, values, stops_after
):
    callback = EarlyStopping(monitor, patience=2)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.stop_training = False
    callback.set_model(model)
    callback.on_train_begin()
    epochs = 0
    for epoch, value in enumerate(values):
        logs = {monitor: float(value)}
        callback.on_epoch_end(epoch, logs)
        np.testing.assert_equal(logs, {monitor: float(value)})
        epochs += 1
        if model.stop_training:
            break
    assert model.stop_training == (stops_after is not None)
    assert epochs == (stops_after or len(values))


def decisions_on(name):
    """Everything that decides by a log of that name."""
    return [
        lambda: make({**PLATEAU, "monitor": name}),
        lambda: EarlyStopping(name, patience=1),
        lambda: Checkpointing("nowhere", 1, 1, name),
    ]


@pytest.mark.parametrize("name", ["images_per_second", "learning_rate"])
@pytest.mark.parametrize("index", range(len(decisions_on(""))))
def test_a_log_that_is_no_measure_decides_nothing(name, index):
    with pytest.raises(InputError, match=f"{name} cannot decide what is best"):
        decisions_on(name)[index]()


@pytest.mark.parametrize("name", ["learning_rate", "val_spread", "val_acuracy"])
def test_what_no_epoch_logs_is_refused_with_what_asked_for_it(name):
    phase = fine_grained.PHASES[0]
    with pytest.raises(InputError, match=f"objective is '{name}', expected one of"):
        experiment.check_monitor(phase, "objective", name)
    for known in ("val_high_low_accuracy", "spread", "val_loss"):
        experiment.check_monitor(phase, "objective", known)


@pytest.mark.parametrize(
    ("schedule", "word"),
    [
        ({"kind": "linear"}, "linear"),
        ({"kind": "constant", "warmup_steps": 3}, "warmup_steps"),
        ({**COSINE, "decay": 3}, "decay"),
        ({"kind": "cosine", "minimum": 0.0}, "warmup_steps"),
        ({"kind": "exponential", "rate": 0.9}, "every_steps"),
        ({**PLATEAU, "cooldown": 1}, "cooldown"),
    ],
)
def test_a_schedule_that_cannot_be_used_is_an_input_error(schedule, word):
    with pytest.raises(InputError, match=word):
        make(schedule)


@pytest.mark.parametrize("schedule", [COSINE, PLATEAU])
def test_a_schedule_is_not_changed_by_its_use(schedule):
    before = dict(schedule)
    make(schedule)
    assert schedule == before


@pytest.mark.parametrize(
    ("policy", "scaled"), [("float32", False), ("mixed_float16", True)]
)
def test_the_loss_is_scaled_under_half_precision_alone(policy, scaled):
    keras.config.set_dtype_policy(policy)
    optimizer, _ = make(COSINE)
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer) == scaled


# Resuming


@contextlib.contextmanager
def eagerly():
    """Tracing a graph takes longer than the few steps of these runs."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


class Recorder(keras.callbacks.Callback):
    """Notes the learning rate after every epoch, and stops at a step if told to."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.stop_at = stop_at
        self.rates = {}

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == self.stop_at:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self.on_train_batch_end(None)
        self.rates[epoch] = float(self.model.optimizer.learning_rate)


STEPS_PER_EPOCH, EPOCHS = 2, 6


def train(folder, early_stopping, stop_at=None):
    """Trains a tiny model up to `EPOCHS`, going on from what lies in `folder`."""
    keras.utils.set_random_seed(3)
    dataset = data.synthetic(num_train=40, num_test=4, num_classes=2)
    network = models.RAM(
        2,
        retina=layers.Retina(4),
        glimpse_network=layers.MlpGlimpse(4, 4, 4),
        core=layers.RectifierCell(4),
    )
    network.build((None, *dataset.image_shape))
    phase = ram.PHASES[0]
    trainer = Trainer(network, phase, policies.GaussianPolicy(), 2, xla=False)
    optimizer, decisive = make_optimizer(
        0.01, PLATEAU, total_steps=12, steps_per_epoch=STEPS_PER_EPOCH
    )
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    if early_stopping:
        never_better = keras.callbacks.EarlyStopping(
            "loss", min_delta=100.0, patience=3, mode="min"
        )
        decisive = [*decisive, never_better]
    recorder = Recorder(stop_at)
    checkpointing = Checkpointing(
        folder,
        every_steps=100,
        steps_per_epoch=STEPS_PER_EPOCH,
        monitor="loss",
        replayed=decisive,
        report=lambda line: None,
    )
    with eagerly():
        Loop(trainer, tf.distribute.get_strategy()).train(
            functools.partial(dataset.train_batches, 8, seed=0),
            epochs=EPOCHS,
            steps_per_epoch=STEPS_PER_EPOCH,
            callbacks=[*decisive, recorder, checkpointing],
        )
    return trainer, recorder.rates, checkpointing.history


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(False, id="plateau"),
        pytest.param(True, id="both", marks=pytest.mark.slow),
    ],
)
def uninterrupted(request, tmp_path_factory):
    """A whole run with the plateau schedule, and with early stopping too."""
    folder = tmp_path_factory.mktemp("whole")
    return request.param, folder, *train(folder, request.param)


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [4, 7], ids=["between epochs", "in an epoch"])
def test_a_resumed_run_decides_what_an_uninterrupted_one_does(
    tmp_path, uninterrupted, stop_at
):
    early_stopping, _, whole, rates, history = uninterrupted
    assert len(history) == (4 if early_stopping else EPOCHS)
    assert len(set(rates.values())) >= 2
    stopped, first_rates, _ = train(tmp_path, early_stopping, stop_at)
    assert int(stopped.optimizer.iterations) == stop_at
    resumed, later_rates, resumed_history = train(tmp_path, early_stopping)
    assert later_rates
    assert {**first_rates, **later_rates} == rates
    assert len(resumed_history) == len(history)
    for ours, theirs in zip(resumed_history, history):
        assert ours["loss"] == theirs["loss"]
        assert ours["learning_rate"] == theirs["learning_rate"]
    weights = resumed.network.get_weights(), whole.network.get_weights()
    for ours, theirs in zip(*weights):
        np.testing.assert_array_equal(ours, theirs)


def test_a_finished_run_stays_finished(uninterrupted):
    early_stopping, folder, first, _, history = uninterrupted
    again, rates, same_history = train(folder, early_stopping)
    assert rates == {}
    assert same_history == history
    assert int(again.optimizer.iterations) == int(first.optimizer.iterations)


@pytest.mark.parametrize(
    ("monitor", "values", "best_epoch"),
    [
        ("val_loss", [np.nan, 3.0, 2.0, np.nan, 2.5], 2),
        ("val_accuracy", [np.nan, 0.5, np.nan, 0.7], 3),
        ("val_loss", [-np.inf, 3.0, np.nan], 1),
        ("val_loss", [np.nan, np.nan], 0),
        ("coverage", [0.2, 0.4, 0.3], 1),
        ("revisits", [0.2, 0.4, 0.1], 2),
        ("val_high_low_accuracy", [0.2, 0.4, 0.3], 1),
        ("val_kl", [0.2, -0.4, 0.3], 1),
    ],
)
def test_the_best_epoch_is_the_one_with_the_best_number(
    tmp_path, monitor, values, best_epoch
):
    lines = []
    checkpointing = Checkpointing(tmp_path, 1, 1, monitor, report=lines.append)
    checkpointing.set_model(StandIn())
    checkpointing.on_train_begin()
    for epoch, value in enumerate(values):
        checkpointing.on_epoch_end(epoch, {monitor: value})
    assert checkpointing.best["epoch"] == best_epoch
    best = read_state(tmp_path / "best")["best"]
    np.testing.assert_equal(best, checkpointing.best)
    assert len(lines) == np.sum(~np.isfinite(values))
    assert all(f"warning: {monitor} is " in line for line in lines)


class StandIn:
    """What `Checkpointing` saves of a trainer."""

    step = 1
    metrics_variables = ()

    def __init__(self):
        self.network = keras.Sequential([keras.layers.Dense(1)])
        self.network.build((None, 1))
        self.optimizer = keras.optimizers.SGD()
        self.optimizer.build(self.network.trainable_variables)


def test_the_best_checkpoint_holds_the_weights_of_the_best_epoch(tmp_path):
    trainer, _, history = train(tmp_path, early_stopping=False, stop_at=4)
    losses = [row["loss"] for row in history]
    assert len(losses) == 2
    assert losses[1] != losses[0]
    last = trainer.network.get_weights()
    load_weights(trainer.network, tmp_path / "best")
    same = all(
        np.array_equal(a, b) for a, b in zip(trainer.network.get_weights(), last)
    )
    assert same == (losses[1] < losses[0])
