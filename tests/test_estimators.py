"""The score-function estimate against gradients that are known exactly."""

import math

import numpy as np
import pytest
import tensorflow as tf

from ram_tf import layers, objectives, ops, random
from tests.comparisons import assert_close

STDDEV = 0.4
MEAN = np.array([0.3, -0.2], "float32")
CENTRE = np.array([0.1, 0.4], "float32")
COUNT = 100_000


def quadratic(action):
    """E[-|a - c|^2] = -|m - c|^2 - 2 s^2."""
    return -tf.reduce_sum((action - CENTRE) ** 2, axis=-1)


def indicator(action):
    """P(a_x > 0) = Phi(m_x / s)."""
    return tf.cast(action[..., 0] > 0, tf.float32)


def normal_density(x):
    return math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


EXPECTED_REWARD = {
    quadratic: -float(((MEAN - CENTRE) ** 2).sum()) - 2 * STDDEV**2,
    indicator: 0.5 * (1 + math.erf(MEAN[0] / STDDEV / math.sqrt(2))),
}
GRADIENT = {
    quadratic: -2 * (MEAN - CENTRE),
    indicator: np.array([normal_density(MEAN[0] / STDDEV) / STDDEV, 0.0]),
}
rewards = pytest.mark.parametrize(
    "reward", GRADIENT, ids=lambda reward: reward.__name__
)


def estimates(reward, baseline=0.0, seed=0):
    """One estimate of the gradient of the expected reward for each draw, `(n, 2)`."""
    means = tf.constant(np.tile(MEAN, (COUNT, 1)))
    noise = tf.random.stateless_normal(means.shape, random.make_seed(seed))
    actions = means + STDDEV * noise
    with tf.GradientTape() as tape:
        tape.watch(means)
        log_probs = ops.normal_log_prob(actions, means, STDDEV)[:, None]
        loss = ops.score_function_loss(
            log_probs, reward(actions), tf.fill((COUNT, 1), baseline)
        )
    return -np.asarray(tape.gradient(loss, means), "float64")


def assert_mean(samples, expected):
    """The mean of samples is the expected one within 4 standard errors."""
    error = samples.std(axis=0) / math.sqrt(len(samples))
    assert (error < 0.05).all()
    assert (np.abs(samples.mean(axis=0) - expected) <= 4 * error).all()


@rewards
@pytest.mark.parametrize("baseline", ["none", "expected reward", "far off"])
def test_the_estimate_is_unbiased_whatever_the_baseline(reward, baseline):
    value = {"none": 0.0, "expected reward": EXPECTED_REWARD[reward], "far off": 3.0}
    assert_mean(estimates(reward, value[baseline]), GRADIENT[reward])


@rewards
def test_the_expected_reward_as_baseline_lowers_the_variance(reward):
    without = estimates(reward).var(axis=0)
    within = estimates(reward, EXPECTED_REWARD[reward], seed=1).var(axis=0)
    worse = estimates(reward, 3.0, seed=2).var(axis=0)
    assert (within < 0.8 * without).all()
    assert (worse > 2 * without).all()


@rewards
def test_the_location_layer_and_its_log_probability_give_the_same_estimate(reward):
    head = layers.GaussianLocation(STDDEV, bound="clip", detach_inputs=False)
    head.build((None, 2))
    head.mean.kernel.assign(np.eye(2))
    hidden = tf.constant(np.tile(MEAN, (COUNT, 1)))
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        actions, log_probs = head(hidden, training=True, seed=random.make_seed(3))
        loss = ops.score_function_loss(
            log_probs[:, None], reward(actions), tf.zeros((COUNT, 1))
        )
    assert_mean(-np.asarray(tape.gradient(loss, hidden)), GRADIENT[reward])


def test_every_decision_learns_from_the_return_that_they_earn_together():
    decisions = 3
    means = tf.constant(np.tile(MEAN, (COUNT, decisions, 1)))
    noise = tf.random.stateless_normal(means.shape, random.make_seed(4))
    actions = means + STDDEV * noise
    returns = tf.reduce_prod(indicator(actions), axis=1)
    with tf.GradientTape() as tape:
        tape.watch(means)
        log_probs = ops.normal_log_prob(actions, means, STDDEV)
        loss = ops.score_function_loss(
            log_probs, returns, tf.fill((COUNT, decisions), 0.4)
        )
    found = -np.asarray(tape.gradient(loss, means), "float64")
    others = EXPECTED_REWARD[indicator] ** (decisions - 1)
    expected = np.tile(GRADIENT[indicator] * others, (decisions, 1))
    assert_mean(found, expected)


def test_the_baseline_passes_no_gradient():
    baselines, log_probs = tf.ones((4, 2)) * 0.3, tf.ones((4, 2))
    with tf.GradientTape() as tape:
        tape.watch((baselines, log_probs))
        loss = ops.score_function_loss(log_probs, tf.ones((4,)), baselines)
    at_baselines, at_log_probs = tape.gradient(loss, (baselines, log_probs))
    assert at_baselines is None
    assert_close(at_log_probs, np.full((4, 2), -0.7))


def test_the_return_of_an_open_set_by_hand():
    predictions = np.array([0, 1, 2, 0, 2])
    logits = np.zeros((5, 4, 3), "float32")
    logits[:, -1] = np.eye(3)[predictions]  # After the last glimpse alone.
    labels = np.array([0, 0, 2, 2, 1])
    closed = objectives.is_right(logits, labels)
    assert closed.numpy().tolist() == [[1], [0], [1], [0], [0]]
    opened = objectives.is_right_and_not_false_alarm(logits, labels)
    # Unknown taken for known costs one; known taken for unknown is only wrong.
    assert opened.numpy().tolist() == [[1], [0], [1], [-1], [0]]


def test_the_belief_in_the_true_class_is_a_return_without_a_gradient():
    logits = tf.random.stateless_normal((4, 5, 3), seed=(0, 1))
    labels = np.array([0, 2, 1, 1])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = objectives.belief(logits, labels)
    exponentials = np.exp(logits[:, -1])
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    expected = probabilities[np.arange(4), labels][:, None]
    assert_close(found, expected)
    assert tape.gradient(found, logits) is None
