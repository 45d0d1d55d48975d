"""Rewards after every glimpse and how decisions are credited with them, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from ram_tf import objectives
from ram_tf.families import FAMILIES
from ram_tf.models import Rollout
from ram_tf.objectives import Credit
from tests.comparisons import assert_close

# The probability of the true class after each of four glimpses, of two images.
TRUE = np.array([[0.2, 0.4, 0.8, 0.4], [0.5, 0.5, 0.25, 1.0]])
LABELS = np.array([0, 1])
REWARDS = np.float32([[1.0, 2.0, 4.0], [0.0, -1.0, 3.0]])
VALUES = np.float32([[0.5, 1.0, 2.0], [1.0, 0.0, -1.0]])


def logits():
    """Logits `(2, 4, 2)` of those probabilities, of two classes."""
    both = np.stack([TRUE, 1 - TRUE], axis=-1)
    both[1] = both[1, :, ::-1]
    return tf.math.log(tf.constant(np.maximum(both, 1e-30), "float32"))


def rollout(log_probs, baselines, own_logits=None):
    return Rollout(
        locations=None,
        hidden=None,
        logits=logits() if own_logits is None else own_logits,
        actions=None,
        log_probs=log_probs,
        extras={"baselines": baselines},
    )


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ("minus_loss", np.log(TRUE[:, 1:])),
        ("log_gain", np.log([[2.0, 2.0, 0.5], [1.0, 0.5, 4.0]])),
        ("gain", [[0.2, 0.4, -0.4], [0.0, -0.25, 0.75]]),
    ],
)
def test_rewards_after_each_glimpse(returns, expected):
    assert_close(getattr(objectives, returns)(logits(), LABELS), expected)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ("minus_loss", np.log(TRUE)),
        ("log_gain", np.log([[0.4, 2.0, 2.0, 0.5], [1.0, 1.0, 0.5, 4.0]])),
        ("gain", [[-0.3, 0.2, 0.4, -0.4], [0.0, 0.0, -0.25, 0.75]]),
    ],
)
def test_a_first_glimpse_that_was_decided_is_rewarded_too(returns, expected):
    """Before it, nothing is known of two classes: a half each."""
    looked = rollout(tf.zeros((2, 4)), tf.zeros((2, 4)))
    terms = objectives.ram_objective(
        looked, LABELS, getattr(objectives, returns), Credit(gamma=0.0), opens=True
    )
    assert_close(terms["baseline"], np.mean(np.square(expected), axis=1))


@pytest.mark.parametrize("returns", ["right", "gain"])
@pytest.mark.parametrize("opens", [False, True])
def test_a_control_that_decides_nothing_is_not_rewarded(returns, opens):
    looked = rollout(tf.zeros((2, 0)), tf.zeros((2, 4)))
    chosen = FAMILIES["ram"].phases[0].returns[returns]
    terms = objectives.ram_objective(looked, LABELS, chosen, opens=opens)
    assert_close(terms["baseline"], [0.0, 0.0])
    assert_close(terms["reinforce"], [0.0, 0.0])


@pytest.mark.parametrize("returns", ["minus_loss", "log_gain", "gain"])
def test_no_gradient_reaches_the_classifier_through_a_reward(returns):
    with tf.GradientTape() as tape:
        beliefs = logits()
        tape.watch(beliefs)
        reward = getattr(objectives, returns)(beliefs, LABELS)
    assert tape.gradient(reward, beliefs) is None


@pytest.mark.parametrize(
    ("gamma", "gae_lambda", "expected"),
    [
        (1.0, 1.0, [[7, 6, 4], [2, 2, 3]]),
        (0.5, 1.0, [[3, 4, 4], [0.25, 0.5, 3]]),
        (0.0, 1.0, REWARDS),
        (0.0, 0.3, REWARDS),
        # r_t + gamma V_{t+1}: the advantage is the temporal difference.
        (1.0, 0.0, [[2, 4, 4], [0, -2, 3]]),
        (0.5, 0.0, [[1.5, 3, 4], [0, -1.5, 3]]),
        # 4; 2 + (2 + 4) / 4 = 3.5; 1 + (1 + 3.5) / 4 = 2.125; and likewise.
        (0.5, 0.5, [[2.125, 3.5, 4], [-0.125, -0.5, 3]]),
    ],
)
def test_returns_of_rewards_after_each_glimpse(gamma, gae_lambda, expected):
    assert_close(Credit(gamma, gae_lambda).returns(REWARDS, VALUES), expected)


def test_the_advantage_is_the_discounted_sum_of_temporal_differences():
    gamma, gae_lambda = 0.9, 0.7
    following = np.concatenate([VALUES[:, 1:], np.zeros((2, 1))], axis=1)
    differences = REWARDS + gamma * following - VALUES
    powers = (gamma * gae_lambda) ** np.arange(3)
    expected = [differences[:, t:] @ powers[: 3 - t] for t in range(3)]
    found = Credit(gamma, gae_lambda).returns(REWARDS, VALUES) - VALUES
    assert_close(found, np.stack(expected, axis=1))


@pytest.mark.parametrize(
    ("credit", "expected"),
    [
        (Credit(), [[3.0]]),  # The same for all, untouched.
        (Credit(0.5), [[0.75, 1.5, 3.0]]),
        (Credit(1.0, 0.0), [[1.0, 2.0, 3.0]]),
        (Credit(0.0), [[0.0, 0.0, 3.0]]),
    ],
)
def test_one_reward_comes_after_the_last_glimpse(credit, expected):
    assert_close(credit.returns(np.float32([[3.0]]), VALUES[:1]), expected)


def test_copies_are_compared_with_the_mean_of_the_others():
    returned = np.float32([[1, 0], [2, 0], [6, 3], [10, 10], [20, 10], [30, 10]])
    found = Credit(copies=3).expected(returned, np.zeros((6, 2), "float32"))
    assert_close(found, [[4, 1.5], [3.5, 1.5], [1.5, 0], [25, 10], [20, 10], [15, 10]])
    values = np.ones((6, 2), "float32")
    assert Credit().expected(returned, values) is values


@pytest.mark.parametrize("decisions", [3, 4])
@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("gae_lambda", [1.0, 0.5])
@pytest.mark.parametrize("gamma", [1.0, 0.5])
@pytest.mark.parametrize(
    "returns",
    ["right", "belief", "right_and_not_false_alarm", "gain", "log_gain", "minus_loss"],
)
def test_all_combinations_give_the_terms_of_their_parts_or_are_refused(
    returns, gamma, gae_lambda, copies, decisions
):
    """Four glimpses; a fourth decision leads to none, and nothing comes after it."""
    reward = FAMILIES["ram"].phase("train").returns[returns]
    rng = np.random.default_rng(decisions)
    log_probs, values = rng.normal(size=(2, 2, decisions)).astype("float32")
    baselines = np.concatenate([values, np.ones((2, 5 - decisions))], axis=1)
    labels = np.zeros(2, int)
    copied = tf.repeat(logits()[:1], 2, axis=0) + np.float32([[[0.0]], [[1.0]]]) * (
        np.float32([1.0, 0.0])
    )
    if copies > 1 and gae_lambda < 1:
        with pytest.raises(ValueError, match="credit.gae_lambda must be 1"):
            Credit(gamma, gae_lambda, copies)
        return
    credit = Credit(gamma, gae_lambda, copies)
    own = rollout(log_probs, np.float32(baselines), copied)
    rewards = np.asarray(reward(copied, labels))
    if rewards.shape[1] == 3 and decisions == 4:
        with pytest.raises(ValueError, match="3 glimpses for 4 decisions"):
            objectives.ram_objective(own, labels, reward, credit)
        return
    terms = objectives.ram_objective(own, labels, reward, credit)
    each = np.zeros((2, decisions))
    each[:, -1] = rewards[:, -1]
    if rewards.shape[1] > 1:
        each = rewards
    returned, later = np.zeros((2, decisions)), np.zeros(2)
    for step in reversed(range(decisions)):
        promised = values[:, step + 1] if step + 1 < decisions else 0.0
        later = (1 - gae_lambda) * promised + gae_lambda * later
        returned[:, step] = later = each[:, step] + gamma * later
    expected = values if copies == 1 else returned[::-1]
    surrogate = -(log_probs * (returned - expected)).sum(axis=1)
    assert_close(terms["reinforce"], surrogate)
    assert_close(terms["baseline"], np.square(values - returned).mean(axis=1))


def test_the_baseline_is_fitted_to_what_came_and_not_to_itself():
    values = tf.Variable(VALUES)
    with tf.GradientTape() as tape:
        baselines = tf.concat([values, tf.zeros((2, 1))], axis=1)
        own = rollout(np.zeros((2, 3), "float32"), baselines)
        credit = Credit(0.5, 0.5)
        terms = objectives.ram_objective(own, LABELS, lambda *_: REWARDS, credit)
        loss = tf.reduce_sum(terms["baseline"])
    returned = np.array([[2.125, 3.5, 4], [-0.125, -0.5, 3]])
    assert_close(tape.gradient(loss, values), 2 * (VALUES - returned) / 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("gamma", -0.1), ("gamma", 1.5), ("gae_lambda", float("nan")), ("gae_lambda", 2)],
)
def test_a_share_lies_between_none_and_all(name, value):
    with pytest.raises(ValueError, match=f"credit.{name} must lie in"):
        Credit(**{name: value})
