"""What is said about many files: one line for each kind."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from ram_tf.data.notes import Notes


def test_nothing_noticed_is_nothing_said():
    assert Notes().lines() == []


def test_each_kind_has_one_line_with_a_count_and_the_first_names():
    notes = Notes()
    for name in ("d.tif", "b.tif", "a.tif", "c.tif"):
        notes.add("further pages left out", name)
    notes.add("bands after the third left out", "x.tif")
    assert notes.lines() == [
        "bands after the third left out: 1 file (x.tif)",
        "further pages left out: 4 files (a.tif, b.tif, c.tif, ...)",
    ]


def test_threads_add_in_any_order():
    notes = Notes()
    names = [f"{i:03}.png" for i in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: notes.add("odd", name), reversed(names)))
    assert notes.lines() == ["odd: 200 files (000.png, 001.png, 002.png, ...)"]


def test_a_full_scale_that_no_file_uses_is_said_with_its_largest_value():
    notes = Notes()
    notes.observe(900, 65535, "a.png")
    notes.observe(3900, 65535, "b.png")
    (line,) = notes.lines()
    assert "no value above 3900 of 65535" in line and "2 files (a.png, b.png)" in line
    assert "data.value_range=(0, 4095)" in line


@pytest.mark.parametrize("largest", [0, 40000])
def test_a_dark_picture_among_others_is_not_worth_a_line(largest):
    notes = Notes()
    notes.observe(0, 65535, "black.png")
    notes.observe(largest, 65535, "other.png")
    assert notes.lines() == []


def test_names_of_any_bytes_can_be_printed():
    notes = Notes()
    notes.add("odd", "caf\udce9.png")
    notes.lines()[0].encode("utf-8")
