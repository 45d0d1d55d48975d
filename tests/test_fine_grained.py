"""Fine-grained attention: where it looks, what it sees, what learns from what."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from ram_tf import layers, models, objectives, ops, policies, random
from ram_tf.errors import InputError
from ram_tf.families import fine_grained
from ram_tf.training.trainer import Trainer
from tests.comparisons import assert_close
from tests.contracts import TinyBackbone, small_fine_grained

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (6, 16, 16, 3), np.uint8)
LABELS = np.arange(6) % 4
SEED = random.make_seed(3)
PRETRAIN, ATTEND = fine_grained.PHASES


def make_network(**options):
    network = small_fine_grained(**options)
    network.build((None, *IMAGES.shape[1:]))
    return network


def make_trainer(phase, network=None, **options):
    network = make_network() if network is None else network
    policy = phase.policy()
    num_glimpses = 1 if phase is PRETRAIN else 3
    trainer = Trainer(network, phase, policy, num_glimpses, xla=False, **options)
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    return trainer


def values_of(layer):
    return [np.asarray(value) for value in layer.get_weights()]


def changed(before, after):
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


# Emission


@pytest.mark.parametrize(
    ("region", "corner"), [(0, (-1, -1)), (1, (1, -1)), (2, (-1, 1)), (3, (1, 1))]
)
def test_all_weight_on_one_region_gives_its_corner(region, corner):
    emission = layers.AttentionEmission(3)
    emission.build((None, 4, 4), (None, 5))
    regions = np.eye(4, dtype="float32")[None]
    emission.first_score.set_weights([1e3 * np.eye(4)[:, [region]], np.zeros(1)])
    mean, extras, _ = emission.first(regions)
    assert_close(mean, [corner])
    assert_close(extras["region_weights"], [np.eye(4)[region]])


@pytest.mark.parametrize("side", [2, 3])
def test_the_mean_is_the_weighted_mean_of_places(side):
    emission = layers.AttentionEmission(3)
    regions = DRAW.standard_normal((2, side**2, 4)).astype("float32")
    hidden = DRAW.standard_normal((2, 5)).astype("float32")
    mean, extras, _ = emission(regions, hidden)
    kernel, bias = values_of(emission.context)
    (from_hidden,), (score,) = values_of(emission.hidden), values_of(emission.score)
    along = np.linspace(-1, 1, side)
    for image in range(2):
        scores = [
            (np.tanh(region @ kernel + bias + hidden[image] @ from_hidden) @ score)[0]
            for region in regions[image]
        ]
        weights = np.exp(scores) / np.exp(scores).sum()
        x = sum(w * along[i % side] for i, w in enumerate(weights))
        y = sum(w * along[i // side] for i, w in enumerate(weights))
        assert_close(mean[image], [x, y], 1e-4)
        assert_close(extras["region_weights"][image], weights, 1e-4)
    if side == 2:  # As published: (right - left, bottom - top).
        w = np.asarray(extras["region_weights"])
        right_left = w[:, 1] + w[:, 3] - w[:, 0] - w[:, 2]
        assert_close(mean[:, 0], right_left, 1e-4)


def test_regions_must_be_a_square_of_them():
    with pytest.raises(ValueError, match=r"n \* n"):
        layers.AttentionEmission(3).build((None, 6, 4), (None, 5))


def test_the_density_is_that_of_the_draw_before_it_is_squashed():
    network = make_network()
    policy = policies.ContextPolicy(stddev=0.3)
    context = network.prepare(IMAGES)
    state = network.initial_state(context)
    choice = policy.start(network, context, state, seed=SEED, training=True)
    assert (np.abs(choice.action) < 1).all()
    drawn = np.arctanh(np.asarray(choice.action, float))
    expected = scipy.stats.norm.logpdf(drawn, state["mean"], 0.3).sum(axis=-1)
    assert_close(choice.log_prob, expected, 1e-3)
    mean = policies.ContextPolicy(sample=False).start(
        network, context, state, seed=SEED, training=False
    )
    assert_close(mean.action, np.tanh(state["mean"]))


def test_every_glimpse_is_a_decision_the_first_one_too():
    looked = make_network()(IMAGES, policy=policies.ContextPolicy(), num_glimpses=3)
    assert looked.log_probs.shape == (6, 3)
    np.testing.assert_array_equal(looked.actions, looked.locations)
    assert looked.extras["region_weights"].shape == (6, 3, 4)


def test_the_baseline_of_a_glimpse_has_not_seen_it():
    network = make_network()
    hidden = DRAW.standard_normal((2, 3, 9)).astype("float32")
    values = np.asarray(network.read(hidden)["baselines"])
    other = hidden + [[[0.0], [0.0], [1.0]]]
    np.testing.assert_array_equal(
        network.read(other.astype("float32"))["baselines"], values
    )
    assert (values[:, 0] == values[0, 0]).all()


@pytest.mark.parametrize("emission", [None, layers.RecurrentEmission(7)])
@pytest.mark.parametrize("mix_location", [False, True])
def test_options_train(emission, mix_location):
    trainer = make_trainer(
        ATTEND, make_network(emission=emission, mix_location=mix_location)
    )
    logs = trainer.train_step((IMAGES, LABELS))
    assert np.isfinite(float(logs["loss"]))


# Glimpses


@pytest.mark.parametrize("num_scales", [1, 2, 3])
@pytest.mark.parametrize("start_size", [1, 2, 4])
def test_patches_are_quarters_of_the_image_doubled(num_scales, start_size):
    network = make_network(num_scales=num_scales, start_size=start_size, size=4)
    sides = [4 * start_size * 2**scale for scale in range(num_scales)]
    assert list(network.glimpse_sides) == sides
    looked = network(IMAGES, policy=policies.CenterPolicy(), num_glimpses=2)
    assert looked.logits.shape == (6, 2, 4)
    glimpses = network.sense(network.prepare(IMAGES), np.zeros((6, 1, 2), "float32"))
    middle = IMAGES[0, 8 - sides[0] // 2 :][: sides[0]][:, 8 - sides[0] // 2 :]
    middle = middle[:, : sides[0]] / 255
    ratio = sides[0] // 4
    expected = middle.reshape(4, ratio, 4, ratio, 3).mean(axis=(1, 3))
    assert_close(glimpses[0, 0, 0], expected)


@pytest.mark.parametrize("side", [8, 12, 16, 24])
def test_the_overview_is_the_average_over_the_area_of_a_pixel(side):
    network = make_network(size=8)
    images = DRAW.integers(0, 256, (2, side, side, 3), np.uint8)
    matrix = ops.reduction_matrix(side, 8)
    expected = np.einsum("ph,qw,bhwc->bpqc", matrix, matrix, images / 255)
    for given in (images, (images / 255).astype("float32")):
        assert_close(network.overview(given), expected)


def test_the_context_is_seen_once_an_image_whatever_the_number_of_samples():
    network = make_network()
    seen = []
    original = network.prepare
    network.prepare = lambda images, **options: (
        seen.append(len(images)) or original(images, **options)
    )
    trainer = make_trainer(ATTEND, network, mc_samples=3, eval_samples=4)
    trainer.train_step((IMAGES, LABELS))
    trainer.test_step((IMAGES, LABELS, np.ones(6, "float32")))
    assert seen == [6, 6]


@pytest.mark.parametrize("shape", [(16, 20, 3), (18, 18, 3), (16, 16, 2)])
def test_images_that_do_not_fit_are_refused(shape):
    with pytest.raises(InputError, match=r"expected squares.*data\.square"):
        small_fine_grained().build((None, *shape))


@pytest.mark.parametrize(
    "options", [{"start_size": 3}, {"num_scales": 0}, {"regions": 0}, {"size": 0}]
)
def test_options_that_cannot_be_meant_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"`{name}`"):
        small_fine_grained(**options)


# Pre-training


def test_each_combination_reads_its_own_resolutions():
    network = make_network().resolutions
    features = DRAW.standard_normal((2, 1, 18)).astype("float32")
    base = network.read(features)
    for crop, resolution in enumerate(("high", "medium", "low")):
        other = features.copy()
        other[..., 6 * crop : 6 * crop + 6] += 1
        read = network.read(other)
        for name in ("high_medium", "high_low", "medium_low", "high_medium_low"):
            same = np.array_equal(read[f"{name}_logits"], base[f"{name}_logits"])
            assert same == (resolution not in name.split("_")), name
    np.testing.assert_array_equal(base["logits"], base["high_medium_low_logits"])


def test_the_terms_of_pre_training_by_hand():
    logits = np.log([[[0.7, 0.2, 0.1]], [[0.1, 0.6, 0.3]]]).astype("float32")
    rollout = models.Rollout(None, None, None, None, None, {"a_logits": logits})
    terms = objectives.combination_objective(rollout, np.array([0, 2]))
    assert set(terms) == {"a", "a_accuracy"}
    assert_close(terms["a"], -np.log([0.7, 0.3]))
    np.testing.assert_array_equal(terms["a_accuracy"], [1, 0])


def test_pre_training_reports_every_combination():
    trainer = make_trainer(PRETRAIN)
    logs = trainer.test_step((IMAGES, LABELS, np.ones(6, "float32")))
    extras = trainer(IMAGES).extras
    for name in ("high_medium", "high_low", "medium_low", "high_medium_low"):
        best = np.asarray(extras[f"{name}_logits"])[:, -1].argmax(axis=-1)
        accuracy = float(logs[f"{name}_accuracy"])
        assert accuracy == pytest.approx((best == LABELS).mean()), name
    total = sum(
        float(logs[name]) for name in PRETRAIN.weights if "accuracy" not in name
    )
    assert_close(logs["loss"], total)


@pytest.mark.parametrize("phase", [PRETRAIN, ATTEND], ids=lambda phase: phase.name)
def test_a_phase_moves_what_it_trains_and_nothing_else(phase):
    trainer = make_trainer(phase)
    network = trainer.network
    parts = {
        "backbone": network.backbone,
        **network.resolutions.heads,
        **{part: getattr(network, part) for part in network.parts[1:]},
        "classifier": network.classifier,
    }
    before = {name: values_of(part) for name, part in parts.items()}
    for _ in range(2):  # The first log-probabilities may have no gradient.
        trainer.train_step((IMAGES, LABELS))
    pretrained = {"backbone", *network.resolutions.heads}
    for name, part in parts.items():
        moved = any(changed(before[name], values_of(part)))
        assert moved == ((name in pretrained) == (phase is PRETRAIN)), name


TERMS = {
    "classification": {"core", "classifier"},
    "baseline": {"baseline"},
    "reinforce": {"emission"},
}


@pytest.mark.parametrize("term", TERMS)
def test_the_gradient_of_a_term_reaches_these_parts_alone(term):
    network = make_network()
    trainer = make_trainer(ATTEND, network)
    parts = (*network.parts, "classifier")
    watched = {
        part: [w.value for w in getattr(network, part).weights] for part in parts
    }
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(watched)  # The weights of the frozen backbone too.
        looked = trainer(IMAGES, training=True, seed=SEED)
        loss = tf.reduce_sum(objectives.ram_objective(looked, LABELS)[term])
    found = {
        part
        for part, gradients in tape.gradient(loss, watched).items()
        if any(g is not None and np.abs(g).max() > 0 for g in gradients)
    }
    assert found == TERMS[term]


# Backbones


def test_our_backbone_is_the_application_it_is_made_of():
    backbone = layers.Backbone("mobilenet_v3_small")
    images = DRAW.random((2, 32, 32, 3), "float32")
    backbone(images)
    norms = [
        layer
        for layer in backbone.network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert norms and all(layer.synchronized for layer in norms)
    application = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    application.set_weights(backbone.network.get_weights())
    assert_close(backbone(images), application(255 * images, training=False), 1e-4)


@pytest.mark.slow
def test_weights_of_a_file_are_taken_where_they_fit(tmp_path):
    application = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    path = tmp_path / "resnet.weights.h5"
    application.save_weights(path)
    backbone = layers.Backbone("resnet50", stride_one=True)
    backbone.build((None, 32, 32, 3))
    first = backbone.network.get_layer("conv1_conv")
    before = values_of(first)
    backbone.load_pretrained(str(path))
    assert first.kernel.shape == (5, 5, 3, 64)
    assert not any(changed(before, values_of(first)))
    name = "conv5_block3_3_conv"
    given, own = application.get_layer(name), backbone.network.get_layer(name)
    assert not any(changed(values_of(given), values_of(own)))


def test_a_grey_image_is_seen_as_a_colour_one():
    backbone = layers.Backbone("mobilenet_v3_small")
    grey = DRAW.random((1, 32, 32, 1), "float32")
    colour = np.repeat(grey, 3, axis=-1)
    assert_close(backbone(grey), backbone(colour))


def test_weights_that_are_not_there_are_one_clear_line(tmp_path):
    backbone = layers.Backbone("mobilenet_v3_small")
    backbone.build((None, 32, 32, 3))
    with pytest.raises(InputError, match="no weights of mobilenet_v3_small in"):
        backbone.load_pretrained(str(tmp_path / "nothing.weights.h5"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "vgg"}, "`kind` must be one of .*'vgg'"),
        (
            {"kind": "mobilenet_v3_small", "stride_one": True},
            "`stride_one` is a change",
        ),
    ],
)
def test_backbones_that_do_not_exist_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        layers.Backbone(**options)


def test_a_model_comes_back_from_its_config():
    network = make_network(mix_location=True)
    again = models.FineGrained.from_config(
        network.get_config(), {"TinyBackbone": TinyBackbone}
    )
    again.build((None, *IMAGES.shape[1:]))
    again.set_weights(network.get_weights())
    options = {"policy": policies.ContextPolicy(sample=False), "num_glimpses": 2}
    assert_close(again(IMAGES, **options).logits, network(IMAGES, **options).logits)
