import dataclasses
import typing

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import evaluation, layers, models, objectives, ops, policies, random
from ram_tf.errors import InputError
from ram_tf.families import FAMILIES
from tests.comparisons import assert_close

POLICIES = {
    "gaussian": policies.GaussianPolicy(),
    "mean": policies.GaussianPolicy(sample=False),
    **policies.CONTROLS,
}
DETERMINISTIC = [name for name, p in POLICIES.items() if p.deterministic]
every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


def some_images(shape=(13, 17, 1), batch=5, dtype="float32"):
    rng = np.random.default_rng(0)
    if dtype == "uint8":
        return rng.integers(0, 256, (batch, *shape)).astype("uint8")
    return rng.random((batch, *shape), "float32")


def make_network(image_shape=(13, 17, 1), num_classes=4, **parts):
    network = models.RAM(
        num_classes,
        retina=parts.get("retina") or layers.Retina(5, 2),
        glimpse_network=parts.get("glimpse_network") or layers.MlpGlimpse(7, 5, 8),
        core=parts.get("core") or layers.RectifierCell(9),
        location=parts.get("location") or layers.GaussianLocation(0.3, 6),
    )
    network.build((None, *image_shape))
    return network


def look(network, policy, images, num_glimpses=4, seed=1, **options):
    return models.rollout(
        network,
        policy,
        network.prepare(images),
        num_glimpses,
        seed=random.make_seed(seed),
        **options,
    )


@pytest.mark.parametrize(("dtype", "xla"), [("uint8", False), ("float32", True)])
def test_copies_of_images_are_looked_at_as_repeated_images_are(dtype, xla):
    retina = layers.Retina(4, sides=(4, 8, 16))  # The widest is read from box sums.
    network = make_network(retina=retina, image_shape=(12, 11, 1))
    images = (255 * np.random.default_rng(0).random((3, 12, 11, 1))).astype(dtype)
    images = images if dtype == "uint8" else images / np.float32(256)

    def run(images, **options):
        return look(network, policies.GaussianPolicy(), images, **options)

    if xla:
        run = tf.function(run, jit_compile=True, autograph=False)
    assert retina.summarize(tf.constant(images), 4)[-1] is not None
    once, each = run(images, copies=3), run(np.repeat(images, 3, axis=0))
    for ours, theirs in zip(*map(tf.nest.flatten, (once._asdict(), each._asdict()))):
        np.testing.assert_array_equal(ours, theirs)


def assert_same(first, second, tolerance=1e-5):
    first, second = (tf.nest.flatten(r._asdict()) for r in (first, second))
    assert len(first) == len(second) > 5
    for a, b in zip(first, second):
        assert_close(a, b, tolerance)


@every_policy
@pytest.mark.parametrize(("num_glimpses", "batch"), [(1, 5), (2, 1), (5, 3)])
def test_a_rollout_has_a_value_for_every_glimpse(policy, num_glimpses, batch):
    images = some_images(batch=batch)
    result = look(make_network(), policy, images, num_glimpses)
    planned = policy in policies.CONTROLS.values()
    decisions = 0 if planned else num_glimpses - 1
    assert result.locations.shape == (batch, num_glimpses, 2)
    assert result.hidden.shape == (batch, num_glimpses, 9)
    assert result.logits.shape == (batch, num_glimpses, 4)
    assert result.extras["baselines"].shape == (batch, num_glimpses)
    assert result.actions.shape == (batch, decisions, 2)
    assert result.log_probs.shape == (batch, decisions)
    assert np.abs(result.locations).max() <= 1


@pytest.mark.parametrize("num_glimpses", [0, -1])
def test_looking_less_than_once_is_refused(num_glimpses):
    with pytest.raises(InputError, match=f"glimpse is needed, got {num_glimpses}"):
        look(make_network(), policies.GaussianPolicy(), some_images(), num_glimpses)


@every_policy
def test_the_same_seed_is_the_same_rollout(policy):
    network, images = make_network(), some_images()
    first, again, other = (look(network, policy, images, seed=s) for s in (1, 1, 2))
    assert_same(first, again, tolerance=0)
    moved = np.abs(np.asarray(first.locations) - other.locations).max()
    assert (moved == 0) if policy.deterministic else (moved > 0.1)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_an_image_is_seen_alike_alone_and_in_a_batch(name):
    network, images = make_network(), some_images()
    together = look(network, POLICIES[name], images)
    for index in range(len(images)):
        alone = look(network, POLICIES[name], images[index : index + 1])
        assert_close(alone.logits[0], together.logits[index])


@dataclasses.dataclass(frozen=True)
class OneByOne(policies.Policy):
    """Goes to given places without saying so beforehand."""

    places: typing.Any
    visits: list = dataclasses.field(default_factory=list)
    deterministic = True

    def start(self, network, context, state, *, seed, training):
        return models.Choice(self.places[:, 0])

    def __call__(self, network, context, state, *, seed, training):
        self.visits.append(seed)
        return models.Choice(self.places[:, len(self.visits)])


@pytest.mark.parametrize("core", [layers.RectifierCell, keras.layers.LSTMCell])
@pytest.mark.parametrize("name", policies.CONTROLS)
def test_all_glimpses_in_one_call_are_those_taken_step_by_step(name, core):
    network, images = make_network(core=core(9)), some_images(dtype="uint8")
    planned = look(network, policies.CONTROLS[name], images)
    stepwise = look(network, OneByOne(planned.locations), images)
    assert np.asarray(planned.logits).std() > 0
    assert_same(planned, stepwise)


def test_every_step_and_image_draws_its_own_noise():
    result = look(make_network(), policies.GaussianPolicy(), some_images(), 5)
    places = np.asarray(result.actions)
    assert len({place.tobytes() for place in places.reshape(-1, 2)}) == 5 * 4


def test_noise_around_the_mean_is_that_of_the_location_head():
    network, images = make_network(), some_images(batch=400)
    result = look(network, policies.GaussianPolicy(), images, 3)
    means = [network.location(result.hidden[:, step])[0] for step in range(2)]
    noise = (np.asarray(result.actions) - np.stack(means, axis=1)) / 0.3
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert abs(noise.std() - 1) < 4 / np.sqrt(2 * noise.size)
    first, second = noise[:, 0].ravel(), noise[:, 1].ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(first))
    expected = (-(noise**2) / 2 - np.log(0.3 * np.sqrt(2 * np.pi))).sum(axis=-1)
    assert_close(result.log_probs, expected, 1e-4)


def test_a_sample_outside_the_image_is_looked_at_on_the_border():
    network = make_network(location=layers.GaussianLocation(2.0))
    result = look(network, policies.GaussianPolicy(), some_images(batch=20))
    actions = np.asarray(result.actions)
    assert (np.abs(actions) > 1).mean() > 0.2
    np.testing.assert_array_equal(result.locations[:, 1:], np.clip(actions, -1, 1))


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_the_first_random_glimpse_can_be_restricted(fraction):
    policy = policies.GaussianPolicy(first_fraction=fraction)
    result = look(make_network(), policy, some_images(batch=200), 1)
    first = np.asarray(result.locations)[:, 0]
    assert np.abs(first).max() <= fraction
    assert np.abs(first).max() >= 0.95 * fraction


@pytest.mark.parametrize("sample", [True, False])
def test_the_first_glimpse_can_be_fixed(sample):
    policy = policies.GaussianPolicy(sample, first_location=(0.5, -0.25))
    first = look(make_network(), policy, some_images(), 2).locations[:, 0]
    np.testing.assert_array_equal(first, [[0.5, -0.25]] * 5)


@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_the_deterministic_first_glimpse_is_the_centre(fraction):
    policy = policies.GaussianPolicy(sample=False, first_fraction=fraction)
    first = look(make_network(), policy, some_images(), 2).locations[:, 0]
    np.testing.assert_array_equal(first, np.zeros((5, 2)))


def test_the_deterministic_policy_goes_where_the_head_points():
    network = make_network()
    result = look(network, POLICIES["mean"], some_images())
    for step in range(3):
        mean, _ = network.location(result.hidden[:, step])
        assert_close(result.locations[:, step + 1], mean)


def test_controls_look_where_their_names_say():
    network, images = make_network(), some_images(batch=300)
    center = look(network, policies.CenterPolicy(), images, 3).locations
    np.testing.assert_array_equal(center, np.zeros((300, 3, 2)))
    raster = look(network, policies.RasterPolicy(), images, 4).locations
    np.testing.assert_array_equal(raster, [ops.raster_locations(4)] * 300)
    drawn = np.asarray(look(network, policies.RandomPolicy(0.5), images, 3).locations)
    for places, fraction in ((drawn[:, 0], 0.5), (drawn[:, 1:], 1.0)):
        assert 0.95 * fraction < np.abs(places).max() <= fraction
        assert abs(places.mean()) < 4 * fraction / np.sqrt(3 * places.size)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"first_fraction": 0.25},
        {"first_location": (0.5, -0.25)},
        {"first_location": (0, 0)},
    ],
)
@pytest.mark.parametrize("family", ["ram", "active_ram", "mram"])
def test_the_random_control_begins_where_the_trained_policy_does(family, options):
    (phase,) = FAMILIES[family].phases
    network, images = make_network(), some_images(batch=200)
    trained = look(network, phase.policy(**options), images, 3).locations
    control = look(network, phase.policies["random"](**options), images, 3).locations
    np.testing.assert_array_equal(control[:, 0], trained[:, 0])
    later = np.asarray(control[:, 1:])
    assert 0.95 < np.abs(later).max() <= 1
    # Nor does any image go on where another one began.
    assert not np.isin(later, trained[:, 0]).any()


def test_the_unknown_of_an_open_set_are_told_apart():
    network, images = make_network(), some_images(batch=12)
    labels = np.arange(12) % 4

    def measure(chosen):
        weights = np.ones(len(chosen), "float32")
        batches = [(np.asarray(images)[chosen], labels[chosen], weights)]
        return evaluation.Evaluator(
            network, POLICIES["raster"], 3, unknown_class=3, xla=False
        ).measure(batches)

    together = measure(np.arange(12))
    for name, chosen in (("known", labels != 3), ("unknown", labels == 3)):
        alone = measure(np.flatnonzero(chosen))
        assert together[f"accuracy_{name}"] == pytest.approx(alone["accuracy"])
        assert "accuracy_known" not in alone
    assert together["accuracy_known"] != together["accuracy_unknown"]


@pytest.mark.parametrize("name", ["mean", "raster"])
def test_more_copies_of_a_deterministic_policy_equal_one(name):
    network, images = make_network(), some_images()
    labels = np.arange(5) % 4
    batches = [(images, labels, np.ones(5, "float32"))]
    one, three = (
        evaluation.Evaluator(
            network, POLICIES[name], 3, mc_samples=copies, xla=False
        ).measure(batches)
        for copies in (1, 3)
    )
    assert one.keys() == three.keys() >= {"accuracy", "nll", "statistics"}
    for measure in one:
        assert one[measure] == pytest.approx(three[measure], abs=1e-5), measure


# Image shape, retina, glimpse network, core, classes, glimpses.
ODD = {
    "one pixel": ((1, 1, 1), dict(size=1), "mlp", "rectifier", 2, 1),
    "wide": ((4, 31, 1), dict(size=3), "mlp", "gru", 2, 3),
    "tall colour": ((29, 7, 3), dict(size=4, num_scales=2), "conv", "lstm", 5, 2),
    "four channels": ((9, 9, 4), dict(size=5, num_scales=3), "mlp", "lstm", 3, 4),
    "patch past the image": ((6, 5, 1), dict(size=8), "conv", "rectifier", 3, 2),
    "many scales": ((20, 12, 1), dict(size=2, num_scales=6), "mlp", "gru", 7, 3),
    "ratio 1.5": (
        (15, 16, 3),
        dict(size=4, num_scales=3, scale_factor=1.5),
        "conv",
        "gru",
        2,
        2,
    ),
    "named sides, bicubic": (
        (16, 11, 1),
        dict(size=4, sides=(3, 9, 14), reduction="bicubic"),
        "mlp",
        "rectifier",
        120,
        3,
    ),
    "noise outside": (
        (8, 10, 3),
        dict(size=6, num_scales=2, padding="normal", reduction="bilinear"),
        "conv",
        "lstm",
        4,
        5,
    ),
    "many glimpses": ((12, 12, 1), dict(size=3), "mlp", "rectifier", 10, 12),
}


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize(
    ("shape", "retina", "glimpse_network", "core", "num_classes", "num_glimpses"),
    ODD.values(),
    ids=ODD,
)
def test_odd_configurations_have_finite_outputs_and_gradients(
    shape, retina, glimpse_network, core, num_classes, num_glimpses, dtype
):
    units = 6 if dtype == "float32" else 1
    network = models.RAM.from_options(
        num_classes,
        retina=retina,
        glimpse_network={
            "mlp": {"kind": "mlp", "units": units},
            "conv": {"kind": "conv", "filters": (2, 3, 2), "units": units},
        }[glimpse_network],
        core={"kind": core, "units": units},
        location={"stddev": 0.2, "hidden_units": None if units == 1 else units},
        baseline={},
    )
    network.build((None, *shape))
    images = some_images(shape, 3, dtype)
    labels = np.array([0, 1, num_classes - 1])
    with tf.GradientTape() as tape:
        result = look(
            network, policies.GaussianPolicy(), images, num_glimpses, training=True
        )
        terms = objectives.ram_objective(result, labels)
        loss = tf.add_n([tf.reduce_mean(term) for term in terms.values()])
    assert result.logits.shape == (3, num_glimpses, num_classes)
    gradients = tape.gradient(loss, [v.value for v in network.trainable_variables])
    found = [x for x in gradients if x is not None]
    assert len(found) >= 4
    for values in [*tf.nest.flatten(result._asdict()), *terms.values(), *found]:
        assert np.isfinite(values).all()
