"""The open set: drawings made here, in the layout of the archives."""

import zipfile

import numpy as np
import pytest

from ram_tf.data import load
from ram_tf.errors import InputError
from tests.data.conftest import untouched
from tests.omniglot import ALPHABETS, write_omniglot


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    return write_omniglot(tmp_path_factory.mktemp("omniglot"))


def drawings_of(split):
    """Alphabet and drawer of each image, read from its dark row."""
    rows = split.images[:, 5::20, :60, 0] < 128  # Ink, black as in the files.
    alphabet = rows.any(axis=-1).argmax(axis=-1)
    drawer = rows.sum(axis=-1).max(axis=-1) - 1
    return zip(alphabet, drawer, split.labels)


def test_alphabets_are_known_shown_or_never_seen(archives):
    with untouched(archives):
        data = load("omniglot", archives, known_share=0.4)
    assert data.image_shape == (105, 105, 1)
    assert data.class_names[-1] == "unknown" and data.unknown_class == 2
    total = len(data.train) + len(data.validation) + len(data.test)
    assert total == 5 * 2 * 20  # The shared alphabet once.
    trained, tested = {}, {}
    for name in ("train", "validation", "test"):
        found = tested if name == "test" else trained
        for alphabet, drawer, label in drawings_of(getattr(data, name)):
            alphabet = ALPHABETS[alphabet]
            if label < 2:
                assert data.class_names[label] == alphabet
            else:
                assert alphabet not in data.class_names
            found.setdefault(alphabet, set()).add(drawer)
    known = set(data.class_names[:2])
    shown, hidden = set(trained) - known, set(tested) - known
    assert shown and hidden and not shown & hidden
    assert known < set(trained) and known < set(tested)
    for name in known:
        assert len(tested[name]) == 4  # Drawers that training never sees.
        assert not trained[name] & tested[name]


def test_the_division_depends_on_its_seed_alone(archives):
    one, two, other = (
        load("omniglot", archives, seed=seed, split_seed=split_seed, image_size=21)
        for seed, split_seed in ((0, 0), (5, 0), (0, 1))
    )
    assert one.class_names == two.class_names
    np.testing.assert_array_equal(one.test.images, two.test.images)
    assert one.class_names != other.class_names
    assert one.image_shape == (21, 21, 1)


def test_an_unpacked_archive_is_read(archives, tmp_path):
    for path in archives.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
    packed, unpacked = load("omniglot", archives), load("omniglot", tmp_path)
    assert packed.class_names == unpacked.class_names
    np.testing.assert_array_equal(packed.test.images, unpacked.test.images)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"known_share": 1.0}, "known_share"),
        ({"test_drawers": 20}, "test_drawers"),
    ],
)
def test_bad_options(archives, options, said):
    with pytest.raises(InputError, match=said):
        load("omniglot", archives, **options)


def test_a_folder_without_it_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no Omniglot"):
        load("omniglot", tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        load("omniglot", tmp_path / "none")


def test_too_few_alphabets_are_refused(archives, tmp_path):
    (path,) = archives.glob("*small1.zip")
    (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="3 alphabets"):
        load("omniglot", tmp_path)


@pytest.mark.slow
def test_the_real_archives_are_read(real_data):
    data = load("omniglot", real_data("omniglot"), image_size=(30, 30))
    assert len(data.class_names) == 5
    total = len(data.train) + len(data.validation) + len(data.test)
    assert total == 20 * 242  # Greek and Latin lie in both archives.
