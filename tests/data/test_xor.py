"""The set whose class no single place tells."""

import numpy as np
import pytest

from ram_tf.data import load, xor
from ram_tf.errors import InputError


def test_the_class_is_whether_the_two_squares_differ():
    data = load("xor", num_train=40, num_test=80, image_size=(10, 14), patch_size=3)
    assert data.image_shape == (10, 14, 1) and data.num_classes == 2
    assert (len(data.train), len(data.validation), len(data.test)) == (36, 4, 80)
    images, labels = data.test.images[..., 0], data.test.labels
    squares = images[:, 3:6, :3], images[:, 3:6, -3:]
    left, right = (square.reshape(80, -1) for square in squares)
    for square in (left, right):
        assert (square == square[:, :1]).all()
        assert set(np.unique(square)) == {120, 255}
    assert np.array_equal(labels, left[:, 0] != right[:, 0])
    images[:, 3:6, :3] = images[:, 3:6, -3:] = 0
    assert images.max() < 40


@pytest.mark.parametrize("column", [0, -1])
@pytest.mark.parametrize("level", [120, 255])
def test_neither_square_alone_says_anything(column, level):
    data = xor(num_test=400)
    seen = data.test.images[:, 6, column, 0] == level
    assert seen.sum() == 200
    assert data.test.labels[seen].mean() == 0.5


def test_the_images_are_those_of_their_seed():
    one, same, other = xor(seed=2), xor(seed=2), xor(data_seed=1)
    assert np.array_equal(one.train.images, same.train.images)
    assert not np.array_equal(one.test.images, other.test.images)


@pytest.mark.parametrize(
    "options", [{"patch_size": 0}, {"patch_size": 10}, {"image_size": (3, 20)}]
)
def test_squares_that_do_not_fit_are_refused(options):
    with pytest.raises(InputError, match="patch_size"):
        xor(**options)
