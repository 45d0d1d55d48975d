import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from ram_tf.data.transforms import (
    Clutter,
    ColorJitter,
    HorizontalFlip,
    RandomResizedCrop,
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


AUGMENTATIONS = (RandomResizedCrop(), HorizontalFlip(), ColorJitter())


def random_batch(batch, shape, num_draws, dtype=np.uint8, seed=0):
    """Returns noisy pictures with a smooth part, and uniforms."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (batch, *shape))
    images = (images + 2 * np.roll(images, 1, 1) + np.roll(images, 1, 2)) // 4
    images = images.astype(np.uint8)
    if dtype != np.uint8:
        images = (images / 255).astype(dtype)
    return images, rng.random((batch, num_draws), np.float32)


def box_of(crop, uniforms, height, width):
    """Returns left, top, right, bottom of the crop, as its docstring has them."""
    area = crop.min_area + (crop.max_area - crop.min_area) * float(uniforms[0])
    widest = min(crop.max_stretch, 1 / area)
    stretch = widest ** (2 * float(uniforms[1]) - 1)
    crop_height = max(round(height * (area / stretch) ** 0.5), 1)
    crop_width = max(round(width * (area * stretch) ** 0.5), 1)
    top = int(float(uniforms[2]) * (height - crop_height + 1))
    left = int(float(uniforms[3]) * (width - crop_width + 1))
    return left, top, left + crop_width, top + crop_height


@pytest.mark.parametrize(
    ("crop", "shape"),
    [
        (RandomResizedCrop(), (32, 32, 3)),
        (RandomResizedCrop(), (64, 64, 3)),
        (RandomResizedCrop(0.1, 0.6, 2.0), (20, 33, 3)),
        (RandomResizedCrop(0.05, 0.3), (9, 7, 1)),
        (RandomResizedCrop(0.01, 0.02), (3, 3, 2)),  # crops of one pixel
    ],
)
def test_crops_match_pillow(crop, shape):
    height, width, channels = shape
    images, uniforms = random_batch(50, shape, crop.num_draws)
    uniforms[0], uniforms[1] = 0, np.float32(1 - 2**-24)
    result = crop(tf.constant(images), tf.constant(uniforms))
    assert result.dtype == tf.uint8 and result.shape == images.shape
    for image, uniform, received in zip(images, uniforms, result.numpy()):
        box = box_of(crop, uniform, height, width)
        for channel in range(channels):
            picture = Image.fromarray(image[..., channel]).crop(box)
            expected = picture.resize((width, height), Image.BILINEAR)
            difference = received[..., channel] - np.asarray(expected).astype(int)
            assert np.abs(difference).max() <= 1  # Pillow also rounds between the axes


def test_crops_have_the_promised_areas_and_shapes():
    num, size = 2000, 64
    # Pixels that hold their own row and column show what part of the image is left.
    places = np.stack(np.mgrid[:size, :size], -1).astype(np.float32)
    images = tf.tile(tf.constant(places)[None], (num, 1, 1, 1))
    uniforms = example_uniforms(0, 0, tf.range(num), RandomResizedCrop.num_draws)
    crops = RandomResizedCrop()(images, uniforms).numpy()
    first, last = crops[:, 0, 0], crops[:, -1, -1]
    height, width = (last - first + 1).T
    area, ratio = height * width / size**2, width / height
    pixel = 1 / size
    assert area.min() > 0.75 - pixel and area.max() < 1 + 1e-5
    assert np.quantile(area, [0.25, 0.5, 0.75]) == pytest.approx(
        [0.8125, 0.875, 0.9375], abs=pixel
    )
    assert 0.75 - pixel < ratio.min() < 0.8 and 1.25 < ratio.max() < 4 / 3 + 2 * pixel
    assert np.median(ratio) == pytest.approx(1, abs=pixel)
    assert first.min() == pytest.approx(0, abs=1e-3)
    assert last.max() == pytest.approx(size - 1, abs=1e-3)
    room = size - np.stack([height, width], -1)
    share = first[room > 0] / room[room > 0]  # of the room for the first row or column
    assert share.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_crop_of_the_whole_image_changes_nothing(dtype):
    images, uniforms = random_batch(8, (32, 48, 3), 4, dtype)
    result = RandomResizedCrop(1.0, 1.0)(tf.constant(images), tf.constant(uniforms))
    assert np.array_equal(result, images)


@pytest.mark.parametrize("shape", [(5, 8, 3), (4, 7, 1)])
def test_flip_mirrors_half_of_the_images(shape):
    images, uniforms = random_batch(400, shape, 1)
    result = HorizontalFlip()(tf.constant(images), tf.constant(uniforms)).numpy()
    mirrored = uniforms[:, 0] < 0.5
    assert np.array_equal(result[mirrored], images[mirrored, :, ::-1])
    assert np.array_equal(result[~mirrored], images[~mirrored])
    assert 160 < mirrored.sum() < 240


def jitter_image(image, factors, largest):
    """One image after brightness, contrast and saturation, step by step, in float64."""
    brightness, contrast, saturation = factors

    def grey(pixels):
        if pixels.shape[-1] == 1:
            return pixels
        return pixels @ np.array([0.299, 0.587, 0.114])[:, None]

    pixels = np.clip(image * brightness, 0, largest)
    mean = grey(pixels).mean()
    pixels = np.clip(contrast * pixels + (1 - contrast) * mean, 0, largest)
    return np.clip(saturation * pixels + (1 - saturation) * grey(pixels), 0, largest)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("extents", [(0.4, 0.4, 0.4), (1, 0.2, 0.7), (0, 1, 0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_matches_numpy(dtype, extents, channels):
    jitter = ColorJitter(*extents)
    images, uniforms = random_batch(40, (6, 5, channels), jitter.num_draws, dtype)
    uniforms[0], uniforms[1] = 0, np.float32(1 - 2**-24)
    result = jitter(tf.constant(images), tf.constant(uniforms))
    assert result.dtype == dtype
    largest = 255 if dtype == np.uint8 else 1
    for image, uniform, received in zip(images, uniforms, result.numpy()):
        factors = 1 + (2 * uniform.astype(np.float64) - 1) * extents
        expected = jitter_image(image.astype(np.float64), factors, largest)
        # A byte is rounded to the nearest; floats in [0, 1] some tens of times to 6e-8.
        tolerance = 0.501 if dtype == np.uint8 else 3e-6
        assert np.abs(received - expected).max() < tolerance


def test_jitter_of_nothing_changes_nothing():
    images, uniforms = random_batch(8, (4, 4, 3), 3)
    result = ColorJitter(0, 0, 0)(tf.constant(images), tf.constant(uniforms))
    assert np.array_equal(result, images)


def test_saturation_leaves_grey_images_alone():
    for channels in (1, 3):
        images, uniforms = random_batch(8, (4, 4, 1), 3)
        images = np.tile(images, (1, 1, 1, channels))
        result = ColorJitter(0, 0, 1)(tf.constant(images), tf.constant(uniforms))
        assert np.array_equal(result, images)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(8, 6, 1), (5, 8, 3)])
def test_augmentations_keep_shape_type_and_range(dtype, shape):
    num_draws = num_uniforms(AUGMENTATIONS)
    images, uniforms = random_batch(64, shape, num_draws, dtype)
    images[:8], images[8:16] = 0, 255 if dtype == np.uint8 else 1
    result = apply_transforms(
        AUGMENTATIONS, tf.constant(images), tf.constant(uniforms)
    ).numpy()
    assert result.dtype == dtype and result.shape == images.shape
    assert result.min() >= 0 and result.max() <= (255 if dtype == np.uint8 else 1)
    assert not result[:8].any()
    assert result[8:16].max() == pytest.approx(result.max(), rel=1e-5)
    for transform in AUGMENTATIONS:
        assert transform.output_shape(*shape) == shape


def test_augmented_image_does_not_depend_on_its_batch():
    images, uniforms = random_batch(16, (9, 8, 3), num_uniforms(AUGMENTATIONS))
    whole = apply_transforms(AUGMENTATIONS, tf.constant(images), tf.constant(uniforms))
    again = apply_transforms(AUGMENTATIONS, tf.constant(images), tf.constant(uniforms))
    assert np.array_equal(whole, again)
    for i in range(16):
        some = slice(i, i + 1)
        alone = apply_transforms(
            AUGMENTATIONS, tf.constant(images[some]), tf.constant(uniforms[some])
        )
        assert np.array_equal(alone[0], whole[i])
    assert (whole.numpy() != images).any((1, 2, 3)).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RandomResizedCrop(0.0, 1.0), "min_area.* Received: 0.0, 1.0"),
        (lambda: RandomResizedCrop(0.8, 0.5), "min_area.* Received: 0.8, 0.5"),
        (lambda: RandomResizedCrop(0.8, 1.1), "min_area.* Received: 0.8, 1.1"),
        (lambda: RandomResizedCrop(max_stretch=0.5), "max_stretch.* Received: .*, 0.5"),
        (lambda: ColorJitter(brightness=-0.1), r"Brightness.* Received: \(-0.1"),
        (lambda: ColorJitter(saturation=1.5), "saturation.* Received: .*, 1.5"),
        (lambda: ColorJitter().output_shape(4, 4, 2), "Received: 2 channels"),
    ],
)
def test_bad_augmentations(make, said):
    with pytest.raises(InputError, match=said):
        make()


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
    assert size_pair((4,), "canvas") == (4, 4)
    for bad in (0, (), (0,), (None,), (4, 0), (4, 5, 6), "4", 2.5, None):
        with pytest.raises(InputError, match="data.canvas"):
            size_pair(bad, "canvas")


def test_clutter_by_hand():
    sources = np.arange(3 * 6 * 7, dtype=np.uint8).reshape(3, 6, 7, 1)
    images = np.zeros((2, 9, 8, 1), np.uint8)
    images[1] = 60
    clutter = Clutter(sources, num_pieces=2, size=3)
    assert clutter.num_draws == 10
    uniforms = np.linspace(0, 0.999, 20, dtype=np.float32).reshape(2, 10)
    expected = images.copy()
    for image, draws in zip(expected, uniforms.reshape(2, 2, 5)):
        for draw in draws:
            source, row, column, top, left = np.floor(
                draw * np.array([3, 4, 5, 7, 6])
            ).astype(int)
            piece = sources[source, row : row + 3, column : column + 3]
            place = image[top : top + 3, left : left + 3]
            np.maximum(place, piece, out=place)
    assert (expected != images).any()
    np.testing.assert_array_equal(clutter(images, uniforms), expected)


def test_pieces_are_as_likely_everywhere():
    sources = np.full((1, 2, 2, 1), 255, np.uint8)
    images = np.zeros((4000, 5, 5, 1), np.uint8)
    uniforms = example_uniforms(0, 0, tf.range(4000), 5)
    found = Clutter(sources, 1, 2)(images, uniforms).numpy()[..., 0] / 255
    assert (found.sum(axis=(1, 2)) == 4).all()
    corners = np.array([found[:, :-1, :-1], found[:, 1:, 1:]]).all(axis=0)
    assert corners.mean(axis=0) == pytest.approx(
        1 / 16, abs=0.015
    )  # 4 standard errors.


@pytest.mark.parametrize("pieces, size", [(-1, 3), (2, 0), (2, 7)])
def test_bad_clutter(pieces, size):
    with pytest.raises(InputError, match="piece_size"):
        Clutter(np.zeros((2, 6, 8, 1), np.uint8), pieces, size)


def test_pieces_larger_than_the_image_are_refused():
    clutter = Clutter(np.zeros((2, 6, 8, 1), np.uint8), 1, 6)
    with pytest.raises(InputError, match="do not fit"):
        clutter.output_shape(5, 20, 1)


def test_places_are_the_middles_of_dropped_images():
    """By hand: 3 x 2 pixels at rows 0 and 4, columns 6 and 3, of 7 x 8."""
    uniforms = np.float32([(0.0, 0.999), (0.999, 0.5)])
    places = Translate(7, 8).places(uniforms, 3, 2)
    # Columns 6 and 7 have their middle at 7 of 8; rows 0 to 2 at 1.5 of 7.
    expected = [(2 * 7 / 8 - 1, 2 * 1.5 / 7 - 1), (2 * 4 / 8 - 1, 2 * 5.5 / 7 - 1)]
    np.testing.assert_allclose(places, expected, rtol=1e-6)
    dropped = Translate(7, 8)(np.ones((2, 3, 2, 1), np.uint8), uniforms).numpy()
    for image, (x, y) in zip(dropped[..., 0], expected):
        rows, columns = np.nonzero(image)
        middle = (columns.mean() + 0.5, rows.mean() + 0.5)
        np.testing.assert_allclose(middle, ((x + 1) * 4, (y + 1) * 3.5), rtol=1e-6)
