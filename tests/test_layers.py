import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import layers, random
from tests.comparisons import assert_close, relative_error
from tests.test_ops import some_images, some_locations

RNG = np.random.default_rng(0)
FAR_OUTSIDE = np.full((1, 2), 99.0, "float32")


def relu(x):
    return np.maximum(x, 0)


def randomize(layer, seed=0):
    """Biases start at zero, where a mistake in them would not show."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 0.5, weight.shape) for weight in layer.get_weights()]
    layer.set_weights(weights)
    return layer


# Retina


@pytest.mark.parametrize(
    ("padding", "mean", "variance", "low", "high"),
    [
        ("zeros", 0.0, 0.0, 0.0, 0.0),
        ("uniform", 0.5, 1 / 12, 0.0, 1.0),
        ("normal", 0.0, 1.0, -np.inf, np.inf),
    ],
)
def test_outside_the_image_is_padding(padding, mean, variance, low, high):
    retina = layers.Retina(size=100, padding=padding, pixel_mean=0.3)
    image = np.ones((1, 5, 5, 1), "float32")
    noise = np.asarray(retina(image, FAR_OUTSIDE, seed=random.make_seed(1)))
    error = 4 * math.sqrt(variance / noise.size)
    assert noise.mean() == pytest.approx(mean, abs=error)
    assert noise.var() == pytest.approx(variance, rel=0.05)
    assert low <= noise.min() <= noise.max() <= high


@pytest.mark.parametrize("padding", ["uniform", "normal"])
def test_the_same_seed_is_the_same_noise(padding):
    retina = layers.Retina(size=6, num_scales=2, padding=padding, seed=3)
    image = np.ones((1, 5, 5, 1), "float32")

    def look(*numbers):
        return np.asarray(retina(image, FAR_OUTSIDE, seed=random.make_seed(*numbers)))

    np.testing.assert_array_equal(look(1), look(1))
    assert np.abs(look(1) - look(2)).max() > 0.1
    own_stream = [np.asarray(retina(image, FAR_OUTSIDE)) for _ in range(2)]
    assert np.abs(own_stream[0] - own_stream[1]).max() > 0.1
    again = layers.Retina(size=6, num_scales=2, padding=padding, seed=3)
    np.testing.assert_array_equal(again(image, FAR_OUTSIDE), own_stream[0])


@pytest.mark.parametrize("padding", ["uniform", "normal"])
def test_scales_and_images_have_noise_of_their_own(padding):
    retina = layers.Retina(size=6, sides=(6, 6), padding=padding)
    images, places = np.ones((2, 5, 5, 1), "float32"), np.repeat(FAR_OUTSIDE, 2, 0)
    noise = np.asarray(retina(images, places, seed=random.make_seed(0)))
    patches = noise.reshape(4, -1)
    assert len({patch.tobytes() for patch in patches}) == 4


@pytest.mark.parametrize("reduction", ["average", "bilinear", "bicubic"])
def test_bytes_and_the_floats_they_stand_for_look_alike(reduction):
    images, places = some_images((9, 12, 3), "uint8"), some_locations(2)
    retina = layers.Retina(
        4, 3, reduction=reduction, pixel_mean=0.13, pixel_stddev=0.31
    )
    from_floats = retina(images.astype("float32") / 255, places)
    assert np.asarray(from_floats).std() > 0.1
    assert_close(retina(images, places), from_floats)


def test_pixels_are_normalised_before_the_padding_is_added():
    image = np.full((1, 6, 6, 1), 0.8, "float32")
    retina = layers.Retina(size=4, pixel_mean=0.5, pixel_stddev=0.25)
    corner = np.asarray(retina(image, -np.ones((1, 2), "float32")))[0, 0, ..., 0]
    expected = np.zeros((4, 4))
    expected[2:, 2:] = (0.8 - 0.5) / 0.25
    assert_close(corner, expected)


def test_one_image_and_one_place_need_no_special_case():
    images, places = some_images((9, 12, 1), "float32", 3), some_locations(3)
    retina = layers.Retina(4, 2)
    together = np.asarray(retina(images, places))
    for image in range(3):
        for number in range(places.shape[1]):
            alone = retina(images[[image]], places[[image], number])
            assert alone.shape == (1, 2, 4, 4, 1)
            assert_close(alone[0], together[image, number])


def convolution(**options):
    layer = layers.MatmulConvolution(4, 3, **options)
    layer.build((None, 8, 8, 2))
    return layer


@pytest.mark.parametrize(
    "options",
    [
        {"strides": (2, 3), "padding": "same"},
        {"use_bias": False, "activation": "relu"},
        {"kernel_initializer": "ones", "bias_initializer": "ones"},
    ],
)
def test_a_convolution_by_products_takes_what_keras_takes(options):
    ours, keras_own = convolution(**options), keras.layers.Conv2D(4, 3, **options)
    keras_own.build((None, 8, 8, 2))
    keras_own.set_weights(ours.get_weights())
    images = RNG.standard_normal((3, 8, 8, 2)).astype("float32")
    assert_close(ours(images), keras_own(images))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: layers.Retina(size=0), "size"),
        (lambda: layers.Retina(num_scales=0), "num_scales"),
        (lambda: layers.Retina(scale_factor=0.5), "scale_factor"),
        (lambda: layers.Retina(sides=(0, 8)), "sides"),
        (lambda: layers.Retina(sides=(16, 8)), "sides"),
        (lambda: layers.Retina(sides=()), "sides"),
        (lambda: layers.Retina(num_scales=3, sides=(8,)), "num_scales"),
        (lambda: layers.Retina(num_scales=1, sides=(8, 16)), "num_scales"),
        (lambda: convolution(dilation_rate=2), "dilation_rate"),
        (lambda: convolution(groups=2), "groups"),
        (lambda: convolution(data_format="channels_first"), "data_format"),
        (lambda: layers.Retina(reduction="median"), "reduction"),
        (lambda: layers.Retina(padding="mirror"), "padding"),
        (lambda: layers.Retina(pixel_stddev=0.0), "pixel_stddev"),
        (lambda: layers.GaussianLocation(stddev=0.0), "stddev"),
        (lambda: layers.GaussianLocation(stddev=-1.0), "stddev"),
        (lambda: layers.GaussianLocation(bound="wrap"), "bound"),
        (lambda: layers.GaussianLocation(mean_scale=0.0), "mean_scale"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(make, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        make()


# Glimpse networks


@pytest.mark.parametrize("product", [False, True])
def test_the_mlp_glimpse_network_adds_or_multiplies_what_and_where(product):
    glimpses = RNG.random((3, 2, 4, 5, 5, 1), "float32")
    places = RNG.uniform(-1, 1, (3, 2, 2)).astype("float32")
    layer = layers.MlpGlimpse(7, 5, 8, product)
    layer(glimpses, places)
    randomize(layer)

    def affine(name, x):
        dense = getattr(layer, name)
        return x @ np.asarray(dense.kernel) + np.asarray(dense.bias)

    what = relu(affine("glimpse_hidden", glimpses.reshape(3, 2, -1)))
    where = relu(affine("location_hidden", places))
    what, where = affine("glimpse_output", what), affine("location_output", where)
    expected = relu(what) * relu(where) if product else relu(what + where)
    assert expected.any()
    assert_close(layer(glimpses, places), expected)


@pytest.mark.parametrize("as_products", [True, False])
def test_the_convolutional_glimpse_network_multiplies_what_and_where(as_products):
    glimpses = RNG.random((3, 2, 5, 5, 3), "float32")
    places = RNG.uniform(-1, 1, (3, 2)).astype("float32")
    layer = layers.ConvGlimpse((4, 3, 2), 6, as_products=as_products)
    layer(glimpses, places)
    randomize(layer)
    x = np.concatenate([glimpses[:, 0], glimpses[:, 1]], axis=-1)
    for convolution in layer.convolutions:
        kernel, bias = np.asarray(convolution.kernel), np.asarray(convolution.bias)
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        total = bias
        for row in range(3):
            for column in range(3):
                window = padded[:, row : row + 5, column : column + 5]
                total = total + window @ kernel[row, column]
        x = relu(total)
    what, where = layer.glimpse_output, layer.location_output
    seen = relu(x.reshape(3, -1) @ np.asarray(what.kernel) + np.asarray(what.bias))
    at = relu(places @ np.asarray(where.kernel) + np.asarray(where.bias))
    assert (seen * at).any()
    assert_close(layer(glimpses, places), seen * at)


@pytest.mark.parametrize(
    "layer",
    [layers.ConvGlimpse((4, 3, 2), 6), layers.MlpGlimpse(7, 5, 6, product=True)],
)
def test_what_is_seen_in_the_very_centre_is_not_multiplied_by_nothing(layer):
    glimpses = np.random.default_rng(0).random((3, 1, 8, 8, 1), "float32")
    with tf.GradientTape() as tape:
        features = layer(glimpses, np.zeros((3, 2), "float32"))
        loss = tf.reduce_sum(features)
    assert np.asarray(features).max() > 0
    assert all(
        np.abs(gradient).max() > 0
        for gradient in tape.gradient(loss, layer.glimpse_output.trainable_variables)
    )


@pytest.mark.parametrize(
    "layer", [layers.MlpGlimpse(7, 5, 8), layers.ConvGlimpse((4, 3, 2), 8)]
)
def test_many_glimpses_at_once_are_those_one_by_one(layer):
    glimpses = RNG.random((3, 4, 2, 6, 6, 1), "float32")
    places = RNG.uniform(-1, 1, (3, 4, 2)).astype("float32")
    together = np.asarray(layer(glimpses, places))
    assert together.shape == (3, 4, 8)
    for number in range(4):
        alone = layer(glimpses[:, number], places[:, number])
        assert_close(alone, together[:, number])


# Core


def test_the_rectifier_core_runs_inside_a_keras_rnn():
    sequence = RNG.standard_normal((3, 4, 5)).astype("float32")
    cell = layers.RectifierCell(6)
    rnn = keras.layers.RNN(cell, return_sequences=True, return_state=True)
    rnn(sequence)
    randomize(cell)
    outputs, last = rnn(sequence)
    hidden = np.zeros((3, 6))
    for step in range(4):
        hidden = relu(
            sequence[:, step] @ np.asarray(cell.input_map.kernel)
            + np.asarray(cell.input_map.bias)
            + hidden @ np.asarray(cell.hidden_map.kernel)
            + np.asarray(cell.hidden_map.bias)
        )
        assert_close(outputs[:, step], hidden)
    assert hidden.any()
    assert_close(last, hidden)


def test_the_pooling_core_keeps_what_it_has_seen_in_any_order():
    sequence = np.abs(RNG.standard_normal((3, 4, 5))).astype("float32")
    cell = layers.PoolingCell(6)
    rnn = keras.layers.RNN(cell, return_sequences=True)
    rnn(sequence)
    randomize(cell)
    outputs = np.asarray(rnn(sequence))
    seen = relu(
        sequence @ np.asarray(cell.input_map.kernel) + np.asarray(cell.input_map.bias)
    )
    expected = relu(
        np.maximum.accumulate(seen, axis=1) @ np.asarray(cell.hidden_map.kernel)
        + np.asarray(cell.hidden_map.bias)
    )
    assert expected[:, 0].any() and (expected[:, 0] != expected[:, -1]).any()
    assert_close(outputs, expected)
    backwards = rnn(sequence[:, ::-1])
    assert_close(backwards[:, -1], outputs[:, -1])
    again = rnn(np.concatenate([sequence, sequence], axis=1))
    np.testing.assert_array_equal(again[:, 3:], np.repeat(again[:, 3:4], 5, axis=1))


# Location


def location_head(units=5, **options):
    layer = layers.GaussianLocation(**options)
    layer.build((None, units))
    return randomize(layer)


def hidden_states(count=4, units=5):
    return np.random.default_rng(1).standard_normal((count, units)).astype("float32")


def test_samples_have_the_mean_and_the_standard_deviation_of_the_policy():
    head, count = location_head(stddev=0.25), 20_000
    hidden = np.repeat(hidden_states(1), count, axis=0)
    mean, _ = head(hidden[:1])
    sample, _ = head(hidden, training=True, seed=random.make_seed(5))
    noise = (np.asarray(sample) - np.asarray(mean)) / 0.25
    assert np.abs(noise.mean(axis=0)).max() < 4 / math.sqrt(count)
    assert np.abs(noise.std(axis=0) - 1).max() < 4 / math.sqrt(2 * count)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 4 / math.sqrt(count)
    assert np.mean(np.abs(noise) < 1) == pytest.approx(0.6827, abs=0.01)


@pytest.mark.parametrize("hidden_units", [None, 6])
def test_the_log_density_is_that_of_the_unclipped_sample(hidden_units):
    head = location_head(stddev=0.8, hidden_units=hidden_units)
    hidden = hidden_states(200)
    x = hidden
    if hidden_units:
        x = relu(x @ np.asarray(head.hidden.kernel) + np.asarray(head.hidden.bias))
    mean = np.tanh(x @ np.asarray(head.mean.kernel) + np.asarray(head.mean.bias))
    sample, log_prob = head(hidden, training=True, seed=random.make_seed(0))
    sample = np.asarray(sample)
    outside = (np.abs(sample) > 1).any(axis=1)
    assert 20 < outside.sum() < 180

    def density(value):
        squares = ((value - mean) ** 2).sum(axis=1) / 0.8**2
        return np.exp(-squares / 2) / (2 * np.pi * 0.8**2)

    assert_close(np.exp(log_prob), density(sample), 1e-4)
    clipped = density(np.clip(sample, -1, 1))
    assert relative_error(np.exp(log_prob)[outside], clipped[outside]) > 0.1


def test_inference_returns_the_mean():
    head, hidden = location_head(stddev=0.3), hidden_states()
    location, log_prob = head(hidden)
    kernel, bias = np.asarray(head.mean.kernel), np.asarray(head.mean.bias)
    assert_close(location, np.tanh(hidden @ kernel + bias))
    highest = -2 * math.log(0.3 * math.sqrt(2 * math.pi))
    assert_close(log_prob, np.full(4, highest))


def test_given_noise_takes_the_place_of_the_draw():
    head, hidden = location_head(stddev=0.3), hidden_states()
    noise = np.random.default_rng(2).standard_normal((4, 2)).astype("float32")
    location, _ = head(hidden, training=True, noise=noise)
    assert_close(location, head(hidden)[0] + 0.3 * noise)


def test_the_same_seed_is_the_same_sample():
    head, hidden = location_head(seed=7), hidden_states()

    def sample(seed):
        return np.asarray(head(hidden, training=True, seed=seed)[0])

    np.testing.assert_array_equal(
        sample(random.make_seed(1)), sample(random.make_seed(1))
    )
    assert (sample(random.make_seed(1)) != sample(random.make_seed(2))).all()
    first = sample(None)
    assert (first != sample(None)).all()
    np.testing.assert_array_equal(
        location_head(seed=7)(hidden, training=True)[0], first
    )


@pytest.mark.parametrize(
    ("bound", "mean_scale", "expected"),
    [("tanh", 1.0, math.tanh(3.0)), ("clip", 1.0, 1.0), ("clip", 0.2, 0.6)],
)
def test_the_mean_is_scaled_and_kept_in_the_image(bound, mean_scale, expected):
    head = location_head(bound=bound, mean_scale=mean_scale)
    head.mean.kernel.assign(np.zeros((5, 2)))
    head.mean.bias.assign([3.0, -3.0])
    location, _ = head(hidden_states(1))
    assert_close(location, [[expected, -expected]])


@pytest.mark.parametrize("training", [True, False])
def test_no_gradient_goes_through_the_location(training):
    head, hidden = location_head(detach_inputs=False), tf.constant(hidden_states())
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        location, _ = head(hidden, training=training, seed=random.make_seed(0))
        total = tf.reduce_sum(location)
    sources = [*(variable.value for variable in head.trainable_variables), hidden]
    assert len(sources) == 3
    assert tape.gradient(total, sources) == [None] * 3


@pytest.mark.parametrize("detach_inputs", [True, False])
def test_log_probabilities_reach_the_head_and_its_input_only_if_not_detached(
    detach_inputs,
):
    head = location_head(detach_inputs=detach_inputs, hidden_units=8)
    hidden = tf.constant(hidden_states())
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        _, log_prob = head(hidden, training=True, seed=random.make_seed(0))
    variables = [variable.value for variable in head.trainable_variables]
    *own, at_input = tape.gradient(log_prob, [*variables, hidden])
    assert len(own) == 4
    assert all(np.abs(gradient).max() > 0 for gradient in own)
    if detach_inputs:
        assert at_input is None
    else:
        assert np.abs(at_input).max() > 0


# Baseline


@pytest.mark.parametrize("detach_inputs", [True, False])
def test_the_baseline_trains_its_input_only_if_not_detached(detach_inputs):
    layer = layers.ValueBaseline(detach_inputs=detach_inputs)
    hidden = tf.constant(hidden_states())
    layer.build(hidden.shape)
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        values = layer(hidden)
    kernel, at_input = tape.gradient(values, [layer.value.kernel.value, hidden])
    assert_close(kernel[:, 0], hidden_states().sum(axis=0))
    if detach_inputs:
        assert at_input is None
    else:
        expected = np.repeat(np.asarray(layer.value.kernel).T, 4, axis=0)
        assert_close(at_input, expected)


def test_the_baseline_may_end_in_a_relu():
    layer = layers.ValueBaseline(activation="relu")
    layer.build((None, 5))
    randomize(layer)
    hidden = hidden_states(6).reshape(2, 3, 5)
    expected = hidden @ np.asarray(layer.value.kernel)[:, 0] + np.asarray(
        layer.value.bias
    )
    assert (expected < 0).any()
    assert (expected > 0).any()
    assert_close(layer(hidden), relu(expected))
