"""Huge images that nothing holds: what follows the clue finds the target."""

import numpy as np
import pytest

from ram_tf.data import load
from ram_tf.data.windows import HuntReader, Windows
from ram_tf.data.windows.hunt import CLASS_NAMES
from ram_tf.errors import InputError

SIDES = (24, 96, 384, 1536, 6144, 24_576, 98_304)


def test_levels_are_averages_of_each_other():
    image = HuntReader(1024, 1, seed=3)
    finest = image.read(0, 0, 0, 1024, 1024).astype(float)
    assert finest.min() > 20 and finest.max() < 240  # Nothing is cut off.
    for number, level in enumerate(image.levels):
        ratio = 1024 // level.height
        means = finest.reshape(level.height, ratio, level.width, ratio, 1).mean((1, 3))
        pixels = image.read(number, 0, 0, level.height, level.width)
        assert level.downsample == ratio
        assert np.abs(pixels - means).max() <= 1  # Both are rounded.


def test_a_window_does_not_depend_on_how_it_is_read():
    image = HuntReader(1024, 0, target_side=32, seed=(5, 6))
    whole = image.read(1, 0, 0, 512, 512)
    assert np.array_equal(image.read(1, 100, 37, 24, 50), whole[100:124, 37:87])
    outside = image.read(1, 500, -10, 24, 20)
    assert np.array_equal(outside[:12, 10:], whole[500:, :10])
    assert not outside[12:].any() and not outside[:, :10].any()
    again = HuntReader(1024, 0, target_side=32, seed=(5, 6)).read(1, 0, 0, 512, 512)
    assert np.array_equal(again, whole)
    other = HuntReader(1024, 0, target_side=32, seed=(5, 7)).read(1, 0, 0, 512, 512)
    assert (other != whole).mean() > 0.8


@pytest.mark.parametrize("side", [4096, 65_536])
def test_following_the_clue_finds_the_target_and_random_places_do_not(side):
    """The brightest place of the widest scale, then of the next one, and so on."""
    sides = [s for s in SIDES if s < 6 * side][::-1]
    images = [HuntReader(side, n % 4, seed=(8, n)) for n in range(24)]
    targets = np.array([image.location for image in images])
    windows, places = Windows(images, threads=1), np.zeros((24, 1, 2))
    for scale in sides[:-1]:
        seen, inside = windows.cut(range(24), places, [scale], 24)
        bright = np.where(inside > 0.5, seen, 0)[:, 0, 0, :, :, 0].reshape(24, -1)
        rows, columns = np.unravel_index(bright.argmax(axis=1), (24, 24))
        moves = (np.stack([columns, rows], -1) - 11.5) * (scale / 24) / (side / 2)
        places[:, 0] += moves
    away = np.abs(places[:, 0] - targets).max(axis=1) * side / 2
    assert (away < 48).mean() >= 0.9
    random = np.random.default_rng(0).uniform(-1, 1, (2000, 1, 2))
    assert (np.abs(random - targets).max(-1) * side / 2 < 48).mean() < 0.01


def test_the_class_is_seen_at_level_0_and_not_from_afar():
    def patches(label, scale):
        image = HuntReader(4096, label, seed=11)
        place = [[[*image.location]]]
        return Windows([image], threads=1).cut([0], place, [scale], 24)[0].ravel()

    for scale, low, high in [(48, 0.1, 1.0), (1536, 0.0, 0.01)]:
        seen = [patches(label, scale) for label in range(4)]
        for other in seen[1:]:
            away = np.linalg.norm(seen[0] - other) / np.linalg.norm(seen[0])
            assert low <= away <= high


def test_the_data_set_hands_out_positions():
    data = load("hunt", num_train=20, num_test=8, sides=(4096, 8192), data_seed=3)
    assert data.image_shape == (None, None, 1) and data.class_names == CLASS_NAMES
    assert len(data.windows) == 28 and len(data.test) == 8
    assert set(data.windows.sizes[:, 0].tolist()) == {4096, 8192}
    seen = []
    for split in ("train", "validation", "test"):
        for images, labels, weights in data.eval_batches(split, 5):
            assert images.shape == (5,) and images.dtype == "int32"
            real = np.asarray(weights) > 0
            seen += zip(np.asarray(images)[real], np.asarray(labels)[real], strict=True)
    assert sorted(number for number, _ in seen) == list(range(28))
    (images, labels), *_ = data.train_batches(4, seed=0, num_steps=2)
    assert dict(seen).items() >= dict(zip(images.numpy(), labels.numpy())).items()
    positions, labels = data.some("test", 3)
    assert positions.tolist() == data.take("test", [0, 1, 2]).tolist() == [20, 21, 22]


def test_another_hunt_is_another_data_set():
    first = load("hunt", num_train=8, num_test=4)
    assert first.fingerprint == load("hunt", num_train=8, num_test=4).fingerprint
    assert (
        first.fingerprint
        != load("hunt", num_train=8, num_test=4, data_seed=1).fingerprint
    )


@pytest.mark.parametrize(
    "options", [{"sides": 500}, {"target_side": 4}, {"num_test": 0}, {"sides": ()}]
)
def test_what_cannot_be_hunted_is_refused(options):
    with pytest.raises(InputError, match="Received: "):
        load("hunt", **{"num_train": 8, "num_test": 4, **options})
