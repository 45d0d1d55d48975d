"""TIFF as others write it, read in windows; and what cannot be read, in one line."""

import itertools
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from ram_tf.data.windows import TiffReader, TileCache, UnreadableImage, open_reader
from ram_tf.errors import InputError

tifffile = pytest.importorskip("tifffile", reason="needs the extra large")
pytest.importorskip("imagecodecs", reason="needs the extra large")


def picture(height=301, width=389):
    """A smooth picture in colour, which a lossy compression changes little."""
    y, x = np.mgrid[:height, :width]
    bands = 100 + 80 * np.sin(x / 40), 0.3 * y + 30, 120 + 50 * np.cos((x + y) / 60)
    return np.stack(bands, axis=-1).astype(np.uint8)


def halved(image):
    height, width = (side // 2 * 2 for side in image.shape[:2])
    boxes = image[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    return np.rint(boxes.mean(axis=(1, 3))).astype(np.uint8)


def whole(reader, level=0):
    return reader.read(level, 0, 0, *reader.levels[level][:2]).astype(int)


def sizes(reader):
    return [level[:2] for level in reader.levels]


@pytest.fixture(scope="module")
def vips():
    return pytest.importorskip("pyvips", reason="needs pyvips")


@pytest.mark.parametrize(
    ("options", "close"),
    [
        ({"compression": "jpeg", "Q": 95}, 1),  # RGB in JPEG.
        ({"compression": "jpeg", "Q": 80}, 3),  # YCbCr in JPEG, of half the colours.
        ({"compression": "deflate", "predictor": "horizontal", "bigtiff": True}, 0),
        ({"compression": "deflate", "subifd": True}, 0),
        ({"compression": "lzw"}, 0),
        ({"compression": "none"}, 0),
    ],
)
def test_pyramids_of_libvips_are_read(tmp_path, vips, options, close):
    image, path = picture(), str(tmp_path / "a.tif")
    vips.Image.new_from_array(image).tiffsave(
        path, tile=True, pyramid=True, tile_width=64, tile_height=64, **options
    )
    reader = open_reader(path)
    assert sizes(reader)[:3] == [(301, 389), (150, 194), (75, 97)]
    assert [level.downsample for level in reader.levels[:3]] == [1, 2, 4]
    assert reader.channels == 3
    assert np.abs(whole(reader) - image).mean() <= close
    # It rounds each row's average, then each column's.
    assert np.abs(whole(reader, 1) - halved(image)).mean() <= close + 1
    cut = reader.read(1, 60, -3, 8, 70)
    assert np.array_equal(cut[:, 3:], whole(reader, 1)[60:68, :67])
    assert not cut[:, :3].any()


def write_pyramid(path, *images, **options):
    """Levels in sub-IFDs, as OME has them, by tifffile."""
    with tifffile.TiffWriter(path, ome=path.name.endswith(".ome.tif")) as file:
        options = {"tile": (64, 64), "photometric": "rgb", **options}
        metadata = {
            "axes": "YXS"[: images[0].ndim],
            "PhysicalSizeX": 0.25,
            "PhysicalSizeXUnit": "µm",
        }
        file.write(images[0], subifds=len(images) - 1, metadata=metadata, **options)
        for image in images[1:]:
            file.write(image, subfiletype=1, metadata=None, **options)


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [(0.25, "µm", 0.25), (500, "nm", 0.5), (0.5, "\u03bcm", 0.5), (1, "pixel", None)],
)
def test_ome_says_micrometres_in_several_units(tmp_path, size, unit, expected):
    metadata = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeXUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", RGB, photometric="rgb", metadata=metadata)
    assert open_reader(tmp_path / "a.ome.tif").micrometres == expected


def test_levels_in_sub_ifds_of_ome_are_read(tmp_path):
    images = [picture()]
    images += [halved(images[0])]
    images += [halved(images[1])]
    write_pyramid(tmp_path / "a.ome.tif", *images, compression="deflate")
    reader = open_reader(tmp_path / "a.ome.tif")
    assert sizes(reader) == [(301, 389), (150, 194), (75, 97)]
    assert reader.micrometres == 0.25 and not reader.notes
    for level, image in enumerate(images):
        assert np.array_equal(whole(reader, level), image)


def write_slide(path, *levels):
    """As scanners do: level 0, a thumbnail in strips, levels, a label."""
    with tifffile.TiffWriter(path) as file:
        options = {"photometric": "rgb", "metadata": None, "compression": "jpeg"}
        text = "Aperio Image Library v1\n389x301 |AppMag = 20|MPP = 0.499"
        file.write(levels[0], tile=(112, 112), description=text, **options)
        file.write(levels[0][::4, ::4], **options)
        for level in levels[1:]:
            file.write(level, tile=(112, 112), **options)
        file.write(levels[0][:100, :90], description="label 9 x 9", **options)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_a_slides_levels_are_found_in_any_order(tmp_path, order):
    images = [picture()]
    images += [halved(images[0])]
    images += [halved(images[1])]
    write_slide(tmp_path / "a.svs", *(images[n] for n in order))
    reader = open_reader(tmp_path / "a.svs")
    assert sizes(reader) == [(301, 389), (150, 194), (75, 97)]
    for level, image in enumerate(images):
        assert np.abs(whole(reader, level) - image).mean() <= 3
    if order[0] == 0:
        assert reader.micrometres == 0.499


@pytest.mark.parametrize("missing", [1, 2])
def test_a_level_that_is_missing_is_done_without(tmp_path, missing):
    images = [picture()]
    images += [halved(images[0])]
    images += [halved(images[1])]
    del images[missing]
    write_slide(tmp_path / "a.svs", *images)
    assert sizes(open_reader(tmp_path / "a.svs")) == [i.shape[:2] for i in images]


RGB, GREY = picture(70, 90), picture(70, 90)[..., 0]
ALPHA = np.full((70, 90, 1), 51, np.uint8)


@pytest.mark.parametrize(
    ("written", "options", "expected"),
    [
        (GREY, {"photometric": "minisblack"}, GREY[..., None]),
        (255 - GREY, {"photometric": "miniswhite"}, GREY[..., None]),
        (
            np.moveaxis(RGB, 2, 0),
            {"photometric": "rgb", "planarconfig": "separate"},
            RGB,
        ),
        (GREY.astype(np.uint16) * 257, {"photometric": "minisblack"}, GREY[..., None]),
        (RGB.astype(np.uint16) * 257, {"photometric": "rgb"}, RGB),
        (
            GREY,
            {
                "photometric": "palette",
                "colormap": np.arange(3 * 256).reshape(3, 256).astype(np.uint16) * 85,
            },
            (np.arange(3 * 256).reshape(3, 256) * 85 >> 8).T[GREY],
        ),
        (  # A fifth of the colour is left of what is laid on white.
            np.concatenate([RGB, ALPHA], axis=2),
            {"photometric": "rgb", "extrasamples": ["unassalpha"]},
            np.rint(RGB * 0.2 + 255 * 0.8),
        ),
    ],
    ids=["grey", "white is 0", "planes", "16 bits", "16 bits x 3", "palette", "alpha"],
)
def test_every_kind_of_pixels_becomes_bytes(tmp_path, written, options, expected):
    tifffile.imwrite(tmp_path / "a.tif", written, tile=(32, 48), **options)
    reader = open_reader(tmp_path / "a.tif")
    assert reader.channels == expected.shape[2]
    assert np.abs(whole(reader) - expected).max() <= (
        1 if "extrasamples" in options else 0
    )


def test_strips_of_another_library_are_read(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert np.array_equal(whole(open_reader(tmp_path / "a.tif")), RGB)


def test_channels_and_ranges_are_those_that_are_asked_for(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", tile=(32, 32))
    grey = whole(TiffReader(tmp_path / "a.tif", channels=1))
    expected = np.asarray(Image.fromarray(RGB).convert("L"))
    assert np.array_equal(grey[..., 0], expected)
    deep = GREY.astype(np.uint16) * 4
    tifffile.imwrite(tmp_path / "b.tif", deep, photometric="minisblack", tile=(32, 32))
    scaled = whole(TiffReader(tmp_path / "b.tif", channels=3, value_range=(0, 1020)))
    assert np.array_equal(scaled, np.repeat(GREY[..., None], 3, axis=2))
    tifffile.imwrite(
        tmp_path / "c.tif", GREY / np.float32(255), photometric="minisblack"
    )
    scaled = whole(TiffReader(tmp_path / "c.tif", value_range=(0, 1)))
    assert np.array_equal(scaled[..., 0], GREY)


@pytest.mark.parametrize(
    ("unit", "resolution", "expected"),
    [("CENTIMETER", 20_000, 0.5), ("INCH", 50_800, 0.5), ("INCH", 72, None)],
)
def test_a_resolution_that_a_microscope_has_is_believed(
    tmp_path, unit, resolution, expected
):
    tifffile.imwrite(
        tmp_path / "a.tif",
        RGB,
        photometric="rgb",
        resolution=(resolution, resolution),
        resolutionunit=unit,
    )
    assert open_reader(tmp_path / "a.tif").micrometres == expected


def test_what_was_left_out_is_said(tmp_path):
    stack = np.stack([RGB] * 3)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb", tile=(32, 32))
    reader = open_reader(tmp_path / "a.tif")
    assert reader.notes == ["planes after the first left out"]
    assert np.array_equal(whole(reader), RGB)


@pytest.mark.parametrize(
    ("written", "options", "message"),
    [
        (RGB, {"photometric": "ycbcr"}, "YCbCr pixels that are no JPEG"),
        (
            np.concatenate([RGB, ALPHA], axis=2),
            {"photometric": "separated"},
            "of the kind .* with 4 samples: expected grey, RGB",
        ),
        (GREY / np.float32(9), {}, "values of 32 bits .* set `data.value_range`"),
        (GREY > 99, {}, "values of 1 bits"),
        (np.stack([GREY] * 16), {"volumetric": True, "tile": (16, 32, 32)}, "volumes"),
    ],
    ids=["ycbcr", "cmyk", "float", "bits", "volumes"],
)
def test_pixels_of_strange_kinds_are_refused_in_a_line(
    tmp_path, written, options, message
):
    tile = {"photometric": "minisblack", "tile": (32, 32), **options}
    tifffile.imwrite(tmp_path / "a.tif", written, **tile)
    with pytest.raises(UnreadableImage, match=f"a.tif' .*{message}") as caught:
        open_reader(tmp_path / "a.tif")
    assert "\n" not in str(caught.value)


@pytest.fixture
def slide(tmp_path):
    """A file whose tiles are 5 x 7, with its offsets and sizes."""
    path = tmp_path / "a.tif"
    options = {"photometric": "rgb", "tile": (64, 64), "compression": "deflate"}
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    tifffile.imwrite(path, noise, **options)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        return path, noise, page.dataoffsets, page.databytecounts


def read_all(path):
    return open_reader(path).read(0, 0, 0, 300, 400)


def change(path, offset, content):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_damaged_tile_is_named_and_the_others_are_read(slide):
    path, noise, offsets, counts = slide
    change(path, offsets[9], bytes(counts[9]))
    with pytest.raises(
        UnreadableImage, match=r"a.tif' at level 0, tile \(1, 2\), is damaged: "
    ) as caught:
        read_all(path)
    assert (caught.value.level, caught.value.tile) == (0, (1, 2))
    assert caught.value.path == str(path)
    assert np.array_equal(open_reader(path).read(0, 0, 0, 64, 400), noise[:64])


def test_a_file_that_is_cut_off_names_the_first_tile_that_is_not_there(slide):
    path, noise, offsets, counts = slide
    with open(path, "r+b") as file:
        file.truncate(offsets[20] + 100)
    message = rf"level 0, tile \(2, 6\), is cut off: 100 of {counts[20]} bytes"
    with pytest.raises(UnreadableImage, match=message):
        read_all(path)
    assert np.array_equal(open_reader(path).read(0, 0, 0, 64, 400), noise[:64])


@pytest.mark.parametrize("length", [5, 8, 9, 16, 100, 200])
def test_a_header_that_is_cut_off_is_one_line(slide, length):
    path = slide[0]
    with open(path, "r+b") as file:
        file.truncate(length)
    with pytest.raises(UnreadableImage, match="a.tif' ") as caught:
        read_all(path)
    assert "\n" not in str(caught.value)


def test_random_damage_of_the_header_is_one_line_or_nothing(slide):
    """Whatever a byte becomes: an image is read, or the error is ours."""
    path = slide[0]
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for place, value in zip(rng.integers(0, 250, 60), rng.integers(0, 256, 60)):
        damaged = bytearray(content)
        damaged[place] = value
        path.write_bytes(damaged)
        try:
            reader = open_reader(path)
            reader.read(0, 0, 0, 32, 32)
        except UnreadableImage as error:
            assert "\n" not in str(error)


def test_tiles_that_were_never_written_are_black(slide):
    path, noise, _, counts = slide
    content = path.read_bytes()
    table = np.array(counts, "<u4").tobytes()
    place = content.index(table[:40])
    change(path, place, bytes(4 * len(counts) - 4))  # All but the last.
    pixels = read_all(path)
    assert not pixels[:256, :384].any() and np.array_equal(
        pixels[256:, 384:], noise[256:, 384:]
    )
    change(path, place, bytes(4 * len(counts)))
    with pytest.raises(
        UnreadableImage, match="says that level 0 has 300 x 400 pixels, and holds data"
    ):
        read_all(path)


def test_a_size_without_data_is_refused_before_anything_is_allocated(slide):
    """The width as it stands in the header becomes a billion."""
    path, *_ = slide
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        width, tile = (tags[name].offset + 8 for name in ("ImageWidth", "TileWidth"))
    change(path, width, (1_000_000_000).to_bytes(4, "little"))
    with pytest.raises(UnreadableImage, match="1000000000 pixels, in 78125000 tiles"):
        open_reader(path)
    change(path, tile, (999_999_984).to_bytes(4, "little"))
    with pytest.raises(UnreadableImage, match="each of which is decoded whole"):
        open_reader(path)


def test_a_file_that_changes_while_it_is_read_is_noticed(slide):
    path, *_ = slide
    reader = open_reader(path)
    reader.read(0, 0, 0, 10, 10)
    state = os.stat(path)
    change(path, 8, b"x")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    with pytest.raises(UnreadableImage, match=r"tile \(0, 1\), .* file changed since"):
        reader.read(0, 0, 100, 10, 10)
    path.unlink()
    with pytest.raises(
        UnreadableImage, match=r"tile \(0, 1\), cannot be read: .*No su"
    ):
        reader.read(0, 0, 100, 10, 10)


def test_a_compression_that_needs_imagecodecs_says_so(slide, monkeypatch):
    path, noise, *_ = slide
    tifffile.imwrite(path, noise, photometric="rgb", tile=(64, 64), compression="jpeg")
    codecs = tifffile.TIFF.DECOMPRESSORS

    class Without:
        def __getitem__(self, key):
            if key == 7:
                raise KeyError(f"{key} requires the 'imagecodecs' package")
            return codecs[key]

    monkeypatch.setattr(tifffile.TIFF, "DECOMPRESSORS", Without())
    with pytest.raises(
        UnreadableImage,
        match="requires the 'imagecodecs' package. It needs imagecodecs",
    ):
        open_reader(path)


def test_without_tifffile_the_extra_is_named(slide, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(InputError, match=r"pip install 'ram_tf\[large\]'"):
        open_reader(slide[0])


def test_tiles_are_counted_and_kept(slide):
    path, noise, _, counts = slide
    reader, cache = open_reader(path), TileCache(10**6)
    window = 10, 10, 100, 30  # Tiles (0, 0) and (1, 0).
    assert np.array_equal(reader.read(0, *window, cache=cache), noise[10:110, 10:40])
    assert cache.counts == (counts[0] + counts[7], 2, 0, 0)
    reader.read(0, *window, cache=cache)
    assert cache.counts == (counts[0] + counts[7], 2, 2, 0)
    assert cache.num_bytes == 2 * 64 * 64 * 3


def test_threads_read_the_same_as_one_after_the_other(slide):
    path, noise, *_ = slide
    reader, cache = open_reader(path), TileCache(100_000)
    places = list(itertools.product(range(0, 260, 20), range(0, 360, 20)))
    with ThreadPoolExecutor(8) as pool:
        read = pool.map(lambda place: reader.read(0, *place, 40, 40, cache), places)
        for (top, left), pixels in zip(places, read, strict=True):
            assert np.array_equal(pixels, noise[top : top + 40, left : left + 40])


def test_the_parser_keeps_quiet(slide, caplog):
    path, *_ = slide
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(32, 32))
    content = bytearray(path.read_bytes())
    content[8] = 5  # So many tags; those of the tiles come later.
    path.write_bytes(content)
    with pytest.raises(UnreadableImage):
        open_reader(path)
    assert not caplog.records
