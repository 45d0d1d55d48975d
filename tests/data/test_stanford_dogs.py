"""stanford_dogs from tiny archives in its official layout."""

import io
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from scipy.io import savemat

from ram_tf.data import load
from ram_tf.data.tfds_source import load_tfds
from tests.data.conftest import register, untouched

BREEDS = [f"n{k:08d}-Breed_{k}" for k in range(120)]
SIZES = [(30, 44), (52, 40), (36, 36)]
ANNOTATION = """<annotation><size><width>9</width><height>9</height></size>
<object><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>8</xmax><ymax>8</ymax></bndbox>
</object></annotation>"""


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def name_of(breed, number):
    return f"{BREEDS[breed]}/{BREEDS[breed].split('-')[0]}_{number}"


@pytest.fixture
def archives(tmp_path, cache, offline, monkeypatch):
    """Two photographs of each of four breeds; all 120 have a place in the lists."""
    folder = tmp_path / "archives"
    folder.mkdir()
    rng = np.random.default_rng(0)
    there = [(breed, number) for breed in (3, 50, 7, 119) for number in (0, 1)]
    with tarfile.open(folder / "images.tar", "w") as archive:
        for i, (breed, number) in enumerate(there):
            smooth = rng.integers(0, 256, (3, 4, 3), np.uint8)
            size = SIZES[i % 3]
            photograph = Image.fromarray(smooth).resize(size[::-1], Image.BILINEAR)
            content = io.BytesIO()
            photograph.save(content, "JPEG", quality=95)
            name = f"Images/{name_of(breed, number)}.jpg"
            add(archive, name, content.getvalue())
    with tarfile.open(folder / "annotation.tar", "w") as archive:
        for breed, number in there:
            name = f"Annotation/{name_of(breed, number)}"
            add(archive, name, ANNOTATION.encode())
    with tarfile.open(folder / "lists.tar", "w") as archive:
        for split, number in (("train", 0), ("test", 1)):
            names = np.array([f"{name_of(b, number)}.jpg" for b in range(120)], object)
            content = io.BytesIO()
            savemat(content, {"file_list": names[:, None]})
            add(archive, f"{split}_list.mat", content.getvalue())
    builder = tfds.builder_cls("stanford_dogs")
    register(monkeypatch, builder, folder, "http://vision.stanford.edu/")
    return folder


def test_archives_of_photographs_are_read_offline(archives):
    with untouched(archives):
        arrays, class_names = load_tfds("stanford_dogs", archives)
    assert class_names == tuple(breed.lower() for breed in BREEDS)
    for split in ("train", "test"):
        photographs, labels = arrays[split]
        assert sorted(labels) == [3, 7, 50, 119]
        assert {photograph.shape[:2] for photograph in photographs} <= set(SIZES)
    data = load("stanford_dogs", archives, square=20, validation_fraction=0.25)
    assert (len(data.train), len(data.validation), len(data.test)) == (3, 1, 4)
    assert data.image_shape == (20, 20, 3) and data.num_classes == 120
    (images, labels, _), *_ = data.eval_batches("test", 4)
    assert images.shape == (4, 20, 20, 3) and sorted(labels.numpy()) == [3, 7, 50, 119]
    centre = np.asarray(images[0], float).mean((0, 1))
    whole = arrays["test"][0][0].mean((0, 1))
    assert np.abs(centre - whole).max() < 25  # Of 256: the same photograph.
