"""Probabilistic hard attention: which loss trains what, and where it looks."""

import functools

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from ram_tf import data, evaluation, models, objectives, policies, random
from ram_tf.errors import InputError
from ram_tf.evaluation import statistics
from ram_tf.families import pham
from ram_tf.serving.served import Served
from ram_tf.training.checkpointing import load_weights, save_checkpoint
from ram_tf.training.trainer import Trainer
from tests.comparisons import assert_close, relative_error

PARTS = ("patch_encoder", "location_mixer", "core", "classifier", "partial_vae")
PHASES = {phase.name: phase for phase in pham.PHASES}
RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 8, 10, 1), "float32")
LABELS = np.arange(6) % 3
SEED = random.make_seed(4)
CELLS = 12  # 3 rows of 4 cells of 4x4 pixels, 2 apart
SHIFTED = RNG.random((9, 12, 16, 2), "float32")


def make_network(images=IMAGES, spread=0.2, **options):
    """A small network whose weights all differ from those of a fresh one."""
    keras.utils.set_random_seed(1)
    sizes = {"glimpse_size": 4, "feature_units": 6, "latent_units": 5}
    sizes |= {"hidden_units": 8, "num_flows": 1}
    network = models.PHAM(3, **{**sizes, **options})
    network.build((None, *images.shape[1:]))
    rng = np.random.default_rng(1)
    for variable in network.trainable_variables:
        noise = spread * rng.standard_normal(variable.shape)
        variable.assign_add(noise.astype("float32"))
    return network


def look(network, policy, images=IMAGES, num_glimpses=4, seed=SEED, **options):
    context = network.prepare(images)
    return models.rollout(network, policy, context, num_glimpses, seed=seed, **options)


def cells_of(result):
    return np.asarray(result.extras["cell"])


def make_trainer(phase, network=None, policy=None, learning_rate=0.05, **options):
    phase = PHASES[phase]
    network = network or make_network()
    policy = policy or phase.policy()
    trainer = Trainer(network, phase, policy, 3, xla=False, **options)
    optimizer = keras.optimizers.SGD(learning_rate)
    optimizer.build(trainer.trainable_variables)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    return trainer


def weights_of(part):
    return part.get_weights()


def assert_equal_weights(before, after):
    assert len(before) == len(after) > 0
    for old, new in zip(before, after):
        np.testing.assert_array_equal(new, old)


# Which loss trains which part

SEEING = {"patch_encoder", "location_mixer", "core"}
TRAINS = {
    ("first", "classification"): {*SEEING, "classifier"},
    ("second", "kl"): {"partial_vae"},
    ("second", "reconstruction"): {"partial_vae"},
    ("third", "classification"): {*SEEING, "classifier"},
    # Through the hidden state alone: what was seen is a target, and not differentiated.
    ("third", "kl"): {*SEEING, "partial_vae"},
    ("third", "reconstruction"): {*SEEING, "partial_vae"},
}
# What of the autoencoder a term does not need.
UNTOUCHED = {"kl": ("decoder", "log_variance"), "reconstruction": ()}


@functools.cache
def gradients_of(phase):
    """Returns a trainer, and term -> id of variable -> gradient of the term's mean."""
    trainer = make_trainer(phase)
    with tf.GradientTape(persistent=True) as tape:
        result = look(
            trainer.network,
            trainer.policy,
            num_glimpses=3,
            training=True,
            reading=trainer.phase.reading,
        )
        terms = trainer.phase.objective(result, LABELS)
        means = {name: tf.reduce_mean(term) for name, term in terms.items()}
    variables = trainer.network.trainable_variables
    values = [variable.value for variable in variables]
    return trainer, {
        name: dict(zip(map(id, variables), tape.gradient(mean, values)))
        for name, mean in means.items()
    }


@pytest.mark.parametrize(("phase", "term"), TRAINS)
def test_each_loss_trains_its_own_parts_and_no_other(phase, term):
    trainer, gradients = gradients_of(phase)
    gradients = gradients[term]
    trained = set()
    for part in PARTS:
        for variable in getattr(trainer.network, part).trainable_variables:
            gradient = gradients[id(variable)]
            if gradient is None:
                unneeded = part == "partial_vae" and any(
                    f"/{name}" in variable.path for name in UNTOUCHED.get(term, ())
                )
                assert unneeded or part not in TRAINS[phase, term], variable.path
                continue
            gradient = np.asarray(gradient)
            assert np.isfinite(gradient).all(), variable.path
            assert gradient.any(), variable.path
            trained.add(part)
    assert trained == TRAINS[phase, term]


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_trains_every_variable_it_does_not_freeze(phase):
    trainer, gradients = gradients_of(phase)
    assert set(gradients) == set(PHASES[phase].weights)
    assert trainer.trainable_variables
    for variable in trainer.trainable_variables:
        found = [each[id(variable)] for each in gradients.values()]
        assert any(each is not None for each in found), variable.path
    frozen = PHASES[phase].frozen
    moving = {id(v) for v in trainer.trainable_variables}
    for part in PARTS:
        own = {id(v) for v in getattr(trainer.network, part).trainable_variables}
        assert bool(own) == (part not in frozen) and own <= moving


def test_the_table_of_parts_is_complete():
    network = make_network()
    in_table = [v for part in PARTS for v in getattr(network, part).weights]
    assert {id(v) for v in in_table} == {id(v) for v in network.weights}


def test_the_features_that_were_seen_are_targets():
    """No gradient of the reconstruction reaches them, though it depends on them."""
    features = tf.constant(RNG.standard_normal((2, 3, 4)), tf.float32)
    imagined = tf.constant(RNG.standard_normal((2, 3, 5, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([features, imagined])
        terms = objectives.evidence_objective(
            extras_rollout(features, [[0, 1, 2], [4, 3, 2]], imagined), None
        )
    to_features, to_imagined = tape.gradient(
        terms["reconstruction"], [features, imagined]
    )
    assert to_features is None
    assert np.asarray(to_imagined).any()


@pytest.mark.parametrize(
    "phase", ["first", "second", pytest.param("third", marks=pytest.mark.slow)]
)
def test_frozen_parts_do_not_move_by_one_bit(phase):
    trainer = make_trainer(phase)
    network, frozen = trainer.network, PHASES[phase].frozen
    before = {part: weights_of(getattr(network, part)) for part in PARTS}
    logs = trainer.train_step((IMAGES, LABELS))
    assert np.isfinite(float(logs["loss"]))
    for part in PARTS:
        after = weights_of(getattr(network, part))
        if part in frozen:  # Statistics of batch norm among them.
            assert_equal_weights(before[part], after)
        else:
            assert any((a != b).any() for a, b in zip(before[part], after)), part


def test_frozen_parts_run_in_inference_mode():
    network = make_network(dropout=0.9)
    make_trainer("second", network)
    policy = policies.CentralCells()
    training, inference = (
        look(network, policy, training=training) for training in (True, False)
    )
    np.testing.assert_array_equal(training.hidden, inference.hidden)
    np.testing.assert_array_equal(training.logits, inference.logits)


def test_what_trains_runs_in_training_mode():
    network = make_network(dropout=0.5, num_flows=0)
    make_trainer("third", network)
    policy = policies.CentralCells()
    training, inference = (
        look(network, policy, training=training) for training in (True, False)
    )
    assert (np.asarray(training.hidden) != np.asarray(inference.hidden)).any()
    hidden = tf.repeat(training.hidden, 400, axis=0)
    drawn = network.read(hidden, training=True, seed=SEED)["logits"]
    drawn = np.reshape(drawn, (6, 400, 4, 3))
    clean = np.asarray(network.read(training.hidden)["logits"])
    assert (drawn[:, 0] != drawn[:, 1]).any()
    # Dropout changes the logits, and not their mean.
    error = drawn.std(axis=1) / np.sqrt(400)
    assert (np.abs(drawn.mean(axis=1) - clean) < 5 * error).all()


def test_batch_statistics_are_those_of_the_glimpses_alone():
    """Not of imagined features, nor of cells that nobody looked at."""
    network = make_network()
    policy = policies.PlannedAhead(policies.InformationGain(num_samples=1))
    norm = network.location_mixer.norm
    before = norm.moving_mean.numpy()
    result = look(network, policy, num_glimpses=3, training=True)
    after = norm.moving_mean.numpy()
    # The same glimpses once more: the statistics of these 18 vectors.
    network = make_network()
    features = network.patch_encoder(
        patches_at(IMAGES, result, network)[:, :, :, :, None], training=True
    )
    places = 2 * starts_of(result, network) / np.array([5, 7]) - 1
    mixed = features + network.location_mixer.place_map(places)
    mixed = np.asarray(tf.nn.leaky_relu(mixed, 0.01)).reshape(-1, 6)
    assert_close(after, 0.9 * before + 0.1 * mixed.mean(axis=0))


def starts_of(result, network):
    boxes = network.glimpse_boxes(
        result.locations, (network.room + network.glimpse_size - 1)
    )
    return np.asarray(boxes)[:, :, 0, :2]


def patches_at(images, result, network):
    """Cuts with NumPy what a rollout saw of the first channel, in [-1, 1]."""
    side = network.glimpse_size
    return np.array(
        [
            [image[row : row + side, column : column + side, 0] for row, column in path]
            for image, path in zip(2 * images - 1, starts_of(result, network))
        ]
    )


# Places

SHAPES = [(8, 10, 4), (12, 16, 8), (10, 4, 4), (6, 6, 6), (32, 32, 8), (35, 23, 6)]


@pytest.mark.parametrize(("height", "width", "side"), SHAPES)
def test_cells_pixels_and_locations_are_one(height, width, side):
    if (height - side) % (side // 2) or (width - side) % (side // 2):
        with pytest.raises(InputError, match=f"{height}x{width} pixels do not fit"):
            make_network(np.zeros((1, height, width, 1)), glimpse_size=side)
        return
    images = np.zeros((1, height, width, 1), "float32")
    network = make_network(images, glimpse_size=side, num_flows=0)
    rows, columns = (
        (height - side) // (side // 2) + 1,
        (width - side) // (side // 2) + 1,
    )
    assert network.grid == (rows, columns)
    starts = [
        (i * side // 2, j * side // 2) for i in range(rows) for j in range(columns)
    ]
    np.testing.assert_array_equal(network.cell_starts, starts)
    places = network.cell_locations
    assert places.shape == (rows * columns, 2) and np.abs(places).max() <= 1
    boxes = np.asarray(network.glimpse_boxes(places, (height, width)))
    np.testing.assert_array_equal(boxes[:, 0, :2], starts)
    np.testing.assert_array_equal(boxes[:, 0, 2:], np.array(starts) + side)
    state = network.initial_state({"images": np.zeros((len(places), 1, 1, 1))})
    located = {name: np.zeros((len(places), 6), "float32") for name in ("features",)}
    located["located"] = located["features"]
    state = network.integrate(located, tf.constant(places), state)
    np.testing.assert_array_equal(state["cell"], np.arange(len(places)))
    np.testing.assert_array_equal(state["seen"], np.eye(len(places), dtype=bool))


def test_a_glimpse_is_the_patch_at_its_cell():
    network = make_network(SHIFTED, glimpse_size=8)
    count = network.num_cells
    assert network.grid == (2, 3)
    places = np.broadcast_to(network.cell_locations, (9, count, 2))
    found = network.sense(network.prepare(SHIFTED), tf.constant(places))
    assert found.shape == (9, count, 1, 8, 8, 2)
    for cell, (row, column) in enumerate(network.cell_starts):
        patch = 2 * SHIFTED[:, row : row + 8, column : column + 8] - 1
        assert_close(found[:, cell, 0], patch)


def test_bytes_and_floats_are_the_same_image():
    pixels = RNG.integers(0, 256, IMAGES.shape, dtype=np.uint8)
    network = make_network(num_flows=0)
    one = look(network, policies.CentralCells(), pixels)
    two = look(network, policies.CentralCells(), (pixels / 255).astype("float32"))
    assert_close(one.logits, two.logits, 1e-4)


def test_the_network_is_told_where_a_patch_begins():
    """(row, column) of the first pixel, over image - side + 1, in [-1, 1)."""
    network = make_network()
    context = network.prepare(np.broadcast_to(IMAGES[:1], (CELLS, 8, 10, 1)))
    places = tf.constant(network.cell_locations[:, None])
    encoded = network.encode(network.sense(context, places), places)
    told = 2 * network.cell_starts / np.array([5.0, 7.0]) - 1
    expected = network.location_mixer(encoded["features"][:, 0], told)
    assert_close(encoded["located"][:, 0], expected)


def test_random_locations_hit_every_first_pixel_equally_often():
    network = make_network(num_flows=0)
    network_images = np.zeros((2000, 8, 10, 1), "float32")
    state = network.initial_state({"images": network_images})
    places = policies.RandomPolicy().plan(network, {}, state, 5, SEED)
    boxes = np.asarray(network.glimpse_boxes(places, (8, 10)))[..., 0, :2]
    count = np.zeros((5, 7))
    np.add.at(count, tuple(boxes.reshape(-1, 2).T), 1)
    expected = 10_000 / 35
    assert np.square(count - expected).sum() / expected < 70  # chi-squared, 34
    assert boxes.min() == 0


@pytest.mark.parametrize("corner", [-1.0, 1.0])
def test_the_corners_are_patches_inside_the_image(corner):
    boxes = make_network().glimpse_boxes(np.full((1, 2), corner, "float32"), (8, 10))
    expected = [0, 0, 4, 4] if corner < 0 else [4, 6, 8, 10]
    np.testing.assert_array_equal(np.asarray(boxes)[0, 0], expected)


def test_more_glimpses_than_cells_are_refused():
    with pytest.raises(InputError, match="13 glimpses are more than the 12 cells"):
        look(make_network(), policies.CentralCells(), num_glimpses=13)


# Policies


@pytest.mark.parametrize(
    "policy",
    [
        policies.InformationGain(num_samples=2),
        policies.InformationGain(num_samples=1),
        policies.InformationGain(num_samples=2, feature_noise=True),
        policies.Oracle(),
        policies.PlannedAhead(policies.InformationGain(num_samples=1)),
        policies.RandomCells(),
        policies.CentralCells(),
    ],
    ids=["gain", "one sample", "noisy", "oracle", "planned", "random", "center"],
)
def test_no_cell_is_looked_at_twice(policy):
    images = IMAGES[:, :, :6]
    network = make_network(images, num_flows=0)
    cells = cells_of(look(network, policy, images, num_glimpses=6))
    np.testing.assert_array_equal(np.sort(cells), [np.arange(6)] * 6)


@pytest.mark.parametrize(
    "policy", [policies.InformationGain(num_samples=2), policies.Oracle()]
)
def test_the_first_cell_is_the_one_of_random_cells(policy):
    network = make_network(num_flows=0)
    for number in range(3):
        options = {"seed": random.make_seed(number), "num_glimpses": 2}
        cells = cells_of(look(network, policy, **options))
        baseline = cells_of(look(network, policies.RandomCells(), **options))
        np.testing.assert_array_equal(cells[:, 0], baseline[:, 0])


@pytest.mark.parametrize(
    "policy",
    [
        policies.InformationGain(num_samples=1, first_location=(0.0, 0.0)),
        policies.Oracle(first_location=(0.0, 0.0)),
    ],
)
def test_the_first_glimpse_can_be_fixed(policy):
    result = look(make_network(num_flows=0), policy, num_glimpses=2)
    np.testing.assert_array_equal(result.locations[:, 0], np.zeros((6, 2)))


@pytest.mark.parametrize("repeat", [False, True])
def test_random_cells_are_drawn_evenly(repeat):
    network = make_network(num_flows=0)
    state = network.initial_state({"images": np.zeros((3000, 8, 10, 1))})
    policy = policies.RandomCells(repeat=repeat)
    places = np.asarray(policy.plan(network, {}, state, 3, SEED))
    matches = (places[:, :, None] == network.cell_locations).all(axis=-1)
    assert matches.any(axis=-1).all()
    cells = matches.argmax(axis=-1)
    again = (cells[:, 1:] == cells[:, :-1]).mean()
    assert again == (pytest.approx(1 / CELLS, abs=0.02) if repeat else 0)
    for step in range(3):
        share = np.bincount(cells[:, step], minlength=CELLS) / 3000
        assert share == pytest.approx(1 / CELLS, abs=0.025)  # 5 standard errors.


def test_central_cells_go_outwards_in_reading_order():
    images = np.zeros((2, 8, 8, 1), "float32")
    network = make_network(images, num_flows=0)
    cells = cells_of(look(network, policies.CentralCells(), images, num_glimpses=9))
    np.testing.assert_array_equal(cells, [[4, 1, 3, 5, 7, 0, 2, 6, 8]] * 2)


@pytest.mark.slow
def test_planning_ahead_takes_the_policys_own_path():
    network = make_network()
    policy = policies.InformationGain(num_samples=2)
    ahead = look(network, policies.PlannedAhead(policy))
    own = look(network, policy, seed=random.rollout_seeds(SEED, 4).start)
    np.testing.assert_array_equal(ahead.locations, own.locations)
    assert_close(ahead.logits, own.logits, 1e-4)
    assert ahead.log_probs.shape == (6, 0)


@pytest.mark.slow
def test_planning_ahead_changes_no_statistics_and_runs_in_inference_mode():
    network = make_network()
    before = weights_of(network)
    policy = policies.PlannedAhead(policies.InformationGain(num_samples=1))
    context = network.prepare(IMAGES)
    seed = random.rollout_seeds(SEED, 4).start
    path = policy.plan(network, context, network.initial_state(context), 4, seed)
    assert_equal_weights(before, weights_of(network))
    result = look(network, policy, training=True)
    np.testing.assert_array_equal(result.locations, path)


@pytest.mark.slow
def test_of_equal_gains_the_first_unseen_cell_in_reading_order_is_taken():
    """However it looks: the gain of a classifier that tells nothing is 0 everywhere."""
    network = make_network(num_flows=0)
    network.classifier.set_weights(
        [np.zeros_like(weight) for weight in network.classifier.get_weights()]
    )
    second = tuple(network.cell_locations[1].tolist())
    policy = policies.InformationGain(num_samples=2, first_location=second)
    expected = network.cell_locations[[1, 0, 2, 3]]
    served = Served(network, policy, policy, 4, IMAGES.shape[1:], ("a", "b", "c"))
    seed = np.zeros(6, "int64")
    state = served.answer("start", {"seed": seed})
    stepped = []
    for _ in range(4):
        stepped.append(state["location"])
        pixels = {"images": IMAGES, "location": state["location"], "seed": seed}
        glimpse = served.answer("sense", pixels)["glimpse"]
        answer = served.answer("look", {**state, "glimpse": glimpse})
        state = {name: answer[name] for name in state}
    looks = {
        "rollout": look(network, policy).locations,
        "planned": look(network, policies.PlannedAhead(policy)).locations,
        "oracle": look(network, policies.Oracle(second)).locations,
        "dynamic": models.DynamicLooker(network, policy, 4, models.LittleToGain(0.0))(
            IMAGES
        )["locations"],
        "served": served.answer("serving_default", {"images": IMAGES})["locations"],
        "stepped": np.stack(stepped, axis=1),
    }
    for name, found in looks.items():
        wanted = np.broadcast_to(expected, (6, 4, 2))
        assert_close(found, wanted, 1e-5, what=name)


class Recorded(policies.InformationGain):
    """Keeps what it drew, step by step: not in a loop of the graph."""

    noise = []
    unroll = True

    def draw_noise(self, shape, seed):
        noise = super().draw_noise(shape, seed)
        self.noise.append(np.asarray(noise))
        return noise


def test_training_looks_with_the_posterior_sample_of_the_loss_of_that_step(
    monkeypatch,
):
    network = make_network()
    monkeypatch.setattr(Recorded, "noise", [])
    result = look(
        network,
        policies.PlannedAhead(Recorded(num_samples=1)),
        training=True,
        reading={"imagine": True},
    )
    noise = np.stack(Recorded.noise, axis=1)  # After each glimpse but the last.
    assert noise.shape == (6, 3, 1, 5)
    expected = network.imagine(result.hidden[:, :3], tf.constant(noise))
    assert_close(result.extras["latents"][:, :3], expected["latents"][:, :, 0], 1e-4)


def test_the_oracles_gain_is_the_policys_if_it_imagines_the_truth(monkeypatch):
    network = make_network(num_flows=0)
    features = network.true_features(network.prepare(IMAGES))

    def imagine(hidden, noise):
        return {"imagined": tf.tile(features[:, None], (1, noise.shape[-2], 1, 1))}

    monkeypatch.setattr(network, "imagine", imagine)
    gain = look(network, policies.InformationGain(num_samples=3))
    oracle = look(network, policies.Oracle())
    np.testing.assert_array_equal(gain.locations, oracle.locations)
    assert_close(gain.extras["gain"], oracle.extras["gain"], 1e-4)


@pytest.mark.parametrize("channel_variance", [False, True])
def test_features_are_drawn_from_the_decoders_likelihood(channel_variance):
    network = make_network(channel_variance=channel_variance)
    variance = np.linspace(0.25, 4.0, 6) if channel_variance else np.array(0.25)
    network.partial_vae.log_variance.assign(np.log(variance))
    means = np.broadcast_to(np.arange(CELLS)[:, None], (500, 4, CELLS, 6))
    drawn = np.asarray(network.draw_features(means.astype("float32"), SEED))
    error = np.abs(drawn.mean(axis=(0, 1)) - means[0, 0])
    assert (error < 5 * np.sqrt(variance / 2000)).all()
    residual = (drawn - means).reshape(-1, 6)
    ratio = residual.var(axis=0) / variance
    assert ratio == pytest.approx(np.ones(6), abs=0.05)  # 5 standard errors.
    # A server's examples have a seed each, and do not depend on their batch.
    seeds = tf.stack([random.make_seed(number) for number in range(3)])
    apart = network.draw_features(means[:3].astype("float32"), seeds)
    alone = network.draw_features(means[2:3].astype("float32"), seeds[2:])
    np.testing.assert_array_equal(apart[2:], alone)


@pytest.mark.slow
def test_the_noise_of_features_is_that_of_the_variance():
    network = make_network()
    plain, noisy = (
        policies.InformationGain(num_samples=2, feature_noise=noise)
        for noise in (False, True)
    )
    gain = look(network, plain, num_glimpses=2).extras["gain"]
    other = look(network, noisy, num_glimpses=2).extras["gain"]
    assert relative_error(other, gain) > 0.01
    network.partial_vae.log_variance.assign(-60.0)
    certain = look(network, noisy, num_glimpses=2).extras["gain"]
    assert_close(certain, gain, 1e-4)


def test_training_and_evaluation_share_the_noise_of_features():
    third = PHASES["third"]
    assert third.policy(feature_noise=True).policy.feature_noise
    assert third.evaluation_policy(feature_noise=True).feature_noise
    assert third.policies["one_sample"](feature_noise=True).feature_noise
    assert not third.policy().policy.feature_noise  # As published.


def test_the_gain_is_that_of_really_looking():
    """One sample of the truth: the divergence of the next belief from this one."""
    network = make_network(num_flows=0)
    result = look(network, policies.Oracle())
    logits = np.asarray(result.logits, float)
    beliefs = scipy.special.softmax(logits, axis=-1)
    realised = scipy.special.rel_entr(beliefs[:, 1:], beliefs[:, :-1]).sum(axis=-1)
    gains = np.asarray(result.extras["gain"])
    assert_close(gains.max(axis=-1), realised, 1e-4)
    np.testing.assert_array_equal(gains.argmax(axis=-1), cells_of(result)[:, 1:])
    seen = np.cumsum(np.eye(CELLS)[cells_of(result)], axis=1)[:, :-1] > 0
    np.testing.assert_array_equal(np.isneginf(gains), seen)


# The evidence objective


def extras_dtype(name):
    return tf.int32 if name == "imagined_at" else tf.float32


def extras_rollout(features, cells, imagined, **more):
    features, imagined = tf.constant(features), tf.constant(imagined)
    batch, steps = imagined.shape[:2]
    extras = {
        "features": features,
        "cell": tf.constant(cells),
        "imagined": imagined,
        "imagined_at": tf.broadcast_to(tf.range(steps), (batch, steps)),
        "latents": tf.zeros((batch, steps, 5)),
        "log_q": tf.zeros((batch, steps)),
        "log_prior": tf.zeros((batch, steps)),
        "log_variance": tf.zeros((batch, steps, 1)),
    } | {name: tf.cast(value, extras_dtype(name)) for name, value in more.items()}
    return models.Rollout(None, None, None, None, None, extras)


@pytest.mark.parametrize("imagined_at", [[[0, 1, 2, 3]] * 2, [[3, 0], [1, 2]]])
@pytest.mark.parametrize("variance", [[0.7], [0.7, -0.4, 0.1]])
def test_the_evidence_counts_each_seen_cell_once(variance, imagined_at):
    batch, steps, cells, units, latents = 2, 4, 6, 3, 5
    kept = len(imagined_at[0])
    w = np.broadcast_to(variance, units)
    features = RNG.standard_normal((batch, steps, units)).astype("float32")
    where = np.array([[2, 5, 2, 0], [1, 1, 1, 4]])
    for image, path in enumerate(where):  # The same cell shows the same thing.
        for step, cell in enumerate(path):
            features[image, step] = features[image, list(path).index(cell)]
    imagined = RNG.standard_normal((batch, kept, cells, units)).astype("float32")
    log_q, log_prior = RNG.standard_normal((2, batch, kept))
    expected = np.zeros(batch)
    for image in range(batch):
        for index, step in enumerate(imagined_at[image]):
            for cell in set(where[image, : step + 1]):
                seen = features[image, list(where[image]).index(cell)]
                error = (imagined[image, index, cell] - seen) ** 2
                expected[image] += 0.5 * (error / np.exp(w) + w).sum()
    terms = objectives.evidence_objective(
        extras_rollout(
            features,
            where,
            imagined,
            log_q=log_q,
            log_prior=log_prior,
            log_variance=np.broadcast_to(variance, (batch, kept, len(variance))),
            imagined_at=imagined_at,
        ),
        None,
    )
    assert_close(terms["reconstruction"], expected / kept / latents)
    assert_close(terms["kl"], (log_q - log_prior).mean(axis=1) / latents)


def test_the_joint_objective_has_the_terms_of_both():
    network = make_network(num_flows=0)
    result = look(network, policies.CentralCells(), reading={"imagine": True})
    joint = objectives.joint_objective(result, LABELS)
    parts = {
        **objectives.classification_objective(result, LABELS),
        **objectives.evidence_objective(result, LABELS),
    }
    assert set(joint) == set(parts) == set(PHASES["third"].weights)
    for name, term in joint.items():
        assert term.shape == (6,)
        np.testing.assert_array_equal(term, parts[name])
    log_probs = scipy.special.log_softmax(np.asarray(result.logits, float), axis=-1)
    expected = -log_probs[np.arange(6), :, LABELS].mean(axis=1)
    assert_close(joint["classification"], expected)


def test_the_noise_of_each_step_is_its_own():
    network = make_network(num_flows=0)
    hidden = tf.zeros((6, 3, 8))
    latents = np.asarray(network.read(hidden, seed=SEED, imagine=True)["latents"])
    assert len(np.unique(latents[:, :, 0])) == 18


def test_imagining_after_some_glimpses_reads_those_of_all():
    network = make_network(num_flows=0, imagined_steps=2)
    hidden = tf.random.stateless_normal((6, 5, 8), SEED)
    every = network.read(hidden, seed=SEED, imagine=True)
    some = network.read(hidden, seed=SEED, imagine=True, training=True)
    times = np.asarray(some["imagined_at"])
    assert times.shape == (6, 2)
    assert (times[:, 0] != times[:, 1]).all()
    assert len(np.unique(times)) > 2  # Each image has its own.
    np.testing.assert_array_equal(every["imagined_at"], [range(5)] * 6)
    for name in ("imagined", "latents", "log_q", "log_prior"):
        full = np.asarray(every[name])[np.arange(6)[:, None], times]
        assert_close(some[name], full, 1e-4, what=name)
    assert some["logits"].shape == (6, 5, 3)


# Sizes and options


def test_a_gaussian_posterior_trains_and_needs_no_initialisation():
    network = make_network(num_flows=0)
    before = weights_of(network)
    network.initialize(IMAGES, policies.RandomCells(), 3, SEED)
    assert_equal_weights(before, weights_of(network))
    trainer = make_trainer("second", network)
    first = trainer.train_step((IMAGES, LABELS))["loss"]
    for _ in range(3):
        last = trainer.train_step((IMAGES, LABELS))["loss"]
    assert float(last) < float(first)


@pytest.mark.parametrize(
    "options",
    [
        {"glimpse_size": 5},
        {"glimpse_size": 2},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"imagined_steps": 0},
    ],
)
def test_options_that_cannot_be_meant_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"`{name}` must"):
        models.PHAM(3, **options)


def test_each_channel_can_have_a_variance_of_its_own():
    network = make_network(spread=0.0, num_flows=0, channel_variance=True)
    policy = policies.RandomCells(repeat=True)
    network.initialize(IMAGES, policy, 3, SEED)
    looked = network(IMAGES, policy=policy, num_glimpses=3, seed=SEED)
    features = np.asarray(looked.extras["features"]).reshape(-1, 6)
    assert_close(network.partial_vae.log_variance, np.log(features.var(0) + 1e-6), 1e-4)
    result = look(network, policy, reading={"imagine": True})
    assert result.extras["log_variance"].shape == (len(IMAGES), 4, 6)
    again = models.PHAM.from_config(network.get_config())
    again.build(IMAGES.shape)
    assert again.partial_vae.log_variance.shape == (6,)


@pytest.mark.parametrize("num_flows", [0, 1])
def test_flow_and_variance_are_initialised_once_and_its_state_is_saved(
    tmp_path, num_flows
):
    network = make_network(spread=0.0, num_flows=num_flows)
    policy = policies.RandomCells(repeat=True)
    assert not network.partial_vae.initialized
    fresh = weights_of(network)
    network.initialize(IMAGES, policy, 3, SEED)
    assert network.partial_vae.initialized
    once = weights_of(network)
    changed = [
        v.path for v, a, b in zip(network.weights, fresh, once) if (a != b).any()
    ]
    flow = [path for path in changed if "partial_vae/posterior/flow" in path]
    assert bool(flow) == bool(num_flows)
    (other,) = set(changed) - set(flow)
    assert other.endswith("partial_vae/log_variance")
    looked = network(IMAGES, policy=policy, num_glimpses=3, seed=SEED)
    features = np.asarray(looked.extras["features"]).reshape(-1, 6)
    assert_close(
        network.partial_vae.log_variance, np.log(features.var(0).mean() + 1e-6), 1e-4
    )
    network.initialize(1 - IMAGES, policy, 3, random.make_seed(9))
    assert_equal_weights(once, weights_of(network))

    optimizer = keras.optimizers.SGD()
    optimizer.build(network.trainable_variables)
    save_checkpoint(tmp_path / "last", network, optimizer, {})
    again = make_network(spread=0.0, num_flows=num_flows)
    load_weights(again, tmp_path / "last")
    assert again.partial_vae.initialized
    again.initialize(1 - IMAGES, policy, 3, random.make_seed(9))
    assert_equal_weights(once, weights_of(again))


def test_a_frozen_flow_is_not_initialised():
    network = make_network()
    trainer = make_trainer("first", network)
    before = weights_of(network)
    network.initialize(IMAGES, trainer.policy, 3, SEED)
    assert_equal_weights(before, weights_of(network))
    assert not network.partial_vae.initialized


# Evaluation


@pytest.mark.parametrize(
    ("accuracy", "area"),
    [([0.5], 0.5), ([0, 1], 0.5), ([0, 1, 1], 0.75), ([1, 1, 1, 1], 1.0)],
)
def test_the_area_under_the_accuracy(accuracy, area):
    assert statistics.normalized_area(accuracy) == pytest.approx(area)


def test_the_rank_correlation_is_of_order_alone():
    values = np.array([0.1, 0.5, 0.2, 3.0])
    assert statistics.rank_correlation(values, np.exp(values)) == pytest.approx(1)
    assert statistics.rank_correlation(values, -values) == pytest.approx(-1)
    # Ranks 0 2 1 3 and 0 1 2 3: 1 - 6 * 2 / (4 * 15).
    assert statistics.rank_correlation(values, np.arange(4)) == pytest.approx(0.8)
    assert statistics.rank_correlation(values, np.ones(4)) == 0
    assert statistics.rank_correlation(np.ones(4), values) == 0


@pytest.mark.parametrize(
    ("threshold", "glimpses", "accuracy"),
    [
        (0.0, 3, 2 / 3),  # Nobody stops.
        (0.15, (2 + 3 + 1) / 3, 1 / 3),
        (9.0, 1, 1 / 3),  # All stop after the first.
    ],
)
def test_stopping_early_takes_the_first_glimpse_that_promises_too_little(
    threshold, glimpses, accuracy
):
    correct = np.array(
        [[True, False, True], [False, False, True], [False, True, False]]
    )
    best_gain = np.array([[0.5, 0.1], [0.3, 0.2], [0.1, 0.9]])
    found = statistics.stop_early(correct, best_gain < threshold)
    assert found == {
        "glimpses": pytest.approx(glimpses),
        "accuracy": pytest.approx(accuracy),
    }


@pytest.fixture
def eagerly():
    """Tracing a graph takes longer than the few steps of these tests."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.slow
def test_policies_are_compared_with_random_and_with_stopping(eagerly):
    network = make_network(spread=0.5, num_flows=0)
    split = data.Split(IMAGES, LABELS)
    dataset = data.Dataset("tiny", split, split, split, ("a", "b", "c"))
    compared_policies = {
        "learned": policies.InformationGain(num_samples=2),
        "random": policies.RandomCells(),
        "center": policies.CentralCells(),
        "oracle": policies.Oracle(),
    }
    batches = dataset.eval_batches("test", 4)  # The second one is padded.
    compared = evaluation.compare_policies(
        network,
        compared_policies,
        batches,
        3,
        mc_samples=2,
        seeds=2,
        stop_epsilons=(0.0, 1e9),
        xla=False,
    )
    assert compared["num_examples"] == 6
    measured = compared["policies"]
    baseline = np.array(measured["random"]["accuracy"]["mean"])
    for name in ("learned", "center", "oracle"):
        over = measured[name]["over_random"]
        accuracy = np.array(measured[name]["accuracy"]["mean"])
        assert over["mean"] == pytest.approx(accuracy - baseline, abs=1e-7)
    assert "over_random" not in measured["random"]
    right = [
        np.mean(
            [
                evaluation.Evaluator(
                    network, policy, 3, mc_samples=copies, xla=False
                ).by_example(batches, seed)[0]["accuracy"]
                for seed in range(2)
            ],
            axis=0,
        )
        for policy, copies in (
            (compared_policies["center"], 1),
            (compared_policies["random"], 2),
        )
    ]
    difference = right[0] - right[1]
    expected = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    assert expected.max() > 0.1
    errors = measured["center"]["over_random"]["standard_error"]
    assert errors == pytest.approx(expected)
    for name in ("learned", "oracle"):
        never, at_once = measured[name]["stopping"]
        assert (never["glimpses"], at_once["glimpses"]) == (3, 1)
        assert len(measured[name]["predicted_gain"]["mean"]) == 2
    # The oracle sees the truth, so that what it predicts is what it gains, each sample
    # by itself.
    oracle = measured["oracle"]
    assert_close(
        oracle["predicted_gain"]["mean"], oracle["realised_gain"]["mean"], 1e-4
    )
    # Two of six that gain as much may change places: 6 * 2 / (6 * 35) less.
    assert oracle["gain_rank_correlation"]["mean"] == pytest.approx([1, 1], abs=0.1)
    for name in ("random", "center"):
        assert not {"stopping", "predicted_gain"} & set(measured[name])
    # The first cell is the same random one: the difference is zero, image by image.
    assert measured["learned"]["over_random"]["mean"][0] == 0
    assert measured["learned"]["over_random"]["standard_error"][0] == 0
