"""Known places: of some training images it is said where what they show is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import data, models, objectives, policies, random
from ram_tf.data import Targets
from ram_tf.errors import InputError
from ram_tf.experiment import config as meaning
from ram_tf.experiment import vary
from ram_tf.families import FAMILIES
from ram_tf.models.outputs import Rollout
from ram_tf.training.loop import Loop
from ram_tf.training.trainer import Trainer
from tests.comparisons import assert_close
from tests.contracts import small_dram, small_mram, small_ram

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (6, 13, 10, 1), np.uint8)
LABELS = np.arange(6) % 4
NAN = float("nan")
PLACES = np.float32([(0.5, -0.5), (NAN, NAN), (0, 0), (NAN, NAN), (1, 1), (-1, 0.2)])
MAKERS = {"dram": small_dram, "mram": small_mram, "ram": small_ram}


def make_rollout(aims):
    aims = np.float32(aims)
    nothing = np.zeros((len(aims), aims.shape[1]))
    return Rollout(None, None, None, aims, nothing, {"aims": tf.constant(aims)})


# The loss


def test_the_error_by_hand():
    aims = [
        [(0.0, 0.0), (0.5, -0.5)],
        [(0.3, 0.3), (0.4, 0.4)],
        [(-1.0, 1.0), (0.25, 0.5)],
    ]
    places = np.float32([(0.3, 0.4), (NAN, NAN), (0.25, 0.0)])
    with tf.GradientTape() as tape:
        rollout = make_rollout(aims)
        tape.watch(rollout.extras["aims"])
        error = objectives.place_error(rollout, places)
    first = (0.25 + 0.04 + 0.81) / 2
    third = (1.25**2 + 1 + 0.25) / 2
    np.testing.assert_allclose(error, [first, 0.0, third], rtol=1e-6)
    # Of a mean over two decisions: what is squared, doubled and halved.
    expected = np.float32(aims) - places[:, None]
    expected[1] = 0.0
    gradient = tape.gradient(error, rollout.extras["aims"])
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_without_decisions_nothing_is_wrong():
    nothing = Rollout(None, None, None, None, np.zeros((6, 0)), {})
    np.testing.assert_array_equal(objectives.place_error(nothing, PLACES), np.zeros(6))


def test_the_other_terms_stay_what_they_are():
    def objective(rollout, labels):
        return {"classification": 2.0 * tf.cast(labels, "float32")}

    rollout = make_rollout(np.zeros((6, 1, 2)))
    terms = objectives.with_places(objective, rollout, Targets(LABELS, PLACES))
    assert set(terms) == {"classification", "places"}
    np.testing.assert_array_equal(terms["classification"], 2.0 * LABELS)
    assert_close(terms["places"], np.nansum(PLACES**2, axis=1))


# What it trains


def make_network(name):
    keras.utils.set_random_seed(0)
    network = MAKERS[name]()
    network.build((None, *IMAGES.shape[1:]))
    draw = np.random.default_rng(1)
    for weight in network.trainable_variables:
        weight.assign_add(0.2 * draw.standard_normal(weight.shape))
        if weight.name == "bias":  # That no rectifier is off for all images.
            weight.assign_add(np.full(weight.shape, 0.4))
    return network


AIMING = {
    "dram": policies.OpeningPolicy(aims=True),
    "mram": policies.GaussianPolicy(aims=True),
    "ram": policies.GaussianPolicy(aims=True),
}
LEARNS = {"dram": {"context", "upper", "location"}}


@pytest.mark.parametrize("name", MAKERS)
def test_places_train_what_looks_and_nothing_else(name):
    network = make_network(name)
    parts = [part for part in (*network.parts, "classifier") if part != "retina"]
    owned = {part: getattr(network, part).trainable_variables for part in parts}
    with tf.GradientTape() as tape:
        looked = models.rollout(
            network,
            AIMING[name],
            network.prepare(IMAGES),
            3,
            seed=random.make_seed(4),
            training=True,
        )
        loss = tf.reduce_sum(objectives.place_error(looked, PLACES))
    found = tape.gradient(
        loss, {part: [v.value for v in owned[part]] for part in parts}
    )
    reached = {
        part
        for part, own in found.items()
        if any(each is not None and np.asarray(each).any() for each in own)
    }
    assert reached == LEARNS.get(name, {"location"})
    finite = [
        np.isfinite(g).all() for own in found.values() for g in own if g is not None
    ]
    assert all(finite)


@pytest.mark.parametrize("name", MAKERS)
def test_aims_are_what_was_drawn_around_and_only_said_in_training(name):
    network, policy = make_network(name), AIMING[name]

    def look(training):
        return models.rollout(
            network,
            policy,
            network.prepare(IMAGES),
            3,
            seed=random.make_seed(4),
            training=training,
        )

    looked = look(True)
    aims = np.asarray(looked.extras["aims"])
    assert aims.shape == looked.actions.shape
    squared = ((np.asarray(looked.actions) - aims) ** 2).sum(axis=-1)
    stddev = network.location.stddev
    expected = -squared / (2 * stddev**2) - np.log(2 * np.pi * stddev**2)
    assert_close(looked.log_probs, expected, 1e-4)
    assert "aims" not in look(False).extras


@pytest.mark.slow
@pytest.mark.parametrize(("name", "copies"), [("dram", 1), ("dram", 2), ("ram", 1)])
def test_a_step_learns_from_places(name, copies):
    """With a weight on them alone, aims come nearer to what is known."""
    (phase,) = FAMILIES[name].phases
    phase = phase.with_places(1.0)
    off = dict.fromkeys(phase.weights, 0.0)
    guided = {**phase.__dict__, "weights": {**off, "places": 1.0}}
    phase = type(phase)(**guided)
    network = make_network(name)
    trainer = Trainer(network, phase, phase.policy(), 2, mc_samples=copies, xla=False)
    optimizer = keras.optimizers.SGD(0.05)
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    before = {part: getattr(network, part).get_weights() for part in network.parts}
    logs = [
        float(trainer.train_step((IMAGES, Targets(LABELS, PLACES)))["places"])
        for _ in range(8)
    ]
    # They are means so far.
    errors = np.diff(np.arange(9) * np.array([0.0, *logs]))
    assert errors[-1] < errors[0]
    seeing = "core" if name == "ram" else "lower"
    for part in ("glimpse_network", seeing):
        for old, new in zip(before[part], getattr(network, part).get_weights()):
            np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_validation_knows_no_places():
    (phase,) = FAMILIES["dram"].phases
    phase = phase.with_places(3.0)
    trainer = Trainer(make_network("dram"), phase, phase.policy(), 2, xla=False)
    batches = [(IMAGES, LABELS, np.ones(6, "float32"))]
    loop = Loop(trainer, tf.distribute.get_strategy())
    results = loop.evaluate(
        lambda share: tf.data.Dataset.from_generator(
            lambda: iter(batches),
            output_signature=(
                tf.TensorSpec(IMAGES.shape, tf.uint8),
                tf.TensorSpec((6,), tf.int64),
                tf.TensorSpec((6,), tf.float32),
            ),
        )
    )
    assert set(results) == {
        *("loss", "accuracy", "classification", "baseline", "reinforce")
    }
    total = sum(results[name] for name in ("classification", "baseline", "reinforce"))
    assert results["loss"] == pytest.approx(total, rel=1e-5)


# The config


def configs_of(name):
    return __import__(name).get_config()


@pytest.fixture
def guided(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "configs"))
    config = configs_of("dram_digits_places")
    (phase,) = FAMILIES["dram"].phases
    return meaning.phase_config(config, phase), phase


def test_a_config_that_knows_places_learns_from_them(guided):
    config, phase = guided
    weight = config.phases.train.weights.places
    assert weight > 0 and 0 < config.data.known_places < 1
    made = meaning.configured(phase, config)
    assert made.weights["places"] == weight
    assert made.policy().aims and made.policy(kind="random").blind
    assert made.training_only == ("places",)


def test_without_places_a_phase_is_what_it_was(guided):
    config, phase = guided
    both = {"data.known_places": 0.0, "phases.train.weights.places": 0.0}
    made = meaning.configured(phase, vary(config, both))
    assert "places" not in made.weights and not made.policy().aims


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"data.known_places": 0.0}, "weights.places is .*set data.known_places"),
        ({"phases.train.weights.places": 0.0}, "data.known_places is .*set phases"),
    ],
)
def test_places_and_their_weight_need_each_other(guided, overrides, said):
    config, phase = guided
    with pytest.raises(InputError, match=said):
        meaning.configured(phase, vary(config, overrides))


@pytest.mark.parametrize("key", ["data", "weights"])
def test_a_family_without_a_location_head_is_refused_by_name(root, monkeypatch, key):
    monkeypatch.syspath_prepend(str(root / "configs"))
    phase = FAMILIES["pham"].phases[0]
    config = meaning.phase_config(configs_of("pham_digits"), phase)
    with config.unlocked():
        if key == "data":
            config.data.known_places = 0.1
        else:
            config.phases.first.weights.places = 1.0
    with pytest.raises(InputError, match="pham has no Gaussian location head"):
        meaning.configured(phase, config)


# The data


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", canvas=(31, 50), known_places=0.1)


def middle(image):
    """The middle of the box of what is not black, (x, y) in [-1, 1]."""
    rows, columns = np.nonzero(image[..., 0])
    lit = [(columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2]
    return 2 * np.array(lit) / np.array(image.shape[1::-1]) - 1


def test_the_known_places_are_where_the_digits_are(digits):
    assert digits.train.known.sum() == 129
    (images, targets), (later, moved) = digits.train_batches(1293, seed=3, num_steps=2)
    known = ~np.isnan(targets.places).any(axis=1)
    assert known.sum() == 129 and np.isnan(moved.places).any(axis=1).sum() == 1293 - 129
    found = np.array([middle(image) for image in images.numpy()[known]])
    # Digits do not fill their square: on the whole they are in its middle.
    away = found - targets.places.numpy()[known]
    assert np.abs(away).max() < 0.4 and np.abs(away.mean(axis=0)).max() < 0.05
    plain = data.load("digits", canvas=(31, 50))
    (same, labels), *_ = plain.train_batches(1293, seed=3, num_steps=1)
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(labels, targets.labels)


def test_evaluation_is_told_no_places(digits):
    for split in ("train", "validation", "test"):
        assert len(digits.eval_batches(split, 8).element_spec) == 3
    assert digits.validation.known is None and digits.test.known is None


def test_who_is_known_is_chosen_by_seed_and_the_share_alone(digits):
    def known(**options):
        return data.load("digits", digit_size=8, **options).train.known

    np.testing.assert_array_equal(known(known_places=0.1), digits.train.known)
    assert (known(known_places=0.1, seed=1) != digits.train.known).any()
    more = known(known_places=0.2)
    assert more[digits.train.known].all() and more.sum() == 259
    assert known(known_places=1e-9).sum() == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"known_places": 1.5}, r"must lie in \[0, 1\]"),
        ({"known_places": -0.1}, r"must lie in \[0, 1\]"),
        ({"known_places": NAN}, r"must lie in \[0, 1\]"),
        ({"known_places": 0.1, "canvas": None}, "without a `data.canvas`"),
    ],
)
def test_shares_that_cannot_be_meant_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        data.load("digits", **options)


def test_a_data_set_without_places_has_no_such_option():
    with pytest.raises(InputError, match="'synthetic' has no option known_places"):
        data.load("synthetic", known_places=0.1)


def test_places_are_known_of_what_is_dropped_alone():
    with pytest.raises(InputError, match="dropped on a canvas first"):
        data.Split(IMAGES, LABELS, known=np.ones(6, bool))
    drop = (data.Translate(20, 20),)
    with pytest.raises(InputError, match="whether its place is known"):
        data.Split(IMAGES, LABELS, drop, known=np.ones(5, bool))


def test_of_a_hunt_the_places_are_those_of_its_glyphs():
    made = {"num_train": 40, "num_test": 4, "validation_fraction": 0.25}
    hunt = data.load("hunt", known_places=0.5, **made)
    assert hunt.notes == ("places are known of 15 of 30 training images",)
    ((positions, targets),) = hunt.train_batches(30, seed=0, num_steps=1)
    where = np.array([r.location for r in hunt.windows.readers], "float32")
    known = ~np.isnan(targets.places[:, 0])
    assert known.sum() == 15
    np.testing.assert_array_equal(
        targets.places[known], where[positions.numpy()[known]]
    )
    assert data.load("hunt", **made).train.known is None


def test_places_of_their_own_are_two_numbers_an_image():
    images, labels = np.zeros((3, 4, 4, 1), "uint8"), np.arange(3)
    with pytest.raises(InputError, match="places 3x2 of their own"):
        data.Split(images, labels, known=labels > 0, own_places=np.zeros((2, 2)))
