import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import data, evaluation, layers, models, objectives, policies
from ram_tf import random as ram_random
from ram_tf.errors import InputError
from ram_tf.evaluation.movement import COLLAPSED_SPREAD
from ram_tf.families import FAMILIES, ram
from ram_tf.serving.served import Served
from ram_tf.training.checkpointing import Checkpointing, find_checkpoint
from ram_tf.training.loop import Loop, NonFiniteLoss
from ram_tf.training.trainer import Trainer, clip_global_norm, mean_over_global_batch
from tests.comparisons import assert_close
from tests.contracts import (
    small_dram,
    small_fine_grained,
    small_mram,
    small_pham,
    small_ram,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.random((12, 10, 9, 1), "float32")
LABELS = np.arange(12) % 3
PHASE = ram.PHASES[0]
PARTS = ("glimpse_network", "core", "location", "baseline", "classifier")
MEAN = policies.GaussianPolicy(sample=False)
ONE_DEVICE = tf.distribute.get_strategy()


@pytest.fixture
def eagerly():
    """Tracing a graph takes longer than the few steps of these tests."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def make_trainer(
    policy=None, phase=PHASE, num_glimpses=3, learning_rate=0.1, **options
):
    keras.utils.set_random_seed(1)
    network = models.RAM(
        3,
        retina=layers.Retina(4, 2),
        glimpse_network=layers.MlpGlimpse(8, 8, 16),
        core=layers.RectifierCell(16),
        location=layers.GaussianLocation(0.3),
    )
    network.build((None, 10, 9, 1))
    policy = policy or policies.GaussianPolicy()
    options = {"xla": False, **options}
    trainer = Trainer(network, phase, policy, num_glimpses, **options)
    optimizer = keras.optimizers.SGD(learning_rate)
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    return trainer


def weights_of(part):
    return [np.array(weight) for weight in part.get_weights()]


def train(trainer, steps=2, images=IMAGES, labels=LABELS):
    for _ in range(steps):
        logs = trainer.train_step((images, labels))
    return {name: float(value) for name, value in logs.items()}


def assert_same_weights(first, second):
    first, second = weights_of(first.network), weights_of(second.network)
    assert len(first) == len(second) > 10
    for a, b in zip(first, second):
        assert_close(a, b)


def change(trainer, before):
    after = weights_of(trainer.network)
    return np.concatenate([(a - b).ravel() for a, b in zip(after, before)])


# Learning


def learn_to_look(seed):
    """Accuracy by policy, of a trained network, and the spread of the learned one.

    Chance is 25 %, and a second glimpse at any other place than the one that tells
    rarely does better.
    """
    keras.utils.set_random_seed(seed)
    dataset = data.synthetic(num_train=20_000, num_test=500)
    network = models.RAM(
        4,
        retina=layers.Retina(8, sides=(8, 40)),
        glimpse_network=layers.MlpGlimpse(64, 32, 64),
        core=layers.RectifierCell(64),
        location=layers.GaussianLocation(0.2, hidden_units=32),
    )
    network.build((None, *dataset.image_shape))
    policy = policies.GaussianPolicy(first_location=(0.0, 0.0))
    trainer = Trainer(network, PHASE, policy, 2, clip_norm=5.0, seed=seed)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(2e-3, 1200)
    )
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    Loop(trainer, ONE_DEVICE, steps_per_execution=100).train(
        functools.partial(dataset.train_batches, 128, seed=seed),
        epochs=3,
        steps_per_epoch=400,
        callbacks=[],
    )
    compared = evaluation.compare_policies(
        network,
        {"learned": dataclasses.replace(policy, sample=False), **policies.CONTROLS},
        dataset.eval_batches("test", 500),
        2,
        xla=False,
    )["policies"]
    accuracy = {name: c["accuracy"]["mean"][-1] for name, c in compared.items()}
    return accuracy, compared["learned"]["statistics"]["spread"]


@pytest.mark.slow
def test_a_learned_policy_finds_the_one_informative_place():
    """In half of such short trainings it does; which ones, the processor's rounding
    decides. One of five must.
    """
    for seed in range(5):
        accuracy, spread = learn_to_look(seed)
        learned = accuracy.pop("learned")
        if learned > 0.45 and learned > max(accuracy.values()) + 0.1:
            assert spread > 5 * COLLAPSED_SPREAD
            return
    pytest.fail(f"the last of five: {learned}, controls {accuracy}")


def test_fit_trains_on_one_device_from_arrays():
    trainer = make_trainer()
    history = trainer.fit(
        IMAGES,
        LABELS,
        batch_size=6,
        epochs=12,
        verbose=0,
        validation_data=(IMAGES, LABELS),
    ).history
    terms = {"loss", "accuracy", *PHASE.weights}
    assert set(history) == terms | {f"val_{name}" for name in terms}
    assert np.isfinite(list(history.values())).all()
    assert history["classification"][-1] < history["classification"][0]
    assert int(trainer.optimizer.iterations) == 24
    measured = trainer.evaluate(
        IMAGES, LABELS, batch_size=6, verbose=0, return_dict=True
    )
    assert measured["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-5)


# Steps


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("num_glimpses", [1, 2])
@pytest.mark.parametrize(
    "policy",
    [policies.GaussianPolicy(), MEAN, *policies.CONTROLS.values()],
    ids=lambda policy: type(policy).__name__,
)
def test_every_policy_can_train_with_any_number_of_glimpses(policy, num_glimpses):
    trainer = make_trainer(policy, num_glimpses=num_glimpses)
    before = {part: weights_of(getattr(trainer.network, part)) for part in PARTS}
    logs = train(trainer, steps=1)
    assert np.isfinite(list(logs.values())).all()
    decides = isinstance(policy, policies.GaussianPolicy) and num_glimpses > 1
    moved = {"glimpse_network", "core", "classifier"}
    moved |= {"baseline"} if decides else set()
    moved |= {"location"} if decides and policy.sample else set()
    for part in PARTS:
        after = weights_of(getattr(trainer.network, part))
        same = all(np.array_equal(a, b) for a, b in zip(after, before[part]))
        assert same == (part not in moved), part


@pytest.mark.usefixtures("eagerly")
def test_the_decision_after_the_only_glimpse_can_be_made_to_count():
    trainer = make_trainer(
        num_glimpses=1, policy=policies.GaussianPolicy(count_last_action=True)
    )
    before = weights_of(trainer.network.location)
    train(trainer)
    for a, b in zip(weights_of(trainer.network.location), before):
        assert (a != b).any()


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("frozen", [(part,) for part in PARTS] + [PARTS[:3]])
def test_a_frozen_part_does_not_move_by_a_bit(frozen):
    trainer = make_trainer(phase=dataclasses.replace(PHASE, frozen=frozen))
    before = {part: weights_of(getattr(trainer.network, part)) for part in PARTS}
    train(trainer, steps=1)
    for part in PARTS:
        after = weights_of(getattr(trainer.network, part))
        same = all(np.array_equal(a, b) for a, b in zip(after, before[part]))
        assert same == (part in frozen), part


NETWORKS = {
    "active_ram": lambda: small_ram(models.ActiveRAM),
    "dram": small_dram,
    "fine_grained": small_fine_grained,
    "mram": small_mram,
    "pham": lambda: small_pham(num_flows=0),
    "ram": small_ram,
}
ALL_PHASES = [
    (name, phase.name) for name in FAMILIES for phase in FAMILIES[name].phases
]
SQUARES = RNG.random((2, 12, 12, 1), "float32")


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("family", "phase"), ALL_PHASES)
def test_every_phase_gives_all_that_it_trains_a_gradient(family, phase):
    """Or says which part has none where too little is decided."""
    phase = FAMILIES[family].phase(phase)
    kinds = [{}]
    if phase.returns:  # The others have no choice of policies.
        kinds += [{"kind": kind} for kind in policies.CONTROLS]
    for num_glimpses in {phase.fixed.get("num_glimpses", number) for number in (1, 2)}:
        for kind in kinds:
            network = NETWORKS[family]()
            network.build((None, *SQUARES.shape[1:]))
            trainer = Trainer(
                network, phase, phase.policy(**kind), num_glimpses, xla=False
            )
            optimizer = keras.optimizers.SGD()
            optimizer.build(trainer.trainable_variables)
            trainer.compile(optimizer=optimizer, jit_compile=False)
            logs = trainer.train_step((SQUARES, np.arange(2)))
            assert np.isfinite(float(logs["loss"])), (num_glimpses, kind)


@pytest.mark.parametrize(
    ("kept", "num_glimpses", "named", "not_named"),
    [
        (("classification", "baseline"), 3, "gaussian_location", "value_baseline"),
        (("classification", "reinforce"), 3, "value_baseline", "gaussian_location"),
        (("baseline", "reinforce"), 1, "classifier", "gaussian_location"),
    ],
)
def test_a_part_that_trains_without_a_gradient_is_named(
    kept, num_glimpses, named, not_named
):
    phase = dataclasses.replace(
        PHASE, objective=keeping(*kept), weights=dict.fromkeys(kept, 1.0)
    )
    loop = Loop(make_trainer(phase=phase, num_glimpses=num_glimpses), ONE_DEVICE)
    with pytest.raises(InputError, match=f"phase train trains .*{named}") as refused:
        loop.train(batches_with({}), epochs=1, steps_per_epoch=6, callbacks=[])
    assert not_named not in str(refused.value).partition(", which")[0]
    assert "\n" not in str(refused.value)


def keeping(*names):
    """The objective that has only some of RAM's terms."""

    def objective(rollout, labels):
        terms = objectives.ram_objective(rollout, labels)
        return {name: terms[name] for name in names}

    return objective


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    ("kept", "untaught"),
    [
        (("classification",), ("location", "baseline")),
        (("classification", "baseline"), ("location",)),
        (("reinforce",), ("glimpse_network", "core", "baseline", "classifier")),
    ],
)
def test_a_term_of_weight_zero_is_no_term(kept, untaught):
    weights = {name: float(name in kept) for name in PHASE.weights}
    silenced = make_trainer(phase=dataclasses.replace(PHASE, weights=weights))
    simpler = make_trainer(
        phase=dataclasses.replace(
            PHASE,
            objective=keeping(*kept),
            weights=dict.fromkeys(kept, 1.0),
            frozen=untaught,
        )
    )
    before = weights_of(simpler.network)
    logs, simpler_logs = train(silenced), train(simpler)
    assert np.abs(change(simpler, before)).max() > 1e-4
    assert logs["loss"] == pytest.approx(simpler_logs["loss"], rel=1e-5)
    assert_same_weights(silenced, simpler)


@pytest.mark.usefixtures("eagerly")
def test_the_loss_is_the_weighted_sum_of_the_terms():
    weights = {"classification": 0.5, "baseline": 2.0, "reinforce": 0.01}
    trainer = make_trainer(phase=dataclasses.replace(PHASE, weights=weights))
    logs = train(trainer, steps=1)
    expected = sum(weights[name] * logs[name] for name in weights)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_copies_of_images_with_their_own_noise_are_a_larger_batch():
    copies = make_trainer(mc_samples=3)
    repeated = make_trainer()
    logs = train(copies)
    images, labels = np.repeat(IMAGES, 3, axis=0), np.repeat(LABELS, 3)
    assert logs == pytest.approx(train(repeated, 2, images, labels), rel=1e-5)
    assert_same_weights(copies, repeated)


@pytest.mark.usefixtures("eagerly")
def test_boxes_are_summed_once_an_image_however_many_copies(monkeypatch):
    summed = []

    def summarize(retina, images, num_glimpses):
        summed.append(len(images))
        return whole(retina, images, num_glimpses)

    whole = layers.Retina.summarize
    monkeypatch.setattr(layers.Retina, "summarize", summarize)
    trainer = make_trainer(mc_samples=3, eval_samples=4)
    trainer.train_step((IMAGES, LABELS))
    trainer.test_step((IMAGES, LABELS, np.ones(12, "float32")))
    evaluation.Evaluator(
        trainer.network, policies.GaussianPolicy(), 3, mc_samples=5, xla=False
    ).measure([(IMAGES, LABELS, np.ones(12))])
    served = Served(
        trainer.network,
        policies.GaussianPolicy(),
        policies.GaussianPolicy(),
        3,
        IMAGES.shape[1:],
        ("a", "b", "c"),
        mc_samples=2,
    )
    served.answer("serving_default", {"images": IMAGES})
    assert summed == [12, 12, 12, 12]


@pytest.mark.usefixtures("eagerly")
def test_copies_without_noise_change_nothing():
    one, three = make_trainer(MEAN), make_trainer(MEAN, mc_samples=3)
    assert train(one) == pytest.approx(train(three), rel=1e-4)
    assert_same_weights(one, three)


@pytest.mark.usefixtures("eagerly")
def test_noise_depends_on_seed_and_step_alone():
    def first_losses(seed):
        trainer = make_trainer(seed=seed, learning_rate=0.0)
        losses = []
        for _ in range(2):
            trainer.reset_metrics()
            losses.append(train(trainer, 1)["loss"])
        return losses

    first, again, other = first_losses(5), first_losses(5), first_losses(6)
    assert len(set(first)) == 2
    assert first == again
    assert set(first).isdisjoint(other)


@pytest.mark.usefixtures("eagerly")
def test_the_gradient_of_the_batch_is_clipped_as_a_whole():
    def step(clip_norm):
        trainer = make_trainer(clip_norm=clip_norm, learning_rate=1.0)
        before = weights_of(trainer.network)
        train(trainer, 1)
        return change(trainer, before)

    free, bitten, loose = step(None), step(0.05), step(1000.0)
    norm = np.linalg.norm(free)
    assert norm > 0.5
    assert np.linalg.norm(bitten) == pytest.approx(0.05, rel=1e-3)
    assert_close(bitten, free * 0.05 / norm, 1e-4)
    assert_close(loose, free)


def test_a_scaled_gradient_is_clipped_as_if_it_were_not():
    gradients = [tf.constant([3.0, 4.0]), tf.constant([[12.0]])]  # Of norm 13.
    for scale in (1.0, 512.0):
        scaled = [gradient * scale for gradient in gradients]
        clipped, norm = clip_global_norm(scaled, 6.5, scale)
        assert float(norm) == pytest.approx(13 * scale)
        for found, gradient in zip(clipped, gradients):
            assert_close(found / scale, gradient / 2)


def test_on_one_device_the_loss_is_the_mean_over_the_batch():
    values = np.array([1.0, 4.0, 7.5], "float32")
    assert float(mean_over_global_batch(tf.constant(values))) == pytest.approx(12.5 / 3)


# The loop


def batches_with(values):
    """Batches of which number k, from 1, holds a given pixel value."""

    def make(start_step, num_steps, share):
        assert share == data.Share()
        images = np.tile(IMAGES[:4], (6, 1, 1, 1, 1))
        for step, value in values.items():
            images[step - 1, 1, 4, 4] = value
        dataset = tf.data.Dataset.from_tensor_slices(
            (images, np.tile(LABELS[:4], (6, 1)))
        )
        return dataset.skip(start_step).take(num_steps)

    return make


@pytest.mark.parametrize(
    ("values", "steps_per_execution", "bad_step"),
    [({1: np.nan}, 1, 1), ({3: np.nan, 5: np.nan}, 4, 3), ({6: np.inf}, 4, 6)],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(
    values, steps_per_execution, bad_step
):
    loop = Loop(make_trainer(policies.CenterPolicy()), ONE_DEVICE, steps_per_execution)
    with pytest.raises(NonFiniteLoss, match=f"step {bad_step}:"):
        loop.train(batches_with(values), epochs=1, steps_per_epoch=6, callbacks=[])


@tf.custom_gradient
def poisoned(values, flags):
    """The values, whose gradient is not a number where a flag is set."""

    def backward(upstream):
        return tf.where(flags, np.nan, upstream), None

    return tf.identity(values), backward


def poisoned_objective(rollout, labels):
    """RAM's, of which label 2 makes the gradient NaN and leaves the loss alone."""
    terms = objectives.ram_objective(rollout, labels)
    return {**terms, "classification": poisoned(terms["classification"], labels == 2)}


POISONED = dataclasses.replace(PHASE, objective=poisoned_objective)


def batches_labelled_2(at_steps):
    """Batches of labels 0 and 1 but for one label 2 in each of some steps, from 1."""

    def make(start_step, num_steps, share):
        labels = np.tile([0, 1, 0, 1], (6, 1))
        for step in at_steps:
            labels[step - 1, 3] = 2
        images = np.tile(IMAGES[:4], (6, 1, 1, 1, 1))
        dataset = tf.data.Dataset.from_tensor_slices((images, labels))
        return dataset.skip(start_step).take(num_steps)

    return make


@pytest.mark.parametrize(
    ("at_steps", "steps_per_execution", "options", "named", "saved"),
    [
        ([1], 1, {}, 1, None),
        ([3, 5], 4, {"clip_norm": 1.0}, 3, 2),
        ([6], 4, {"xla": True}, 6, 4),
    ],
)
def test_a_gradient_that_is_not_finite_is_found_before_it_is_saved(
    at_steps, steps_per_execution, options, named, saved, tmp_path
):
    trainer = make_trainer(policies.CenterPolicy(), POISONED, **options)
    checkpointing = Checkpointing(tmp_path, 2, 6, "loss", report=lambda line: None)
    loop = Loop(trainer, ONE_DEVICE, steps_per_execution, pause_every=2)
    with pytest.raises(NonFiniteLoss, match=f"gradient was not finite at step {named}"):
        loop.train(
            batches_labelled_2(at_steps),
            epochs=1,
            steps_per_epoch=6,
            callbacks=[checkpointing],
        )
    _, state = find_checkpoint(tmp_path / "last")
    assert (state and state["step"]) == saved


@pytest.mark.usefixtures("eagerly")
def test_a_gradient_that_the_loss_scale_skips_is_no_fault_until_no_scale_helps():
    trainer = make_trainer(policies.CenterPolicy(), POISONED)
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=2.0**-8
    )
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    before = weights_of(trainer.network)
    norms = [float(trainer.checked_step((IMAGES, np.full(12, 2)))[1]) for _ in range(3)]
    assert norms[:2] == [0.0, 0.0] and np.isnan(norms[2])  # 2^-8, 2^-9, 2^-10.
    assert not change(trainer, before).any()  # All were skipped.


@pytest.mark.usefixtures("eagerly")
def test_finite_data_train_to_the_end_and_callbacks_see_every_call():
    calls = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: calls.append(batch),
        on_epoch_end=lambda epoch, logs: calls.append(sorted(logs)),
    )
    trainer = make_trainer()
    Loop(trainer, ONE_DEVICE, steps_per_execution=2, pause_every=3).train(
        batches_with({}), epochs=1, steps_per_epoch=6, callbacks=[note]
    )
    # The first call is one step, the others two, unless a pause or the end comes first.
    assert calls[:-1] == [0, 2, 4, 5]
    names = ["accuracy", *PHASE.weights, "images_per_second", "loss"]
    assert calls[-1] == sorted(names)
    assert int(trainer.optimizer.iterations) == 6


# Evaluation


def per_example(trainer, images, labels, copies=1):
    """What `test_step` should find, from one rollout over everything."""
    result = models.rollout(
        trainer.network,
        trainer.policy,
        trainer.network.prepare(np.repeat(images, copies, axis=0)),
        trainer.num_glimpses,
        seed=ram_random.make_seed(trainer.seed, -1, 0),
    )
    terms = objectives.ram_objective(result, np.repeat(labels, copies))
    logits = np.asarray(result.logits)[:, -1]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    mean = probabilities.reshape(len(images), copies, -1).mean(axis=1)
    values = {
        name: np.asarray(term).reshape(len(images), copies).mean(axis=1)
        for name, term in terms.items()
    }
    values["loss"] = sum(values[name] for name in terms)
    return {**values, "accuracy": mean.argmax(axis=-1) == labels}


def test_a_padded_last_batch_leaves_the_mean_over_examples_alone():
    trainer = make_trainer(MEAN)
    split = data.Split(IMAGES, LABELS)
    dataset = data.Dataset("tiny", split, split, split, ("a", "b", "c"))
    batches = functools.partial(dataset.eval_batches, "validation", 5, 11)
    found = Loop(trainer, ONE_DEVICE).evaluate(batches)
    expected = per_example(trainer, IMAGES[:11], LABELS[:11])
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values.mean(), rel=1e-5), name


@pytest.mark.usefixtures("eagerly")
def test_each_batch_of_an_evaluation_draws_its_own_noise():
    trainer = make_trainer()
    batch = IMAGES, LABELS, np.ones(12, "float32")
    found = []
    for index in (0, 1):
        trainer.reset_metrics()
        found.append(float(trainer.test_step(batch, index)["loss"]))
    assert found[0] != found[1]

    def twice(share):
        return tf.data.Dataset.from_tensors(batch).repeat(2)

    evaluated = Loop(trainer, ONE_DEVICE).evaluate(twice)
    assert evaluated["loss"] == pytest.approx(np.mean(found), rel=1e-5)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("copies", [1, 4])
def test_evaluation_averages_the_class_probabilities_of_copies(copies):
    trainer = make_trainer(eval_samples=copies)
    ones = np.ones(12, "float32")
    for _ in range(2):  # Every evaluation draws the same.
        trainer.reset_metrics()
        found = trainer.test_step((IMAGES, LABELS, ones))
        for name, values in per_example(trainer, IMAGES, LABELS, copies).items():
            assert float(found[name]) == pytest.approx(values.mean(), rel=1e-4), name
