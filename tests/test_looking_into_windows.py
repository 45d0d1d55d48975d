"""Images that are read where a model looks: every family, trained, measured, served."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import evaluation, layers, models, policies, random
from ram_tf.data.windows import HuntReader, HuntWindows, UnreadableImage, Windows
from ram_tf.errors import InputError
from ram_tf.families import find_family
from ram_tf.models.window_sensor import WindowSensor
from ram_tf.pictures.canvas import pixels_to_one, round_length
from ram_tf.pictures.record import record
from ram_tf.serving.answers import Labels
from ram_tf.serving.steps import Steps
from ram_tf.training.trainer import Trainer
from tests.comparisons import assert_close
from tests.contracts import (
    small_dram,
    small_fine_grained,
    small_mram,
    small_pham,
    small_ram,
)
from tests.data.windows.test_windows import Pyramid

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 40, 36, 3), np.uint8)
POSITIONS = np.array([3, 0, 4, 1], np.int32)
LABELS = np.array([0, 3, 1, 2])
MAKERS = {
    "active_ram": lambda: small_ram(models.ActiveRAM),
    "dram": small_dram,
    "mram": small_mram,
    "ram": small_ram,
}


class Damaged(Pyramid):
    """An image with one bad row, of which nothing that touches it can be read."""

    def read(self, level, top, left, height, width, cache=None):
        if top <= 20 < top + height:
            raise UnreadableImage("the tile (1, 2) of level 0 is damaged.", self.path)
        return super().read(level, top, left, height, width, cache)


def windows_of(images, make=Pyramid):
    return Windows([make(image) for image in images], threads=1)


def make_network(name, windows=None):
    """A small network with the same weights each time, looking into windows or not."""
    keras.utils.set_random_seed(0)
    network = MAKERS[name]()
    shape = IMAGES.shape[1:] if windows is None else (None, None, 3)
    network.build((None, *shape))
    network.look_into(windows)
    return network


def make_trainer(name, windows, xla, policy):
    (phase,) = find_family(name).phases
    trainer = Trainer(
        make_network(name, windows), phase, policy, 3, mc_samples=2, xla=xla
    )
    trainer.compile(optimizer=keras.optimizers.SGD(0.1))
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in MAKERS if name != "ram"]


@pytest.mark.parametrize("name", ["ram", *SLOW])
def test_every_family_sees_of_windows_what_it_sees_of_images(name):
    policy = policies.RandomPolicy()
    seed = random.make_seed(3)
    found = {}
    for kind, windows, images in (
        ("memory", None, IMAGES[POSITIONS]),
        ("windows", windows_of(IMAGES), POSITIONS),
    ):
        network = make_network(name, windows)
        context = network.prepare(tf.constant(images))
        places = tf.constant([[[-1, 1], [0.3, 0]]] * 4, tf.float32)
        found[kind] = (
            network.sense({"images": tf.constant(images)}, places).numpy(),
            context.get("overview", tf.zeros(())).numpy(),
            network(images, policy=policy, num_glimpses=3, seed=seed),
        )
    assert np.array_equal(found["memory"][0], found["windows"][0])
    assert_close(found["memory"][1], found["windows"][1])
    memory, windows = found["memory"][2], found["windows"][2]
    assert np.array_equal(memory.locations, windows.locations)
    assert_close(memory.logits, windows.logits)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "xla"), [("ram", True), ("dram", True), ("mram", False)]
)
def test_a_step_on_windows_is_the_step_on_images(name, xla):
    # What is drawn would be other numbers in the two ways of compiling.
    policy = policies.GaussianPolicy(sample=False)
    weights = {}
    for kind, windows, images in (
        ("memory", None, IMAGES[POSITIONS]),
        ("windows", windows_of(IMAGES), POSITIONS),
    ):
        trainer = make_trainer(name, windows, xla, policy)
        step = tf.function(trainer.train_step, autograph=False)
        step((tf.constant(images), tf.constant(LABELS)))
        weights[kind] = np.concatenate([np.ravel(w) for w in trainer.get_weights()])
    assert_close(weights["memory"], weights["windows"])


def test_normalised_pixels_and_padding_are_those_of_the_retina():
    retina = layers.Retina(6, 2, pixel_mean=0.4, pixel_stddev=0.5)
    network = models.RAM(4, retina=retina)
    places = tf.constant([[[-1, 1], [0.3, 0]]] * 4, tf.float32)
    memory = network.sense({"images": tf.constant(IMAGES[POSITIONS])}, places)
    network.look_into(windows_of(IMAGES))
    assert_close(memory, network.sense({"images": tf.constant(POSITIONS)}, places))


@pytest.mark.slow
def test_images_of_any_sizes_are_looked_at_together():
    images = [IMAGES[0], IMAGES[1, :20], IMAGES[2, :, :17]]
    network = make_network("ram", windows_of(images))
    policy, seed = policies.GaussianPolicy(sample=False), random.make_seed(0)
    looked = network(np.arange(3), policy=policy, num_glimpses=3, seed=seed)
    sizes = network.image_sizes(tf.range(3))
    assert sizes.numpy().tolist() == [[[40, 36]], [[20, 36]], [[40, 17]]]
    boxes = network.glimpse_boxes(tf.zeros((3, 1, 2)), sizes).numpy()
    assert boxes[:, 0, 0, :2].tolist() == [[17, 15], [7, 15], [17, 5]]
    for number, image in enumerate(images):
        alone = make_network("ram")
        one = alone(image[None], policy=policy, num_glimpses=3, seed=seed)
        assert_close(one.logits[0], looked.logits[number])


def test_the_darkest_and_the_brightest_are_those_inside_of_the_image():
    places = tf.constant([[[-1.0, -1.0], [0.9, 0.2]]])
    network, plain = make_network("ram", windows_of(IMAGES)), make_network("ram")
    found = network.finest_extremes(tf.constant([2]), places)
    expected = plain.finest_extremes(IMAGES[2:3], places)
    inside = IMAGES[2, :3, :3] / np.float32(255)
    assert_close(found[0][0, 0], inside.min(axis=(0, 1)))
    assert_close(found[1][0, 0], inside.max(axis=(0, 1)))
    for ours, theirs in zip(found, expected):
        assert_close(ours, theirs)


def test_a_zoom_is_refused_by_name():
    with pytest.raises(InputError, match="model.retina.zoom"):
        models.RAM(4, retina=layers.Retina(6, zoom=(1, 3))).look_into(
            windows_of(IMAGES)
        )


@pytest.mark.slow
@pytest.mark.parametrize("xla", [False, True])
def test_what_is_measured_is_what_is_measured_in_memory(xla):
    batches = {
        "memory": [(IMAGES[POSITIONS], LABELS, np.ones(4))],
        "windows": [(POSITIONS, LABELS, np.ones(4))],
    }
    measured = {}
    for kind, windows in (("memory", None), ("windows", windows_of(IMAGES))):
        evaluator = evaluation.Evaluator(
            make_network("ram", windows),
            policies.RasterPolicy(),
            3,
            mc_samples=2,
            xla=xla,
        )
        with tf.device("CPU:0"):
            measured[kind] = evaluator.measure(
                [tuple(map(tf.constant, batch)) for batch in batches[kind]]
            )
    for name in ("accuracy", "nll", "blank", "seen_before", "on_edge"):
        assert_close(measured["memory"][name], measured["windows"][name])
    for name, value in measured["memory"]["statistics"].items():
        assert_close(value, measured["windows"]["statistics"][name])


def test_bytes_are_counted_of_what_is_looked_at():
    hunted = HuntWindows([HuntReader(1024, k % 4, 16, seed=k) for k in range(3)])
    network = models.RAM(4, retina=layers.Retina(8, sides=(16, 256)))
    network.build((None, None, None, 1))
    network.look_into(hunted)
    evaluator = evaluation.Evaluator(network, policies.CenterPolicy(), 1, xla=False)
    batch = (tf.range(3), tf.constant([0, 1, 2]), tf.ones(3))
    evaluator.measure([batch])
    # At the centre every patch begins at a pixel of its level: 8 x 8 bytes each.
    assert evaluator.bytes_read == [2 * 64]


def test_a_damaged_image_stops_with_its_own_line_or_is_seen_as_zeros():
    readers = [Pyramid(IMAGES[0]), Damaged(IMAGES[1]), Pyramid(IMAGES[2])]
    windows = Windows(readers, threads=1)
    network = make_network("ram", windows)
    looker = models.Looker(network, policies.CenterPolicy(), 2, xla=False)
    classify = looker.compile(looker.classify)
    with pytest.raises(UnreadableImage, match="level 0 is damaged"):
        classify(tf.range(3))
    network.look_into(windows, skip_unreadable=True)
    looker = models.Looker(network, policies.CenterPolicy(), 2, xla=False)
    found = looker.compile(looker.classify)(tf.range(3))
    assert list(network.sensor.unreadable) == [1]
    whole = make_network("ram", windows_of([IMAGES[0], np.zeros_like(IMAGES[1])]))
    looker = models.Looker(whole, policies.CenterPolicy(), 2, xla=False)
    expected = looker.classify(tf.range(2))["probabilities"]
    assert_close(expected, found["probabilities"][:2])


@pytest.mark.slow
def test_a_damaged_image_stops_who_looks_as_long_as_it_takes():
    windows = Windows([Damaged(image) for image in IMAGES], threads=1)
    network = make_network("ram", windows)
    rule = models.LittlePromise(0.1)
    policy = policies.GaussianPolicy(first_location=(0.0, 0.0))
    dynamic = models.DynamicLooker(network, policy, 2, rule)
    with pytest.raises(UnreadableImage, match="level 0 is damaged"):
        dynamic(np.arange(3))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (small_pham, "PHAM cannot look at images that are read in windows"),
        (small_fine_grained, "FineGrained cannot look"),
        (lambda: models.RAM(4, layers.Retina(padding="normal")), "retina.padding"),
        (lambda: models.RAM(4, layers.Retina(reduction="bicubic")), "retina.reduction"),
    ],
)
def test_what_needs_a_size_or_another_sensor_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make().look_into(windows_of(IMAGES))


def test_xla_is_refused_where_it_cannot_compile():
    network = make_network("ram", windows_of(IMAGES))
    with pytest.raises(InputError, match="leave --xla out"):
        models.DynamicLooker(
            network,
            policies.GaussianPolicy(),
            2,
            models.LittlePromise(0.1),
            xla=True,
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dram", "ram"])
def test_the_step_service_looks_as_the_model_does(name):
    windows = windows_of(IMAGES)
    network = make_network(name, windows)
    policy = find_family(name).phases[0].policies["mean"]()
    looked = network(POSITIONS, policy=policy, num_glimpses=3)
    network.look_into(None)  # A server has no images.
    labels = Labels(tuple("abcd"))
    steps = Steps(network, policy, 3, labels, None, channels=3)
    sensor = WindowSensor(windows)
    size = sensor.sizes(POSITIONS)
    overview = sensor.overview(tf.constant(POSITIONS), 8) if name == "dram" else None
    answer = steps.start(tf.zeros((4,), tf.int64), overview)
    for index in range(3):
        place = answer["location"]
        assert_close(looked.locations[:, index], place)
        told = steps.sensor(place, size)
        sides = told["boxes"][0, :, 2] - told["boxes"][0, :, 0]
        assert sides.numpy().tolist() == [6, 12]
        assert told["size"].numpy().tolist() == [6] * 4
        glimpses, _ = sensor.glimpses(
            tf.constant(POSITIONS), place[:, None], (6, 12), 6
        )
        state = [answer[key] for key in steps.state_specs()]
        answer = steps.look(glimpses[:, 0], place, *state)
        expected = tf.nn.softmax(looked.logits[:, index])
        assert_close(expected, answer["probabilities"])


def test_a_recording_has_thumbnails_and_true_boxes():
    images = [np.zeros((1200, 600, 1), np.uint8), np.zeros((30, 60, 1), np.uint8)]
    windows = windows_of(images)
    network = models.RAM(4, retina=layers.Retina(6, 2))
    network.build((None, None, None, 1))
    network.look_into(windows)
    recording = record(network, policies.CenterPolicy(), np.arange(2), 2)
    assert recording["images"].shape == (2, 512, 512, 1)
    # 512 x 256 pixels, the rest white; and an image that is small enough as it is.
    assert recording["images"][0].sum() == 512 * 256
    assert recording["images"][1].sum() == 512**2 - 30 * 60
    assert [pixels_to_one(recording, k) for k in (0, 1)] == [1200 / 512, 1.0]
    assert recording["boxes"][:, 0, 0].tolist() == [
        [597, 297, 603, 303],
        [12, 27, 18, 33],
    ]
    assert recording["glimpses"].shape == (2, 2, 2, 6, 6, 1)


def test_a_bar_has_a_round_length():
    lengths = [round_length(most) for most in (1, 1.9, 2, 4.99, 5, 99, 100, 0.3)]
    assert lengths == [1, 1, 2, 2, 5, 50, 100, 0.2]


def test_all_patches_of_a_hunt_at_once_are_those_of_one_after_the_other():
    readers = [HuntReader(1024, k % 4, 40, seed=k) for k in range(4)]
    together, alone = HuntWindows(readers), Windows(readers, threads=1)
    places = np.random.default_rng(0).uniform(-1, 1, (4, 3, 2)).astype(np.float32)
    places[0, :2] = [[-1, 1], readers[0].location]
    sides = (8, 20, 100, 256, 2048)
    expected = alone.cut(range(4), places, sides, 8)
    found = together.cut(range(4), places, sides, 8)
    for one, other in zip(expected, found):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert together.counts == alone.counts
