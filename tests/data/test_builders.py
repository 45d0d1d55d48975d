"""cinic10 and tinyimagenet from tiny archives and trees in their official layouts."""

import io
import os
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from ram_tf.data import load
from ram_tf.data.builders import Cinic10
from ram_tf.data.tfds_source import load_tfds
from ram_tf.errors import InputError
from tests.data.conftest import multiset, prepared_folders, untouched

CINIC_CLASSES = ("airplane", "cat", "truck")
# Not in alphabetical order: wnids.txt alone says which label is whose.
WNIDS = ("n03", "n01", "n02")
WORDS = {"n01": "goldfish, Carassius", "n02": "teapot", "n03": "lemon", "n04": "bus"}
# Neither sorted nor in the order of the files.
VAL_WNIDS = ("n02", "n03", "n03", "n01", "n02", "n01", "n03")

pytestmark = pytest.mark.usefixtures("cache")


def save(path, pixels):
    """Writes an image file and returns the pixels that any reader finds in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return np.asarray(Image.open(path).convert("RGB"))


def write_cinic10(root, each=3):
    rng = np.random.default_rng(0)
    expected = {}
    for split in ("train", "valid", "test"):
        for label, name in enumerate(CINIC_CLASSES):
            for i in range(each):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                path = root / split / name / f"{name}-{i}.png"
                expected.setdefault(split, []).append((save(path, pixels), label))
    (root / "README.md").write_text("CINIC-10")
    return expected


def write_tinyimagenet(root):
    rng = np.random.default_rng(0)

    def pixels(grey):
        return rng.integers(0, 256, (64, 64) if grey else (64, 64, 3), dtype=np.uint8)

    expected = {"train": [], "val": []}
    for label, wnid in enumerate(WNIDS):
        for i in range(4):
            path = root / "train" / wnid / "images" / f"{wnid}_{i}.JPEG"
            expected["train"].append((save(path, pixels(grey=i == 0)), label))
        boxes = "".join(f"{wnid}_{i}.JPEG\t0\t0\t63\t63\n" for i in range(4))
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(boxes)
    for i, wnid in enumerate(VAL_WNIDS):
        path = root / "val" / "images" / f"val_{i}.JPEG"
        expected["val"].append((save(path, pixels(grey=i == 2)), WNIDS.index(wnid)))
    annotations = [
        f"val_{i}.JPEG\t{wnid}\t0\t1\t62\t63" for i, wnid in enumerate(VAL_WNIDS)
    ]
    (root / "val" / "val_annotations.txt").write_text("\n".join(reversed(annotations)))
    for i in range(2):
        save(root / "test" / "images" / f"test_{i}.JPEG", pixels(grey=False))
    (root / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in WNIDS))
    words = "".join(f"{wnid}\t{name}\n" for wnid, name in WORDS.items())
    (root / "words.txt").write_text(words)
    return expected


WRITE = {"cinic10": write_cinic10, "tinyimagenet": write_tinyimagenet}
OFFICIAL = {"cinic10": "CINIC-10.tar.gz", "tinyimagenet": "tiny-imagenet-200.zip"}
TOP = {"cinic10": ".", "tinyimagenet": "tiny-imagenet-200"}  # in the official archive
SPLITS = {"cinic10": ("train", "valid", "test"), "tinyimagenet": ("train", "val")}
NAMES = {
    "cinic10": CINIC_CLASSES,
    "tinyimagenet": ("lemon", "goldfish, Carassius", "teapot"),
}


def pack(root, path, top):
    """Writes the tree into an archive, below the folder `top`."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(root.rglob("*")):
                archive.write(file, os.path.join(top, file.relative_to(root)))
    else:
        with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
            archive.add(root, top)


def place(name, form, tmp_path):
    """Writes a data set in one of its forms: the datapath, the images by split."""
    root, datapath = tmp_path / "tree", tmp_path / "data"
    expected = WRITE[name](root)
    if form == "tree":
        shutil.copytree(root, datapath)
    elif form == "tree inside":
        shutil.copytree(root, datapath / "unpacked")
    else:
        datapath.mkdir()
        filename = OFFICIAL[name] if form == "official" else f"part.{form}"
        pack(root, datapath / filename, TOP[name])
    return datapath, expected


def check(name, datapath, expected):
    arrays, class_names = load_tfds(name, datapath, SPLITS[name])
    assert class_names == NAMES[name]
    for split, examples in expected.items():
        images, labels = zip(*examples, strict=True)
        assert multiset(*arrays[split]) == multiset(images, labels)


@pytest.mark.parametrize("form", ["official", "tree", "tree inside", "tar", "zip"])
@pytest.mark.parametrize("name", WRITE)
def test_forms(name, form, tmp_path, offline):
    datapath, expected = place(name, form, tmp_path)
    with untouched(datapath):
        check(name, datapath, expected)


def test_cinic10_trains_on_train_and_valid(tmp_path):
    datapath, expected = place("cinic10", "official", tmp_path)
    data = load("cinic10", datapath, validation_fraction=1 / 3)
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 6, 9)
    images = np.concatenate([data.train.images, data.validation.images])
    labels = np.concatenate([data.train.labels, data.validation.labels])
    both = zip(*expected["train"], *expected["valid"], strict=True)
    assert multiset(images, labels) == multiset(*both)
    assert multiset(data.test.images, data.test.labels) == multiset(
        *zip(*expected["test"], strict=True)
    )
    assert data.train.transforms and not data.validation.transforms


def test_tinyimagenet_is_tested_on_val(tmp_path):
    datapath, expected = place("tinyimagenet", "official", tmp_path)
    data = load("tinyimagenet", datapath, validation_fraction=0.25, augment=False)
    assert (len(data.train), len(data.validation), len(data.test)) == (9, 3, 7)
    assert data.image_shape == (64, 64, 3) and data.num_classes == 3
    assert multiset(data.test.images, data.test.labels) == multiset(
        *zip(*expected["val"], strict=True)
    )
    assert not data.train.transforms


def test_classes_that_wnids_does_not_list_are_left_out(tmp_path):
    datapath, expected = place("tinyimagenet", "tree", tmp_path)
    (datapath / "wnids.txt").write_text("n03\nn01\n")
    arrays, class_names = load_tfds("tinyimagenet", datapath, ("train", "val"))
    assert class_names == NAMES["tinyimagenet"][:2]
    for split, examples in expected.items():
        chosen = [example for example in examples if example[1] < 2]
        assert multiset(*arrays[split]) == multiset(*zip(*chosen, strict=True))


def test_classes_that_share_a_name(tmp_path):
    datapath, _ = place("tinyimagenet", "tree", tmp_path)
    (datapath / "words.txt").write_text("n01\tcrane\nn02\tcrane\nn03\tlemon\n")
    _, class_names = load_tfds("tinyimagenet", datapath, ("val",))
    assert class_names == ("lemon (n03)", "crane (n01)", "crane (n02)")


def without_class(root):
    shutil.rmtree(root / "valid" / "cat")


def with_another_size(root):
    save(root / "test" / "cat" / "z.png", np.zeros((31, 32), np.uint8))


def with_a_broken_image(root):
    (root / "train" / "cat" / "z.png").write_bytes(b"no image")


def without_training_class(root):
    shutil.rmtree(root / "train" / "n01")


def without_annotations(root):
    (root / "val" / "val_annotations.txt").unlink()


def without_one_annotation(root):
    path = root / "val" / "val_annotations.txt"
    path.write_text("\n".join(path.read_text().splitlines()[1:]))


def with_a_cut_annotation(root):
    path = root / "val" / "val_annotations.txt"
    path.write_text(path.read_text().rsplit("n0", 1)[0])


def without_classes(root):
    (root / "wnids.txt").write_text("\n")


def without_annotated_image(root):
    (root / "val" / "images" / "val_3.JPEG").unlink()


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("cinic10", without_class, "no images in valid/cat"),
        ("cinic10", with_another_size, "z.png with 31 x 32 pixels"),
        ("cinic10", with_a_broken_image, "cat/z.png' cannot be decoded"),
        ("tinyimagenet", without_training_class, "no images in train/n01"),
        ("tinyimagenet", without_annotations, "no val/val_annotations.txt"),
        ("tinyimagenet", without_one_annotation, "val_6.JPEG only in one of"),
        ("tinyimagenet", with_a_cut_annotation, "a line 'val_0.JPEG' in val/val_ann"),
        ("tinyimagenet", without_classes, "no images in train/"),
        ("tinyimagenet", without_annotated_image, "val_3.JPEG only in one of"),
    ],
)
def test_spoilt_trees(name, spoil, message, tmp_path):
    datapath, _ = place(name, "tree", tmp_path)
    spoil(datapath)
    with pytest.raises(InputError, match=message) as caught:
        load_tfds(name, datapath, SPLITS[name])
    assert "\n" not in str(caught.value)
    assert not prepared_folders(tmp_path)


@pytest.mark.parametrize("name", WRITE)
def test_official_archive_cut_short(name, tmp_path):
    datapath, _ = place(name, "official", tmp_path)
    path = datapath / OFFICIAL[name]
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with pytest.raises(InputError, match=f"'{path}' is") as caught:
        load_tfds(name, datapath, SPLITS[name])
    assert "\n" not in str(caught.value)
    assert not prepared_folders(tmp_path)


def test_official_archive_is_downloaded(tmp_path, serve, monkeypatch):
    source, expected = place("cinic10", "official", tmp_path)
    url, served = serve(source)
    monkeypatch.setattr(Cinic10, "URL", f"{url}CINIC-10.tar.gz")
    datapath = tmp_path / "new"
    datapath.mkdir()
    check("cinic10", datapath, expected)
    assert set(served) == {"/CINIC-10.tar.gz"}
    requests = len(served)
    check("cinic10", datapath, expected)
    assert len(served) == requests


def test_archives_of_other_data_sets_are_passed_over(tmp_path, offline):
    datapath, expected = place("tinyimagenet", "zip", tmp_path)
    write_cinic10(tmp_path / "other")
    pack(tmp_path / "other", datapath / "a.tar", ".")
    check("tinyimagenet", datapath, expected)
    (datapath / "part.zip").unlink()
    with pytest.raises(InputError, match="tiny-imagenet-200.zip from http://cs231n"):
        load_tfds("tinyimagenet", datapath, ("train",))


def test_read_only_datapath_is_prepared_anew_for_another_archive(tmp_path, cache):
    datapath, expected = place("tinyimagenet", "official", tmp_path)
    for wnids in (WNIDS, WNIDS[:1]):
        (tmp_path / "tree" / "wnids.txt").write_text("\n".join(wnids))
        pack(tmp_path / "tree", datapath / OFFICIAL["tinyimagenet"], "top")
        datapath.chmod(0o555)
        try:
            for _ in range(2):
                arrays, names = load_tfds("tinyimagenet", datapath, ("val",))
                assert len(names) == len(wnids)
        finally:
            datapath.chmod(0o755)
    assert list(datapath.iterdir()) == [datapath / OFFICIAL["tinyimagenet"]]
    assert len(prepared_folders(cache)) == 2


def test_real_subset_of_tinyimagenet(real_data):
    path = next(real_data("tiny_imagenet").glob("*.tar"))
    data = load("tinyimagenet", path.parent, augment=False)
    with tarfile.open(path) as archive:
        contents = {
            member.name.split("/", 1)[1]: archive.extractfile(member).read()
            for member in archive
            if member.isfile()
        }
    wnids = contents["wnids.txt"].decode().split()
    words = dict(
        line.split("\t") for line in contents["words.txt"].decode().splitlines()
    )
    assert data.class_names == tuple(words[wnid] for wnid in wnids)

    def decode(name):
        return np.asarray(Image.open(io.BytesIO(contents[name])).convert("RGB"))

    train = [
        (decode(name), wnids.index(name.split("/")[1]))
        for name in contents
        if name.startswith("train/") and name.endswith(".JPEG")
    ]
    val = [
        (decode(f"val/images/{line.split()[0]}"), wnids.index(line.split()[1]))
        for line in contents["val/val_annotations.txt"].decode().splitlines()
    ]
    images = np.concatenate([data.train.images, data.validation.images])
    labels = np.concatenate([data.train.labels, data.validation.labels])
    assert len(data.train) == 900 and len(val) == 250
    assert multiset(images, labels) == multiset(*zip(*train, strict=True))
    assert multiset(data.test.images, data.test.labels) == multiset(
        *zip(*val, strict=True)
    )
