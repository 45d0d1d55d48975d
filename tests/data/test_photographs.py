"""cifar10, cifar100 and svhn from tiny archives in their official layouts."""

import io
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ram_tf.data import load
from ram_tf.data.transforms import ColorJitter, HorizontalFlip, RandomResizedCrop
from ram_tf.errors import InputError
from tests.data.conftest import multiset, register, untouched

CIFAR = "https://www.cs.toronto.edu/~kriz/"
SVHN = "http://ufldl.stanford.edu/housenumbers/"
FINE = [f"fine {k}" for k in range(100)]
COARSE = [f"coarse {k}" for k in range(20)]
CIFAR10_NAMES = [f"class {k}" for k in range(10)]


def some_images(count, seed, num_classes):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return images, rng.integers(0, num_classes, count)


def rows(images, *labels):
    """Rows as in CIFAR's binary version: labels, then red, green and blue planes."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.column_stack([*labels, planes]).astype(np.uint8).tobytes()


def write_tar(path, contents):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_cifar10(folder):
    train, test = some_images(50, 0, 10), some_images(8, 1, 10)
    contents = {
        f"cifar-10-batches-bin/data_batch_{i + 1}.bin": rows(
            train[0][i::5], train[1][i::5]
        )
        for i in range(5)
    }
    contents["cifar-10-batches-bin/test_batch.bin"] = rows(*test)
    names = "\n".join(CIFAR10_NAMES).encode()
    contents["cifar-10-batches-bin/batches.meta.txt"] = names + b"\n\n"
    write_tar(folder / "cifar-10-binary.tar.gz", contents)
    return {"train": train, "test": test}


def write_cifar100(folder):
    train, test = some_images(40, 0, 100), some_images(10, 1, 100)
    write_tar(
        folder / "cifar-100-binary.tar.gz",
        {
            f"cifar-100-binary/{split}.bin": rows(images, fine % 20, fine)
            for split, (images, fine) in (("train", train), ("test", test))
        }
        | {
            "cifar-100-binary/fine_label_names.txt": "\n".join(FINE).encode(),
            "cifar-100-binary/coarse_label_names.txt": "\n".join(COARSE).encode(),
        },
    )
    return {"train": train, "test": test}


def write_svhn(folder):
    from scipy.io import savemat

    parts = {}
    for seed, (split, count) in enumerate(
        {"train": 12, "extra": 20, "test": 6}.items()
    ):
        images, labels = parts[split] = some_images(count, seed, 10)
        ten_for_zero = np.where(labels == 0, 10, labels).astype(np.uint8)
        savemat(
            folder / f"{split}_32x32.mat",
            {"X": images.transpose(1, 2, 3, 0), "y": ten_for_zero[:, None]},
        )
    train = [np.concatenate(both) for both in zip(parts["train"], parts["extra"])]
    return {"train": train, "test": parts["test"]}


SETS = {
    "cifar10": (write_cifar10, "cifar10", f"{CIFAR}cifar-10-binary", CIFAR10_NAMES),
    "cifar100": (write_cifar100, "cifar100", f"{CIFAR}cifar-100-binary", FINE),
    "svhn": (write_svhn, "svhn_cropped", SVHN, list("0123456789")),
}


@pytest.fixture
def archives(tmp_path, cache, offline, monkeypatch):
    """Returns a function that writes a data set's archives: folder, the images."""

    def write(name):
        folder = tmp_path / name
        folder.mkdir()
        write_set, tfds_name, prefix, _ = SETS[name]
        expected = write_set(folder)
        register(monkeypatch, tfds.builder_cls(tfds_name), folder, prefix)
        return folder, expected

    return write


@pytest.mark.parametrize("name", SETS)
def test_archives(archives, name):
    folder, expected = archives(name)
    with untouched(folder):
        data = load(name, folder, validation_fraction=0.2)
    assert data.name == name and data.image_shape == (32, 32, 3)
    assert data.class_names == tuple(SETS[name][-1])
    images = np.concatenate([data.train.images, data.validation.images])
    labels = np.concatenate([data.train.labels, data.validation.labels])
    assert len(data.validation) == round(0.2 * len(images))
    assert multiset(images, labels) == multiset(*expected["train"])
    assert multiset(data.test.images, data.test.labels) == multiset(*expected["test"])
    assert bool(data.train.transforms) == (name != "svhn")


def test_augmentation_is_for_training_alone(archives):
    folder, expected = archives("cifar10")
    data = load("cifar10", folder)
    plain = load("cifar10", folder, augment=False)
    for split in ("validation", "test"):
        chosen = getattr(data, split)
        (images, labels, _), *_ = data.eval_batches(split, len(chosen))
        assert np.array_equal(images, chosen.images)
        assert np.array_equal(labels, getattr(plain, split).labels)
    originals = multiset(*expected["train"])
    first, second = (
        [images.numpy() for images, _ in data.train_batches(15, seed=0, num_steps=6)]
        for _ in range(2)
    )
    assert np.array_equal(first, second)
    augmented = np.concatenate(first)
    assert augmented.dtype == np.uint8 and augmented.shape == (90, 32, 32, 3)
    assert len({image.tobytes() for image in augmented}) == 90  # anew each epoch
    assert not {image.tobytes() for image in augmented} & {i for i, _ in originals}
    for images, labels in plain.train_batches(15, seed=0, num_steps=3):
        assert set(multiset(images.numpy(), labels)) <= set(originals)


def test_svhn_can_be_augmented(archives):
    folder, _ = archives("svhn")
    assert load("svhn", folder, augment=True).train.transforms


def test_augmentations_are_chosen_by_name(archives):
    folder, expected = archives("cifar10")
    data = load("cifar10", folder, augment=["flip"])
    assert data.train.transforms == (HorizontalFlip(),)
    both = load("cifar10", folder, augment=("color", "crop")).train.transforms
    assert both == (RandomResizedCrop(), ColorJitter())  # In the order of `True`.
    assert load("cifar10", folder, augment=()).train.transforms == ()
    for wrong in ("flip", ("flip", "blur"), None):
        with pytest.raises(InputError, match=r"`data\.augment` must be .* Received"):
            load("cifar10", folder, augment=wrong)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("cifar10", [f"{CIFAR}cifar-10-binary.tar.gz"]),
        ("cifar100", [f"{CIFAR}cifar-100-binary.tar.gz"]),
        ("svhn", [f"{SVHN}{part}_32x32.mat" for part in ("train", "extra", "test")]),
        (
            "cinic10",
            ["https://datashare.ed.ac.uk/bitstream/handle/10283/3192/CINIC-10.tar.gz"],
        ),
        ("tinyimagenet", ["http://cs231n.stanford.edu/tiny-imagenet-200.zip"]),
    ],
)
@pytest.mark.parametrize("given", [True, False])
def test_missing_and_offline(tmp_path, cache, offline, name, files, given):
    with pytest.raises(InputError) as caught:
        load(name, tmp_path if given else None)
    message = str(caught.value)
    assert "\n" not in message and "no network in this test" in message
    for url in files:
        assert f"{url.rsplit('/', 1)[-1]} from {url}" in message
    assert (f"into '{tmp_path}'" in message) == given


@pytest.mark.slow
def test_real_subset_of_cifar100(real_data, tmp_path, cache, offline, monkeypatch):
    with tarfile.open(next(real_data("cifar100").glob("*.tar.xz"))) as archive:
        contents = {
            member.name: archive.extractfile(member).read()
            for member in archive
            if member.isfile()
        }
    write_tar(tmp_path / "cifar-100-binary.tar.gz", contents)
    prefix = SETS["cifar100"][2]
    register(monkeypatch, tfds.builder_cls("cifar100"), tmp_path, prefix)
    data = load("cifar100", tmp_path)
    names = contents["cifar-100-binary/fine_label_names.txt"].decode().split()
    assert data.class_names == tuple(names)
    raw = np.frombuffer(contents["cifar-100-binary/test.bin"], np.uint8)
    raw = raw.reshape(-1, 3074)
    images = raw[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    expected = multiset(images, raw[:, 1])
    assert multiset(data.test.images, data.test.labels) == expected
    assert len(data.train) == 1350 and len(data.validation) == 150
