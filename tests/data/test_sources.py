import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from ram_tf.data import SOURCES, load, synthetic
from ram_tf.errors import InputError


def test_unknown_source_lists_the_known_ones():
    with pytest.raises(
        InputError, match="'mnits'.*: cifar10,.* digits, folder, hunt, mnist,"
    ):
        load("mnits")


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_unknown_option_lists_the_known_ones(name):
    with pytest.raises(InputError, match="no option colour, sizes. Known: [a-z]"):
        load(name, sizes=3, colour=1)


def crop(canvas):
    """Returns what is not black, and where it begins."""
    rows, columns = (np.flatnonzero(canvas.any(axis=axis)) for axis in (1, 0))
    return canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def test_digits_are_enlarged_by_pillow():
    data = load("digits", canvas=None)
    assert data.image_shape == (24, 24, 1) and data.num_classes == 10
    assert (len(data.train), len(data.validation), len(data.test)) == (1293, 144, 360)
    digit = (load_digits().images[0] * 255 / 16).round().astype(np.uint8)
    expected = np.asarray(Image.fromarray(digit).resize((24, 24), Image.BICUBIC))
    everything = np.concatenate(
        [split.images for split in (data.train, data.validation, data.test)]
    )
    assert (everything[..., 0] == expected).all((1, 2)).sum() == 1


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluated_digits_lie_at_several_fixed_places(split):
    bare = getattr(load("digits", canvas=None), split)
    placed = getattr(load("digits", test_places=3), split)
    assert placed.images.shape == (3 * len(bare), 40, 40, 1)
    assert placed.transforms == ()
    assert np.array_equal(placed.labels, np.tile(bare.labels, 3))
    assert bare.groups is None
    originals = placed.groups.reshape(3, len(bare))
    assert np.array_equal(originals, [originals[0]] * 3)
    assert len(set(originals[0])) == len(bare)
    copies = placed.images.reshape(3, len(bare), 40, 40)
    for image, others in zip(
        bare.images[:20, ..., 0], copies.swapaxes(0, 1), strict=False
    ):
        for other in others:
            assert np.array_equal(crop(other), crop(image))
    assert (copies[0] != copies[1]).any((1, 2)).mean() > 0.95


def test_the_test_digits_do_not_depend_on_the_seed():
    first, second = load("digits", seed=0), load("digits", seed=1)
    assert np.array_equal(first.test.images, second.test.images)
    assert np.array_equal(first.test.labels, second.test.labels)
    assert not np.array_equal(first.validation.images, second.validation.images)
    counts = np.bincount(first.test.labels)
    assert counts.min() >= 4 * 34 and counts.max() <= 4 * 37  # stratified


def test_training_digits_move():
    data = load("digits", canvas=(30, 50))
    assert data.image_shape == (30, 50, 1)
    (images, labels), *_ = data.train_batches(1293, seed=0, num_steps=1)
    assert images.shape == (1293, 30, 50, 1)
    assert np.array_equal(np.sort(labels), np.sort(data.train.labels))
    ink = images.numpy().astype(float).mean((0, 3))
    assert ink[:, :10].sum() > 0 and ink[:, -10:].sum() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"canvas": (20, 40)}, "smaller than the images"),
        ({"canvas": "large"}, "data.canvas"),
        ({"digit_size": 0}, "data.digit_size"),
        ({"test_places": 0}, "data.test_places"),
    ],
)
def test_bad_digits_options(options, message):
    with pytest.raises(InputError, match=message):
        load("digits", **options)


def test_synthetic_is_small_and_reproducible():
    data, again = load("synthetic", seed=2), synthetic(seed=2)
    assert data.image_shape == (20, 20, 1) and data.num_classes == 4
    assert (len(data.train), len(data.validation), len(data.test)) == (230, 26, 128)
    assert np.array_equal(data.train.images, again.train.images)
    other = synthetic(data_seed=1)
    assert not np.array_equal(data.test.images, other.test.images)


def test_synthetic_hides_the_class_in_one_place_the_line_points_to():
    data = synthetic(num_test=400, image_size=(24, 30), channels=3, patch_size=4)
    images, labels = data.test.images, data.test.labels
    assert images.shape == (400, 24, 30, 3)
    assert (images == images[..., :1]).all()
    images = images[..., 0]
    patterns = {}
    for image, label in zip(images, labels, strict=True):
        bright = np.argwhere(image == 255)
        assert len(bright) == 8  # half of the 4 x 4 patch, whatever the class
        line = np.argwhere(image == 200) - [11.5, 14.5]
        assert len(line) >= 3
        towards = bright.mean(0) - [11.5, 14.5]
        direction = line.mean(0)
        cosine = towards @ direction / np.hypot(*towards) / np.hypot(*direction)
        assert cosine > 0.8
        pattern = tuple(map(tuple, bright - bright.min(0)))
        patterns.setdefault(int(label), set()).add(pattern)
    assert sorted(patterns) == [0, 1, 2, 3]
    assert all(len(found) == 1 for found in patterns.values())
    assert len(set.union(*patterns.values())) == 4
    assert len({tuple(np.argwhere(image == 255)[0]) for image in images}) > 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 8}, "image_size"),
        ({"num_classes": 7, "patch_size": 2}, "patch_size"),
        ({"num_classes": 1}, "2 classes"),
        ({"num_train": 1}, "2 images"),
    ],
)
def test_bad_synthetic_options(options, message):
    with pytest.raises(InputError, match=message):
        load("synthetic", **options)
