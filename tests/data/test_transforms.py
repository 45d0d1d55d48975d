import numpy as np
import pytest
import tensorflow as tf

from ram_tf.data.transforms import (
    Translate,
    apply_transforms,
    example_uniforms,
    num_uniforms,
    size_pair,
)
from ram_tf.errors import InputError

MASK = 2**64 - 1


def splitmix64(bits):
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & MASK
    return bits ^ (bits >> 31)


def reference_uniform(seed, epoch, example, draw):
    """The same hash in Python integers, one counter folded in after the other."""
    bits = splitmix64(seed & MASK)
    for counter in (epoch, example, draw):
        bits = splitmix64((bits + (counter + 1) * 0x9E3779B97F4A7C15) & MASK)
    return (bits >> 40) / 2**24


@pytest.mark.parametrize("seed", [0, 7, 2**63 + 11, -1])
def test_uniforms_match_python_integers(seed):
    examples = [0, 1, 59_999, 2**33]
    uniforms = example_uniforms(seed, 12, tf.constant(examples, tf.int64), 3).numpy()
    expected = [[reference_uniform(seed, 12, i, k) for k in range(3)] for i in examples]
    assert np.array_equal(uniforms, np.array(expected, np.float32))


def test_uniforms_depend_on_the_example_alone():
    whole = example_uniforms(5, 2, tf.range(100), 4).numpy()
    some = example_uniforms(
        5, tf.constant(2, tf.int64), tf.constant([70, 3]), 4
    ).numpy()
    assert np.array_equal(some, whole[[70, 3]])


def test_uniforms_are_uniform_and_uncorrelated():
    uniforms = np.stack(
        [example_uniforms(1, e, tf.range(20_000), 2).numpy() for e in (0, 1)], -1
    ).reshape(20_000, 4)
    assert uniforms.min() >= 0 and uniforms.max() < 1
    counts = np.stack([np.histogram(u, 20, (0, 1))[0] for u in uniforms.T])
    chi_squared = ((counts - 1000) ** 2 / 1000).sum(1)
    assert (chi_squared < 43.8).all()  # 99.9 % of 19 degrees of freedom
    correlation = np.corrcoef(np.vstack([uniforms.T, np.roll(uniforms[:, 0], 1)]))
    assert (np.abs(correlation - np.eye(5)) < 4.5 / np.sqrt(20_000)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(3, 5, 1), (4, 4, 3), (1, 1, 2)])
def test_translate_matches_numpy(dtype, shape):
    rng = np.random.default_rng(0)
    images = rng.integers(1, 255, (64, *shape)).astype(dtype)
    uniforms = rng.random((64, 2), np.float32)
    uniforms[0], uniforms[1] = 0, np.float32(1 - 2**-24)
    result = Translate(9, 11)(tf.constant(images), tf.constant(uniforms))
    expected = np.zeros((64, 9, 11, shape[2]), dtype)
    height, width, _ = shape
    for image, canvas, (u, v) in zip(images, expected, uniforms, strict=True):
        top, left = int(u * (10 - height)), int(v * (12 - width))
        canvas[top : top + height, left : left + width] = image
    assert result.dtype == dtype
    assert np.array_equal(result.numpy(), expected)
    assert expected[1, -1, -1].all() and expected[0, 0, 0].all()


def test_translate_is_uniform_over_all_places():
    num = 20_000
    uniforms = example_uniforms(0, 0, tf.range(num), 2)
    canvas = Translate(5, 6)(tf.ones((num, 2, 3, 1), tf.uint8), uniforms).numpy()
    flat = canvas[..., 0].reshape(num, -1)
    assert (flat.sum(1) == 6).all()
    corner, counts = np.unique(flat.argmax(1), return_counts=True)
    assert list(corner) == [6 * row + column for row in range(4) for column in range(4)]
    assert ((counts - num / 16) ** 2 / (num / 16)).sum() < 37.7  # 99.9 %, 15


def test_translate_to_the_same_size_changes_nothing():
    images = tf.reshape(tf.range(24, dtype=tf.float32), (2, 3, 4, 1))
    assert np.array_equal(Translate(3, 4)(images, tf.fill((2, 2), 0.9)), images)


@pytest.mark.parametrize("canvas", [(4, 9), (9, 4)])
def test_canvas_smaller_than_the_image(canvas):
    with pytest.raises(InputError, match="smaller than the images, 5 x 5"):
        Translate(*canvas).output_shape(5, 5, 1)


def test_each_transform_gets_its_own_draws():
    class Add:
        num_draws = 1

        def __call__(self, images, uniforms):
            assert uniforms.shape == (2, 1)
            return images * 10 + uniforms[:, :, None, None]

    transforms = (Add(), Add())
    assert num_uniforms(transforms) == 2
    uniforms = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    result = apply_transforms(transforms, tf.zeros((2, 1, 1, 1)), uniforms)
    assert list(result.numpy().ravel()) == [12, 34]


def test_size_pair():
    assert size_pair(5, "canvas") == (5, 5) == size_pair(np.int64(5), "canvas")
    assert size_pair([4, 6], "canvas") == (4, 6)
    for bad in (0, (4,), (4, 0), (4, 5, 6), "4", 2.5, None):
        with pytest.raises(InputError, match="data.canvas"):
            size_pair(bad, "canvas")
