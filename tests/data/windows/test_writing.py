"""Any image becomes a pyramid of tiles, and is read again."""

import numpy as np
import pytest

from ram_tf.data.windows import HuntReader, Level, open_reader, write_pyramid
from ram_tf.errors import InputError

tifffile = pytest.importorskip("tifffile", reason="needs the extra large")
pytest.importorskip("imagecodecs", reason="needs the extra large")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pyramid_has_the_levels_of_what_it_was_made_of(tmp_path, channels):
    image = HuntReader(768, 2, channels=channels, seed=1)
    write_pyramid(image, tmp_path / "deep" / "a.tif", tile=64, compression="deflate")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.tif"]
    reader = open_reader(tmp_path / "deep" / "a.tif")
    assert reader.levels == image.levels and reader.channels == channels
    for number, level in enumerate(image.levels):
        window = number, 0, 0, level.height, level.width
        assert np.array_equal(reader.read(*window), image.read(*window))
    with tifffile.TiffFile(tmp_path / "deep" / "a.tif") as file:
        assert file.is_bigtiff and len(file.pages) == 1  # The others are below it.
        assert file.pages[0].tilewidth == 64


class Flat:
    """An array without smaller levels, which counts the pixels that it hands out."""

    path, channels, micrometres, notes = "flat", 3, 0.5, ()

    def __init__(self, pixels):
        self.pixels = pixels
        self.levels = (Level(*pixels.shape[:2]),)
        self.largest = 0

    def read(self, level, top, left, height, width, cache=None):
        self.largest = max(self.largest, height, width)
        return self.pixels[top : top + height, left : left + width]

    def close(self):
        pass


def test_levels_that_are_missing_are_made_a_tile_at_a_time(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (301, 205, 3), dtype=np.uint8)
    image = Flat(pixels)
    write_pyramid(image, tmp_path / "a.tif", tile=32, compression=None)
    reader = open_reader(tmp_path / "a.tif")
    sizes = [(301, 205), (151, 103), (76, 52), (38, 26), (19, 13)]
    assert [level[:2] for level in reader.levels] == sizes
    assert [level.downsample for level in reader.levels] == [1, 2, 4, 8, 16]
    assert np.isclose(reader.micrometres, 0.5)
    assert image.largest == 32
    for number, ratio in [(1, 2), (2, 4), (3, 8)]:
        rows, columns = 301 // ratio, 205 // ratio
        boxes = pixels[: rows * ratio, : columns * ratio].astype(float)
        means = boxes.reshape(rows, ratio, columns, ratio, 3).mean(axis=(1, 3))
        level = reader.read(number, 0, 0, rows, columns)
        assert np.abs(level - means).max() <= 0.5 * number  # Rounded at each level.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 100}, "multiple of 16, .*tile=100"),
        ({"compression": "magic"}, "cannot be written with compression='magic'"),
    ],
)
def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        write_pyramid(HuntReader(768, 0), tmp_path / "a.tif", **options)
    assert not list(tmp_path.iterdir())
