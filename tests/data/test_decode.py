"""Single files as people have them: each is read right, or refused in words."""

import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from ram_tf.data import decode, levels
from ram_tf.data.budget import Budget
from ram_tf.data.decode import decode_image, read_image
from ram_tf.data.notes import Notes
from ram_tf.errors import InputError
from tests.data.awkward_files import awkward_files, halves, save

FILES = awkward_files()


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_right_or_refused_in_words(name, recwarn):
    file, notes = FILES[name], Notes()

    def read():
        return decode_image(file.content, name, None, 3, file.value_range, notes)

    if file.pixels is None:
        with pytest.raises(InputError) as refused:
            read()
        line = str(refused.value)
        assert line.startswith(f"The image '{name}' cannot be decoded: ")
        assert file.refusal in line and "\n" not in line
    else:
        off = np.abs(read().astype(int) - file.pixels)
        assert off.max() <= file.tolerance
        lines = notes.lines()
        assert len(lines) == len(file.said)
        for line, said in zip(lines, file.said):
            assert said in line and name in line
    assert not recwarn.list


@pytest.mark.parametrize("name", FILES)
def test_prediction_reads_a_path_as_training_reads_its_content(name, tmp_path):
    path = tmp_path / name
    file = FILES[name]
    path.write_bytes(file.content)
    shape = (*halves().shape[:2], 1)
    if file.pixels is None:
        with pytest.raises(InputError, match=str(path)):
            read_image(path, shape, file.value_range)
    else:
        found = read_image(path, shape, file.value_range)
        expected = decode_image(file.content, name, None, 1, file.value_range)
        assert np.array_equal(found, expected)


def test_a_path_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match="'.*gone.png' cannot be read: No such file"):
        read_image(tmp_path / "gone.png", (2, 2, 1))


@pytest.mark.parametrize("received", [5, (1,), (2, 1), (0, "a"), (0, np.inf), (1, 1)])
def test_a_range_that_is_none_is_refused(received):
    with pytest.raises(InputError, match=r"data\.value_range.*Received"):
        levels.check_range(received)


def test_a_range_is_two_numbers_of_any_kind():
    assert levels.check_range([0, 4095]) == (0.0, 4095.0)
    assert levels.check_range(None) is None


def test_a_huge_picture_is_said_to_be_so_without_a_warning(monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", halves()[..., 0].size - 1)
    notes = Notes()
    decode_image(save(halves(), "PNG"), "wide.png", None, 3, notes=notes)
    (line,) = notes.lines()
    assert "million pixels" in line and "wide.png" in line
    assert not recwarn.list


def test_warnings_of_others_are_left_alone():
    with warnings.catch_warnings():
        before = list(warnings.filters)
        decode_image(save(halves(), "PNG"), "a.png", None, 3)
        assert warnings.filters == before


def test_what_threads_hold_together_is_bounded():
    budget, held, most, lock = Budget(10), [0], [0], threading.Lock()

    def work(count):
        with budget.hold(count):
            with lock:
                held[0] += min(count, budget.limit)
                most[0] = max(most[0], held[0])
            with lock:
                held[0] -= min(count, budget.limit)

    threads = [threading.Thread(target=work, args=(n % 7 + 1,)) for n in range(40)]
    threads.append(threading.Thread(target=work, args=(1000,)))  # Alone, not never.
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < most[0] <= 10 and held[0] == 0


def test_a_hold_waits_until_there_is_room():
    budget, entered = Budget(10), threading.Event()

    def work():
        with budget.hold(6):
            entered.set()

    with budget.hold(5):
        thread = threading.Thread(target=work)
        thread.start()
        assert not entered.wait(0.05)
    thread.join()
    assert entered.is_set()


def test_a_picture_is_decoded_within_the_budget(monkeypatch):
    counts = []
    monkeypatch.setattr(decode, "_PIXEL_BYTES", _Recorded(counts))
    decode_image(save(halves(), "PNG"), "a.png", None, 3)
    assert counts == [8 * halves()[..., 0].size]


class _Recorded(Budget):
    def __init__(self, counts):
        super().__init__(2**20)
        self.counts = counts

    def hold(self, count):
        self.counts.append(count)
        return super().hold(count)
