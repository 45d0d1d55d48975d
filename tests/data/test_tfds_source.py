import gzip
import hashlib
import json
import pathlib
import shutil
import socket
import struct
import threading

import numpy as np
import pytest

from ram_tf.data import load
from ram_tf.data.tfds_source import load_tfds
from ram_tf.errors import InputError
from tests.data.conftest import multiset, prepared_folders, register, untouched

NUM_TRAIN, NUM_TEST = 30, 10
COUNTS = {"train": NUM_TRAIN, "t10k": NUM_TEST}


def tiny_arrays(seed):
    rng = np.random.default_rng(seed)
    return {
        split: (
            rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8),
            rng.integers(0, 10, count),
        )
        for split, count in COUNTS.items()
    }


def write_archives(folder, seed=0):
    """Writes archives in MNIST's format, under its file names."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, (images, labels) in tiny_arrays(seed).items():
        header = struct.pack(">4i", 2051, len(images), 28, 28)
        content = {
            f"{split}-images-idx3-ubyte.gz": header + images.tobytes(),
            f"{split}-labels-idx1-ubyte.gz": struct.pack(">2i", 2049, len(labels))
            + labels.astype(np.uint8).tobytes(),
        }
        for name, raw in content.items():
            (folder / name).write_bytes(gzip.compress(raw, mtime=0))
    return folder


@pytest.fixture
def tiny(tmp_path, cache, monkeypatch):
    """A folder with tiny archives that TensorFlow Datasets takes for MNIST's."""
    from tensorflow_datasets.image_classification import mnist

    monkeypatch.setattr(mnist, "_TRAIN_EXAMPLES", NUM_TRAIN)
    monkeypatch.setattr(mnist, "_TEST_EXAMPLES", NUM_TEST)
    archives = write_archives(tmp_path / "archives")
    register(monkeypatch, mnist.MNIST, archives, mnist.MNIST.URL)
    return archives


def check_tiny(datapath, seed=0, name="mnist"):
    arrays, class_names = load_tfds(name, datapath)
    expected = tiny_arrays(seed)
    assert len(class_names) == 10
    assert multiset(*arrays["train"]) == multiset(*expected["train"])
    assert multiset(*arrays["test"]) == multiset(*expected["t10k"])


def prepared(cache):
    """The only prepared folder in the cache."""
    (folder,) = prepared_folders(cache)
    return pathlib.Path(folder)


def test_archives_are_prepared_once_without_a_network(tiny, offline, cache, capsys):
    with untouched(tiny):
        check_tiny(tiny)
    out, err = capsys.readouterr()
    assert out.startswith(f"preparing mnist from {tiny}") and out.count("\n") == 1
    assert "examples" not in err  # no progress bars
    with untouched(tiny):
        check_tiny(tiny)
    assert capsys.readouterr().out == ""
    assert prepared(cache).is_relative_to(cache / "ram_tf" / "mnist")


@pytest.mark.parametrize("inside", ["", "mnist", "mnist/3.0.1"])
def test_prepared_folder_is_read_as_it_is(tiny, offline, cache, tmp_path, inside):
    load_tfds("mnist", tiny)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(prepared(cache), elsewhere / "mnist" / "3.0.1")
    with untouched(elsewhere):
        check_tiny(elsewhere / inside)


def test_load_splits_off_validation_and_translates(tiny, offline):
    data = load("mnist", tiny, canvas=(40, 35), validation_fraction=0.2)
    assert data.image_shape == (40, 35, 1) and data.num_classes == 10
    assert (len(data.train), len(data.validation), len(data.test)) == (24, 6, 10)
    images = np.concatenate([data.train.images, data.validation.images])
    labels = np.concatenate([data.train.labels, data.validation.labels])
    assert multiset(images, labels) == multiset(*tiny_arrays(0)["train"])
    images, labels, _ = next(iter(data.eval_batches("test", 10)))
    total = images.numpy().sum((1, 2, 3), dtype=int)
    assert np.array_equal(total, data.test.images.sum((1, 2, 3), dtype=int))


def test_read_only_datapath_is_prepared_in_the_cache(tiny, offline, cache):
    tiny.chmod(0o555)
    try:
        with untouched(tiny):
            check_tiny(tiny)
            check_tiny(tiny)
    finally:
        tiny.chmod(0o755)
    assert list((cache / "ram_tf" / "mnist").rglob("dataset_info.json"))


def test_other_archives_of_the_same_names_are_not_mixed_up(
    tiny, offline, tmp_path, monkeypatch
):
    from tensorflow_datasets.image_classification import mnist

    fashion = write_archives(tmp_path / "fashion", seed=1)
    register(monkeypatch, mnist.FashionMNIST, fashion, mnist.FashionMNIST.URL)
    check_tiny(tiny)
    check_tiny(fashion, seed=1, name="fashion_mnist")
    check_tiny(tiny)
    with pytest.raises(InputError, match="'.*fashion/.*-ubyte.gz' is"):
        load_tfds("mnist", fashion)
    # The same name, other registered archives: prepared anew.
    register(monkeypatch, mnist.MNIST, fashion, mnist.MNIST.URL)
    check_tiny(fashion, seed=1)


def error_of(datapath, name="mnist"):
    with pytest.raises(InputError) as caught:
        load_tfds(name, datapath)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_truncated_archive(tiny, offline, cache):
    path = tiny / "t10k-images-idx3-ubyte.gz"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-100])
    message = error_of(tiny)
    assert f"'{path}' is cut short" in message
    assert f"{size - 100} bytes, expected {size}" in message
    assert not prepared_folders(tiny, cache)


def test_archive_with_another_checksum(tiny, offline, cache):
    path = tiny / "train-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    message = error_of(tiny)
    assert f"'{path}' is damaged" in message
    assert hashlib.sha256(content).hexdigest() in message
    assert not prepared_folders(tiny, cache)


@pytest.mark.parametrize("present", [0, 1, 3])
def test_missing_archives_offline_are_named_at_once(tiny, offline, cache, present):
    names = sorted(path.name for path in tiny.iterdir())
    for name in names[present:]:
        (tiny / name).unlink()
    message = error_of(tiny)
    assert f"{4 - present} of its 4 archives are missing" in message
    assert "no network in this test" in message
    for name in names:
        url = f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}"
        assert (f"{name} from {url}" in message) == (name in names[present:])
    assert not prepared_folders(tiny, cache)


def test_network_that_never_answers(tiny, cache, monkeypatch):
    released = threading.Event()

    def hang(*args, **kwargs):
        released.wait()
        raise OSError("too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    (tiny / "t10k-labels-idx1-ubyte.gz").unlink()
    message = error_of(tiny)  # returns while the other side still hangs
    released.set()
    assert "1 of its 4 archives" in message and "no answer within" in message


def test_without_datapath_offline(tiny, offline):
    assert "give its datapath" in error_of(None)


def test_datapath_that_does_not_exist(tmp_path):
    assert "is not a folder" in error_of(tmp_path / "nowhere")


@pytest.fixture
def server(tiny, monkeypatch, serve):
    """Serves the tiny archives on this machine, as if it were their source."""
    from tensorflow_datasets.image_classification import mnist

    url, served = serve(tiny)
    register(monkeypatch, mnist.MNIST, tiny, mnist.MNIST.URL, url)
    monkeypatch.setattr(mnist.MNIST, "URL", url)
    return served


def test_what_is_missing_is_downloaded(server, tiny, tmp_path):
    datapath = tmp_path / "new"
    datapath.mkdir()
    shutil.copy(tiny / "train-images-idx3-ubyte.gz", datapath)
    check_tiny(datapath)
    assert {path.rsplit("/", 1)[-1] for path in server} == {
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    }
    requests = len(server)
    with untouched(datapath):
        check_tiny(datapath)
    assert len(server) == requests
    assert [path.name for path in datapath.iterdir()] == ["train-images-idx3-ubyte.gz"]


def test_download_to_the_default_folder(server, tmp_path):
    check_tiny(None)
    assert prepared_folders(tmp_path / "default")


def test_damaged_download_leaves_nothing_prepared(server, tiny, tmp_path, cache):
    path = tiny / "t10k-images-idx3-ubyte.gz"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    datapath = tmp_path / "new"
    datapath.mkdir()
    assert "wrong checksum" in error_of(datapath)
    assert not prepared_folders(datapath, cache)
    path.write_bytes(content)
    check_tiny(datapath)


def test_interrupted_preparation_leaves_nothing_prepared(
    tiny, offline, cache, monkeypatch
):
    from tensorflow_datasets.image_classification import mnist

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mnist, "_extract_mnist_labels", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load_tfds("mnist", tiny)
    assert not prepared_folders(tiny, cache)
    check_tiny(tiny)


def test_folder_of_a_killed_preparation_is_not_taken_for_prepared(tiny, offline, cache):
    load_tfds("mnist", tiny)
    folder = prepared(cache)
    folder.rename(folder.with_name("incomplete.ABCDEF_3.0.1"))
    check_tiny(tiny)
    assert folder.is_dir()
    (folder / "dataset_info.json").unlink()
    assert f"'{folder}' is not a complete prepared data set" in error_of(tiny)


def test_damaged_prepared_folder(tiny, offline, cache):
    load_tfds("mnist", tiny)
    records = next(cache.rglob("mnist-train.tfrecord*"))
    content = records.read_bytes()
    for damaged in (content[:-7], content[: len(content) // 2], b""):
        records.write_bytes(damaged)
        assert "not a complete prepared data set" in error_of(tiny)
    records.unlink()
    assert "not a complete prepared data set" in error_of(tiny)
    records.write_bytes(content)
    check_tiny(tiny)
    info = records.parent / "features.json"
    info.unlink()
    assert "not a complete prepared data set" in error_of(tiny)


def test_prepared_folder_of_another_data_set_is_left_alone(
    tiny, offline, cache, tmp_path
):
    load_tfds("mnist", tiny)
    other = tmp_path / "other"
    (other / "mnist").mkdir(parents=True)
    prepared(cache).rename(other / "mnist" / "3.0.1")
    path = other / "mnist" / "3.0.1" / "dataset_info.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "name": "kmnist"}))
    assert "4 of its 4 archives are missing" in error_of(other / "mnist" / "3.0.1")


def test_real_archives_of_another_data_set_are_refused(real_data, cache, tmp_path):
    source = real_data("mnist")
    copied = tmp_path / "fashion"
    copied.mkdir()
    for path in source.glob("*.gz"):
        (copied / path.name).write_bytes(path.read_bytes())
    assert "-ubyte.gz' is cut short or another file" in error_of(
        copied, "fashion_mnist"
    )


def test_decoded_images_are_kept(tiny, offline, cache, monkeypatch):
    check_tiny(tiny)
    kept = sorted((cache / "ram_tf" / "decoded").iterdir())
    assert [path.name.split("-")[:2] for path in kept] == [
        ["mnist", "test"],
        ["mnist", "train"],
    ]
    with monkeypatch.context() as patch:
        patch.setattr("tensorflow.data.TFRecordDataset", None)
        check_tiny(tiny)  # without the records
    for path in kept:
        path.write_bytes(path.read_bytes()[:-30])
    check_tiny(tiny)
    assert sorted((cache / "ram_tf" / "decoded").iterdir()) == kept


def test_cache_that_cannot_be_written_does_no_harm_to_what_is_prepared(
    tiny, offline, cache, tmp_path
):
    load_tfds("mnist", tiny)
    shutil.copytree(prepared(cache), tmp_path / "data" / "mnist" / "3.0.1")
    shutil.rmtree(cache)
    cache.write_text("not a folder")
    check_tiny(tmp_path / "data")
    assert "set XDG_CACHE_HOME to a folder that can be written to" in error_of(tiny)


@pytest.mark.slow
def test_real_mnist_from_its_archives(real_data, cache, offline):
    source = real_data("mnist")
    with untouched(pathlib.Path(source)):
        arrays, class_names = load_tfds("mnist", source)
    assert class_names == tuple("0123456789")
    for split, prefix in (("train", "train"), ("test", "t10k")):
        raw = gzip.decompress((source / f"{prefix}-images-idx3-ubyte.gz").read_bytes())
        images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28, 1)
        raw = gzip.decompress((source / f"{prefix}-labels-idx1-ubyte.gz").read_bytes())
        labels = np.frombuffer(raw, np.uint8, offset=8)
        assert len(images) == {"train": 60_000, "test": 10_000}[split]
        assert multiset(*arrays[split]) == multiset(images, labels)
    data = load("mnist", source, canvas=60)
    assert (len(data.train), len(data.validation)) == (54_000, 6_000)
    assert data.image_shape == (60, 60, 1)


def test_cluttered_digits_take_pieces_from_their_own_split(tiny, cache):
    data = load("cluttered_mnist", tiny, canvas=(40, 40), num_pieces=2, piece_size=5)
    plain = load("translated_mnist", tiny, canvas=(40, 40))
    assert (data.name, plain.name) == ("cluttered_mnist", "translated_mnist")
    for name in ("train", "validation", "test"):
        split = getattr(data, name)
        _, clutter = split.transforms
        # The very images of the split, so none of another.
        assert clutter.sources is split.images
    (first, *_), (again, *_), (bare, *_) = (
        [images.numpy() for images, *_ in each.eval_batches("test", 7)]
        for each in (data, data, plain)
    )
    np.testing.assert_array_equal(first, again)
    assert (first >= bare).all() and (first > bare).any()
    examples = np.arange(8)
    data.train.load()
    first, again, later = (
        data.train.batch(examples, seed=0, epoch=epoch)[0].numpy()
        for epoch in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != later).any(axis=(1, 2, 3)).all()
