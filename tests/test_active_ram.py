"""Active sampling: uncertainty, stopping, and looking no longer than it takes."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from ram_tf import data, evaluation, layers, models, objectives, ops, policies, random
from ram_tf.errors import InputError
from ram_tf.models.outputs import Rollout
from tests.comparisons import assert_close

DRAW = np.random.default_rng(0)
BRIGHTNESS = np.linspace(0, 1, 24, dtype="float32")[:, None, None, None]
IMAGES = BRIGHTNESS * DRAW.random((24, 14, 17, 1), "float32")
LABELS = np.arange(24) % 4
EPSILONS = (0.0, 0.1, 0.3, 0.5, 1e9)


def make_network(**options):
    network = models.ActiveRAM(
        4,
        retina=layers.Retina(6, 2, **options),
        glimpse_network=layers.MlpGlimpse(16, 16, 32),
        core=layers.RectifierCell(24),
        location=layers.GaussianLocation(0.2),
    )
    network.build(IMAGES.shape)
    return network


@functools.cache
def make_decided_network():
    """One whose beliefs differ enough between images to stop at different times."""
    network = make_network()
    kernel = network.classifier.kernel
    kernel.assign(6 * kernel)
    network.error_head.bias.assign(np.full(4, 0.5))
    return network


# Uncertainty


def test_the_head_predicts_the_same_numbers_with_two_gradients():
    head = layers.ErrorHead()
    hidden = DRAW.standard_normal((5, 3, 6)).astype("float32")
    probabilities = DRAW.dirichlet(np.ones(4), (5, 3)).astype("float32")
    uncertainty, fitted = head(hidden, probabilities)
    inputs = np.concatenate([hidden, probabilities], axis=-1)
    expected = np.maximum(inputs @ head.kernel.numpy() + head.bias.numpy(), 0)
    assert_close(uncertainty, expected)
    assert_close(fitted, expected)


def test_terms_by_hand():
    logits = np.log([[[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]]]).astype("float32")
    fitted = np.array([[[0.3, 0.2, 0.0], [0.5, 0.0, 0.25]]], "float32")
    uncertainty = np.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]], "float32")
    looked = Rollout(
        locations=None,
        hidden=None,
        logits=tf.constant(logits),
        actions=None,
        log_probs=tf.constant([[-1.0]]),
        extras={
            "baselines": tf.constant([[0.25, 0.0]]),
            "uncertainty": uncertainty,
            "uncertainty_fitted": fitted,
        },
    )
    terms = objectives.active_ram_objective(looked, np.array([0]))
    errors = np.array([[0.3, 0.2, 0.1], [0.5, 0.25, 0.25]])
    expected = {
        "classification": -np.log(0.5),
        "baseline": 0.75**2,
        "reinforce": 1.0 * (1 - 0.25),
        "error_fit": np.mean((fitted[0] - errors) ** 2),
        "uncertainty": 21.0,
        "intrinsic_belief": -np.mean(np.log([0.5, 0.25, 0.25])),
        "early_classification": -np.log(0.7),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        assert_close(terms[name], [value], what=name)


# Stopping


def is_settled_in_words(probabilities, uncertainty, epsilon):
    best = probabilities.argmax()
    others = [c for c in range(len(probabilities)) if c != best]
    lower = probabilities[best] - epsilon * uncertainty[best]
    return all(lower >= probabilities[c] + epsilon * uncertainty[c] for c in others)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, 1.0, 3.0])
def test_looking_may_stop_when_no_other_class_could_win(epsilon):
    probabilities = DRAW.dirichlet(np.full(5, 0.3), (40, 3)).astype("float32")
    uncertainty = DRAW.uniform(0, 0.4, probabilities.shape).astype("float32")
    settled = np.asarray(ops.is_settled(probabilities, uncertainty, epsilon))
    expected = [
        [is_settled_in_words(p, u, epsilon) for p, u in zip(*rows)]
        for rows in zip(probabilities, uncertainty)
    ]
    assert settled.tolist() == expected
    assert epsilon not in (0.1, 0.5) or 0 < settled.mean() < 1


def test_without_uncertainty_any_class_that_leads_is_settled():
    probabilities = np.array([[0.4, 0.35, 0.25]], "float32")
    assert ops.is_settled(probabilities, 0 * probabilities, 1e6).numpy().all()


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_looking_dynamically_is_the_whole_rollout_up_to_its_first_stop(epsilon):
    network = make_decided_network()
    policy = policies.GaussianPolicy(sample=False)
    whole = network(IMAGES, policy=policy, num_glimpses=5)
    beliefs = tf.nn.softmax(whole.logits).numpy()
    uncertainty = whole.extras["uncertainty"].numpy()
    found = models.DynamicLooker(network, policy, 5, models.Settled(epsilon))(IMAGES)
    for image in range(len(IMAGES)):
        stops = [
            is_settled_in_words(beliefs[image, t], uncertainty[image, t], epsilon)
            for t in range(4)
        ] + [True]
        last = stops.index(True)
        assert found["num_glimpses"][image] == last + 1
        assert_close(found["probabilities"][image], beliefs[image, last], 1e-4)
        assert_close(
            found["locations"][image, : last + 1],
            whole.locations[image, : last + 1],
            1e-4,
        )
        assert np.isnan(found["locations"][image, last + 1 :]).all()


def test_the_test_stops_at_different_glimpses():
    looker = models.DynamicLooker(
        make_decided_network(),
        policies.GaussianPolicy(sample=False),
        5,
        models.Settled(0.3),
    )
    assert len(set(looker(IMAGES)["num_glimpses"])) > 2


@pytest.mark.parametrize(
    "policy",
    [policies.GaussianPolicy(), policies.GaussianPolicy(sample=False)]
    + [policies.RandomPolicy(), policies.RasterPolicy()],
    ids=["sampled", "mean", "random", "raster"],
)
def test_an_image_stops_alike_in_any_batch(policy):
    looker = models.DynamicLooker(
        make_decided_network(), policy, 4, models.Settled(0.3)
    )
    seeds = np.stack([np.arange(24), 7 + np.arange(24)], axis=1)
    whole = looker(IMAGES, seeds)
    order = DRAW.permutation(24)
    permuted = looker(IMAGES[order], seeds[order])
    parts = [looker(IMAGES[i : i + 5], seeds[i : i + 5]) for i in range(0, 24, 5)]
    for name, values in whole.items():
        split = np.concatenate([part[name] for part in parts])
        assert_close(permuted[name], values[order])
        assert_close(split, values)


@pytest.mark.slow
def test_noise_of_the_sensor_is_that_of_the_whole_rollout():
    network = make_network(padding="normal")
    policy = policies.GaussianPolicy(sample=False)
    seeds = np.stack([np.arange(24), np.arange(24)], axis=1).astype("int32")
    found = models.DynamicLooker(network, policy, 3, models.Settled(1e9))(IMAGES, seeds)
    whole = network(IMAGES, policy=policy, num_glimpses=3, seed=seeds)
    assert (found["num_glimpses"] == 3).all()
    last = tf.nn.softmax(whole.logits[:, -1])
    assert_close(found["probabilities"], last)


@pytest.mark.slow
def test_compiled_by_xla_it_stops_at_the_same_glimpses():
    network = make_decided_network()
    policy = policies.GaussianPolicy(sample=False)
    plain, compiled = (
        models.DynamicLooker(network, policy, 5, models.Settled(0.3), xla=xla)(
            IMAGES[:23]
        )
        for xla in (False, True)
    )
    np.testing.assert_array_equal(compiled["num_glimpses"], plain["num_glimpses"])
    for name, values in plain.items():
        assert_close(compiled[name], values, 1e-4)


@pytest.mark.slow
def test_compiled_by_xla_a_sampled_path_does_not_depend_on_the_batch():
    looker = models.DynamicLooker(
        make_decided_network(),
        policies.GaussianPolicy(),
        4,
        models.Settled(0.3),
        xla=True,
    )
    seeds = np.stack([np.arange(24), 7 + np.arange(24)], axis=1)
    whole, part = looker(IMAGES, seeds), looker(IMAGES[3:12], seeds[3:12])
    for name, values in part.items():
        assert_close(values, whole[name][3:12])


class Counting(models.ActiveRAM):
    """Counts the images that a core takes in."""

    seen = tf.Variable(0)

    def integrate(self, features, location, state, training=False):
        self.seen.assign_add(tf.shape(location)[0])
        return super().integrate(features, location, state, training)


def test_what_has_stopped_costs_nothing():
    network = Counting(4, retina=layers.Retina(6, 2))
    network.build(IMAGES.shape)
    network.error_head.bias.assign(np.full(4, 0.5))
    network.classifier.kernel.assign(6 * network.classifier.kernel)
    looker = models.DynamicLooker(
        network, policies.GaussianPolicy(False), 5, models.Settled(0.3)
    )
    network.seen.assign(0)
    taken = looker(IMAGES)["num_glimpses"]
    assert network.seen.numpy() == taken.sum() < 5 * len(IMAGES)


def test_a_network_that_does_not_know_is_refused():
    network = models.RAM(4, retina=layers.Retina(6))
    network.build(IMAGES.shape)
    with pytest.raises(InputError, match="nothing in RAM says when to stop"):
        network.make_stop_rule(0.1)
    rule = models.Settled(0.1)
    looker = models.DynamicLooker(network, policies.GaussianPolicy(), 3, rule)
    with pytest.raises(InputError, match="RAM and GaussianPolicy say nothing"):
        looker(IMAGES)


@pytest.mark.slow
def test_evaluation_and_dynamic_looking_agree():
    network = make_decided_network()
    policy = policies.GaussianPolicy(sample=False)
    split = data.Split((255 * IMAGES).astype("uint8"), LABELS)
    dataset = data.Dataset("tiny", split, split, split, tuple("abcd"))
    evaluator = evaluation.Evaluator(
        network, policy, 5, stop_epsilons=EPSILONS, xla=False
    )
    measured = evaluator.measure(dataset.eval_batches("test", 12))
    for row, epsilon in zip(measured["stopping"], EPSILONS):
        found = models.DynamicLooker(network, policy, 5, models.Settled(epsilon))(
            split.images
        )
        right = found["probabilities"].argmax(axis=-1) == LABELS
        assert row == {
            "epsilon": epsilon,
            "glimpses": pytest.approx(found["num_glimpses"].mean()),
            "accuracy": pytest.approx(right.mean()),
        }


def test_noise_of_the_sensor_is_averaged_and_varies_between_seeds():
    network = make_network(padding="normal")
    split = data.Split((255 * IMAGES).astype("uint8"), LABELS)
    dataset = data.Dataset("tiny", split, split, split, tuple("abcd"))
    compared = evaluation.compare_policies(
        network,
        {"mean": policies.GaussianPolicy(sample=False, first_location=(-1.0, -1.0))},
        dataset.eval_batches("test", 10),
        2,
        mc_samples=3,
        seeds=2,
        xla=False,
    )
    measured = compared["policies"]["mean"]
    assert measured["mc_samples"] == 3
    assert max(measured["nll"]["std"]) > 0


def test_seeds_of_a_glimpse_are_those_of_the_rollout():
    seed = random.make_seed(3)
    seeds = random.rollout_seeds(seed, 4)
    for step in range(4):
        one = random.glimpse_seeds(seed, step, 4)
        assert one.sense.numpy().tolist() == seeds.sense[step].numpy().tolist()
        assert one.decide.numpy().tolist() == seeds.decide[step].numpy().tolist()
