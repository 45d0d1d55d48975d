"""Deciding where to look and how wide: a third number in every location."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from ram_tf import benchmark, data, layers, models, objectives, ops, policies, random
from ram_tf.errors import InputError
from ram_tf.evaluation import movement, words
from ram_tf.models.dynamic import DynamicLooker
from ram_tf.models.outputs import Rollout
from ram_tf.pictures import record
from ram_tf.serving.served import Served
from tests.comparisons import assert_close
from tests.contracts import small_dram, small_ram, small_zoom

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (5, 13, 10, 1), np.uint8)
SEED = random.make_seed(4)


def make_network(**parts):
    """A small DRAM that zooms from a half to twice, with weights that say something."""
    keras.utils.set_random_seed(0)
    network = small_dram(**{**small_zoom(), **parts})
    network.build((None, *IMAGES.shape[1:]))
    draw = np.random.default_rng(1)
    for weight in network.trainable_variables:
        weight.assign_add(0.3 * draw.standard_normal(weight.shape))
    return network


@pytest.fixture(scope="module")
def network():
    return make_network()


def look(network, policy, num_glimpses=3, **options):
    context = network.prepare(IMAGES)
    return models.rollout(network, policy, context, num_glimpses, seed=SEED, **options)


# The retina

PIXELS = np.float32([(1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16)])


@pytest.mark.parametrize(
    ("start", "side", "size", "expected"),
    [
        ((0, 0), 4, 2, [(3.5, 5.5), (11.5, 13.5)]),
        ((1, 1), 2, 1, [(8.5,)]),
        # Half of rows 0 and 2, of columns 1 and 3, and all between them.
        ((0.5, 1.5), 2, 1, [(7,)]),
        ((0.5, 1.5), 2, 2, [(4.5, 5.5), (8.5, 9.5)]),
        ((2.25, 3.5), 0.5, 1, [(12,)]),  # Inside of one pixel.
        ((2.25, 3.5), 0.5, 2, [(12, 12), (12, 12)]),
        ((-1, -1), 2, 1, [(0.25,)]),  # Three quarters outside.
        ((-1, 1), 3, 2, [(2.5 / 3, 3.5 / 3), (4.5, 5.5)]),
        ((9, 9), 2, 1, [(0,)]),
    ],
)
def test_windows_are_averaged_by_hand(start, side, size, expected):
    if start == (-1, 1):  # Rows -1 to 0.5 and 0.5 to 2, columns 1 to 2.5 and to 4.
        rows = np.array([(0.5, 0, 0, 0), (0.5, 1, 0, 0)]) / 1.5
        columns = np.array([(0, 1, 0.5, 0), (0, 0, 0.5, 1)]) / 1.5
        expected = rows @ PIXELS @ columns.T
    means, inside = ops.average_windows(
        PIXELS[None, ..., None], np.float32([[start]]), np.float32([[side]]), size
    )
    np.testing.assert_allclose(means[0, 0, ..., 0], expected, rtol=1e-5)
    whole, _ = ops.average_windows(
        np.ones((1, 4, 4, 1), "float32"),
        np.float32([[start]]),
        np.float32([[side]]),
        size,
    )
    np.testing.assert_allclose(inside, whole, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_windows_of_several_images_and_channels(channels):
    images = DRAW.random((2, 7, 5, channels), "float32")
    starts = DRAW.uniform(-3, 5, (2, 3, 2)).astype("float32")
    sides = DRAW.uniform(0.5, 6, (2, 3)).astype("float32")
    means, _ = ops.average_windows(images, starts, sides, 4)
    assert means.shape == (2, 3, 4, 4, channels)
    for b in range(2):
        for n in range(3):
            for c in range(channels):
                alone, _ = ops.average_windows(
                    images[b : b + 1, ..., c : c + 1],
                    starts[b : b + 1, n : n + 1],
                    sides[b : b + 1, n : n + 1],
                    4,
                )
                np.testing.assert_allclose(
                    means[b, n, ..., c], alone[0, 0, ..., 0], atol=1e-6
                )


def test_scales_are_log_linear():
    retina = layers.Retina(6, zoom=(0.5, 8.0))
    places = np.float32([(0, 0, -1), (0, 0, -0.5), (0, 0, 0), (0, 0, 1)])
    np.testing.assert_allclose(retina.scale_at(places), [0.5, 1, 2, 8], rtol=1e-6)


@pytest.mark.parametrize("scale", [1, 2])
def test_at_a_whole_scale_and_place_a_zoom_is_the_plain_retina(scale):
    images = DRAW.integers(0, 256, (2, 16, 24, 1), np.uint8)
    # Middles of even windows on the edges of pixels.
    places = np.float32([(0, 0), (-0.75, 0.5), (1, 1), (0.25, -0.875)])
    places = np.broadcast_to(places, (2, 4, 2))
    options = {"num_scales": 2, "pixel_mean": 0.3, "pixel_stddev": 0.5}
    plain = layers.Retina(6, sides=(6 * scale, 12 * scale), **options)
    zooming = layers.Retina(6, zoom=(scale, scale), **options)
    locations = np.concatenate([places, DRAW.uniform(-1, 1, (2, 4, 1))], axis=-1)
    locations = locations.astype("float32")
    assert_close(zooming(images, locations), plain(images, places))
    one = zooming(images, locations[:, 1])
    assert_close(one, plain(images, places[:, 1]))


def test_a_window_is_centred_and_as_wide_as_its_scale(network):
    """6 and 12 pixels, halved, at (5, 6.5) of 10 x 13; doubled, at the first corner."""
    locations = np.float32([(0, 0, -1), (-1, -1, 1), (0, 0, 0)])
    boxes = network.glimpse_boxes(locations, (13, 10))
    expected = [
        [(5, 3, 8, 7), (3, 2, 10, 8)],  # Rows 5 to 8, columns 3.5 to 6.5.
        [(-6, -6, 6, 6), (-12, -12, 12, 12)],
        [(3, 2, 10, 8), (0, -1, 13, 11)],  # Rows 3.5 to 9.5.
    ]
    np.testing.assert_array_equal(boxes, expected)


# The decision


def test_the_log_density_is_that_of_the_three_numbers_drawn(network):
    looked = look(network, policies.OpeningPolicy(), training=True)
    assert looked.actions.shape == looked.locations.shape == (5, 3, 3)
    np.testing.assert_array_equal(looked.locations, np.clip(looked.actions, -1, 1))
    opening = np.asarray(network.context(network.overview(IMAGES)))[:, None]
    units = network.lower.units
    deciding = np.concatenate([opening, looked.hidden[:, :-1, units:]], axis=1)
    head = network.location.mean
    means = np.tanh(deciding @ np.asarray(head.kernel) + np.asarray(head.bias))
    expected = scipy.stats.norm.logpdf(looked.actions, means, (0.2, 0.1, 0.3)).sum(-1)
    assert_close(looked.log_probs, expected, 1e-4)


def test_what_is_drawn_beyond_the_largest_scale_is_clipped_after_its_density():
    head = layers.GaussianLocation((0.1, 0.2, 0.5), num_coordinates=3)
    head.build((None, 2))
    noise = np.float32([(0, 0, 4)])
    location, log_prob = head(np.zeros((1, 2), "float32"), training=True, noise=noise)
    np.testing.assert_allclose(location, [(0, 0, 2)])  # Of a mean of 0.
    by_hand = -8 - np.log(0.1 * 0.2 * 0.5) - 1.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_prob, [by_hand], rtol=1e-5)
    scale = layers.Retina(6, zoom=(1, 4)).scale_at(ops.clip_locations(location))
    np.testing.assert_allclose(scale, [4], rtol=1e-6)


def test_what_is_seen_follows_the_scale(network):
    looked = look(network, policies.OpeningPolicy())
    scales = np.asarray(network.scale_at(looked.locations))
    assert np.ptp(scales) > 0.1
    boxes = np.asarray(network.glimpse_boxes(looked.locations, (13, 10)))
    sides = boxes[..., 0, 2] - boxes[..., 0, 0]
    assert ((sides >= 6 * scales - 0.01) & (sides <= 6 * scales + 2)).all()
    recording = record.record(network, policies.OpeningPolicy(), IMAGES, 3)
    drawn = recording["boxes"]
    assert len(np.unique(drawn[:, :, 0, 2] - drawn[:, :, 0, 0])) > 1


def test_each_control_has_its_scales(network):
    places = {
        name: np.asarray(look(network, policy, 4).locations)
        for name, policy in policies.CONTROLS.items()
    }
    for name in ("center", "raster"):
        np.testing.assert_array_equal(places[name][..., 2], np.zeros((5, 4)))
    raster = ops.raster_locations(4)
    np.testing.assert_array_equal(places["raster"][0, :, :2], raster)
    assert places["random"][..., 2].std() > 0.3
    assert np.abs(places["random"]).max() <= 1


@pytest.mark.parametrize("first_location", [None, (0.5, -0.5)])
def test_a_first_glimpse_that_is_not_decided_has_the_middle_scale(first_location):
    network = small_ram_zoom()
    policy = policies.GaussianPolicy(first_location=first_location)
    looked = look(network, policy)
    np.testing.assert_array_equal(looked.locations[:, 0, 2], np.zeros(5))
    assert (
        looked.actions.shape == (5, 2, 3) and np.asarray(looked.actions)[..., 2].any()
    )
    control = policies.RandomPolicy(1.0, first_location)
    np.testing.assert_array_equal(
        look(network, control).locations[:, 0], looked.locations[:, 0]
    )


def small_ram_zoom():
    network = models.RAM(4, retina=layers.Retina(6, zoom=(1, 3)))
    network.build((None, *IMAGES.shape[1:]))
    return network


def test_a_known_place_says_nothing_of_the_scale():
    aims = np.float32([[(0.3, 0.4, 0.9)]])
    rollout = Rollout(None, None, None, aims, np.zeros((1, 1)), {"aims": aims})
    error = objectives.place_error(rollout, np.float32([(0.0, 0.0)]))
    np.testing.assert_allclose(error, [0.25], rtol=1e-6)


# What is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"zoom": (2.0, 1.0)}, "0 < smallest <= largest"),
        ({"zoom": (0.0, 1.0)}, "0 < smallest <= largest"),
        ({"zoom": (1.0,)}, "0 < smallest <= largest"),
        ({"zoom": (1.0, float("inf"))}, "0 < smallest <= largest"),
        ({"zoom": (1.0, 2.0), "reduction": "bicubic"}, 'takes reduction="average"'),
        ({"zoom": (1.0, 2.0), "padding": "normal"}, 'padding="zeros"'),
    ],
)
def test_zooms_that_cannot_be_meant_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        layers.Retina(6, **options)


def test_a_head_that_decides_on_other_numbers_is_refused():
    with pytest.raises(ValueError, match="decides on 2 numbers.*has 3"):
        small_dram(retina=layers.Retina(6, 2, zoom=(1, 2)))
    head = layers.GaussianLocation(num_coordinates=3)
    with pytest.raises(ValueError, match="decides on 3 numbers.*has 2"):
        models.RAM(4, location=head)
    with pytest.raises(ValueError, match="one for each of the coordinates"):
        layers.GaussianLocation((0.1, 0.1, 0.1))
    with pytest.raises(ValueError, match="`stddev` must be positive"):
        layers.GaussianLocation((0.1, 0.1, 0.0), num_coordinates=3)


class Elsewhere(policies.Policy):
    """A policy of somebody who knows of no scales."""

    def plan(self, network, context, state, num_glimpses, seed):
        return tf.zeros((5, 1, 2))


def test_a_policy_that_says_nothing_of_the_scale_is_refused_by_name(network):
    with pytest.raises(ValueError, match="Elsewhere says where in 2 numbers.*takes 3"):
        look(network, Elsewhere())


def test_without_a_zoom_nothing_changes():
    network = small_ram()
    network.build((None, *IMAGES.shape[1:]))
    assert network.num_coordinates == 2 and network.finest_side == 6
    looked = look(network, policies.GaussianPolicy())
    assert looked.locations.shape == (5, 3, 2)
    place = tf.zeros((2, 3, 2))
    assert models.outputs.scales_of(network, place) == {}


# What is told and counted


@pytest.fixture(scope="module")
def served():
    network = make_network()
    return Served(
        network,
        policies.OpeningPolicy(sample=False),
        policies.OpeningPolicy(),
        3,
        IMAGES.shape[1:],
        ("a", "b", "c", "d"),
    )


@pytest.mark.slow
def test_the_service_says_how_wide_to_look(served):
    images = (IMAGES / np.float32(255)).astype("float32")
    seed = np.zeros(5, "int64")
    answer = served.answer("serving_default", {"images": images})
    network = served.network
    np.testing.assert_allclose(
        answer["scales"], network.scale_at(answer["locations"]), rtol=1e-6
    )
    sensed = served.answer(
        "sense",
        {"images": images, "location": np.zeros((5, 3), "float32"), "seed": seed},
    )
    told = served.answer("start", {"seed": seed, "overview": sensed["overview"]})
    for step in range(3):
        assert_close(told["location"], answer["locations"][:, step], 1e-4)
        np.testing.assert_allclose(
            told.pop("scale"), answer["scales"][:, step], rtol=1e-4
        )
        sensed = served.answer(
            "sense", {"images": images, "location": told["location"], "seed": seed}
        )
        carried = {
            name: value
            for name, value in told.items()
            if name == "location" or name.startswith("state_")
        }
        told = served.answer("look", {**carried, "glimpse": sensed["glimpse"]})
    assert_close(told["probabilities"], answer["probabilities"], 1e-4)


def test_what_is_written_for_clients_explains_the_scale(served):
    told = served.preprocessing()
    assert "scale" in told["locations"] and told["sensor"]["zoom"] == [0.5, 2.0]


def test_places_are_written_with_their_scales():
    places = np.array([(0.5, -0.25, 1.0), (np.nan,) * 3])
    assert (
        words.format_places(places, np.array([4.0, np.nan])) == "(0.500,-0.250,4.000)"
    )
    assert words.format_places(places[:1, :2]) == "(0.500,-0.250)"


def test_classifying_says_the_scales(network):
    policy = policies.OpeningPolicy(sample=False)
    looker = models.Looker(network, policy, 3, xla=False)
    found = looker.classify(IMAGES)
    assert found["locations"].shape == (5, 3, 3)
    np.testing.assert_allclose(
        found["scales"], network.scale_at(found["locations"]), rtol=1e-6
    )


def test_looking_until_sure_says_the_scales():
    network = small_ram_zoom()
    policy = policies.GaussianPolicy(sample=False)
    rule = models.LittlePromise(1e6)  # Whatever is promised.
    found = DynamicLooker(network, policy, 2, rule)(IMAGES)
    looked = ~np.isnan(found["locations"][..., 0])
    expected = network.scale_at(found["locations"])
    np.testing.assert_array_equal(np.isnan(found["scales"]), ~looked)
    np.testing.assert_allclose(found["scales"][looked], expected[looked], rtol=1e-6)


def test_wider_glimpses_cover_more_and_return_by_their_own_area():
    boxes = np.array([[[(0, 0, 4, 4)], [(0, 0, 8, 8)], [(2, 2, 6, 6)]]])
    found = movement.policy_statistics(np.zeros((1, 3, 3)), boxes, (10, 10))
    assert found["coverage"] == pytest.approx(0.64)
    # The second shows a quarter again; the third lies in the second.
    assert found["revisits"] == pytest.approx(0.5)
    places = np.zeros((2, 3, 3))
    places[0, 1:, 2], places[1, 1:, 2] = -1, 1  # Scales alone are no other places.
    boxed = np.concatenate([boxes, boxes])
    assert movement.policy_statistics(places, boxed, (10, 10))["spread"] == 0.0


@pytest.mark.parametrize("background", [0.0, None])
def test_what_tells_little_is_the_same_by_either_count(background):
    images = np.zeros((3, 12, 12, 1), np.uint8)
    images[:, 4:7, 4:7] = DRAW.integers(100, 255, (3, 3, 3, 1))
    starts = DRAW.integers(-2, 10, (3, 6, 1, 2))
    boxes = np.concatenate([starts, starts + 4], axis=-1)
    places = DRAW.uniform(-1, 1, (3, 6, 3)).astype("float32")
    fixed, own = (
        movement.idle_glimpses(
            ops.box_extremes(tf.constant(images), boxes[:, :, 0], side),
            places,
            boxes,
            background,
        )
        for side in (4, None)
    )
    for name in fixed:
        np.testing.assert_array_equal(fixed[name], own[name], name)
    assert 0 < np.mean(own["blank"]) < 1


def test_of_boxes_of_several_sizes_each_is_measured_by_its_own():
    images = np.zeros((1, 12, 12, 1), np.uint8)
    images[0, 9, 9] = 200
    boxes = np.array([[[(0, 0, 4, 4)], [(0, 0, 12, 12)], [(5, 5, 7, 7)]]])
    extremes = ops.box_extremes(tf.constant(images), boxes[:, :, 0])
    found = movement.idle_glimpses(extremes, np.zeros((1, 3, 3), "float32"), boxes, 0.0)
    np.testing.assert_array_equal(found["blank"], [[1, 0, 1]])
    # Its middle is 4 away from the first's, less than half of 12; then it is 0 away.
    np.testing.assert_array_equal(found["seen_before"], [[0, 1, 1]])


@pytest.mark.slow
def test_what_a_glimpse_costs_is_counted():
    """Rows first, then columns: two products a window."""
    network = small_ram_zoom()
    plain = models.RAM(4, retina=layers.Retina(6))
    plain.build((None, 13, 10, 1))
    policy = policies.GaussianPolicy(sample=False)
    cost, less = (
        benchmark.forward_flops(each, policy, 2, (13, 10, 1))
        for each in (network, plain)
    )
    head = (
        network.location.mean.kernel.shape[0] + network.glimpse_network.location_units
    )
    windows = 6 * 13 * 10 + 6 * 10 * 6
    assert cost - less == 2 * 2 * windows + 2 * (
        head + network.glimpse_network.location_units
    )


# The data


def test_digits_are_dropped_at_sizes_by_hand():
    drop = data.TranslateAndScale(8, 8, 2, 6)
    images = np.full((3, 4, 4, 1), 200, np.uint8)
    images[:, :2] = 100
    # Sides 2, 4 and 6: 2 (7 / 2) ** u. Starts: floor(u (9 - side)).
    uniforms = np.float32([(0.0, 0.99, 0.0), (0.5, 0.25, 0.6), (0.99, 0.0, 0.999)])
    np.testing.assert_array_equal(drop.sides(uniforms), [2, 4, 6])
    dropped = np.asarray(drop(images, uniforms))[..., 0]
    expected = np.zeros((3, 8, 8), np.uint8)
    expected[0, 0, 6:], expected[0, 1, 6:] = 100, 200
    expected[1, 2:4, 1:5], expected[1, 4:6, 1:5] = 100, 200
    expected[2, 2:5, :6], expected[2, 5:, :6] = 100, 200
    np.testing.assert_array_equal(dropped, expected)
    assert drop.output_shape(4, 4, 1) == (8, 8, 1)


def test_small_digits_are_as_many_as_large_ones():
    drop = data.TranslateAndScale(60, 60, 8, 60)
    uniforms = np.random.default_rng(0).random((20_000, 3), "float32")
    sides = np.asarray(drop.sides(uniforms))
    assert sides.min() == 8 and sides.max() == 60
    share = (sides < 22).mean()
    assert share == pytest.approx(np.log(22 / 8) / np.log(61 / 8), abs=0.02)


@pytest.mark.parametrize("sizes", [(0, 5), (6, 5), (5, 9)])
def test_sizes_that_cannot_be_meant_are_refused(sizes):
    with pytest.raises(InputError, match="1 <= smallest <= largest <= the canvas"):
        data.TranslateAndScale(8, 8, *sizes)


def test_scaled_digits_have_fixed_test_sizes():
    found = data.load("scaled_digits", smallest=4, largest=12, canvas=16, test_places=2)
    assert found.image_shape == (16, 16, 1)
    assert len(found.test) == 2 * 360 and len(found.train) == 1293
    lit = [np.nonzero(image.max(axis=(1, 2)))[0] for image in found.test.images]
    heights = np.array([rows.max() + 1 - rows.min() for rows in lit])
    assert heights.max() <= 12 and heights.min() <= 5 and len(set(heights)) > 5
    again = data.load("scaled_digits", smallest=4, largest=12, canvas=16, test_places=2)
    np.testing.assert_array_equal(found.test.images, again.test.images)
