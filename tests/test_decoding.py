"""The served graph reads image files as `predict` does, or says which it cannot."""

import numpy as np
import pytest
import tensorflow as tf

from ram_tf import data
from ram_tf.errors import InputError
from ram_tf.serving import decoding
from tests.data.awkward_files import awkward_files
from tests.image_files import image_files, png

FILES = image_files()
AWKWARD = awkward_files()
TWELVE_BITS = 0, 4095
SIZE = 20, 20
# What `predict` reads and the graph does not: a client sends the pixels instead.
LEFT_TO_CLIENTS = {
    "no_end.png",
    "picture.bmp",
    "picture.gif",
    "picture.tiff",
    "picture.webp",
    "turned_by_xmp.png",
}
REFUSED = {
    "colour_16_one_transparent.png",
    "cut.jpg",
    "cut.png",
    "cut_header.jpg",
    "empty.jpg",
    "no_end.jpg",
    "only_its_start.png",
    "text.png",
}


@pytest.fixture(scope="module")
def decode():
    """Returns a function (list of bytes, channels) -> pixels, traced once for each."""
    traced = {
        channels: tf.function(
            lambda contents, channels=channels: decoding.decode_batch(
                contents, SIZE, channels
            ),
            [tf.TensorSpec((None,), tf.string)],
            autograph=False,
        )
        for channels in (1, 3)
    }
    return lambda contents, channels: traced[channels](contents).numpy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(FILES.keys() - LEFT_TO_CLIENTS - REFUSED))
def test_the_graph_sees_what_predict_sees(decode, name, channels):
    ours = decode([FILES[name]], channels)[0]
    theirs = data.decode_image(FILES[name], name, SIZE, channels)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert np.abs(ours.astype(int) - theirs).max() <= 2


@pytest.mark.parametrize("name", sorted(LEFT_TO_CLIENTS))
def test_what_the_graph_cannot_read_it_names(decode, name):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes\[1\]: .+"):
        decode([FILES["plain.jpg"], FILES[name]], 3)
    assert data.decode_image(FILES[name], name, SIZE, 3).shape == (*SIZE, 3)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_broken_file_is_refused_by_both(decode, name):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes\[2\]: .+"):
        decode([FILES["plain.jpg"], FILES["turned_6.png"], FILES[name]], 3)
    with pytest.raises(InputError, match=name):
        data.decode_image(FILES[name], name, SIZE, 3)


def trace(size, value_range):
    """A function (list of bytes) -> pixels of three channels."""
    traced = tf.function(
        lambda contents: decoding.decode_batch(contents, size, 3, value_range),
        [tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )
    return lambda contents: traced(tf.constant(contents)).numpy()


@pytest.fixture(scope="module")
def decoders():
    """Range of values -> function (list of bytes) -> pixels, traced once for each."""
    return {each: trace(awkward_size(), each) for each in (None, TWELVE_BITS)}


def awkward_size():
    return AWKWARD["UPPER.PNG"].pixels.shape[:2]


@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_file_is_served_right_or_refused_by_its_number(decoders, name):
    file = AWKWARD[name]
    value_range = file.value_range and TWELVE_BITS  # A file of any other is refused.
    decode = decoders[value_range]
    if file.served:
        assert value_range == file.value_range
        off = np.abs(decode([file.content])[0].astype(int) - file.pixels)
        assert off.max() <= max(file.tolerance, 1)
    else:
        good = AWKWARD["UPPER.PNG"].content
        with pytest.raises(tf.errors.InvalidArgumentError) as refused:
            decode([good, file.content])
        line = str(refused.value)
        assert "image_bytes[1]: " in line
        assert decoding.told_range(line) == value_range


@pytest.mark.parametrize("name", ["truncated.png", "huge.png"])
def test_nothing_is_decoded_before_it_was_looked_at(decoders, name):
    """Operations run in any order: TensorFlow's own refusal has no number."""
    for _ in range(100):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes\[0\]"):
            decoders[None]([AWKWARD[name].content])


def test_the_table_tells_a_wrong_decoder_from_a_right_one(decode):
    turned = [decode([FILES[f"turned_{turn}.jpg"]], 3)[0] for turn in range(1, 9)]
    for index, one in enumerate(turned):
        for other in turned[:index]:
            assert np.abs(one.astype(int) - other).max() > 50
    assert len(FILES) >= 60


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_level_is_laid_on_white(decode, depth):
    level = 2**depth // 3
    rest = {True: 255, False: 255 * level / (2**depth - 1)}
    for is_transparent, expected in rest.items():
        key = level if is_transparent else level + 1
        content = png(0, depth, trns=key.to_bytes(2, "big"), level=level)
        seen = decode([content], 1), data.decode_image(content, "x", SIZE, 1)
        for pixels in seen:
            np.testing.assert_allclose(pixels.astype(float), expected, atol=1)


def test_files_are_cropped_and_resized_as_in_training(decode):
    draw = np.random.default_rng(0)
    photo = tf.image.resize(draw.integers(0, 256, (9, 12, 3)), (70, 96), "bicubic")
    photo = tf.cast(tf.clip_by_value(photo, 0, 255), tf.uint8)
    for content in (tf.io.encode_png(photo), tf.io.encode_jpeg(photo)):
        for channels in (1, 3):
            ours = decode([content.numpy()], channels)[0]
            theirs = data.decode_image(content.numpy(), "photo", SIZE, channels)
            assert np.abs(ours.astype(int) - theirs).max() <= 2
