import math

import numpy as np
import pytest
import tensorflow as tf

from ram_tf import layers, ops, random
from ram_tf.ops import reductions
from tests.comparisons import assert_close

CORNERS = [(-1, -1), (1, 1), (-1, 1), (1, -1), (0, 0), (0.999, -0.999)]
BEYOND = [(1.3, 0.2), (-0.4, -1.7)]


def some_locations(num_images, beyond=True):
    rng = np.random.default_rng(0)
    drawn = rng.uniform(-1, 1, (6, 2)).tolist()
    one_image = np.array(CORNERS + drawn + (BEYOND if beyond else []), "float32")
    return np.stack([one_image, *[one_image[::-1]] * (num_images - 1)])


def some_images(shape, dtype, num_images=2):
    rng = np.random.default_rng(1)
    if dtype == "uint8":
        return rng.integers(0, 256, (num_images, *shape)).astype("uint8")
    return rng.random((num_images, *shape)).astype(dtype)


def plain_pixel(location, length):
    """floor((l + 1) / 2 * size), one coordinate at a time."""
    return math.floor((np.float32(location) + np.float32(1)) / 2 * np.float32(length))


def plain_patch(image, location, side):
    """Copies pixel after pixel; what lies outside the image stays 0."""
    height, width, channels = image.shape
    patch = np.zeros((side, side, channels))
    inside = np.zeros((side, side, 1), bool)
    for i in range(side):
        for j in range(side):
            row = plain_pixel(location[1], height) - side // 2 + i
            column = plain_pixel(location[0], width) - side // 2 + j
            if 0 <= row < height and 0 <= column < width:
                patch[i, j] = image[row, column]
                inside[i, j] = True
    return patch, inside


def plain_average(patch, size):
    """Averages a patch over the area that each new pixel covers."""
    side = len(patch)
    ratio = side / size

    def overlap(target, source):
        low, high = max(target * ratio, source), min((target + 1) * ratio, source + 1)
        return max(high - low, 0.0)

    result = np.zeros((size, size, patch.shape[-1]))
    for p in range(size):
        for q in range(size):
            for i in range(side):
                for j in range(side):
                    result[p, q] += overlap(p, i) * overlap(q, j) * patch[i, j]
    return result / ratio**2


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32"])
@pytest.mark.parametrize(
    ("shape", "side"),
    [
        ((9, 14, 1), 4),
        ((14, 9, 3), 5),
        ((7, 7, 2), 1),
        ((5, 6, 4), 8),
        ((1, 3, 1), 3),
        ((4, 3, 1), 13),
    ],
)
def test_patches_hold_the_pixels_around_a_location(shape, side, dtype):
    images, locations = some_images(shape, dtype), some_locations(2)
    patches, inside = ops.gather_patches(images, locations, side)
    assert patches.dtype == dtype
    assert patches.shape == (2, locations.shape[1], side, side, shape[-1])
    for image in range(2):
        for number, location in enumerate(locations[image]):
            expected, is_inside = plain_patch(images[image], location, side)
            np.testing.assert_array_equal(inside[image, number], is_inside)
            seen = np.where(is_inside, patches[image, number], 0)
            np.testing.assert_array_equal(seen, expected)
    assert np.asarray(inside).any()
    assert not np.asarray(inside).all()


RETINAS = {
    "one scale": ((9, 14, 1), dict(size=4)),
    "odd image, odd side, colour": ((13, 11, 3), dict(size=5, num_scales=2)),
    "three scales": ((20, 15, 1), dict(size=3, num_scales=3, scale_factor=3)),
    "non-integer ratio": ((11, 17, 2), dict(size=5, num_scales=3, scale_factor=1.5)),
    "five scales, past the image": ((6, 5, 4), dict(size=2, num_scales=5)),
    "named sides": ((10, 10, 1), dict(size=4, sides=(3, 7, 12))),
    "one pixel": ((8, 5, 1), dict(size=1, num_scales=3)),
}


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize(("shape", "options"), RETINAS.values(), ids=RETINAS)
def test_retina_averages_patches_of_several_sides(shape, options, dtype):
    images, locations = some_images(shape, dtype), some_locations(2)
    size = options["size"]
    sides = options.get("sides") or [
        round(size * options.get("scale_factor", 2) ** scale)
        for scale in range(options.get("num_scales", 1))
    ]
    glimpses = layers.Retina(**options)(images, locations)
    expected = [
        [
            [plain_average(plain_patch(image, place, side)[0], size) for side in sides]
            for place in places
        ]
        for image, places in zip(images, locations)
    ]
    divisor = 255.0 if dtype == "uint8" else 1.0
    assert glimpses.shape == (*locations.shape[:2], len(sides), size, size, shape[-1])
    assert_close(glimpses, np.array(expected) / divisor)


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("side", "size"), [(16, 8), (12, 8), (27, 8), (9, 4), (7, 1), (5, 8), (8, 8)]
)
def test_antialiased_reductions_are_those_of_tensorflow(side, size, method):
    patches = some_images((side, side, 3), "float32", 4)
    expected = tf.image.resize(patches, (size, size), method, antialias=True)
    reduced = ops.reduce_patches(patches[:, None], size, method)
    assert_close(reduced[:, 0], expected)


@pytest.mark.parametrize(
    ("side", "size"),
    [(16, 8), (12, 4), (12, 8), (7, 3), (3, 7), (4, 12), (5, 5), (6, 1)],
)
def test_average_is_the_mean_over_the_area_of_a_pixel(side, size):
    patches = some_images((side, side, 2), "float32", 3)
    reduced = ops.reduce_patches(patches[None], size, "average")[0]
    matrix = ops.reduction_matrix(side, size, "average")
    by_matrix = np.einsum("ph,qw,nhwc->npqc", matrix, matrix, patches)
    for patch, short_cut, product in zip(patches, reduced, by_matrix):
        expected = plain_average(patch, size)
        assert_close(short_cut, expected)
        assert_close(product, expected)


@pytest.mark.parametrize("method", reductions.METHODS)
@pytest.mark.parametrize(("side", "size"), [(16, 8), (27, 8), (3, 7), (48, 1), (5, 5)])
def test_rows_of_a_reduction_sum_to_one(side, size, method):
    matrix = ops.reduction_matrix(side, size, method)
    assert matrix.shape == (size, side)
    assert_close(matrix.sum(axis=1), np.ones(size))
    # Left and right are alike.
    assert_close(matrix, matrix[::-1, ::-1])


@pytest.mark.parametrize(
    ("location", "image_size", "pixel"),
    [
        ((0, 0), (10, 20), (5, 10)),
        ((-1, -1), (10, 20), (0, 0)),
        ((1, 1), (10, 20), (10, 20)),
        ((0.5, -0.5), (10, 20), (2, 15)),
        ((0, 0), (7, 5), (3, 2)),
        ((-0.999, 0.999), (7, 5), (6, 0)),
        ((1.45, -1.25), (10, 20), (-2, 24)),
    ],
)
def test_x_is_the_column_and_y_the_row_that_a_location_points_at(
    location, image_size, pixel
):
    found = ops.location_to_pixel(np.array(location, "float32"), image_size)
    assert tuple(np.asarray(found)) == pixel


@pytest.mark.parametrize(
    ("side", "start"), [(1, (5, 10)), (2, (4, 9)), (3, (4, 9)), (8, (1, 6))]
)
def test_a_patch_starts_half_a_side_before_its_pixel(side, start):
    centre = np.zeros((1, 2), "float32")
    found = ops.patch_starts(centre, side, (10, 20))
    assert tuple(np.asarray(found)[0]) == start


def test_clipping_moves_locations_to_the_border_of_the_image():
    clipped = ops.clip_locations(np.array([[1.5, -0.3], [-7, 1]], "float32"))
    np.testing.assert_array_equal(clipped, np.array([[1, -0.3], [-1, 1]], "float32"))


@pytest.mark.parametrize("num_glimpses", [*range(1, 18), 25, 50, 101])
def test_raster_places_are_distinct_inside_and_in_reading_order(num_glimpses):
    places = ops.raster_locations(num_glimpses)
    assert places.shape == (num_glimpses, 2)
    assert (np.abs(places) < 1).all()
    assert len({tuple(place) for place in places}) == num_glimpses
    by_reading = sorted(places.tolist(), key=lambda place: (place[1], place[0]))
    assert places.tolist() == by_reading


def test_four_raster_places_are_the_centres_of_the_quarters():
    expected = [(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)]
    assert_close(ops.raster_locations(4), expected)


@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.1])
def test_uniform_locations_fill_the_centred_fraction_of_the_range(fraction):
    places = np.asarray(
        ops.uniform_locations((200, 50), random.make_seed(1), fraction)
    ).reshape(-1, 2)
    assert np.abs(places).max() <= fraction
    assert np.abs(places).max() > 0.99 * fraction
    variance = fraction**2 / 3  # Of a uniform draw from [-fraction, fraction].
    error = 4 * np.sqrt(variance / len(places))
    assert np.abs(places.mean(axis=0)).max() < error
    assert places.var(axis=0) == pytest.approx(variance, rel=0.05)  # 5 of them.
    assert abs(np.corrcoef(places.T)[0, 1]) < 4 / np.sqrt(len(places))


def test_fraction_zero_is_the_centre():
    places = ops.uniform_locations((3,), random.make_seed(1), 0.0)
    np.testing.assert_array_equal(places, np.zeros((3, 2)))


@pytest.mark.parametrize("stddev", [0.03, 0.3, 2.0])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_the_density_integrates_to_one(stddev, dimensions):
    axis = np.linspace(-8 * stddev, 8 * stddev, 401)
    grid = np.stack(np.meshgrid(*[axis] * dimensions), axis=-1) + 0.4
    values = grid.reshape(-1, dimensions).astype("float32")
    mean = np.full_like(values, 0.4)
    density = np.exp(np.asarray(ops.normal_log_prob(values, mean, stddev), "float64"))
    step = axis[1] - axis[0]
    assert density.sum() * step**dimensions == pytest.approx(1, abs=1e-3)


def test_the_log_density_sums_both_coordinates():
    value, mean, stddev = np.array([[0.5, -2.0]], "float32"), [[0.1, 0.3]], 0.2
    one_by_one = [
        -((v - m) ** 2) / (2 * stddev**2) - math.log(stddev * math.sqrt(2 * math.pi))
        for v, m in zip(value[0], mean[0])
    ]
    found = ops.normal_log_prob(value, np.array(mean, "float32"), stddev)
    assert_close(found, [sum(one_by_one)])


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([1.0, 0.0], [-(1 * 0.5 + 2 * 1.0), -(3 * -0.5 + 4 * 0.25)]),
        ([[1.0, 2.0], [0.0, 1.0]], [-(1 * 0.5 + 2 * 2.0), -(3 * -0.5 + 4 * 1.25)]),
    ],
    ids=["one return an image", "one a decision"],
)
def test_the_surrogate_weighs_log_probabilities_by_the_advantage(returns, expected):
    log_probs = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
    baselines = np.array([[0.5, 0.0], [0.5, -0.25]], "float32")
    loss = ops.score_function_loss(log_probs, np.array(returns, "float32"), baselines)
    assert_close(loss, expected)


def test_no_decision_no_loss():
    empty = np.zeros((3, 0), "float32")
    loss = ops.score_function_loss(empty, np.ones(3, "float32"), empty)
    np.testing.assert_array_equal(loss, np.zeros(3))


@pytest.mark.parametrize("copies", [1, 3])
def test_copies_of_an_example_stand_together(copies):
    images, labels = np.arange(4.0).reshape(2, 2), np.array([7, 8])
    repeated, repeated_labels = ops.repeat_examples(copies, images, labels)
    np.testing.assert_array_equal(repeated_labels, [7] * copies + [8] * copies)
    np.testing.assert_array_equal(repeated, [[0, 1]] * copies + [[2, 3]] * copies)


def test_seeds_depend_on_every_number_and_their_order():
    numbers = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 1), (0, 1, 0), (0, -1)]
    seeds = {tuple(np.asarray(random.make_seed(*n))) for n in numbers}
    assert len(seeds) == len(numbers)
    again = random.make_seed(tf.constant(0), tf.constant(1, tf.int64))
    np.testing.assert_array_equal(again, random.make_seed(0, 1))
