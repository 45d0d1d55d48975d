"""Folders and archives as people make them, and what is said about them."""

import functools
import shutil
import sys
import types

import pytest
from PIL import Image, ImageFile

from ram_tf.data import Measured, find_images, load
from ram_tf.data.recognition import recognise
from ram_tf.errors import InputError
from tests.data.awkward import (
    AWKWARD,
    NUM_EACH,
    REFUSED,
    classes,
    picture,
    values_of,
    write,
)

SPLITS = ("train", "validation", "test")


def values(data, split):
    split = getattr(data, split)
    names = [data.class_names[label] for label in split.labels]
    return list(zip(split.images[:, 0, 0, 0].tolist(), names))


@pytest.mark.parametrize("name", AWKWARD)
def test_what_people_make_is_read_right(name, tmp_path):
    case = AWKWARD[name]
    data = load("folder", case.make(tmp_path))
    found = {split: values(data, split) for split in SPLITS}
    assert data.class_names == case.class_names
    if "test" in case.values:
        assert sorted(found["test"]) == sorted(case.values["test"])
        found["train"] += found["validation"]
        assert sorted(found["train"]) == sorted(case.values["train"])
    else:
        everything = found["train"] + found["validation"] + found["test"]
        # Grey in a JPEG is a little off.
        assert sorted(everything) == sorted(case.values["all"])
    said = "\n".join(data.notes)
    for note in case.notes:
        assert note in said


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_is_refused_with_what_was_seen(name, tmp_path):
    make, message = REFUSED[name]
    path = make(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        load("folder", path)
    assert "\n" not in str(caught.value)


def test_the_first_note_names_splits_sizes_and_classes(tmp_path):
    files = classes("Training/") | classes("Testing/", 100)
    data = load("folder", write(tmp_path, files))
    size = len(data.validation)
    assert data.notes[0] == (
        f"{tmp_path}: 2 classes (cat, dog); pictures: train {8 - size} (Training/), "
        f"validation {size}, test 8 (Testing/)"
    )


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path, monkeypatch):
    write(tmp_path, classes())

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        load("folder", tmp_path)


def test_the_same_picture_in_two_splits_is_counted(tmp_path):
    files = classes("train/") | classes("test/", 100)
    files |= {"test/cat/again.png": 1, "test/dog/other.png": 22}
    warning = load("folder", write(tmp_path, files)).notes[-1]
    assert warning.startswith("warning: 2 pictures are in several splits")
    assert "test test/cat/again.png" in warning and "train/dog/2.png" in warning
    for name in ("cat/again.png", "dog/other.png"):
        (tmp_path / "test" / name).unlink()
    assert not any("warning" in note for note in load("folder", tmp_path).notes)


def test_every_file_is_read_once(tmp_path, monkeypatch):
    write(tmp_path, classes("train/") | classes("test/"))
    opened = []
    real_open = open

    def watch(path, *args, **kwargs):
        if str(path).endswith(".png"):
            opened.append(str(path))
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr("builtins.open", watch)
    load("folder", tmp_path, image_size=4)
    assert len(opened) == len(set(opened)) == 4 * NUM_EACH


# Fingerprints


def test_the_rule_of_the_splits_is_in_the_fingerprint(tmp_path):
    assert load("folder", write(tmp_path, classes())).fingerprint.endswith(
        ", splits by path"
    )


def test_a_fingerprint_is_the_same_wherever_the_pictures_lie(tmp_path):
    first = load("folder", write(tmp_path / "a", classes())).fingerprint
    assert load("folder", write(tmp_path / "b", classes("c/d/"))).fingerprint == first
    write(tmp_path / "a", {"cat/more.png": 1})
    assert load("folder", tmp_path / "a").fingerprint != first


# To measure a trained model


def measure(path, split=None, names=("cat", "dog", "wasp"), fingerprint=None):
    data = load("folder", path, measured=Measured(names, fingerprint, split))
    return data, sorted(values(data, "test"))


def test_another_folder_is_measured_whole_by_the_model_s_labels(tmp_path):
    files = classes(names=("dog", "wasp"))
    data, found = measure(write(tmp_path, files))
    assert data.class_names == ("cat", "dog", "wasp") and data.measured == "all"
    assert found == sorted(values_of(files))
    assert "2 classes (dog, wasp); pictures: all 8" in data.notes[0]
    assert data.eval_size("all") == 8


def test_one_class_alone_can_be_measured(tmp_path):
    files = classes(names=("dog",))
    assert measure(write(tmp_path, files))[1] == sorted(values_of(files))


def test_the_run_s_own_data_are_measured_on_their_test_split(tmp_path):
    trained = load("folder", write(tmp_path, classes()))
    names, fingerprint = trained.class_names, trained.fingerprint
    data, found = measure(tmp_path, None, names, fingerprint)
    assert found == sorted(values(trained, "test")) and data.measured == "test"
    for split in ("test", "validation"):
        data, found = measure(tmp_path, split, names)
        assert found == sorted(values(trained, split)) and data.measured == split
    assert len(measure(tmp_path, "all", names, fingerprint)[1]) == 8


@pytest.mark.parametrize("with_training", [False, True])
def test_a_test_folder_is_what_is_measured(tmp_path, with_training):
    files = classes("TEST/", 100)
    write(tmp_path, files | (classes("train/") if with_training else {}))
    data, found = measure(tmp_path)
    assert found == sorted(values_of(files, 1)) and data.measured == "test"
    assert len(measure(tmp_path, "all")[1]) == 8 * (1 + with_training)


def test_what_is_not_there_to_be_measured_is_refused(tmp_path):
    write(tmp_path, classes("test/"))
    with pytest.raises(InputError, match="no validation split.*it holds test"):
        measure(tmp_path, "validation")
    with pytest.raises(InputError, match=r"does not know: cat. It knows dog, wasp"):
        measure(tmp_path, names=("dog", "wasp"))


# Prediction


def names_below(*paths, report=None):
    return [found.name for found in find_images(paths, report)]


def test_prediction_finds_what_training_does(tmp_path):
    for name in (
        "files of any name",
        "runs beside the classes",
        "links to folders and",
    ):
        name = next(full for full in AWKWARD if full.startswith(name))
        root = tmp_path / name
        root.mkdir()
        path = AWKWARD[name].make(root)
        assert len(find_images([path])) == len(AWKWARD[name].values["all"])


def test_a_picture_s_name_does_not_depend_on_how_its_folder_is_spelled(
    tmp_path, monkeypatch
):
    write(tmp_path / "a" / "b", {"1.png": 1, "c/2.png": 2})
    expected = ["1.png", "c/2.png"]
    monkeypatch.chdir(tmp_path)
    spellings = ("a/b", "a/b/", "./a/../a/b", tmp_path / "a" / "b")
    for path in spellings:
        assert names_below(path) == expected
    assert names_below("a/b/c/2.png", "a/b") == ["2.png", *expected]
    (found,) = find_images(["a/b/c"])
    assert found.path == "a/b/c/2.png"


def test_what_prediction_leaves_out_is_said(tmp_path):
    write(tmp_path, {"1.png": 1, "2.txt": b"", "a/3.heic": b""})
    lines = []
    assert names_below(tmp_path, report=lines.append) == ["1.png"]
    assert lines == [f"{tmp_path}: left out: 1 .heic (needs pillow-heif), 1 .txt"]
    (tmp_path / "1.png").unlink()
    with pytest.raises(InputError, match="no image in .*1 .heic .needs pillow-heif"):
        find_images([tmp_path])


def test_heic_is_read_where_its_package_is(tmp_path, monkeypatch):
    class Heic(ImageFile.ImageFile):
        format = "HEIC_OF_A_TEST"

        def _open(self):
            self._size, self._mode = (1, 1), "L"

    def register():
        Image.register_open(Heic.format, Heic, lambda start: start[4:8] == b"ftyp")

    package = types.ModuleType("pillow_heif")
    package.__spec__ = types.SimpleNamespace()
    package.register_heif_opener = register
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    from ram_tf.data import formats

    formats.add_heif.cache_clear()
    try:
        assert recognise("a.heic", functools.partial(open, path, "rb")) is None
    finally:
        formats.add_heif.cache_clear()


def test_formats_without_pixels_are_no_pictures(tmp_path):
    for name, content in {
        "a.h5": b"\x89HDF\r\n\x1a\n",
        "a.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "a.tga": b"no picture",
        "a.bin": bytes(range(256)),
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert recognise(name, functools.partial(open, path, "rb")) == ""


@pytest.mark.parametrize("kind", ["TGA", "PPM", "PCX", "ICO", "BMP", "TIFF", "WEBP"])
def test_other_formats_of_pillow_are_pictures(tmp_path, kind):
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(picture(7, kind))
    assert recognise(path.name, functools.partial(open, path, "rb")) is None
    if kind != "TGA":  # It has no signature: its ending must say so.
        assert recognise("a.dat", functools.partial(open, path, "rb")) is None


def test_splits_follow_the_path_and_not_what_the_folder_is_called(tmp_path):
    first = load("folder", write(tmp_path / "a", classes()))
    shutil.move(tmp_path / "a", tmp_path / "other")
    second = load("folder", tmp_path / "other")
    assert all(values(first, split) == values(second, split) for split in SPLITS)
