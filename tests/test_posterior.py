"""Posterior and decoder: identities, independent references, published numbers."""

import functools
import os
import pathlib
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from ram_tf.layers.feature_decoder import FeatureDecoder
from ram_tf.layers.posterior import Posterior
from ram_tf.layers.spline_flow import SplineFlow
from tests.comparisons import assert_close

tfd = tfp.distributions
FOLDER = pathlib.Path(
    os.environ.get("RAM_TF_GOLDEN_DIR", pathlib.Path(__file__).parent / "golden")
)
RNG = np.random.default_rng(0)
HIDDEN = RNG.standard_normal((3, 7)).astype("float32")
NOISE = RNG.standard_normal((3, 2, 4)).astype("float32")
LATENTS = RNG.standard_normal((5, 4)).astype("float32")


def scatter(layer, spread=0.3):
    """Moves every trainable weight away from its start."""
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        noise = spread * rng.standard_normal(variable.shape)
        variable.assign_add(noise.astype("float32"))
    return layer


def make_posterior(num_blocks=2):
    posterior = Posterior(4, 6, 5, num_blocks)
    posterior.build((None, 7))
    return scatter(posterior)


def make_decoder(grid=(7, 7), num_convolutions=2):
    decoder = FeatureDecoder(6, grid, num_convolutions)
    decoder.build((None, 4))
    return scatter(decoder)


def test_gaussian_posterior_is_tfps():
    posterior = make_posterior(num_blocks=0)
    latents, log_q, log_prior = posterior(HIDDEN, NOISE)
    hidden = posterior.norm(tf.nn.leaky_relu(posterior.hidden(HIDDEN), 0.01))
    mean, log_variance = tf.split(posterior.output_map(hidden), 2, axis=-1)
    gaussian = tfd.MultivariateNormalDiag(
        mean[:, None], tf.exp(log_variance[:, None] / 2)
    )
    assert_close(log_q, gaussian.log_prob(latents))
    draws = (latents - gaussian.mean()) / gaussian.stddev()
    assert_close(draws, NOISE, 1e-4)
    prior = tfd.MultivariateNormalDiag(tf.zeros(4))
    assert_close(log_prior, prior.log_prob(latents))


def test_log_density_is_the_transformed_distributions():
    posterior = make_posterior()
    latents, log_q, _ = posterior(HIDDEN, NOISE)
    hidden = posterior.norm(tf.nn.leaky_relu(posterior.hidden(HIDDEN), 0.01))
    outputs = posterior.output_map(hidden)[:, None]
    context, mean, log_variance = tf.split(outputs, [5, 4, 4], axis=-1)
    expected = tfd.TransformedDistribution(
        tfd.MultivariateNormalDiag(mean, tf.exp(log_variance / 2)),
        posterior.flow.bijector(context),
    ).log_prob(tf.identity(latents))
    assert_close(log_q, expected, 1e-3)


def test_steps_of_a_rollout_may_come_together():
    posterior = make_posterior()
    together = posterior(np.stack([HIDDEN, -HIDDEN]), np.stack([NOISE, 2 * NOISE]))
    assert [x.shape for x in together] == [(2, 3, 2, 4), (2, 3, 2), (2, 3, 2)]
    for i, inputs in enumerate([(HIDDEN, NOISE), (-HIDDEN, 2 * NOISE)]):
        for both, alone in zip(together, posterior(*inputs)):
            assert_close(both[i], alone, 1e-4)


def test_initialization_reaches_the_flow_once():
    posterior = make_posterior()
    assert not posterior.initialized
    posterior.initialize(HIDDEN, NOISE)
    assert posterior.initialized
    weights = posterior.get_weights()
    posterior.initialize(-HIDDEN, NOISE)
    for before, after in zip(weights, posterior.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)


def test_a_gaussian_posterior_needs_no_initialization():
    posterior = make_posterior(num_blocks=0)
    assert posterior.initialized
    weights = posterior.get_weights()
    posterior.initialize(HIDDEN, NOISE)
    for before, after in zip(weights, posterior.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        pytest.param(
            lambda: make_posterior(1),
            (HIDDEN, NOISE),
            id="flow",
            marks=pytest.mark.slow,
        ),
        pytest.param(lambda: make_posterior(0), (HIDDEN, NOISE), id="gaussian"),
        pytest.param(make_decoder, (LATENTS,), id="decoder"),
    ],
)
def test_xla_and_gradients(make, inputs):
    layer = make()

    def step():
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(layer(*inputs))
            loss = sum(tf.reduce_mean(x**2) for x in outputs)
        return outputs, tape.gradient(loss, layer.trainable_variables)

    outputs, gradients = step()
    for variable, gradient in zip(layer.trainable_variables, gradients):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all() and np.any(gradient != 0), variable.path
    compiled = tf.function(step, jit_compile=True)()
    for expected, actual in zip(
        [*outputs, *gradients], [*compiled[0], *compiled[1]], strict=True
    ):
        assert_close(actual, expected, 1e-3)


def reference_decoder(decoder, latents):
    """TensorFlow's own convolutions, NumPy's edge padding, float64, batch first."""
    rows, columns = decoder.grid
    x = latents.astype("float64")[:, None, None, :]
    num_transposed = len(decoder.convolutions) - decoder.num_convolutions
    for i, convolution in enumerate(decoder.convolutions):
        kernel = convolution.kernel.numpy().astype("float64")
        if i < num_transposed:
            batch, height, width, _ = x.shape
            x = tf.nn.conv2d_transpose(
                x,
                np.swapaxes(kernel, 2, 3),
                (batch, height + 2, width + 2, decoder.units),
                strides=1,
                padding="VALID",
            ).numpy()
        else:
            x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "edge")
            x = tf.nn.conv2d(x, kernel, 1, "VALID").numpy()
        if i == num_transposed - 1:
            top, left = (x.shape[1] - rows) // 2, (x.shape[2] - columns) // 2
            x = x[:, top : top + rows, left : left + columns]
        x = x + convolution.bias.numpy()
        if i < len(decoder.norms):
            x = np.where(x < 0, 0.01 * x, x)
            mean = x.mean(axis=(1, 2, 3), keepdims=True)
            x = (x - mean) / np.sqrt(x.var(axis=(1, 2, 3), keepdims=True) + 1e-5)
            gamma, beta = (
                w.numpy().astype("float64") for w in decoder.norms[i].weights
            )
            x = x * gamma.reshape(x.shape[1:]) + beta.reshape(x.shape[1:])
    return x.reshape(len(x), rows * columns, decoder.units)


@pytest.mark.parametrize(
    "grid", [(7, 7), (1, 1), (2, 2), (3, 5), (8, 3), (1, 4), (11, 12)], ids=str
)
def test_decoder_is_made_of_ordinary_convolutions(grid):
    decoder = make_decoder(grid)
    features = decoder(LATENTS)
    assert features.shape == (5, grid[0] * grid[1], 6)
    expected = reference_decoder(decoder, LATENTS)
    assert_close(features, expected, 1e-4)


def test_decoder_of_published_width_keeps_its_digits():
    decoder = FeatureDecoder(64)
    latents = RNG.standard_normal((8, 100)).astype("float32")
    features = decoder(latents)
    expected = reference_decoder(decoder, latents)
    assert_close(features, expected, 1e-4)


def test_unusable_grids_are_refused():
    with pytest.raises(ValueError, match=r"grid=\(0, 7\)"):
        FeatureDecoder(6, (0, 7))
    with pytest.raises(ValueError, match="num_convolutions=0"):
        FeatureDecoder(6, num_convolutions=0)


def published_flow():
    """Where a posterior is made in here, its flow has the published normalisation."""
    flow = functools.partial(SplineFlow, published_norm=True)
    return mock.patch("ram_tf.layers.posterior.SplineFlow", flow)


def partial_vae_weights(posterior, decoder):
    """Yields (published name, our variable, converter from the published layout).

    A masked layer's weight is published as one matrix over context and latent units; we
    keep the part on the context and the part on the latents in two variables.
    """

    def pointwise(weight):  # (out, in, 1, 1) -> (in, out)
        return weight.reshape(len(weight), -1).T

    def cells_first(weight):  # (channel, row, column) -> (cell, 1, channel)
        return weight.reshape(len(weight), -1).T[:, None]

    def parameters_first(weight):  # (dimension, parameter) -> (parameter, dimension)
        by_dimension = weight.reshape(posterior.latent_units, -1, *weight.shape[1:])
        return np.swapaxes(by_dimension, 0, 1).reshape(weight.shape)

    def identity(weight):
        return weight

    width = posterior.context_units
    for name, layer in {"fc1": posterior.hidden, "fc2": posterior.output_map}.items():
        yield f"vae.encoder.{name}.weight", layer.kernel, pointwise
        yield f"vae.encoder.{name}.bias", layer.bias, np.asarray
    yield "vae.encoder.ln1.weight", posterior.norm.gamma, np.ravel
    yield "vae.encoder.ln1.bias", posterior.norm.beta, np.ravel

    for i, block in enumerate(posterior.flow.blocks):
        actnorm, spline = f"vae.nsf.flows.{3 * i}", f"vae.nsf.flows.{3 * i + 2}"
        yield f"{actnorm}.coeff", block.coefficient, np.squeeze
        for name, conditioner in {"s": block.scale, "t": block.shift}.items():
            layers = (conditioner.hidden, conditioner.output_map)
            for j, dense in enumerate(layers, start=1):
                yield f"{actnorm}.param_{name}.fc{j}.weight", dense.kernel, np.transpose
                yield f"{actnorm}.param_{name}.fc{j}.bias", dense.bias, np.asarray
        for name, layer, first_unit, arrange in (
            ("first_{}", block.first, width, identity),
            ("middle_{}0", block.middle, width, identity),
            ("last_{}", block.last, 0, parameters_first),
        ):
            weight = f"{spline}.{name.format('weight')}"
            yield (
                weight,
                layer.context_kernel,
                lambda w, arrange=arrange: arrange(w)[:, :width].T,
            )
            yield (
                weight,
                layer.kernel,
                lambda w, arrange=arrange, first=first_unit: (
                    arrange(w)[first:, width:].T
                ),
            )
            yield f"{spline}.{name.format('bias')}", layer.bias, arrange
        norms = {"first_ln": block.first_norm, "middle_ln.0": block.middle_norm}
        for name, norm in norms.items():
            yield f"{spline}.{name}.weight", norm.gamma, np.asarray
            yield f"{spline}.{name}.bias", norm.beta, np.asarray

    num_transposed = len(decoder.convolutions) - decoder.num_convolutions
    for i, convolution in enumerate(decoder.convolutions):
        channels = (0, 1) if i < num_transposed else (1, 0)  # where in and out stand
        yield (
            f"vae.decoder.{3 * i + 1}.weight",
            convolution.kernel,
            lambda w, channels=channels: np.transpose(w, (2, 3, *channels)),
        )
        yield f"vae.decoder.{3 * i + 1}.bias", convolution.bias, np.asarray
    for i, norm in enumerate(decoder.norms):
        yield f"vae.decoder.{3 * i + 3}.weight", norm.gamma, cells_first
        yield f"vae.decoder.{3 * i + 3}.bias", norm.beta, cells_first


FILES = sorted(FOLDER.glob("pham*.npz"))
NONE = pytest.param(FOLDER, marks=pytest.mark.skip(f"no pham*.npz in {FOLDER}"))


@pytest.mark.parametrize("path", FILES or [NONE], ids=lambda path: path.stem)
def test_published_numbers(path):
    with np.load(path) as file:
        golden = dict(file)
    hidden = golden["vae_hidden"][..., 0, 0]
    units, grid = golden["noise"].shape[-1], (int(golden["grid"]),) * 2
    width = golden["vae_features"].shape[2]
    with published_flow():
        posterior = Posterior(
            units,
            golden["weight/vae.encoder.fc1.weight"].shape[0],
            width,
            num_blocks=int(golden["num_flows"]),
        )
    decoder = FeatureDecoder(width, grid)
    posterior.build(hidden.shape)
    decoder.build((None, units))
    weights = list(partial_vae_weights(posterior, decoder))
    assert {name for name, *_ in weights} == {
        name.removeprefix("weight/")
        for name in golden
        if name.startswith("weight/vae.") and not name.endswith("data_dep_init_done")
    }
    assert {id(variable) for _, variable, _ in weights} == {
        id(v) for layer in (posterior, decoder) for v in layer.trainable_variables
    }
    for name, variable, convert in weights:
        variable.assign(convert(golden[f"weight/{name}"]))

    latents, log_q, log_prior = posterior(hidden, golden["noise"][..., None, :])
    expected = golden["vae_log_q0"] + golden["vae_neg_log_det"]
    assert_close(log_q[..., 0], expected, 1e-4)
    expected = -golden["vae_neg_log_prior"].sum(axis=-1)
    assert_close(log_prior[..., 0], expected, 1e-4)
    features = decoder(tf.reshape(latents, (-1, units)))
    expected = golden["vae_features"].reshape(-1, width, grid[0] * grid[1])
    assert_close(np.swapaxes(features, 1, 2), expected, 1e-4)
