"""How much a look is expected to tell, and the draws and products behind it."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from ram_tf import ops, random
from tests.comparisons import assert_close

RNG = np.random.default_rng(0)
SEED = random.make_seed(3)


def gain(lookahead, belief):
    return np.asarray(ops.expected_information_gain(lookahead, belief))


# Expected information gain


@pytest.mark.parametrize("scale", [1.0, 30.0, 100.0])
def test_the_gain_is_zero_where_looking_changes_nothing(scale):
    belief = scale * RNG.standard_normal((5, 7)).astype("float32")
    lookahead = np.broadcast_to(belief[:, None, None], (5, 3, 4, 7))
    # What is left over of two logarithms of up to 1 nat that cancel.
    assert gain(lookahead, belief).max() < 1e-5
    # Logits are free up to a constant.
    assert gain(lookahead + 3, belief).max() < 1e-5


def test_the_gain_is_the_mutual_information_of_a_small_discrete_case():
    """A place shows one of two things, as likely; the class is one of three."""
    given = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])  # p(class | what is shown)
    mean = given.mean(axis=0)
    joint = given / 2
    information = np.sum(joint * np.log(joint / (mean * 0.5)))
    # H(class) - H(class | shown), by hand.
    entropies = -np.sum(given * np.log(given), axis=1)
    by_hand = -np.sum(mean * np.log(mean)) - entropies.mean()
    assert information == pytest.approx(by_hand)
    found = gain(np.log(given)[None, :, None], np.log(mean)[None])
    assert found == pytest.approx(information, rel=1e-5)


def test_the_gain_is_the_mean_over_samples_of_a_divergence():
    lookahead = RNG.standard_normal((2, 5, 3, 4)).astype("float32")
    belief = RNG.standard_normal((2, 4)).astype("float32")
    imagined = scipy.special.softmax(lookahead.astype(float), axis=-1)
    present = scipy.special.softmax(belief.astype(float), axis=-1)
    divergence = scipy.special.rel_entr(imagined, present[:, None, None]).sum(-1)
    assert_close(gain(lookahead, belief), divergence.mean(axis=1))


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-3, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("spread", [1e-6, 1.0, 100.0])
def test_the_gain_is_never_negative_and_always_finite(scale, spread):
    belief = RNG.uniform(-scale, scale, (50, 6)).astype("float32")
    change = RNG.uniform(-spread, spread, (50, 2, 5, 6)).astype("float32")
    lookahead = np.clip(belief[:, None, None] + change, -100, 100)
    found = gain(lookahead.astype("float32"), belief)
    assert np.isfinite(found).all()
    assert found.min() >= 0


def test_a_class_that_is_ruled_out_costs_nothing():
    certain = np.array([[200.0, -200.0, -200.0]], "float32")  # softmax: 1, 0, 0
    even = np.zeros((1, 3), "float32")
    assert scipy.special.softmax(certain)[0, 1] == 0
    assert gain(certain[:, None, None], even) == pytest.approx(np.log(3), rel=1e-5)
    assert gain(certain[:, None, None], certain) == 0
    assert np.isfinite(gain(even[:, None, None], certain)).all()


def test_half_precision_is_computed_in_single():
    belief = RNG.standard_normal((2, 4)).astype("float32")
    lookahead = tf.cast(RNG.standard_normal((2, 5, 3, 4)), tf.bfloat16)
    found = ops.expected_information_gain(lookahead, belief)
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, gain(tf.cast(lookahead, "float32"), belief))


# The best place that was not seen


def test_a_seen_place_is_never_chosen():
    scores = RNG.standard_normal((300, 6)).astype("float32")
    seen = RNG.random((300, 6)) < 0.7
    seen[:, 0] &= ~seen.all(axis=1)  # One place is left at least.
    index, masked = map(np.asarray, ops.best_unseen(scores, seen))
    rows = np.arange(300)
    assert not seen[rows, index].any()
    best = np.where(seen, -np.inf, scores)
    np.testing.assert_array_equal(scores[rows, index], best.max(axis=1))
    np.testing.assert_array_equal(masked, best)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("scores", [(0.0, 0.0, 0.0), (-0.0, -0.0, 0.0)])
def test_the_first_of_equals_is_chosen(scores, xla):
    seen = np.array([[True, False, False], [False, True, False], [True, True, False]])
    best = tf.function(ops.best_unseen, jit_compile=xla)
    index, _ = best(np.tile(np.float32(scores), (3, 1)), seen)
    np.testing.assert_array_equal(index, [1, 0, 2])


# Convolution as a matrix product


@pytest.mark.parametrize("kernel_size", [(1, 1), (3, 3), (2, 2), (3, 2), (5, 7)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_convolution_is_tensorflows(kernel_size, channels, strides, padding):
    images = RNG.standard_normal((4, 6, 7, channels)).astype("float32")
    kernel = RNG.standard_normal((*kernel_size, channels, 5)).astype("float32")
    expected = tf.nn.conv2d(images, kernel, strides, padding.upper())
    found = ops.convolve(images, kernel, strides, padding)
    assert found.shape == expected.shape
    assert_close(found, expected)
