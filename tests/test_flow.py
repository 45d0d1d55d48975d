"""The normalising flow against float64 NumPy, autodiff and its own inverse."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from ram_tf.layers.spline_flow import SplineFlow
from tests.comparisons import assert_close

RNG = np.random.default_rng(0)
BATCH, UNITS, WIDTH = 6, 5, 4
BASE = RNG.standard_normal((BATCH, UNITS)).astype("float32")
CONTEXT = RNG.standard_normal((BATCH, WIDTH)).astype("float32")


def make_flow(units=UNITS, published_norm=False, num_blocks=2, spread=1.0):
    """A flow far from its start: weights of the size of an ordinary layer's."""
    flow = SplineFlow(num_blocks, published_norm=published_norm)
    flow.build((None, units), (None, WIDTH))
    rng = np.random.default_rng(1)
    for variable in flow.trainable_variables:
        fan_in = variable.shape[0] if len(variable.shape) == 2 else 4
        noise = rng.standard_normal(variable.shape) * spread / np.sqrt(fan_in)
        variable.assign_add(noise.astype("float32"))
    return flow


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference_spline(x, outputs):
    """One number through one spline: Durkan et al., 2019, equations 4 and 5."""

    def softmax(logits):
        exps = np.exp(logits - logits.max())
        return exps / exps.sum()

    widths = 1e-3 + (1 - 5e-3) * softmax(outputs[:5])
    heights = 1e-3 + (1 - 5e-3) * softmax(outputs[5:10])
    slopes = np.r_[1.0, 1e-3 + np.log1p(np.exp(outputs[10:])), 1.0]
    knots_x, knots_y = (np.r_[0, np.cumsum(sizes)] for sizes in (widths, heights))
    unit = sigmoid(x)
    k = np.clip(np.searchsorted(knots_x, unit, side="right") - 1, 0, 4)
    s = heights[k] / widths[k]
    t = (unit - knots_x[k]) / widths[k]
    bottom = s + (slopes[k + 1] + slopes[k] - 2 * s) * t * (1 - t)
    top = heights[k] * (s * t**2 + slopes[k] * t * (1 - t))
    y = (knots_y[k] + top / bottom) * (1 - 2e-6) + 1e-6
    rise = slopes[k + 1] * t**2 + 2 * s * t * (1 - t) + slopes[k] * (1 - t) ** 2
    slope = s**2 * rise / bottom**2 * unit * (1 - unit) * (1 - 2e-6) / (y * (1 - y))
    return np.log(y / (1 - y)), np.log(slope)


def reference_flow(flow, base, context):
    """One example, one hidden unit after the other."""

    def values(layer):
        return [weight.numpy().astype("float64") for weight in layer.weights]

    def conditioner(layer, x):
        kernel, bias = values(layer.hidden)
        x = np.maximum(x @ kernel + bias, 0)
        kernel, bias = values(layer.output_map)
        return x @ kernel + bias

    def normalize(x):
        return (x - x.mean()) / np.sqrt(x.var() + 1e-5)

    def hidden_layer(layer, norm, context, x, inclusive):
        context_kernel, kernel, bias = values(layer)
        gamma, beta = values(norm)
        outputs = context @ context_kernel + bias
        for i in range(len(x)):
            seen = i + 1 if inclusive else i
            outputs[WIDTH + i] += x[:seen] @ kernel[:seen, i]
        outputs = np.where(outputs < 0, 0.2 * outputs, outputs)
        if flow.published_norm:
            outputs = normalize(outputs)
        else:
            outputs[:WIDTH] = normalize(outputs[:WIDTH])
        outputs = outputs * gamma + beta
        return outputs[:WIDTH], outputs[WIDTH:]

    log_det = 0.0
    for block in flow.blocks:
        scale = sigmoid(conditioner(block.scale, context))
        scale *= np.exp(float(block.coefficient.numpy()))
        x = (base * scale + conditioner(block.shift, context))[::-1]
        log_det += np.log(scale).sum()
        first = hidden_layer(block.first, block.first_norm, context, x, False)
        hidden_context, hidden = hidden_layer(
            block.middle, block.middle_norm, *first, True
        )
        context_kernel, kernel, bias = values(block.last)
        base = np.zeros_like(x)
        for i in range(len(x)):
            columns = np.arange(14) * len(x) + i
            outputs = hidden_context @ context_kernel[:, columns] + bias[columns]
            outputs += hidden[: i + 1] @ kernel[: i + 1, columns]
            base[i], log_slope = reference_spline(x[i], outputs)
            log_det += log_slope
    return base, log_det


def jacobians(flow, base, context):
    base = tf.constant(base)
    with tf.GradientTape() as tape:
        tape.watch(base)
        latents, log_det = flow(base, context)
    return tape.batch_jacobian(latents, base).numpy(), log_det.numpy()


@pytest.mark.parametrize("published_norm", [False, True])
def test_forward_pass_is_the_formula(published_norm):
    flow = make_flow(published_norm=published_norm)
    latents, log_det = flow(BASE, CONTEXT)
    expected = [
        reference_flow(flow, *example)
        for example in zip(BASE.astype("float64"), CONTEXT.astype("float64"))
    ]
    # Logits near the ends of the unit interval lose a digit or two.
    assert_close(latents, [base for base, _ in expected], 1e-4)
    assert_close(log_det, [log_slope for _, log_slope in expected], 1e-4)


def test_log_determinant_is_autodiffs():
    jacobian, log_det = jacobians(make_flow(num_blocks=3), BASE, CONTEXT)
    expected = np.linalg.slogdet(jacobian.astype("float64"))[1]
    assert_close(log_det, expected, 1e-4)


def test_each_dimension_depends_on_those_before_it_alone():
    jacobian, _ = jacobians(make_flow(num_blocks=1), BASE, CONTEXT)
    reversed_inputs = jacobian[:, :, ::-1]
    assert np.all(np.triu(reversed_inputs, 1) == 0)
    assert np.all(reversed_inputs[:, np.tri(UNITS, dtype=bool)] != 0)


@pytest.mark.slow
def test_the_published_norm_is_not_autoregressive():
    """A flaw of the published code: its log-determinant is not the true one."""
    flow = make_flow(published_norm=True, num_blocks=1)
    jacobian, log_det = jacobians(flow, BASE, CONTEXT)
    true = np.linalg.slogdet(jacobian.astype("float64"))[1]
    assert np.abs(log_det - true).max() > 0.1
    assert np.abs(np.triu(jacobian[:, :, ::-1], 1)).max() > 1e-3


@pytest.mark.parametrize("spread", [pytest.param(0.1, marks=pytest.mark.slow), 0.5])
def test_inverse_undoes_forward_both_ways(spread):
    bijector = make_flow(num_blocks=3, spread=spread).bijector(CONTEXT)
    latents = tf.identity(bijector.forward(BASE))
    assert_close(bijector.inverse(latents), BASE, 1e-3)
    base = tf.identity(bijector.inverse(latents / 2))
    assert_close(bijector.forward(base), latents / 2, 1e-3)


def test_bijector_is_the_layer():
    flow = make_flow()
    latents, log_det = flow(BASE, CONTEXT)
    bijector = flow.bijector(CONTEXT)
    np.testing.assert_array_equal(bijector.forward(BASE), latents)
    np.testing.assert_array_equal(bijector.forward_log_det_jacobian(BASE), log_det)
    inverse_log_det = bijector.inverse_log_det_jacobian(tf.identity(latents))
    assert_close(inverse_log_det, -log_det, 1e-3)


def test_density_integrates_to_one():
    tfd = tfp.distributions
    flow = make_flow(units=1, num_blocks=3, spread=0.2)
    grid = np.linspace(-9, 9, 8001, dtype="float32")[:, None]
    context = np.repeat(CONTEXT[:1], len(grid), axis=0)
    density = tfd.TransformedDistribution(
        tfd.MultivariateNormalDiag(tf.zeros((len(grid), 1))), flow.bijector(context)
    ).prob(grid)
    # No base value leads further out than the logit's margin: NaN, so none is there.
    density = np.nan_to_num(density)
    assert density[0] == density[-1] == 0 < density.max()
    assert np.trapezoid(density, grid[:, 0]) == pytest.approx(1, abs=1e-3)


def test_many_samples_share_a_context():
    flow = make_flow()
    base = RNG.standard_normal((2, 3, 7, UNITS)).astype("float32")
    context = RNG.standard_normal((2, 3, 1, WIDTH)).astype("float32")
    latents, log_det = flow(base, context)
    assert latents.shape == (2, 3, 7, UNITS) and log_det.shape == (2, 3, 7)
    rows = np.repeat(context, 7, axis=2).reshape(-1, WIDTH)
    expected = flow(base.reshape(-1, UNITS), rows)
    assert_close(latents, np.reshape(expected[0], base.shape), 1e-4)
    assert_close(log_det, np.reshape(expected[1], (2, 3, 7)), 1e-4)


def test_eager_and_xla_agree():
    flow = make_flow(num_blocks=1)

    def both_ways(base):
        bijector = flow.bijector(CONTEXT)
        latents, log_det = flow(base, CONTEXT)
        return latents, log_det, bijector.inverse(tf.identity(latents))

    eager = both_ways(tf.constant(BASE))
    compiled = tf.function(both_ways, jit_compile=True)(tf.constant(BASE))
    for expected, actual in zip(eager, compiled):
        assert_close(actual, expected, 1e-3)


@pytest.mark.slow
def test_the_forward_pass_has_no_loop():
    flow = make_flow()
    forward = tf.function(flow).get_concrete_function(
        tf.TensorSpec((None, 3, UNITS)), tf.TensorSpec((None, 1, WIDTH))
    )
    assert not [op for op in forward.graph.get_operations() if "While" in op.type]


@pytest.mark.parametrize("published_norm", [False, True])
def test_every_weight_gets_a_finite_gradient(published_norm):
    flow = make_flow(published_norm=published_norm)
    far = np.concatenate([BASE, 40 * BASE])
    with tf.GradientTape() as tape:
        latents, log_det = flow(far, np.concatenate([CONTEXT, CONTEXT]))
        loss = tf.reduce_sum(latents**2) - tf.reduce_sum(log_det)
    gradients = tape.gradient(loss, flow.trainable_variables)
    for variable, gradient in zip(flow.trainable_variables, gradients):
        assert np.isfinite(gradient).all(), variable.path
        assert np.any(gradient != 0), variable.path


def test_masked_weights_have_no_gradient():
    flow = make_flow(num_blocks=1)
    block = flow.blocks[0]
    with tf.GradientTape() as tape:
        latents, log_det = flow(BASE, CONTEXT)
        loss = tf.reduce_sum(latents**2) - tf.reduce_sum(log_det)
    kernels = [layer.kernel.value for layer in (block.first, block.middle, block.last)]
    first, middle, last = (np.array(g) for g in tape.gradient(loss, kernels))
    assert np.all(np.tril(first) == 0)
    assert np.all(np.tril(middle, -1) == 0)
    for copy in np.split(last, 14, axis=1):
        assert np.all(np.tril(copy, -1) == 0)


def test_starts_as_a_plain_scaling():
    flow = SplineFlow(2)
    latents, log_det = flow(BASE, CONTEXT)
    assert_close(latents, BASE / 4, 1e-2)
    assert_close(log_det, np.full(BATCH, -2 * UNITS * np.log(2)), 1e-2)


def initialization_batch():
    base = RNG.standard_normal((500, 2, UNITS)) * np.arange(1, UNITS + 1) + 3
    context = RNG.standard_normal((500, 1, WIDTH))
    return base.astype("float32"), context.astype("float32")


@pytest.mark.parametrize("graph", [False, True])
def test_initialization_gives_each_actnorm_the_stated_statistics(graph):
    flow = SplineFlow(2)
    base, context = initialization_batch()
    flow.build(base.shape, context.shape)
    initialize = tf.function(flow.initialize) if graph else flow.initialize
    initialize(base, context)
    for block in flow.blocks:
        rows = np.reshape(base, (-1, UNITS)).astype("float64")
        coefficient = block.coefficient.numpy()
        expected = np.mean(2 / rows.std(axis=0))
        # Variances of a thousand numbers beside their mean, in float32.
        assert np.exp(coefficient) == pytest.approx(expected, rel=2e-4)
        scale = np.exp(coefficient) * sigmoid(block.scale(context).numpy())
        bias = -np.mean(np.reshape(base * scale, (-1, UNITS)), axis=0)
        # Of numbers of size 2: in the second block the means are nearly none.
        found = block.shift.output_map.bias.numpy()
        assert np.abs(found - bias).max() < 1e-4
        normal = np.reshape(base * scale + block.shift(context), (-1, UNITS))
        assert np.abs(normal.mean(axis=0)).max() < 1e-3
        base = block.bijector(context).forward(base).numpy()


def test_after_initialization_a_flow_is_almost_the_identity():
    flow = SplineFlow(2)
    base = RNG.standard_normal((2000, UNITS)).astype("float32")
    context = RNG.standard_normal((2000, WIDTH)).astype("float32")
    flow(base, context)
    flow.initialize(base, context)
    latents, log_det = flow(base, context)
    assert_close(latents, base - base.mean(axis=0), 0.05)
    assert np.abs(np.mean(log_det)) < 0.2


@pytest.mark.slow
def test_initialization_happens_once_and_survives_a_file(tmp_path):
    base, context = initialization_batch()
    flow = SplineFlow(2)
    flow(base, context)
    flow.initialize(base, context)
    weights = flow.get_weights()

    def assert_unchanged(other):
        other.initialize(2 * base + 1, context)
        for expected, actual in zip(weights, other.get_weights(), strict=True):
            np.testing.assert_array_equal(actual, expected)

    assert_unchanged(flow)
    inputs = [keras.Input(x.shape[1:]) for x in (base, context)]
    keras.Model(inputs, flow(*inputs)).save_weights(tmp_path / "flow.weights.h5")
    again = SplineFlow(2)
    keras.Model(inputs, again(*inputs)).load_weights(tmp_path / "flow.weights.h5")
    assert_unchanged(again)


def test_one_example_is_enough_to_stay_finite():
    flow = SplineFlow(2)
    flow(BASE[:1], CONTEXT[:1])
    flow.initialize(BASE[:1], CONTEXT[:1])
    for value in (*flow(BASE, CONTEXT), *flow.get_weights()):
        assert np.isfinite(value).all()


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="num_blocks=0"):
        SplineFlow(0)
    with pytest.raises(ValueError, match="num_bins=1"):
        SplineFlow(num_bins=1)
