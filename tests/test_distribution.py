"""One device and two replicas do the same; conftest makes two logical CPU devices."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import data, layers, models, objectives, policies
from ram_tf import random as ram_random
from ram_tf.errors import InputError
from ram_tf.families import pham, ram
from ram_tf.training.loop import Loop, NonFiniteLoss
from ram_tf.training.strategy import make_strategy
from ram_tf.training.trainer import Trainer, mean_over_global_batch
from tests.comparisons import assert_close

STEPS, BATCH = 20, 8
RNG = np.random.default_rng(0)
IMAGES = RNG.random((STEPS * BATCH, 10, 9, 1), "float32")
LABELS = RNG.integers(0, 3, STEPS * BATCH)
STRATEGIES = {"one_device": 1, "mirrored": 2}


@functools.cache
def shared_strategy(name):
    """One of a kind: collective operations of several would mix their numbers up."""
    return make_strategy(name)


@dataclasses.dataclass(frozen=True)
class NoiseFromTheState(policies.Policy):
    """Stands in for the Gaussian: an image gets the same noise on any replica."""

    deterministic = True

    def start(self, network, context, state, *, seed, training):
        return models.Choice(tf.zeros_like(state["hidden"][:, :2]) + 0.2)

    def __call__(self, network, context, state, *, seed, training):
        noise = 3 * tf.tanh(state["hidden"][:, :2]) - 1
        return models.Choice(
            *network.location(state["hidden"], training=True, noise=noise)
        )


def make_trainer(
    strategy, policy, clip_norm=None, learning_rate=0.1, phase=None, xla=False
):
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
        phase = phase or ram.PHASES[0]
        trainer = Trainer(network, phase, policy, 2, clip_norm=clip_norm, xla=xla)
        optimizer = keras.optimizers.SGD(learning_rate)
        optimizer.build(trainer.trainable_variables)
        trainer.compile(optimizer=optimizer, jit_compile=False)
    return trainer


def make_dataset(images, labels):
    split = data.Split(images, labels)
    return data.Dataset("tiny", split, split, split, ("a", "b", "c"))


@functools.cache
def train(strategy_name, clip_norm, xla=False):
    """Returns start weights, weights after all steps, and the metrics."""
    strategy = shared_strategy(strategy_name)
    assert strategy.num_replicas_in_sync == STRATEGIES[strategy_name]
    trainer = make_trainer(strategy, NoiseFromTheState(), clip_norm, xla=xla)
    before = [np.array(weight) for weight in trainer.network.get_weights()]
    history = keras.callbacks.History()
    Loop(trainer, strategy, steps_per_execution=10).train(
        functools.partial(make_dataset(IMAGES, LABELS).train_batches, BATCH, seed=0),
        epochs=1,
        steps_per_epoch=STEPS,
        callbacks=[history],
    )
    metrics = {name: values[0] for name, values in history.history.items()}
    del metrics["images_per_second"]
    return before, trainer.network.get_weights(), metrics


def poisoned_objective(rollout, labels):
    """RAM's, of which label 2 makes the gradient NaN and leaves the loss alone."""

    @tf.custom_gradient
    def poisoned(values):
        def backward(upstream):
            return tf.where(labels == 2, np.nan, upstream)

        return tf.identity(values), backward

    terms = objectives.ram_objective(rollout, labels)
    return {**terms, "classification": poisoned(terms["classification"])}


@pytest.mark.slow
def test_a_gradient_that_is_not_finite_on_one_replica_stops_all():
    strategy = shared_strategy("mirrored")
    phase = dataclasses.replace(ram.PHASES[0], objective=poisoned_objective)
    trainer = make_trainer(strategy, NoiseFromTheState(), phase=phase)
    labels = np.zeros(4 * BATCH, int)
    labels[3 * BATCH - 1] = 2  # The second half of a batch: the second replica's.
    batches = functools.partial(_in_order, IMAGES[: 4 * BATCH], labels)
    with pytest.raises(NonFiniteLoss, match="the gradient was not finite at step 3:"):
        Loop(trainer, strategy, steps_per_execution=4).train(
            batches, epochs=1, steps_per_epoch=4, callbacks=[]
        )


@pytest.mark.slow
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_loss_scale_skips_a_step_on_all_replicas_or_on_none(clip_norm):
    strategy = shared_strategy("mirrored")
    phase = dataclasses.replace(ram.PHASES[0], objective=poisoned_objective)
    trainer = make_trainer(strategy, NoiseFromTheState(), clip_norm, phase=phase)
    with strategy.scope():
        optimizer = keras.optimizers.LossScaleOptimizer(trainer.optimizer)
        optimizer.build(trainer.trainable_variables)
        trainer.compile(optimizer=optimizer, jit_compile=False)
    before = [np.array(weight) for weight in trainer.network.get_weights()]
    labels = np.zeros(BATCH, int)
    labels[-1] = 2  # Of the second replica alone.
    batches = functools.partial(_in_order, IMAGES[:BATCH], labels)
    Loop(trainer, strategy).train(batches, epochs=1, steps_per_epoch=1, callbacks=[])
    for variable, start in zip(trainer.network.weights, before, strict=True):
        for copy in strategy.experimental_local_results(variable.value):
            np.testing.assert_array_equal(copy, start)
    assert trainer.step == 1


def _in_order(images, labels, start_step, num_steps, share):
    """Batches in their order, their parts in turn."""
    size = BATCH // share.total
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(size)
    return dataset.skip(start_step * share.total).take(num_steps * share.total)


def flat(weights):
    return np.concatenate([np.ravel(weight) for weight in weights])


@pytest.mark.parametrize(
    ("clip_norm", "xla"),
    [
        (None, False),
        pytest.param(0.05, False, marks=pytest.mark.slow),
        pytest.param(0.05, True, marks=pytest.mark.slow),
    ],
)
def test_two_replicas_end_with_the_weights_of_one_device(clip_norm, xla):
    before, one, _ = train("one_device", clip_norm)
    _, two, _ = train("mirrored", clip_norm, xla)
    for start, first, second in zip(before, one, two):
        assert np.abs(first - start).max() > 1e-4
        assert_close(second, first)


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
    assert {"loss", "accuracy", *ram.PHASES[0].weights} == set(one)
    assert two == pytest.approx(one, abs=1e-5)


def test_evaluation_counts_each_example_once():
    strategy = shared_strategy("mirrored")
    trainer = make_trainer(strategy, policies.CenterPolicy())
    batches = functools.partial(
        make_dataset(IMAGES[:7], LABELS[:7]).eval_batches, "test", 4
    )
    found = Loop(trainer, strategy).evaluate(batches)
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
    strategy = strategy or shared_strategy("mirrored")
    results = strategy.run(tf.function(function))
    found = [np.asarray(x) for x in strategy.experimental_local_results(results)]
    assert len(found) == 2
    return found


@pytest.mark.slow
def test_replicas_draw_different_noise_in_a_training_step():
    strategy = shared_strategy("mirrored")
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
    strategy = shared_strategy("mirrored")
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


# A family with batch statistics, noise in its losses, and data-dependent weights.


class NoiseFromTheHiddenState(models.PHAM):
    """An image gets the same posterior draws on any replica."""

    def read(self, hidden, training=False, seed=None, imagine=False):
        noise = tf.stop_gradient(hidden[..., None, : self.latent_units])
        return super().read(hidden, training, seed, imagine, noise)


@dataclasses.dataclass(frozen=True)
class CellsFromTheImage(policies.Policy):
    """Stands in for random cells: an image gets the same ones on any replica."""

    deterministic = True

    def plan(self, network, context, state, num_glimpses, seed):
        pixels = tf.reshape(context["images"], (tf.shape(state["hidden"])[0], 48))
        cells = tf.argsort(pixels[:, : network.num_cells])[:, :num_glimpses]
        return tf.gather(network.cell_locations, cells)


class WithoutNoise(policies.InformationGain):
    """Imagines the posterior's centre alone."""

    def draw_noise(self, shape, seed):
        return tf.zeros(shape)


PHAM_IMAGES = RNG.random((4 * BATCH, 6, 8, 1), "float32")
PHAM_POLICIES = {
    "first": CellsFromTheImage(),
    "second": CellsFromTheImage(),
    "third": policies.PlannedAhead(WithoutNoise(1, first_location=(0.0, 0.0))),
}


def make_pham(strategy, make=NoiseFromTheHiddenState, dropout=0.0, num_flows=1):
    keras.utils.set_random_seed(1)
    sizes = {"glimpse_size": 4, "feature_units": 5, "latent_units": 4}
    with strategy.scope():
        network = make(3, hidden_units=7, num_flows=num_flows, dropout=dropout, **sizes)
        network.build((None, 6, 8, 1))
        rng = np.random.default_rng(1)
        for variable in network.trainable_variables:
            variable.assign(variable + rng.normal(0, 0.2, variable.shape))
    return network


def make_pham_trainer(strategy, network, phase_name, policy, learning_rate=0.02):
    (phase,) = (each for each in pham.PHASES if each.name == phase_name)
    with strategy.scope():
        trainer = Trainer(network, phase, policy, 2, xla=False, clip_norm=1.0)
        optimizer = keras.optimizers.SGD(learning_rate)
        optimizer.build(trainer.trainable_variables)
        trainer.compile(optimizer=optimizer, jit_compile=False)
    return trainer


def train_pham(strategy_name, phase_name, num_flows):
    """Initialises and trains; returns the network, its first and its last weights."""
    strategy = shared_strategy(strategy_name)
    network = make_pham(strategy, num_flows=num_flows)
    policy = PHAM_POLICIES[phase_name]
    trainer = make_pham_trainer(strategy, network, phase_name, policy)
    fresh = network.get_weights()
    network.initialize(PHAM_IMAGES[:BATCH], policy, 2, ram_random.make_seed(0))
    dataset = make_dataset(PHAM_IMAGES, LABELS[:32])
    history = keras.callbacks.History()
    Loop(trainer, strategy, steps_per_execution=4).train(
        functools.partial(dataset.train_batches, BATCH, seed=0),
        epochs=1,
        steps_per_epoch=4,
        callbacks=[history],
    )
    losses = {name: values[0] for name, values in history.history.items()}
    del losses["images_per_second"]
    return network, fresh, losses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase_name", "num_flows"),
    [
        ("first", 0),
        ("second", 1),
        ("third", 1),
    ],
)
def test_two_replicas_train_a_phase_as_one_device_does(phase_name, num_flows):
    network, before, one = train_pham("one_device", phase_name, num_flows)
    mirrored, _, two = train_pham("mirrored", phase_name, num_flows)
    moved = set()
    for variable, start, first, second in zip(
        network.weights, before, network.get_weights(), mirrored.get_weights()
    ):
        # Statistics of batch norm among them.
        assert_close(second, first, 1e-5, what=variable.path)
        if np.abs(first - start).max() > 1e-4:
            moved.add(variable.path.split("/")[1])
    frozen = {part for phase in pham.PHASES for part in phase.frozen}
    (own,) = (p.frozen for p in pham.PHASES if p.name == phase_name)
    assert moved == frozen - set(own)
    assert two == pytest.approx(one, abs=1e-4)
    # Each replica holds the same.
    for variable in mirrored.weights:
        first, second = (np.asarray(value) for value in variable.value.values)
        np.testing.assert_array_equal(first, second, err_msg=variable.path)


def test_the_flow_of_two_replicas_is_initialised_once_and_alike():
    networks = [make_pham(shared_strategy(name)) for name in STRATEGIES]
    for network in networks:
        fresh = network.get_weights()
        for number in range(2):
            images = PHAM_IMAGES[number * BATCH :][:BATCH]
            seed = ram_random.make_seed(number)
            network.initialize(images, CellsFromTheImage(), 2, seed)
            if not number:
                once = network.get_weights()
        assert network.partial_vae.initialized
        np.testing.assert_array_equal(flat(network.get_weights()), flat(once))
        assert (flat(once) != flat(fresh)).any()
    one, two = (flat(network.get_weights()) for network in networks)
    assert_close(two, one)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase_name", "dropout"),
    [("first", 0.5), ("second", 0.0)],
)
def test_replicas_draw_their_own_noise_in_a_phase(phase_name, dropout):
    """The same images at the same cells: dropout and posterior draws differ."""
    strategy = shared_strategy("mirrored")
    network = make_pham(strategy, models.PHAM, dropout, num_flows=0)
    trainer = make_pham_trainer(
        strategy, network, phase_name, CellsFromTheImage(), learning_rate=0.0
    )
    batch = (tf.constant(PHAM_IMAGES[:4]), tf.constant(LABELS[:4]))
    logs = strategy.run(tf.function(lambda: trainer.train_step(batch)))
    losses = [float(x) for x in strategy.experimental_local_results(logs["loss"])]
    assert len(losses) == 2
    assert losses[0] != losses[1]


def test_the_shares_of_replicas_add_up_to_the_mean_over_the_global_batch():
    values = tf.constant([1.0, 2.0, 6.0, 7.0])

    def share():
        mine = tf.reshape(values, (2, 2))[ram_random.replica_id()]
        return mean_over_global_batch(mine)

    shares = on_each_replica(share)
    assert_close(shares, [3 / 4, 13 / 4])
    assert sum(shares) == pytest.approx(np.mean(values))


def test_an_unknown_strategy_is_an_input_error():
    with pytest.raises(InputError, match="one_device, mirrored, multi_worker"):
        make_strategy("all")


def test_phases_in_one_process_share_their_strategy():
    """The collective operations of a second one clash with those of the first."""
    assert make_strategy("mirrored") is make_strategy("mirrored")
