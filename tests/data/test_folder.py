import io
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from ram_tf.data import load
from ram_tf.data.photographs import Photographs
from ram_tf.errors import InputError

SIZE = (6, 8)  # height, width
NUM_EACH = 5


def picture(value, size=SIZE, channels=3):
    """A picture whose red (or grey) channel tells which one it is."""
    pixels = np.full((*size, 3), 20, np.uint8)
    pixels[..., 0] = value
    return Image.fromarray(pixels if channels == 3 else pixels[..., 0])


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


@pytest.fixture
def tree(tmp_path):
    """Classes "ant" (values 100..104) and "bee" (200..204), with things to ignore."""
    root = tmp_path / "tree"
    for name, base in (("bee", 200), ("ant", 100)):
        for i in range(NUM_EACH):
            save(picture(base + i), root / name / f"{i}.{'PNG' if i else 'png'}")
    (root / "ant" / "notes.txt").write_text("not an image")
    (root / "ant" / "._0.png").write_bytes(b"not an image")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "0.png").write_bytes(b"not an image")
    (root / "README.md").write_text("not an image")
    return root


def values(split):
    return sorted(split.images[:, 0, 0, 0].tolist())


def everything(data):
    splits = (data.train, data.validation, data.test)
    return {
        (int(image[0, 0, 0]), int(label))
        for split in splits
        for image, label in zip(split.images, split.labels, strict=True)
    }


EXPECTED = {(base + i, k) for k, base in enumerate((100, 200)) for i in range(NUM_EACH)}


def as_tar(root, path, mode="w"):
    with tarfile.open(path, mode) as archive:
        archive.add(root, "wrapped/flowers")
    return path


def as_zip(root, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in root.rglob("*"):
            archive.write(file, file.relative_to(root))
        archive.writestr("__MACOSX/ant/0.png", b"not an image")
    return path


def test_folder_of_class_folders(tree):
    data = load("folder", tree)
    assert data.class_names == ("ant", "bee")
    assert data.image_shape == (*SIZE, 3)
    assert everything(data) == EXPECTED
    sizes = [len(data.train), len(data.validation), len(data.test)]
    assert sum(sizes) == 2 * NUM_EACH and min(sizes) > 0
    assert set(data.train.labels) == {0, 1}


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "zip"])
def test_archives_equal_the_folder(tree, tmp_path, kind):
    path = tmp_path / f"archive.{kind}"
    if kind == "zip":
        as_zip(tree, path)
    else:
        as_tar(tree, path, f"w:{kind[4:]}")
    before = sorted(tmp_path.rglob("*"))
    data, expected = load("folder", path), load("folder", tree)
    assert sorted(tmp_path.rglob("*")) == before  # nothing is extracted
    for split in ("train", "validation", "test"):
        received, wanted = getattr(data, split), getattr(expected, split)
        assert np.array_equal(received.images, wanted.images)
        assert np.array_equal(received.labels, wanted.labels)


def test_paths_that_climb_out_of_an_archive_do_no_harm(tree, tmp_path):
    path = tmp_path / "inner" / "archive.zip"
    path.parent.mkdir()
    content = (tree / "ant" / "0.png").read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../../ant/a.png", "../../ant/b.png", "/bee/a.png", "bee/b.png"):
            archive.writestr(name, content)
    before = sorted(tmp_path.rglob("*"))
    assert load("folder", path).class_names == ("ant", "bee")
    assert sorted(tmp_path.rglob("*")) == before


def divide(tmp_path, names):
    root = tmp_path / "divided"
    for index, name in enumerate(names):
        for label, kind in enumerate(("ant", "bee")):
            for i in range(4):
                value = 60 * index + 10 * label + i
                save(picture(value), root / name / kind / f"{i}.png")
    return root


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_divided_folder(tmp_path, name):
    data = load("folder", divide(tmp_path, ("train", "test", name)))
    offsets = [0, 1, 2, 3, 10, 11, 12, 13]
    assert values(data.train) == offsets
    assert values(data.test) == [60 + i for i in offsets]
    assert values(data.validation) == [120 + i for i in offsets]
    for split in (data.train, data.validation, data.test):
        assert np.array_equal(split.labels, split.images[:, 0, 0, 0] % 60 // 10)
    assert data.class_names == ("ant", "bee")


def test_divided_folder_without_validation_takes_it_from_training(tmp_path):
    data = load("folder", divide(tmp_path, ("train", "test")), validation_fraction=0.25)
    assert values(data.test) == [60, 61, 62, 63, 70, 71, 72, 73]
    assert len(data.validation) == 2 and len(data.train) == 6
    both = sorted(values(data.train) + values(data.validation))
    assert both == [0, 1, 2, 3, 10, 11, 12, 13]


def test_seeds_choose_validation_and_test(tree):
    first, second = (load("folder", tree, seed=seed) for seed in (0, 1))
    assert np.array_equal(first.test.images, second.test.images)
    tests = {tuple(values(load("folder", tree, split_seed=s).test)) for s in range(5)}
    validations = {
        tuple(values(load("folder", tree, seed=s).validation)) for s in range(9)
    }
    assert len(tests) > 1 and len(validations) > 1


def one_image(tmp_path, write, extension="png", **options):
    """Reads one image, written by `write(path)`, among plain ones."""
    root = tmp_path / "one"
    path = root / "only" / f"image.{extension}"
    path.parent.mkdir(parents=True)
    write(path)
    for i in range(3):
        save(picture(i), root / "other" / f"{i}.png")
    options = {"image_size": SIZE, **options}
    data = load("folder", root, **options)
    only = data.class_names.index("only")
    found = [
        image
        for split in (data.train, data.validation, data.test)
        for image in split.images[split.labels == only]
    ]
    assert len(found) == 1
    return found[0]


def test_exif_rotation(tmp_path):
    pixels = np.zeros((8, 6, 3), np.uint8)  # stored upright, to be shown lying
    pixels[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    image = one_image(
        tmp_path,
        lambda path: Image.fromarray(pixels).save(path, quality=100, exif=exif),
        "jpg",
    )
    assert image.shape == (6, 8, 3)
    assert image[:, :3].max() < 60 and image[:, 5:].min() > 195


def test_grey_and_colour(tmp_path):
    grey = one_image(tmp_path / "a", picture(77, channels=1).save)
    assert (grey == 77).all() and grey.shape == (*SIZE, 3)
    colour = picture(77)
    to_grey = one_image(tmp_path / "b", colour.save, channels=1)
    assert np.array_equal(to_grey[..., 0], np.asarray(colour.convert("L")))


def test_palette(tmp_path):
    image = one_image(tmp_path, picture(130).quantize(4).save)
    assert (image == [130, 20, 20]).all()


def test_first_picture_of_an_animation(tmp_path):
    def write(path):
        frames = [picture(200).quantize(4), picture(10).quantize(4)]
        frames[0].save(path, save_all=True, append_images=frames[1:])

    assert (one_image(tmp_path, write, "gif")[..., 0] == 200).all()


def test_cmyk(tmp_path):
    def write(path):
        Image.new("CMYK", SIZE[::-1], (0, 255, 255, 0)).save(path, quality=100)

    image = one_image(tmp_path, write, "jpg").astype(int)
    assert np.abs(image - [255, 0, 0]).max() < 20


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_sixteen_bits_are_scaled(tmp_path, dtype):
    def write(path):
        values = np.linspace(0, 65535, 48).reshape(SIZE).astype(dtype)
        Image.fromarray(values).save(path)

    image = one_image(tmp_path, write, "tif" if dtype == ">u2" else "png", channels=1)
    expected = np.rint(np.linspace(0, 255, 48).reshape(SIZE))
    assert np.abs(image[..., 0] - expected).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_white(tmp_path, mode):
    image = Image.new("RGBA", SIZE[::-1], (90, 90, 90, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 6))
    if mode == "P":
        image = Image.new("P", SIZE[::-1], 1)
        image.putpalette([0, 0, 0, 90, 90, 90])
        image.paste(0, (0, 0, 4, 6))
        image.info["transparency"] = 0
    else:
        image = image.convert(mode)
    result = one_image(tmp_path, image.save)
    assert (result[:, :4] == 255).all() and (result[:, 4:] == 90).all()


def test_resizing_crops_the_centre_to_the_ratio(tmp_path):
    pixels = np.full((40, 120, 3), 9, np.uint8)
    pixels[:, 40:80] = 222
    image = one_image(tmp_path, Image.fromarray(pixels).save, image_size=20)
    assert image.shape == (20, 20, 3) and (image == 222).all()


def test_resizing_is_antialiased(tmp_path):
    pixels = np.zeros((60, 80), np.uint8)
    pixels[::2] = 200
    image = one_image(tmp_path, Image.fromarray(pixels).save)
    assert np.abs(image.astype(int) - 100).max() < 12


def test_differing_sizes_name_two_images(tree):
    save(picture(1, (7, 8)), tree / "bee" / "tall.png")
    with pytest.raises(
        InputError, match=r"(?i)bee/\d.png' has 6 x 8.*tall.png' 7 x 8.*size"
    ):
        load("folder", tree)
    assert load("folder", tree, image_size=(4, 5)).image_shape == (4, 5, 3)


def test_broken_image_is_named(tree):
    good = (tree / "ant" / "1.PNG").read_bytes()
    (tree / "ant" / "cut.png").write_bytes(good[: len(good) // 2])
    with pytest.raises(InputError, match=r"'ant/cut.png' cannot be decoded") as caught:
        load("folder", tree)
    assert "\n" not in str(caught.value)


def test_text_that_calls_itself_an_image(tree):
    (tree / "ant" / "text.jpg").write_text("hello")
    with pytest.raises(InputError, match=r"'ant/text.jpg' cannot be decoded"):
        load("folder", tree)


def test_too_few_classes(tmp_path):
    with pytest.raises(InputError, match="0 classes"):
        load("folder", tmp_path)
    save(picture(1), tmp_path / "only" / "a.png")
    save(picture(1), tmp_path / "stray.png")
    with pytest.raises(InputError, match="1 classes"):
        load("folder", tmp_path)


@pytest.mark.parametrize("archived", [False, True])
def test_empty_class_folder(tree, tmp_path, archived):
    (tree / "wasp").mkdir()
    path = as_tar(tree, tmp_path / "a.tar") if archived else tree
    with pytest.raises(InputError, match="wasp' in .* holds no image"):
        load("folder", path)


def test_class_missing_from_training(tmp_path):
    root = divide(tmp_path, ("train", "test"))
    save(picture(1), root / "test" / "wasp" / "0.png")
    with pytest.raises(InputError, match="no training images of wasp"):
        load("folder", root)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_truncated_archive(tree, tmp_path, kind):
    path = tmp_path / f"archive.{kind}"
    as_zip(tree, path) if kind == "zip" else as_tar(tree, path, f"w:{kind[4:]}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="damaged|complete|read") as caught:
        load("folder", path)
    assert "\n" not in str(caught.value)


def test_zip_with_a_wrong_checksum_names_the_file(tree, tmp_path):
    path = as_zip(tree, tmp_path / "archive.zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 6] ^= 255  # stored, not compressed
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"(?i)\d.png' cannot be read"):
        load("folder", path)


def test_neither_folder_nor_archive(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load("folder", tmp_path / "nowhere")
    with pytest.raises(InputError, match="does not exist"):
        load("folder")
    (tmp_path / "file.tar").write_text("hello")
    with pytest.raises(InputError, match="neither a folder nor"):
        load("folder", tmp_path / "file.tar")


def test_memory_guard(tree):
    with pytest.raises(InputError, match=r"take 0.0012 GB.*data.image_size"):
        load("folder", tree, image_size=200, max_gigabytes=0.001)
    assert load("folder", tree, image_size=200, max_gigabytes=0.002)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, "data.channels"),
        ({"image_size": 0}, "data.image_size"),
        ({"test_fraction": 0}, "data.test_fraction"),
        ({"validation_fraction": 1}, "data.validation_fraction"),
    ],
)
def test_bad_options(tree, options, message):
    with pytest.raises(InputError, match=message):
        load("folder", tree, **options)


def test_real_archive_of_photographs(real_data):
    path = next(real_data("stanford_dogs").glob("*.tar"))
    data = load("folder", path, image_size=32)
    assert data.num_classes == 8 and data.image_shape == (32, 32, 3)
    assert len(data.train) + len(data.validation) + len(data.test) == 320
    with tarfile.open(path) as archive:
        member = next(m for m in archive if m.name.endswith(".jpg"))
        content = archive.extractfile(member).read()
    small = Image.open(io.BytesIO(content)).convert("RGB").resize((32, 32), 2)
    images = np.concatenate(
        [split.images for split in (data.train, data.validation, data.test)]
    )
    assert (images == np.asarray(small)).all((1, 2, 3)).sum() == 1


# Photographs of any sizes


@pytest.fixture
def photographs(tmp_path):
    """Classes of four pictures each, of different sizes, every pixel its own."""
    rng = np.random.default_rng(0)
    pixels = {}
    for name in ("ant", "bee"):
        for i, size in enumerate([(9, 14), (12, 8), (8, 8), (21, 8)]):
            value = rng.integers(0, 256, (*size, 3), np.uint8)
            path = save(Image.fromarray(value), tmp_path / name / f"{i}.png")
            pixels[path.parent.name, i] = value
    return tmp_path, pixels


def pictures_of(split, epoch=0, seed=0):
    images, labels = split.batch(np.arange(len(split)), seed, epoch)
    return images.numpy(), labels.numpy()


def squares(picture):
    """All largest squares of a picture."""
    height, width = picture.shape[:2]
    side = min(height, width)
    return [
        picture[row : row + side, column : column + side]
        for row in range(height - side + 1)
        for column in range(width - side + 1)
    ]


def test_squares_of_photographs_are_cut_as_numpy_cuts_them(photographs):
    root, pixels = photographs
    data = load("folder", root, square=8, num_folds=2)
    assert data.image_shape == (8, 8, 3)
    same_size = {k: p for k, p in pixels.items() if min(p.shape[:2]) == 8}
    for split in (data.test, data.validation):
        images, _ = pictures_of(split)
        centres = [squares(p)[(len(squares(p)) - 1) // 2] for p in same_size.values()]
        found = [any(np.array_equal(i, c) for c in centres) for i in images]
        # Those with a shorter side of 8 pixels are not resized at all.
        sizes = split.images.sizes.min(axis=1)
        assert found == (sizes == 8).tolist()


def test_training_cuts_at_random_places_anew_each_epoch(photographs):
    root, pixels = photographs
    train = load("folder", root, square=8, num_folds=4, flip=True).train
    tall = np.flatnonzero(train.images.sizes.max(axis=1) == 21)[0]
    (picture,) = [
        p
        for p in pixels.values()
        if np.array_equal(p.reshape(-1, 3), _pixels_of(train, tall))
    ]
    ways = squares(picture) + [square[:, ::-1] for square in squares(picture)]
    seen = set()
    for epoch in range(30):
        cut = pictures_of(train, epoch)[0][tall]
        (way,) = [i for i, square in enumerate(ways) if np.array_equal(square, cut)]
        seen.add(way)
        assert np.array_equal(cut, pictures_of(train, epoch)[0][tall])
    assert len(seen) > 8 and {way < 14 for way in seen} == {True, False}


def _pixels_of(split, index):
    ends = np.cumsum(split.images.sizes.prod(axis=1))
    return np.split(split.images.pixels, ends[:-1])[index]


def test_a_photograph_is_resized_as_pillow_resizes_it(photographs):
    root, pixels = photographs
    test = load("folder", root, square=5, num_folds=2).test
    images, _ = pictures_of(test)
    for index, image in enumerate(images):
        size = tuple(test.images.sizes[index])
        picture = _pixels_of(test, index).reshape(*size, 3)
        square = squares(picture)[(len(squares(picture)) - 1) // 2]
        expected = Image.fromarray(square).resize((5, 5), Image.BILINEAR)
        difference = np.abs(image.astype(int) - np.asarray(expected))
        assert difference.max() <= 1  # They round differently.


def test_folds_part_the_pictures_of_each_class(photographs):
    root, _ = photographs
    tests = []
    for fold in range(2):
        data = load("folder", root, square=8, num_folds=2, fold=fold)
        assert len(data.train) + len(data.validation) + len(data.test) == 8
        assert set(data.train.labels) == {0, 1}
        tests += [_pixels_of(data.test, i).tobytes() for i in range(len(data.test))]
    assert len(set(tests)) == len(tests) == 8


def test_folds_do_not_leave_out_a_test_split(photographs):
    root, _ = photographs
    (root / "train").mkdir()
    for name in ("ant", "bee"):
        shutil.copytree(root / name, root / "test" / name)
        (root / name).rename(root / "train" / name)
    assert load("folder", root, square=8)
    with pytest.raises(InputError, match="test split of its own"):
        load("folder", root, square=8, num_folds=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"square": 8, "image_size": 8}, "one of the two ways"),
        ({"square": 0}, "`data.square`.* Received: 0"),
        ({"square": 8, "smallest_square": 0.0}, "smallest_square"),
        ({"square": 8, "num_folds": 1}, "Received: num_folds=1, fold=0"),
        ({"square": 8, "num_folds": 3, "fold": 3}, "Received: num_folds=3, fold=3"),
        ({"square": 8, "num_folds": 5}, "cannot be divided"),
        ({"square": 8, "max_gigabytes": 1e-6}, "max_gigabytes"),
    ],
)
def test_options_of_photographs_are_checked(photographs, options, message):
    with pytest.raises(InputError, match=message):
        load("folder", photographs[0], **options)


def test_real_photographs_are_read_from_their_archive(real_data):
    (archive,) = real_data("stanford_dogs").glob("*.tar")
    data = load("folder", archive, square=64, num_folds=5)
    assert data.num_classes == 8
    count = len(data.test)
    assert len(data.train) + len(data.validation) == 320 - count
    assert abs(count - 64) < 30
    images, labels = pictures_of(data.test)
    assert images.shape == (count, 64, 64, 3) and images.std() > 20
    assert set(labels) == set(range(8))


def test_smaller_squares_are_cut_anywhere_in_training_alone():
    """The picture holds each pixel's own place, so that a cut says where it was."""
    height, width, side = 40, 60, 8
    row, column = np.mgrid[:height, :width]
    picture = np.stack([row, column, np.zeros_like(row)], axis=-1).astype(np.uint8)
    cuts = Photographs([picture], side, random=True, smallest=0.5)
    draws = np.random.default_rng(0).random((300, cuts.num_draws), "float32")
    found = cuts.gather(np.zeros(300, np.int64), draws).numpy().astype(float)
    steps = np.diff(found[..., 0].mean(axis=2), axis=1).mean(axis=1)
    sides = side * steps
    assert sides.min() > 19 and sides.max() < 41
    assert np.std(sides) > 4 and abs(np.mean(sides) - 30) < 2
    centres = found.mean(axis=(1, 2))[:, :2]
    room = np.array([[height, width]]) - sides[:, None]
    places = (centres + 0.5 - sides[:, None] / 2) / np.maximum(room, 1)
    wide = room.min(axis=1) > 5
    assert places[wide].min() > -0.15 and places[wide].max() < 1.15
    assert np.abs(places[wide].mean(axis=0) - 0.5).max() < 0.06
    assert places[wide].std(axis=0).min() > 0.25
