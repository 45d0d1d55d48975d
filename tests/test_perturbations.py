"""Perturbed images: of the data set's own kind, whatever batch they are in."""

import numpy as np
import pytest
import tensorflow as tf

from ram_tf import data, evaluation, policies
from ram_tf.evaluation.perturbations import perturbations
from tests.comparisons import assert_close
from tests.test_metrics import make_network

NAMES = ("scale 0.75", "scale 1.25", "shift 10 %", "clutter")
BACKGROUNDS = (0.0, 1.0, None)


def make_dataset(images, background=0.0):
    labels = np.arange(len(images)) % 3
    split = data.Split(images, labels)
    return data.Dataset("tiny", split, split, split, tuple("abc"), background)


def perturb(name, images, background=0.0, shown=None):
    """Perturbs images of a split, or what is shown instead of them."""
    found = perturbations(make_dataset(images, background), "test")
    assert tuple(found) == NAMES
    shown = images if shown is None else shown
    changed = np.asarray(found[name](tf.constant(shown), tf.range(len(shown))))
    assert changed.shape == shown.shape and changed.dtype == shown.dtype
    return changed


def some_images(shape=(4, 20, 30, 1), dtype="uint8"):
    pixels = np.random.default_rng(0).integers(1, 256, shape).astype("uint8")
    return pixels if dtype == "uint8" else (pixels / 255).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_perturbation_changes_pixels_and_nothing_else(name, channels, dtype):
    images = some_images((4, 20, 30, channels), dtype)
    found = perturb(name, images)
    assert (found != images).any()
    assert found.min() >= 0 and found.max() <= images.max()


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_nothing_but_background_stays_as_it_is(name, background):
    value = 255 * (0.5 if background is None else background)
    empty = np.full((3, 20, 30, 1), value, "uint8")
    np.testing.assert_array_equal(perturb(name, empty, background), empty)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("size", [(20, 30), (40, 10)])
def test_a_shift_moves_every_pixel_a_tenth_down_and_right(size, dtype, background):
    images = some_images((2, *size, 1), dtype)
    found = perturb("shift 10 %", images, background)
    down, right = size[0] // 10, size[1] // 10
    around = [(0, 0), (down, 0), (right, 0), (0, 0)]
    if background is None:
        moved = np.pad(images, around, "edge")
    else:
        full = 255 if dtype == "uint8" else 1
        moved = np.pad(images, around, constant_values=background * full)
    expected = moved[:, :-down, :-right]
    assert_close(found, expected)


@pytest.mark.parametrize(
    ("name", "scale"), [("scale 0.75", 0.75), ("scale 1.25", 1.25)]
)
def test_a_scale_enlarges_about_the_centre(name, scale):
    rows, columns = np.meshgrid(np.arange(20.0), np.arange(30.0), indexing="ij")
    # Bilinear sampling of a plane is exact.
    plane = (3 + 0.5 * rows + 0.25 * columns) / 20
    found = perturb(name, plane[None, ..., None].astype("float32"))[0, ..., 0]
    from_row, from_column = (rows - 9.5) / scale + 9.5, (columns - 14.5) / scale + 14.5
    expected = (3 + 0.5 * from_row + 0.25 * from_column) / 20
    inside = (from_row >= 0) & (from_row <= 19) & (from_column >= 0)
    inside &= from_column <= 29
    outside = (from_row < -1) | (from_row > 20) | (from_column < -1)
    outside |= from_column > 30
    assert inside.sum() > 300
    assert_close(found[inside], expected[inside])
    assert (scale > 1) or outside.any()
    assert not found[outside].any()


def test_bytes_are_rounded():
    images = some_images((3, 15, 12, 1))
    for name in ("scale 0.75", "shift 10 %"):
        exact = 255 * perturb(name, (images / 255).astype("float32"))
        assert (np.abs(exact - np.trunc(exact)) > 0.6).any()
        # Floats that are halfway may be rounded either way.
        certain = np.abs(exact % 1 - 0.5) > 1e-3
        found = perturb(name, images)
        np.testing.assert_array_equal(found[certain], np.rint(exact)[certain])


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_clutter_pastes_pieces_of_other_images_as_the_data_set_does(dtype, background):
    # Even images, so that a piece shows where it is from.
    values = (np.array([50, 100, 200]) / (1 if dtype == "uint8" else 255)).astype(dtype)
    images = np.broadcast_to(values[:, None, None, None], (3, 20, 30, 1)).copy()
    found = perturb("clutter", images, background)
    for own, image in zip(values, found):
        seen = set(np.unique(image))
        if background is None:
            assert own in seen and len(seen) > 1
        else:
            best = {0.0: max, 1.0: min}[background]
            assert all(best(own, value) == value for value in seen)
            assert (len(seen) > 1) == (own != best(values))
    # One canvas of no image of the split: all four pieces are to be seen on it.
    blank = np.full_like(images, 255 * (background or 0))
    pasted = perturb("clutter", images, background, blank) != blank
    assert pasted.sum(axis=(1, 2, 3)).min() >= 64
    assert pasted.sum(axis=(1, 2, 3)).max() <= 4 * 64


def test_no_piece_is_of_the_image_itself():
    images = np.zeros((5, 12, 12, 1), "uint8")
    images[2] = 255
    found = perturb("clutter", images, shown=np.zeros_like(images))
    assert not found[2].any()
    assert found[[0, 1, 3, 4]].any()


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_changed_alike_in_any_batch(name):
    images = some_images((10, 12, 9, 1))
    change = perturbations(make_dataset(images), "test")[name]
    once = change(images, tf.range(10))
    for size in (3, 7):
        parts = [
            change(images[first : first + size], tf.range(first, 10)[:size])
            for first in range(0, 10, size)
        ]
        np.testing.assert_array_equal(tf.concat(parts, axis=0), once)


@pytest.fixture
def eagerly():
    """Tracing a graph takes longer than the few steps of these tests."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_what_is_measured_depends_neither_on_the_batch_nor_on_the_seed(eagerly):
    dataset, seen = make_dataset(some_images((10, 12, 9, 1))), []
    clutter = perturbations(dataset, "test")["clutter"]

    def change(images, examples):
        seen.append(clutter(images, examples).numpy())
        return seen[-1]

    evaluator = evaluation.Evaluator(
        make_network(), policies.GaussianPolicy(), 2, perturb=change, xla=False
    )
    measured = [
        evaluator.measure(dataset.eval_batches("test", size, max_examples=9), seed)
        for size, seed in ((3, 0), (3, 1), (7, 0))
    ]
    assert measured[0]["nll"] != measured[1]["nll"]  # Other glimpses,
    first, again, larger = seen[:3], seen[3:6], seen[6:]  # but the same images.
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(larger)[:9])
