"""Any data set of TensorFlow Datasets: small ones, prepared by builders made here."""

import io

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from ram_tf.data import load, tfds_source
from ram_tf.errors import InputError
from tests.data.conftest import multiset, untouched

COUNTS = {"train": 40, "test": 10}
CLASSES = ("acorn", "beech", "cedar")

pytestmark = pytest.mark.usefixtures("cache", "offline")


def builder(name, features, make_example, supervised_keys=None):
    """A builder class of `COUNTS` examples, with images from `make_example`."""

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features),
                supervised_keys=supervised_keys,
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in COUNTS}

        def _generate_examples(self, split):
            rng = np.random.default_rng(len(split))
            for i in range(COUNTS[split]):
                yield i, make_example(i, rng)

    Builder.name = name
    Builder.pkg_dir_path = None
    return Builder


def leaf(i, rng, sizes=((20, 30),), channels=3):
    height, width = sizes[i % len(sizes)]
    return {
        "picture": rng.integers(0, 256, (height, width, channels), dtype=np.uint8),
        "tree": CLASSES[i % 3],
    }


def prepare(folder, name, features, make_example, **options):
    """Prepares a data set below a folder, as a person with a builder would."""
    made = builder(name, features, make_example, **options)(data_dir=folder)
    made.download_and_prepare()
    return folder


def features(shape=(20, 30, 3)):
    return {
        "picture": tfds.features.Image(shape=shape, encoding_format="png"),
        "tree": tfds.features.ClassLabel(names=CLASSES),
    }


@pytest.fixture
def leaves(tmp_path):
    return prepare(tmp_path / "data", "leaves", features(), leaf)


@pytest.fixture
def uneven(tmp_path):
    sizes = (20, 30), (41, 22), (16, 16)
    return prepare(
        tmp_path / "data",
        "leaves",
        features((None, None, 3)),
        lambda i, rng: leaf(i, rng, sizes),
    )


def made(split):
    rng = np.random.default_rng(len(split))
    return [leaf(i, rng) for i in range(COUNTS[split])]


def test_a_set_is_read_by_its_name_alone(leaves):
    with untouched(leaves):
        data = load("tfds", leaves, tfds_name="leaves", validation_fraction=0.25)
    assert (data.name, data.class_names) == ("leaves", CLASSES)
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 10, 10)
    assert data.image_shape == (20, 30, 3) and not data.train.transforms
    expected = made("train")
    images = np.concatenate([data.train.images, data.validation.images])
    labels = np.concatenate([data.train.labels, data.validation.labels])
    assert multiset(images, labels) == multiset(
        [each["picture"] for each in expected],
        [CLASSES.index(each["tree"]) for each in expected],
    )


def test_parts_of_splits_are_apart_and_whole(leaves):
    data = load(
        "tfds",
        leaves,
        tfds_name="leaves",
        train_split="train[:50%]+train[90%:]",
        validation_split="train[50%:75%]",
        test_split="train[75%:90%]+test",
    )
    splits = data.train, data.validation, data.test
    assert [len(split) for split in splits] == [24, 10, 16]
    everything = [image.tobytes() for split in splits for image in split.images]
    expected = [each["picture"].tobytes() for each in made("train") + made("test")]
    assert sorted(everything) == sorted(expected)


def test_images_of_different_sizes_need_one(uneven):
    with pytest.raises(InputError, match="differ in size: set `data.image_size`"):
        load("tfds", uneven, tfds_name="leaves")
    data = load("tfds", uneven, tfds_name="leaves", image_size=(12, 18))
    again = load("tfds", uneven, tfds_name="leaves", image_size=(12, 18))
    assert data.image_shape == (12, 18, 3) and len(data.test) == 10
    np.testing.assert_array_equal(data.test.images, again.test.images)
    with pytest.raises(InputError, match="more than max_gigabytes"):
        load("tfds", uneven, tfds_name="leaves", image_size=99, max_gigabytes=1e-6)


def test_a_wrong_name_lists_what_is_there(leaves):
    with pytest.raises(InputError, match="prepared in '.*data', which has leaves: "):
        load("tfds", leaves, tfds_name="leafs")
    with pytest.raises(InputError, match="prepared in '.*default', which has nothing"):
        load("tfds", None, tfds_name="leafs")


def test_a_set_of_ones_own_is_found_in_the_librarys_folder(tmp_path):
    prepare(tmp_path / "default", "leaves", features(), leaf)
    assert load("tfds", None, tfds_name="leaves").class_names == CLASSES


@pytest.mark.parametrize("error", [PermissionError(13, "no"), "exhausted"])
def test_what_is_not_the_fault_of_the_data_is_not_called_damage(
    leaves, monkeypatch, error
):
    if error == "exhausted":
        error = tf.errors.ResourceExhaustedError(None, None, "out of memory")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(tfds_source, "read_split", fail)
    with pytest.raises(type(error)):
        load("tfds", leaves, tfds_name="leaves")


def test_images_are_cropped_and_resized_as_files_are(uneven, tmp_path):
    """As those of the `folder` source, and those of prediction."""
    data = load("tfds", uneven, tfds_name="leaves", image_size=14, channels=1, seed=1)
    rng = np.random.default_rng(len("test"))
    sizes = (20, 30), (41, 22), (16, 16)
    examples = [leaf(i, rng, sizes) for i in range(COUNTS["test"])]
    for i, example in enumerate(examples):
        for split in ("train", "test"):
            path = tmp_path / "files" / split / example["tree"] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(example["picture"]).save(path)
    files = load("folder", tmp_path / "files", image_size=14, channels=1)
    assert multiset(data.test.images, data.test.labels) == multiset(
        files.test.images, files.test.labels
    )


def jpeg(i, rng):
    content = io.BytesIO()
    Image.fromarray(leaf(i, rng)["picture"]).save(content, "JPEG")
    content.seek(0)
    return {"image": content, "label": i % 3, "kind": i % 2}


def test_of_several_labels_the_supervised_one_counts(tmp_path):
    both = {
        "image": tfds.features.Image(shape=(20, 30, 3), encoding_format="jpeg"),
        "kind": tfds.features.ClassLabel(num_classes=2),
        "label": tfds.features.ClassLabel(num_classes=3),
    }
    folder = tmp_path / "data"
    keys = {"supervised_keys": ("image", "label")}
    prepare(folder, "both", both, jpeg, **keys)
    data = load("tfds", folder, tfds_name="both", augment=("flip",))
    assert data.class_names == ("0", "1", "2") and len(data.train.transforms) == 1
    prepare(folder, "neither", both, jpeg)
    with pytest.raises(InputError, match=r"kind \(ClassLabel\), label \(Cl"):
        load("tfds", folder, tfds_name="neither")


def test_a_set_without_images_is_refused_with_its_features(tmp_path):
    folder = prepare(
        tmp_path / "data",
        "reviews",
        {
            "text": tfds.features.Text(),
            "label": tfds.features.ClassLabel(num_classes=2),
        },
        lambda i, rng: {"text": "good", "label": i % 2},
    )
    with pytest.raises(InputError, match=r"text \(Text\)") as caught:
        load("tfds", folder, tfds_name="reviews")
    assert "\n" not in str(caught.value)


def test_images_without_a_label_are_refused(tmp_path):
    folder = prepare(
        tmp_path / "data",
        "leaves",
        features(),
        lambda i, rng: leaf(i, rng) | {"tree": -1},
    )
    with pytest.raises(InputError, match="without a label in train"):
        load("tfds", folder, tfds_name="leaves")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "tfds_name` is not set"),
        ({"tfds_name": "nothing_of_this_name"}, "no data set 'nothing_of_this_name'"),
        ({"tfds_name": "mnist/large"}, "no data set 'mnist/large': expected mnist"),
        ({"tfds_name": "cifar10_corrupted"}, "cifar10_corrupted/brightness_1"),
        ({"tfds_name": "leaves", "test_split": "val"}, "no split 'val'.*train, test"),
        ({"tfds_name": "leaves", "test_split": "test[:x%]"}, "cannot read the split"),
        (
            {"tfds_name": "leaves", "test_split": "train[80%:]"},
            "'train' and 'train.80%:.' of leaves share images",
        ),
        ({"tfds_name": "leaves", "channels": 2}, "must be 1 or 3"),
        ({"tfds_name": "leaves", "image_size": "large"}, "data.image_size"),
        ({"tfds_name": "leaves", "augment": ("spin",)}, "data.augment"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(leaves, options, message):
    with pytest.raises(InputError, match=message) as caught:
        load("tfds", leaves, **options)
    assert "\n" not in str(caught.value)


def test_configurations_are_named(tmp_path):
    class Leaves(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = "leaves"
        pkg_dir_path = None
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = [
            tfds.core.BuilderConfig(name=name, version="1.0.0")
            for name in ("large", "small")
        ]

        def _info(self):
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features())
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in COUNTS}

        def _generate_examples(self, split):
            count = {"large": 6, "small": 3}[self.builder_config.name]
            for i in range(count):
                yield i, leaf(i, np.random.default_rng(i))

    for name in ("large", "small"):
        Leaves(data_dir=tmp_path, config=name).download_and_prepare()
    assert len(load("tfds", tmp_path, tfds_name="leaves/small").test) == 3
    assert len(load("tfds", tmp_path, tfds_name="leaves/large").test) == 6
    with pytest.raises(InputError, match="one of leaves/large, leaves/small"):
        load("tfds", tmp_path, tfds_name="leaves")
