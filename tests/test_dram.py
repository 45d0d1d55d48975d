"""Two recurrent layers: what they compute, what trains what, what the context knows."""

import functools

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from ram_tf import (
    benchmark,
    data,
    evaluation,
    layers,
    models,
    objectives,
    ops,
    policies,
    random,
)
from ram_tf.errors import InputError
from ram_tf.families import FAMILIES
from ram_tf.training.loop import Loop
from ram_tf.training.trainer import Trainer
from tests.comparisons import assert_close
from tests.contracts import small_dram, small_mram

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (12, 13, 10, 1), np.uint8)
LABELS = np.arange(12) % 4
SEED = random.make_seed(4)
LOOKS_BY = {"dram": policies.OpeningPolicy(), "mram": policies.GaussianPolicy()}
MAKERS = {"dram": small_dram, "mram": small_mram}


def make_network(name, **parts):
    """A network with weights, biases too, that say something."""
    keras.utils.set_random_seed(0)
    network = MAKERS[name](**parts)
    network.build((None, *IMAGES.shape[1:]))
    draw = np.random.default_rng(1)
    for weight in network.trainable_variables:
        weight.assign_add(0.2 * draw.standard_normal(weight.shape))
        if weight.name == "bias":  # That no rectifier is off for all images.
            weight.assign_add(np.full(weight.shape, 0.4))
    return network


def look(network, policy, num_glimpses=3, **options):
    context = network.prepare(IMAGES)
    return models.rollout(network, policy, context, num_glimpses, seed=SEED, **options)


def affine(dense, x):
    return np.asarray(x) @ np.asarray(dense.kernel) + np.asarray(dense.bias)


# The recurrence


@pytest.mark.parametrize("name", MAKERS)
def test_the_recurrence_by_hand(name):
    """Of rectifier cells: r1 = R1(g, r1), and r2 = R2(r1, r2)."""
    network = make_network(name)
    looked = look(network, policies.RasterPolicy())
    context = network.begin(network.prepare(IMAGES), 3)
    glimpses = network.sense(context, looked.locations)
    features = np.asarray(network.encode(glimpses, looked.locations))
    below = np.zeros((12, network.lower.units))
    above = np.zeros((12, network.upper.units))
    if name == "dram":
        above = np.asarray(network.context(network.overview(IMAGES)))
        assert above.any()
    first = network.initial_state(context)["hidden"]
    pairs = [(below, above)]
    for step in range(3):
        lower, upper = network.lower, network.upper
        mapped = affine(lower.input_map, features[:, step])
        below = np.maximum(mapped + affine(lower.hidden_map, below), 0)
        mapped = affine(upper.input_map, below)
        above = np.maximum(mapped + affine(upper.hidden_map, above), 0)
        pairs.append((below, above))
    if name == "mram":  # What is classified comes first.
        pairs = [(above, below) for below, above in pairs]
    joined = np.stack([np.concatenate(pair, axis=-1) for pair in pairs], axis=1)
    assert_close(np.concatenate([first[:, None], looked.hidden], axis=1), joined)
    classified, looking = (np.stack(each, axis=1) for each in zip(*pairs[1:]))
    assert_close(looked.logits, affine(network.classifier, classified))
    values = affine(network.baseline.value, looking)[..., 0]
    assert_close(looked.extras["baselines"], values)
    state = network.initial_state(context)
    for step in range(3):
        state = network.integrate(features[:, step], looked.locations[:, step], state)
    place, _ = network.decide(state, sample=False)
    assert_close(place, np.tanh(affine(network.location.mean, looking[:, -1])))


@pytest.mark.parametrize("kind", ["lstm", "gru", "pooling", "rectifier"])
def test_the_context_gives_the_first_state_of_any_cell(kind):
    cell = models.parts.CORES[kind](6)
    network = make_network("dram", upper=cell)
    context = network.begin(network.prepare(IMAGES), 1)
    state = network.initial_state(context)
    first, *others = state["upper"]
    assert_close(first, network.context(network.overview(IMAGES)))
    assert not any(np.asarray(other).any() for other in (*others, *state["lower"]))
    looked = look(network, LOOKS_BY["dram"], 2)
    assert np.isfinite(looked.logits).all()


def test_an_upper_layer_that_passes_on_what_it_gets_makes_it_ram():
    """With the same weights MRAM then is RAM, place by place."""
    network = make_network("mram", upper=layers.RectifierCell(9))
    network.upper.input_map.set_weights([np.eye(9), np.zeros(9)])
    network.upper.hidden_map.set_weights([np.zeros((9, 9)), np.zeros(9)])
    ram = models.RAM(
        4,
        retina=layers.Retina(6, 2),
        glimpse_network=layers.MlpGlimpse(7, 5, 8, product=True),
        core=layers.RectifierCell(9),
        location=layers.GaussianLocation(0.2),
    )
    ram.build((None, *IMAGES.shape[1:]))
    for part in ("glimpse_network", "core", "location", "baseline", "classifier"):
        own = network.lower if part == "core" else getattr(network, part)
        getattr(ram, part).set_weights(own.get_weights())
    for policy in (LOOKS_BY["mram"], policies.GaussianPolicy(sample=False)):
        ours, theirs = look(network, policy), look(ram, policy)
        for field in ("locations", "logits", "actions", "log_probs"):
            assert_close(getattr(ours, field), getattr(theirs, field))
        assert_close(ours.extras["baselines"], theirs.extras["baselines"])


# What is decided, and from what


def test_a_context_that_says_nothing_leaves_the_bias_of_the_head():
    network = make_network("dram")
    output = network.context.output_map
    output.set_weights([0 * weight for weight in output.get_weights()])
    looked = look(network, policies.OpeningPolicy(sample=False))
    bias = np.tanh(np.asarray(network.location.mean.bias))
    assert_close(looked.locations[:, 0], np.broadcast_to(bias, (12, 2)))


def test_every_glimpse_is_a_decision_valued_from_the_state_that_made_it():
    network = make_network("dram")
    looked = look(network, policies.OpeningPolicy())
    assert looked.log_probs.shape == (12, 3)
    assert_close(looked.locations, np.clip(looked.actions, -1, 1))
    opening = np.asarray(network.context(network.overview(IMAGES)))[:, None]
    units = network.lower.units
    deciding = np.concatenate([opening, looked.hidden[:, :-1, units:]], axis=1)
    values = affine(network.baseline.value, deciding)[..., 0]
    assert_close(looked.extras["baselines"], values)
    means = np.tanh(affine(network.location.mean, deciding))
    expected = scipy.stats.norm.logpdf(looked.actions, means, 0.2).sum(axis=-1)
    assert_close(looked.log_probs, expected, 1e-4)
    calm = look(network, policies.OpeningPolicy(sample=False))
    assert_close(calm.locations[:, 0], means[:, 0])


def test_a_first_glimpse_that_is_drawn_leaves_the_baselines_after_the_others():
    network = make_network("dram")
    looked = look(network, policies.GaussianPolicy())
    assert looked.log_probs.shape == (12, 2)
    looking = looked.hidden[..., network.lower.units :]
    values = affine(network.baseline.value, looking)[..., 0]
    assert_close(looked.extras["baselines"], values)


def test_what_the_context_knows_reaches_the_classifier_by_places_alone():
    network = make_network("dram")
    fixed = look(network, policies.RasterPolicy())
    learned = look(network, policies.OpeningPolicy(sample=False))
    for weight in network.context.weights:
        weight.assign(-2.0 * weight)
    again = look(network, policies.RasterPolicy())
    np.testing.assert_array_equal(again.logits, fixed.logits)
    assert not np.array_equal(again.hidden, fixed.hidden)
    elsewhere = look(network, policies.OpeningPolicy(sample=False))
    assert not np.array_equal(elsewhere.locations, learned.locations)
    assert not np.array_equal(elsewhere.logits, learned.logits)


# What trains what

SEEING = {"glimpse_network", "lower", "classifier"}
TRAINS = {
    "dram": {
        "classification": SEEING,
        "baseline": {"baseline"},
        "reinforce": {"upper", "context", "location"},
    },
    "mram": {
        "classification": SEEING | {"upper"},
        "baseline": {"baseline"},
        "reinforce": {"location"},
    },
}
CASES = [(name, term) for name, terms in TRAINS.items() for term in terms]


@pytest.mark.parametrize(("name", "term"), CASES)
def test_each_loss_trains_its_own_parts_and_no_other(name, term):
    network = make_network(name)
    parts = {
        part: getattr(network, part).trainable_variables
        for part in (*network.parts, "classifier")
        if part != "retina"
    }
    variables = [each for own in parts.values() for each in own]
    assert {id(v) for v in variables} == {id(v) for v in network.trainable_variables}
    with tf.GradientTape() as tape:
        looked = look(network, LOOKS_BY[name], training=True)
        terms = objectives.ram_objective(looked, LABELS)
        loss = tf.reduce_mean(terms[term])
    found = tape.gradient(
        loss, {part: [v.value for v in parts[part]] for part in parts}
    )
    for part, gradients in found.items():
        for variable, gradient in zip(parts[part], gradients, strict=True):
            trained = gradient is not None and np.asarray(gradient).any()
            assert trained == (part in TRAINS[name][term]), (part, variable.path)


def test_one_glimpse_teaches_where_to_begin_and_nothing_above():
    network = make_network("dram")
    with tf.GradientTape() as tape:
        looked = look(network, policies.OpeningPolicy(), 1, training=True)
        loss = tf.reduce_mean(objectives.ram_objective(looked, LABELS)["reinforce"])
    parts = ("context", "location", "upper", "lower")
    found = tape.gradient(
        loss,
        {part: [v.value for v in getattr(network, part).weights] for part in parts},
    )
    reached = {
        part for part, own in found.items() if any(each is not None for each in own)
    }
    assert reached == {"context", "location"}


def test_a_head_that_keeps_its_gradient_to_itself_is_refused():
    head = layers.GaussianLocation(0.2)
    network = make_network("dram", location=head)
    (phase,) = FAMILIES["dram"].phases
    trainer = Trainer(network, phase, phase.policy(), 2, xla=False)
    optimizer = keras.optimizers.SGD()
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    with pytest.raises(InputError, match="context.*gives no gradient"):
        trainer.train_step((IMAGES, LABELS))


# The coarse view


@pytest.mark.parametrize("shape", [(16, 16), (16, 24), (12, 10), (5, 8), (4, 4)])
def test_the_coarse_view_is_the_average_over_the_area_of_a_pixel(shape):
    images = DRAW.integers(0, 256, (2, *shape, 3), np.uint8)
    rows, columns = (ops.reduction_matrix(side, 8) for side in shape)
    expected = np.einsum("ph,qw,bhwc->bpqc", rows, columns, images / 255)
    network = small_dram()
    network.build((None, *shape, 3))
    for given in (images, (images / 255).astype("float32")):
        assert_close(network.overview(given), expected)


def test_the_context_sees_what_glimpses_see_in_the_same_units():
    retina = layers.Retina(6, 2, pixel_mean=0.3, pixel_stddev=0.5)
    network = make_network("dram", retina=retina)
    begun = network.begin(network.prepare(IMAGES), 1)
    overview = (np.asarray(network.overview(IMAGES)) - 0.3) / 0.5
    assert_close(begun["opening"], network.context(overview))


@pytest.mark.parametrize("as_products", [True, False])
def test_a_context_network_by_hand(as_products):
    layer = layers.ContextNetwork(5, (2, 3), (5, 3), (2, 1), as_products)
    view = DRAW.random((2, 8, 8, 1), "float32")
    layer(view)
    x = view
    for convolution, side, stride in zip(layer.convolutions, (5, 3), (2, 1)):
        convolution.bias.assign(DRAW.standard_normal(convolution.bias.shape))
        kernel, size = np.asarray(convolution.kernel), x.shape[1]
        rows = -(-size // stride)
        before = ((rows - 1) * stride + side - size) // 2
        padded = np.pad(x, ((0, 0), (before, side), (before, side), (0, 0)))
        total = np.asarray(convolution.bias)
        for row in range(side):
            for column in range(side):
                window = padded[:, row:, column:][:, ::stride, ::stride]
                total = total + window[:, :rows, :rows] @ kernel[row, column]
        x = np.maximum(total, 0)
    expected = np.maximum(affine(layer.output_map, x.reshape(2, -1)), 0)
    assert_close(layer(view), expected)


def test_a_sample_more_does_not_read_the_coarse_view_again():
    network, shape = small_dram(), (16, 24, 1)
    network.build((None, *shape))
    policy = policies.OpeningPolicy()
    one, two = (
        benchmark.forward_flops(network, policy, 1, shape, samples=samples)
        for samples in (1, 2)
    )
    # Of 8x8 pixels every second place, then all of these, then all of them at once.
    context = 2 * (16 * 9 * 2 + 16 * 9 * 2 * 3 + 16 * 3 * 6)
    assert one - (two - one) == context


# What cannot be meant


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"overview_size": 0}, "`overview_size` must be at least 1"),
        ({"context": layers.ContextNetwork(5)}, "`context` must be as wide as `upper`"),
        ({"num_classes": 1}, "`num_classes` must be at least 2"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        models.DRAM(**{"num_classes": 4, **options})


# Learning


def learn_to_begin(seed):
    """Accuracy by policy after one glimpse, at a place that the coarse view tells."""
    keras.utils.set_random_seed(seed)
    dataset = data.synthetic(num_train=20_000, num_test=500)
    network = models.DRAM(
        4,
        retina=layers.Retina(8, 1),
        glimpse_network=layers.MlpGlimpse(64, 32, 64, product=True),
        lower=layers.RectifierCell(64),
        upper=layers.RectifierCell(64),
        location=layers.GaussianLocation(0.2, detach_inputs=False),
        context=layers.ContextNetwork(64, (16, 16)),
        overview_size=20,
    )
    network.build((None, *dataset.image_shape))
    (phase,) = FAMILIES["dram"].phases
    trainer = Trainer(network, phase, phase.policy(), 1, clip_norm=5.0, seed=seed)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(2e-3, 1200)
    )
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    Loop(trainer, tf.distribute.get_strategy(), steps_per_execution=100).train(
        functools.partial(dataset.train_batches, 128, seed=seed),
        epochs=3,
        steps_per_epoch=400,
        callbacks=[],
    )
    compared = evaluation.compare_policies(
        network,
        {"learned": policies.OpeningPolicy(sample=False), **policies.CONTROLS},
        dataset.eval_batches("test", 500),
        1,
        xla=False,
    )["policies"]
    return {name: c["accuracy"]["mean"][-1] for name, c in compared.items()}


@pytest.mark.slow
def test_the_context_learns_to_begin_where_the_class_can_be_read():
    """Chance is 25 %. One of three short trainings must."""
    for seed in range(3):
        accuracy = learn_to_begin(seed)
        learned = accuracy.pop("learned")
        if learned > max(accuracy.values()) + 0.3:
            return
    pytest.fail(f"the last of three: {learned}, controls {accuracy}")
