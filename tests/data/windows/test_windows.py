"""What a retina sees of an image on disk is what it sees of it in memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ram_tf.data.windows import (
    NpyReader,
    UnreadableImage,
    Windows,
    open_reader,
    to_micrometres,
    to_pixels,
)
from ram_tf.data.windows.reader import make_levels
from ram_tf.errors import InputError
from ram_tf.layers import Retina
from ram_tf.ops import location_to_pixel, reduce_patches

CORNERS = [[-1, -1], [1, 1], [1, -1], [0, 0], [-1, 0.999]]


class Pyramid:
    """Arrays in memory as the levels of an image."""

    path, micrometres, notes = "pyramid", None, ()

    def __init__(self, *arrays):
        self.arrays = arrays
        self.levels = make_levels([array.shape[:2] for array in arrays])
        self.channels = arrays[0].shape[2]
        self.read_levels = []

    def read(self, level, top, left, height, width, cache=None):
        self.read_levels.append(level)
        whole = self.arrays[level]
        pixels = np.zeros((height, width, self.channels), np.uint8)
        rows = slice(max(top, 0), max(min(top + height, len(whole)), 0))
        columns = slice(max(left, 0), max(min(left + width, whole.shape[1]), 0))
        part = whole[rows, columns]
        down, across = rows.start - top, columns.start - left
        pixels[down : down + len(part), across : across + part.shape[1]] = part
        return pixels

    def close(self):
        pass


def random_image(height, width, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def saved(folder, *images):
    """Returns readers of images in files."""
    for number, image in enumerate(images):
        np.save(folder / f"{number}.npy", image)
    return [open_reader(folder / f"{number}.npy") for number in range(len(images))]


def in_memory(image, locations, size, sides, **options):
    retina = Retina(size=size, sides=sides, **options)
    return np.asarray(retina(image[None], np.asarray(locations, "float32")[None]))[0]


# Enough places for borders, corners and places outside; TensorFlow is slow on the
# first call of each shape, so shapes are few.
@settings(max_examples=25, deadline=None)
@given(
    places=st.lists(
        st.tuples(*[st.floats(-1.25, 1.25, width=32)] * 2), min_size=5, max_size=5
    ),
    case=st.sampled_from(
        [(40, 57, 1, 8, (8, 16, 24)), (7, 90, 3, 12, (6, 12, 48)), (33, 5, 2, 5, (40,))]
    ),
)
def test_one_level_has_the_very_bits_of_the_image_in_memory(
    tmp_path_factory, places, case
):
    height, width, channels, size, sides = case
    image = random_image(height, width, channels)
    images = Windows(saved(tmp_path_factory.mktemp("images"), image))
    cut, inside = images.cut([0], [places], sides, size, reduce_patches)
    assert cut.dtype == inside.dtype == np.float32
    assert np.array_equal(cut[0], in_memory(image, places, size, sides))
    normal = in_memory(image, places, size, sides, pixel_mean=0.3, pixel_stddev=0.2)
    np.testing.assert_allclose(cut[0] / 0.2 - inside[0] * 1.5, normal, atol=2e-6)


@pytest.mark.parametrize(
    ("size", "sides"), [(8, (8, 20, 30)), (12, (5, 90)), (7, (7,))]
)
def test_without_the_retinas_own_reduction_only_rounding_differs(tmp_path, size, sides):
    image = random_image(61, 45, 3)
    cut, _ = Windows(saved(tmp_path, image)).cut([0], [CORNERS], sides, size)
    expected = in_memory(image, CORNERS, size, sides)
    np.testing.assert_allclose(cut[0], expected, atol=3e-7)


def test_images_of_several_sizes_make_one_batch(tmp_path):
    images = [random_image(40, 50), random_image(16, 90, seed=1), random_image(9, 9)]
    places = np.random.default_rng(0).uniform(-1, 1, (4, 2, 2)).astype("float32")
    order = [2, 0, 1, 0]
    windows = Windows(saved(tmp_path, *images), threads=3)
    assert len(windows) == 3 and windows.channels == 1
    assert windows.sizes.tolist() == [[40, 50], [16, 90], [9, 9]]
    cut, _ = windows.cut(order, places, (8, 32), 8, reduce_patches)
    assert cut.shape == (4, 2, 2, 8, 8, 1)
    for number, seen, place in zip(order, cut, places, strict=True):
        assert np.array_equal(seen, in_memory(images[number], place, 8, (8, 32)))
    assert windows.counts.windows == 16
    windows.reset_counts()
    assert windows.counts == (0, 0, 0, 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_levels_show_what_level_0_does(threads):
    """Every level is an exact average here, so whichever is read, it is the same."""
    coarse = random_image(24, 32)
    levels = [
        coarse.repeat(4, 0).repeat(4, 1),
        coarse.repeat(2, 0).repeat(2, 1),
        coarse,
    ]
    pyramid = Pyramid(*levels)
    assert [level.downsample for level in pyramid.levels] == [1, 2, 4]
    places = np.random.default_rng(1).uniform(-1.2, 1.2, (30, 2))
    sides = (8, 12, 16, 32, 44, 96)
    cut, inside = Windows([pyramid], threads=threads).cut([0], [places], sides, 8)
    expected, all_inside = Windows([Pyramid(levels[0])]).cut([0], [places], sides, 8)
    np.testing.assert_allclose(cut, expected, atol=3e-7)
    np.testing.assert_allclose(inside, all_inside, atol=1e-6)


def test_a_scale_reads_the_coarsest_level_that_is_not_coarser_than_itself():
    arrays = [random_image(96, 64), random_image(48, 32), random_image(12, 8)]
    pyramid = Pyramid(*arrays)
    images = Windows([pyramid], threads=1)
    images.cut([0], [[(0, 0)]], (4, 8, 15, 16, 63, 64, 900), 8)
    assert pyramid.read_levels == [0, 0, 0, 1, 1, 2, 2]


def test_parts_of_pixels_count_by_their_area():
    """Side 4 at row and column 1 of level 0, of a level of half the size."""
    level = np.zeros((4, 4, 1), np.uint8)
    level[:3, 1, 0] = 255, 51, 0
    images = Windows([Pyramid(np.zeros((8, 8, 1), np.uint8), level)])
    place = np.array([3, 3]) / 4 - 1  # Pixel 3; 3 - 4 // 2 = 1.
    cut, inside = images.cut([0], [[place]], (4,), 2)
    # Rows and columns of level 1: 0.5 to 1.5, and 1.5 to 2.5.
    expected = [[(1 + 0.2) / 4, (1 + 0.2) / 4], [0.2 / 4, 0.2 / 4]]
    np.testing.assert_allclose(cut[0, 0, 0, :, :, 0], expected, atol=1e-7)
    assert (inside == 1).all()


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(100, 80), (50, 40), (25, 20)], [(1, 1), (2, 2), (4, 4)]),
        # Odd sides, cut or filled up: the writer divided by 2.
        ([(101, 75), (50, 37), (26, 19)], [(1, 1), (2, 2), (4, 4)]),
        ([(1000, 100), (31, 3)], [(1, 1), (32, 32)]),
        ([(100, 100), (40, 40)], [(1, 1), (2.5, 2.5)]),
        ([(100, 60), (50, 20)], [(1, 1), (2, 3)]),
    ],
)
def test_downsamples_are_what_the_writer_divided_by(sizes, expected):
    assert [level[2:] for level in make_levels(sizes)] == expected


def test_a_wide_patch_is_averaged_a_strip_after_the_other(tmp_path):
    image = random_image(2200, 2500)
    images = Windows(saved(tmp_path, image))
    cut, inside = images.cut([0], [[(0.2, -0.1)]], (3000,), 4)
    first = np.array([990, 1500]) - 1500  # Rows -510 to 2490, columns 0 to 3000.
    padded = np.pad(image[..., 0] / 255.0, ((510, 290), (0, 500)))
    assert first.tolist() == [-510, 0] and padded.shape == (3000, 3000)
    expected = padded.reshape(4, 750, 4, 750).mean((1, 3))
    np.testing.assert_allclose(cut[0, 0, 0, :, :, 0], expected, atol=1e-6)
    share = np.outer([240 / 750, 1, 1, 460 / 750], [1, 1, 1, 250 / 750])
    np.testing.assert_allclose(inside[0, 0, 0, :, :, 0], share, atol=1e-6)


def test_a_patch_far_outside_is_empty():
    images = Windows([Pyramid(random_image(20, 20), random_image(10, 10))])
    cut, inside = images.cut([0], [[(9, -9)]], (8, 64), 8)
    assert not cut.any() and not inside.any()


def test_an_overview_is_the_smallest_level_with_enough_pixels():
    arrays = [random_image(96, 64), random_image(48, 32), random_image(24, 16)]
    images = Windows([Pyramid(*arrays)])
    for side, level in [(16, 2), (17, 1), (33, 0), (65, 0)]:
        assert np.array_equal(images.overview(0, side), arrays[level])


def test_a_thumbnail_is_the_average_of_all_pixels():
    image = random_image(90, 60)
    images = Windows([Pyramid(image)], threads=2)
    small = images.thumbnail(0, 30)
    assert np.array_equal(small, np.rint(image.reshape(30, 3, 20, 3, 1).mean((1, 3))))
    assert np.array_equal(images.thumbnail(0, 200), image)


def test_places_are_those_of_the_retina():
    locations = np.random.default_rng(0).uniform(-1.1, 1.1, (2000, 2)).astype("float32")
    for size in [(4096, 65_536), (97, 3)]:
        expected = np.asarray(location_to_pixel(locations, size))
        assert np.array_equal(to_pixels(locations, size), expected)
    assert to_micrometres([[0, 9]], 0.5).tolist() == [[0.25, 4.75]]


def test_images_must_have_equally_many_channels(tmp_path):
    with pytest.raises(InputError, match="0.npy' has 1, .*1.npy' 3. Set .data.channel"):
        Windows(saved(tmp_path, random_image(5, 5), random_image(5, 5, 3)))
    with pytest.raises(InputError, match="no image"):
        Windows([])


def test_channels_can_be_asked_for(tmp_path):
    np.save(tmp_path / "grey.npy", random_image(4, 5)[..., 0])
    np.save(tmp_path / "colour.npy", np.full((4, 5, 3), (255, 0, 0), np.uint8))
    np.save(tmp_path / "many.npy", random_image(4, 5, 7))
    assert NpyReader(tmp_path / "grey.npy").channels == 1
    colour = NpyReader(tmp_path / "grey.npy", channels=3)
    assert (colour.read(0, 0, 0, 4, 5) == random_image(4, 5)).all()
    grey = NpyReader(tmp_path / "colour.npy", channels=1).read(0, 0, 0, 2, 2)
    assert grey.shape == (2, 2, 1) and (grey == 76).all()  # 0.299 of 255.
    with pytest.raises(UnreadableImage, match="has 7 channels, of which no 3 are made"):
        NpyReader(tmp_path / "many.npy", channels=3)


def test_what_is_no_such_array_is_refused_in_a_line(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((3, 3)))
    with pytest.raises(UnreadableImage, match="must hold uint8 .* float64 .3, 3."):
        open_reader(path)
    np.save(path, random_image(30, 30))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UnreadableImage, match="a.npy' is no array that can be read"):
        open_reader(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(UnreadableImage, match="expected a .npy array or a TIFF"):
        open_reader(path)
    with pytest.raises(UnreadableImage, match="gone.npy' cannot be read: No such file"):
        open_reader(tmp_path / "gone.npy")


def test_an_array_that_shrinks_is_an_error_and_no_crash(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, random_image(300, 300))
    reader = open_reader(path)
    with open(path, "r+b") as file:
        file.truncate(200)
    with pytest.raises(UnreadableImage, match="became shorter while it was read"):
        reader.read(0, 0, 0, 10, 10)
