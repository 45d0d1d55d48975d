"""One device and two replicas do the same; conftest makes two logical CPU devices."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import data, layers, models, phases, policies
from ram_tf import random as ram_random
from ram_tf.errors import InputError
from ram_tf.training.loop import Loop
from ram_tf.training.strategy import make_strategy
from ram_tf.training.trainer import Trainer, mean_over_global_batch

STEPS, BATCH = 20, 8
RNG = np.random.default_rng(0)
IMAGES = RNG.random((STEPS * BATCH, 10, 9, 1), "float32")
LABELS = RNG.integers(0, 3, STEPS * BATCH)
STRATEGIES = {"one_device": 1, "mirrored": 2}


@dataclasses.dataclass(frozen=True)
class NoiseFromTheState:
    """Stands in for the Gaussian: an image gets the same noise on any replica."""

    deterministic = True

    def plan(self, batch_size, num_glimpses, seed):
        return None

    def start(self, network, state, *, seed, training):
        return models.Choice(tf.zeros_like(state["hidden"][:, :2]) + 0.2)

    def __call__(self, network, state, *, seed, training):
        noise = 3 * tf.tanh(state["hidden"][:, :2]) - 1
        return models.Choice(
            *network.location(state["hidden"], training=True, noise=noise)
        )


def make_trainer(strategy, policy, clip_norm=None, learning_rate=0.1):
    with strategy.scope():
        network = models.RAM(
            3,
            retina=layers.Retina(4, 2),
            glimpse_network=layers.MlpGlimpse(8, 8, 12),
            core=layers.RectifierCell(12),
            location=layers.GaussianLocation(0.3),
        )
        network.build((None, 10, 9, 1))
        rng = np.random.default_rng(1)
        network.set_weights(
            [rng.normal(0, 0.3, weight.shape) for weight in network.get_weights()]
        )
        trainer = Trainer(
            network, phases.RAM_PHASES[0], policy, 2, clip_norm=clip_norm, xla=False
        )
        optimizer = keras.optimizers.SGD(learning_rate)
        optimizer.build(trainer.trainable_variables)
        trainer.compile(optimizer=optimizer, jit_compile=False)
    return trainer


@functools.cache
def train(strategy_name, clip_norm):
    """Returns start weights, weights after all steps, and the metrics."""
    strategy = make_strategy(strategy_name)
    assert strategy.num_replicas_in_sync == STRATEGIES[strategy_name]
    trainer = make_trainer(strategy, NoiseFromTheState(), clip_norm)
    before = [np.array(weight) for weight in trainer.network.get_weights()]
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(BATCH)
    history = keras.callbacks.History()
    Loop(trainer, strategy, steps_per_execution=10).train(
        lambda start_step, num_steps: dataset.skip(start_step).take(num_steps),
        epochs=1,
        steps_per_epoch=STEPS,
        callbacks=[history],
    )
    metrics = {name: values[0] for name, values in history.history.items()}
    del metrics["images_per_second"]
    return before, trainer.network.get_weights(), metrics


def flat(weights):
    return np.concatenate([np.ravel(weight) for weight in weights])


@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_two_replicas_end_with_the_weights_of_one_device(clip_norm):
    before, one, _ = train("one_device", clip_norm)
    _, two, _ = train("mirrored", clip_norm)
    for start, first, second in zip(before, one, two):
        assert np.abs(first - start).max() > 1e-4
        np.testing.assert_allclose(second, first, atol=1e-5, rtol=0)


def test_the_clip_of_the_global_gradient_bites():
    before, free, _ = train("one_device", None)
    _, bitten, _ = train("one_device", 0.05)
    # 20 steps of at most 0.1 * 0.05.
    assert np.linalg.norm(flat(bitten) - flat(before)) <= STEPS * 0.1 * 0.05 * 1.001
    assert np.linalg.norm(flat(free) - flat(before)) > 2 * STEPS * 0.1 * 0.05


@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_metrics_are_those_of_the_global_batch(clip_norm):
    _, _, one = train("one_device", clip_norm)
    _, _, two = train("mirrored", clip_norm)
    assert {"loss", "accuracy", *phases.RAM_PHASES[0].weights} == set(one)
    assert two == pytest.approx(one, abs=1e-5)


def test_evaluation_counts_each_example_once():
    strategy = make_strategy("mirrored")
    trainer = make_trainer(strategy, policies.CenterPolicy())
    split = data.Split(IMAGES[:7], LABELS[:7])
    dataset = data.Dataset("tiny", split, split, split, ("a", "b", "c"))
    found = Loop(trainer, strategy).evaluate(dataset.eval_batches("test", 4))
    result = trainer(IMAGES[:7])
    logits = np.asarray(result.logits)[:, -1]
    accuracy = (logits.argmax(axis=-1) == LABELS[:7]).mean()
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    assert found["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert found["classification"] == pytest.approx(
        -log_probs[np.arange(7), LABELS[:7]].mean(), rel=1e-5
    )


def on_each_replica(function, strategy=None):
    """Runs a function on both replicas and returns both results."""
    strategy = strategy or make_strategy("mirrored")
    results = strategy.run(tf.function(function))
    found = [np.asarray(x) for x in strategy.experimental_local_results(results)]
    assert len(found) == 2
    return found


def test_replicas_draw_different_noise_in_a_training_step():
    strategy = make_strategy("mirrored")
    trainer = make_trainer(strategy, policies.GaussianPolicy(), learning_rate=0.0)

    def step():
        return trainer.train_step((tf.constant(IMAGES[:4]), tf.constant(LABELS[:4])))

    logs = strategy.run(tf.function(step))
    losses = [float(x) for x in strategy.experimental_local_results(logs["loss"])]
    assert len(losses) == 2
    assert losses[0] != losses[1]
    # The same images without noise give both the same loss.
    quiet = make_trainer(strategy, policies.CenterPolicy(), learning_rate=0.0)
    trainer = quiet
    logs = strategy.run(tf.function(step))
    losses = [float(x) for x in strategy.experimental_local_results(logs["loss"])]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("kind", ["layer", "generator"])
def test_layers_on_their_own_draw_different_noise_on_each_replica(kind):
    strategy = make_strategy("mirrored")
    with strategy.scope():
        retina = layers.Retina(4, padding="normal", seed=1)
        generator = ram_random.ReplicaSeedGenerator(1)
    draw = {
        "layer": lambda: retina(tf.ones((1, 3, 3, 1)), tf.fill((1, 2), 99.0)),
        "generator": generator.next,
    }
    first, second = on_each_replica(draw[kind], strategy)
    assert (first != second).any()


def test_a_step_seed_differs_between_replicas():
    first, second = on_each_replica(
        lambda: ram_random.make_seed(0, 3, ram_random.replica_id())
    )
    assert (first != second).any()
    np.testing.assert_array_equal(first, ram_random.make_seed(0, 3, 0))
    np.testing.assert_array_equal(second, ram_random.make_seed(0, 3, 1))


def test_the_shares_of_replicas_add_up_to_the_mean_over_the_global_batch():
    values = tf.constant([1.0, 2.0, 6.0, 7.0])

    def share():
        mine = tf.reshape(values, (2, 2))[ram_random.replica_id()]
        return mean_over_global_batch(mine)

    shares = on_each_replica(share)
    np.testing.assert_allclose(shares, [3 / 4, 13 / 4])
    assert sum(shares) == pytest.approx(np.mean(values))


def test_an_unknown_strategy_is_an_input_error():
    with pytest.raises(InputError, match="one_device, mirrored, multi_worker"):
        make_strategy("all")
