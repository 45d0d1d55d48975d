"""Folders larger than memory: decoded once into a file, and read as from memory."""

import builtins
import os
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from ram_tf import locks
from ram_tf.data import decode as decoding
from ram_tf.data import load, reading, store
from ram_tf.data.notes import Notes
from ram_tf.errors import InputError
from ram_tf.files import cache_folder
from tests.data.conftest import untouched

pytestmark = pytest.mark.usefixtures("cache")

NUM_EACH = 12


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree")


def write_tree(root, seed=0, sizes=((9, 14), (12, 8), (8, 8))):
    rng = np.random.default_rng(seed)
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True)
        for i in range(NUM_EACH):
            pixels = rng.integers(0, 256, (*sizes[i % len(sizes)], 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i:02}.png")
    return root


def stores():
    folder = cache_folder() / "pictures"
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.fixture
def decoded(monkeypatch):
    """The names of all that is decoded, in a list."""
    names, decode = [], decoding.decode_image

    def count(content, name, *args, **options):
        names.append(name)
        return decode(content, name, *args, **options)

    monkeypatch.setattr(decoding, "decode_image", count)
    return names


def assert_equal_batches(batches):
    one, other = batches
    for left, right in zip(one, other, strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


def assert_equal_data(one, other):
    assert one.fingerprint == other.fingerprint
    for name in ("train", "validation", "test"):
        splits = getattr(one, name), getattr(other, name)
        every = np.arange(len(splits[0]))[::-1]
        assert_equal_batches([split.batch(every, seed=5, epoch=2) for split in splits])


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": (6, 7)},
        {"image_size": 5, "channels": 1, "flip": True},
        {"square": 8, "flip": True, "smallest_square": 0.5},
        {"square": 6, "channels": 1, "num_folds": 3, "fold": 1},
    ],
)
def test_what_is_read_from_a_file_is_as_from_memory(tree, options):
    with untouched(tree):
        memory = load("folder", tree, cache_gigabytes=0, **options)
        file = load("folder", tree, max_gigabytes=0, **options)
    assert isinstance(memory.train.images, np.ndarray) == ("square" not in options)
    assert file.image_shape == memory.image_shape
    assert_equal_data(memory, file)


def test_batches_from_a_file_are_as_from_memory(tree):
    memory = load("folder", tree, image_size=6, flip=True)
    file = load("folder", tree, image_size=6, flip=True, max_gigabytes=0)
    for make in (
        lambda data: data.train_batches(4, seed=5, start_step=3, num_steps=6),
        lambda data: data.eval_batches("test", 3),
    ):
        for batches in zip(make(memory), make(file), strict=True):
            assert_equal_batches(batches)


def test_images_of_one_size_are_kept_as_they_are(tmp_path):
    root = write_tree(tmp_path / "alike", sizes=((6, 8),))
    memory, file = load("folder", root), load("folder", root, max_gigabytes=0)
    assert_equal_data(memory, file)
    small = write_tree(tmp_path / "others")
    with pytest.raises(InputError, match="differ in size"):
        load("folder", small, max_gigabytes=0)


def test_pictures_are_decoded_once_whatever_the_splits_are(tree, decoded, capsys):
    load("folder", tree, image_size=6, max_gigabytes=0)
    assert len(decoded) == len(set(decoded)) == 2 * NUM_EACH
    assert f"decoding 24 pictures of '{tree}'" in capsys.readouterr().out
    load("folder", tree, image_size=6, max_gigabytes=0, seed=1, num_folds=3)
    load("folder", tree, image_size=6)  # They are there, so they need not be decoded.
    assert len(decoded) == 2 * NUM_EACH and len(stores()) == 1


@pytest.mark.parametrize(
    "options", [{"image_size": 7}, {"image_size": 6, "channels": 1}, {"square": 6}]
)
def test_whatever_decides_the_pixels_makes_another_store(tree, decoded, options):
    load("folder", tree, image_size=6, max_gigabytes=0)
    load("folder", tree, max_gigabytes=0, **options)
    assert len(stores()) == 2 and len(decoded) >= 4 * NUM_EACH


def test_a_picture_of_the_same_length_but_newer_is_decoded_anew(tmp_path):
    root = tmp_path / "tree"
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (4, 4), (i, i, i)).save(root / name / f"{i}.bmp")
    before = load("folder", root, max_gigabytes=0)
    changed = root / "ant" / "0.bmp"
    stat = changed.stat()
    Image.new("RGB", (4, 4), (99, 99, 99)).save(changed)
    assert changed.stat().st_size == stat.st_size
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    after = load("folder", root, max_gigabytes=0)
    assert before.fingerprint == after.fingerprint
    splits = ("train", "validation", "test")
    pictures = [
        getattr(after, name).batch(np.arange(len(getattr(after, name))), 0, 0)[0]
        for name in splits
    ]
    assert 99 in np.concatenate(pictures)


@pytest.mark.parametrize("options", [{"image_size": 6}, {"square": 6}])
def test_a_process_that_was_killed_goes_on(tree, decoded, monkeypatch, options):
    """The decoder stops the process half way, after some pictures are in the file."""
    monkeypatch.setattr(store, "CHUNK_BYTES", 500)
    monkeypatch.setattr(reading, "GROUP_FILES", 1)
    monkeypatch.setattr(reading, "HELD_BYTES", 1)
    count = decoding.decode_image

    def stop_at_the_twentieth(*args, **more):
        if len(decoded) == 20:
            raise KeyboardInterrupt
        return count(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "decode_image", stop_at_the_twentieth)
        with pytest.raises(KeyboardInterrupt):
            load("folder", tree, max_gigabytes=0, **options)
    (folder,) = stores()
    with open(folder / "pixels", "ab") as pixels:  # Written, but not in the index yet.
        pixels.write(b"half a picture")
    decoded.clear()
    file = load("folder", tree, max_gigabytes=0, **options)
    assert 4 <= len(decoded) < 20
    memory = load("folder", tree, cache_gigabytes=0, **options)
    assert_equal_data(memory, file)


@pytest.mark.parametrize("name", ["pixels", "index", "about.json"])
def test_a_damaged_store_is_mended(tree, name):
    expected = load("folder", tree, image_size=6, cache_gigabytes=0)
    load("folder", tree, image_size=6, max_gigabytes=0)
    path = stores()[0] / name
    os.truncate(path, path.stat().st_size // 2)
    mended = load("folder", tree, image_size=6, max_gigabytes=0)
    assert_equal_data(expected, mended)


def test_of_two_processes_one_decodes_and_the_other_waits(tree, monkeypatch):
    begun, go_on, decode = threading.Event(), threading.Event(), decoding.decode_image
    waits, results = threading.Event(), []

    def slow(*args, **options):
        begun.set()
        assert go_on.wait(60)
        return decode(*args, **options)

    def read():
        results.append(load("folder", tree, image_size=6, max_gigabytes=0))

    def say(line, **_):
        if "another process decodes the pictures" in line and "waiting for it" in line:
            waits.set()

    monkeypatch.setattr(decoding, "decode_image", slow)
    monkeypatch.setattr(builtins, "print", say)
    threads = [threading.Thread(target=read) for _ in range(2)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    assert waits.wait(60)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(results) == 2 and len(stores()) == 1
    assert_equal_data(*results)


def test_without_locks_each_builds_its_own_aside(tree, monkeypatch, decoded):
    monkeypatch.setattr(locks, "fcntl", None)
    file = load("folder", tree, image_size=6, max_gigabytes=0)
    (folder,) = stores()
    assert (folder / "about.json").exists()
    decoded.clear()
    again = load("folder", tree, image_size=6, max_gigabytes=0)
    assert not decoded
    assert_equal_data(file, again)


def test_what_was_used_least_recently_makes_room(tree, tmp_path, capsys):
    options = {"image_size": 6, "max_gigabytes": 0}
    one = 24 * 6 * 6 * 3 / 1e9
    first = [write_tree(tmp_path / str(seed), seed) for seed in (1, 2)]
    for number, root in enumerate(first):
        load("folder", root, **options)
        for folder in stores()[number:]:
            os.utime(folder / "lock", (number, number))
    old = {min(stores(), key=lambda folder: (folder / "lock").stat().st_mtime)}
    capsys.readouterr()
    kept = load("folder", tree, cache_gigabytes=2.5 * one, **options)
    assert f"removed the decoded pictures in '{old.pop()}'" in capsys.readouterr().out
    assert len(stores()) == 2
    # `kept` is in use, so it stays, whatever else must go.
    load("folder", first[0], cache_gigabytes=2.5 * one, **options)
    with pytest.raises(InputError, match="in use .*more than cache_gigabytes"):
        load("folder", first[1], cache_gigabytes=1.5 * one, **options)
    assert kept.train.batch([0, 1], 0, 0)[0].shape == (2, 6, 6, 3)


@pytest.mark.parametrize("options", [{"image_size": 600}, {"square": 6}])
def test_no_room_is_said_in_one_line(tree, monkeypatch, options):
    with pytest.raises(InputError, match="more than cache_gigabytes=1e-07") as caught:
        load("folder", tree, max_gigabytes=0, cache_gigabytes=1e-7, **options)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="max_gigabytes=0. .*data.cache_gigabytes"):
        load("folder", tree, max_gigabytes=0, cache_gigabytes=0, **options)
    usage = shutil.disk_usage("/")._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match="1e-08 GB are free in .*XDG_CACHE_HOME"):
        load("folder", tree, max_gigabytes=0, **options)


def test_a_cache_that_cannot_be_written_is_said_in_one_line(tree, cache):
    (cache / "ram_tf").mkdir(parents=True)
    (cache / "ram_tf" / "pictures").write_text("a file, where a folder should be")
    with pytest.raises(
        InputError, match=r"cannot be kept in .*XDG_CACHE_HOME"
    ) as error:
        load("folder", tree, image_size=6, max_gigabytes=0)
    assert "\n" not in str(error.value)


def test_a_home_that_is_not_known_is_no_reason_to_stop(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert cache_folder().is_absolute()


# Whatever files there are, in memory or not


@pytest.mark.parametrize("max_gigabytes", [0, 8])
@pytest.mark.parametrize("num_bad", [1, 7, 22])
def test_all_files_that_cannot_be_read_are_named_at_once(tree, num_bad, max_gigabytes):
    bad = sorted(tree.rglob("*.png"))[:num_bad]
    for path in bad:
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError) as caught:
        load("folder", tree, image_size=6, max_gigabytes=max_gigabytes)
    message = str(caught.value)
    names = ["/".join(path.parts[-2:]) for path in bad]
    assert all(f"'{name}'" in message for name in names[: reading.SHOWN])
    assert "\n" not in message and "Repair or remove it" in message
    if num_bad > 1:
        assert f"{num_bad} of 24 images cannot be read" in message
    assert (" and 2 more. " in message) == (num_bad == 22)
    assert not stores()  # They will be other files when they are mended.


class Content(bytes):
    """Bytes of a file that say how many of them are held at a time."""

    held = peak = 0

    @classmethod
    def read(cls, size):
        cls.held += size
        cls.peak = max(cls.peak, cls.held)
        return cls(size)

    def __del__(self):
        Content.held -= len(self)


class Large:
    """A large file of a folder."""

    def __init__(self, number):
        self.parts, self.position = ("large", f"{number:03}"), number
        self.name = "/".join(self.parts)

    def read(self):
        return Content.read(100_000)


def test_few_bytes_are_held_at_a_time(monkeypatch):
    monkeypatch.setattr(reading, "HELD_BYTES", 500_000)
    monkeypatch.setattr(
        decoding, "decode_image", lambda *args, **more: np.zeros((2, 2, 3), np.uint8)
    )
    files = [Large(number) for number in range(200)]
    images, digests = reading.decode_all({"train": files}, (2, 2), False, 3, 1)
    assert images["train"].shape == (200, 2, 2, 3)
    assert len(digests["train"]) == 200 and len(set(digests["train"])) == 1
    # A group that is being read comes on top.
    assert Content.peak <= 500_000 + reading.GROUP_BYTES + 200_000


def test_pictures_in_two_splits_are_said_also_when_they_are_read_from_a_file(tree):
    for split, name in (("train", "00"), ("test", "01")):
        for kind in ("ant", "bee"):
            (tree / split / kind).mkdir(parents=True)
            for i in range(4):
                shutil.copy(tree / kind / f"{i:02}.png", tree / split / kind)
            shutil.copy(tree / kind / f"{name}.png", tree / split / kind / "same.png")
    for kind in ("ant", "bee"):
        shutil.rmtree(tree / kind)
    options = {"image_size": 6, "max_gigabytes": 0}
    first, second = (load("folder", tree, **options).notes for _ in range(2))
    assert first == second == load("folder", tree, image_size=6).notes
    assert any("in several splits with the same content" in line for line in first)


def test_what_was_noticed_is_said_again_when_it_is_read_from_a_file():
    first, second = Notes(), Notes()
    for name in ("b.tif", "a.tif", "c.tif", "d.tif"):
        first.add("pages after the first left out", name)
        first.observe(100, 65535, name)
    second.add_state(first.state())
    assert second.lines() == first.lines() != []
    second.add_state(first.state())
    assert "8 files (a.tif, a.tif" in second.lines()[0]
