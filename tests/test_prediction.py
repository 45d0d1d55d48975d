"""Predicting many files: what is read, skipped, shared and gone on with.

The model is one that says how bright an image is, so that no weights are needed.
"""

import csv
import os
import pathlib
import types
import zlib

import ml_collections
import numpy as np
import pytest
from PIL import Image

from ram_tf.errors import InputError
from ram_tf.experiment.restore import Trained
from ram_tf.serving import prediction
from tests.data.awkward_files import SIZE, awkward_files

AWKWARD = awkward_files()
CONFIG = ml_collections.ConfigDict({"train": {"num_glimpses": 1}})


class Bright:
    """Stands for a `Looker`: the mean of an image is the probability of a class."""

    def __init__(self, *model, **options):
        """Takes what a `Looker` takes, and needs nothing of it."""

    def compile(self, function):
        return function

    def classify(self, pixels):
        share = pixels.reshape(len(pixels), -1).mean(axis=1) / 255
        probabilities = np.stack([share, 1 - share], axis=1)
        return {
            "probabilities": probabilities,
            "locations": np.zeros((len(pixels), 1, 2)),
        }


@pytest.fixture
def predict(monkeypatch, tmp_path):
    """Returns a function: paths, options -> (how many were skipped, what was told)."""
    trained = {"value_range": None}

    def restore(workdir, checkpoint):
        return Trained(
            CONFIG,
            None,
            {"learned": None},
            ("bright", "dark"),
            (*SIZE, 3),
            tmp_path,
            value_range=trained["value_range"],
        )

    monkeypatch.setattr(prediction, "restore", restore)
    monkeypatch.setattr(prediction, "Looker", Bright)
    monkeypatch.setattr(prediction, "read_state", lambda path: {"digests": "same"})
    monkeypatch.setattr(
        prediction, "reports", types.SimpleNamespace(progress_bar=lambda *_: Bar())
    )
    monkeypatch.setattr(
        Trained, "pick", lambda self, name=None: self.policies["learned"]
    )

    def call(*paths, value_range=None, **options):
        trained["value_range"] = value_range
        lines = []
        skipped = prediction.predict("run", paths, report=lines.append, **options)
        return skipped, lines

    return call


class Bar:
    def add(self, count):
        """Shows nothing."""


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def share_of(image):
    return round(float(np.mean(image)) / 255, 4)


@pytest.fixture
def pictures(tmp_path):
    """A folder with six pictures, two of them in a folder inside."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for index, name in enumerate(
        ("a.png", "b.png", "c.png", "d.png", "more/a.png", "more/e.png")
    ):
        Image.new("RGB", SIZE[::-1], (40 * index,) * 3).save(folder / name)
    return folder


RANGES = sorted({file.value_range for file in AWKWARD.values()}, key=str)


@pytest.mark.parametrize("value_range", RANGES)
def test_awkward_files_are_predicted_as_they_are_trained_on_or_skipped(
    value_range, predict, tmp_path, capsys
):
    folder = tmp_path / "files"
    folder.mkdir()
    chosen = {
        name: file for name, file in AWKWARD.items() if file.value_range == value_range
    }
    for name, file in chosen.items():
        (folder / name).write_bytes(file.content)
    paths = [folder / name for name in chosen]
    output = tmp_path / "x.csv"
    skipped, _ = predict(
        *paths,
        output=output,
        skip_unreadable=True,
        batch_size=3,
        value_range=value_range,
    )
    refused = {name for name, file in chosen.items() if file.pixels is None}
    assert skipped == len(refused)
    for row in rows(output):
        name = pathlib.Path(row["file"]).name
        expected = chosen.pop(name)
        share = share_of(expected.pixels)
        found = float(row["probability"])
        wrong = (1 + expected.tolerance) / 255
        assert abs(found - max(share, 1 - share)) < wrong
    assert chosen.keys() == refused
    said = capsys.readouterr().err
    for file in chosen.values():
        assert file.refusal in said


def test_an_unreadable_file_ends_it_and_says_how_to_go_on(predict, pictures, tmp_path):
    (pictures / "b.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"b.png.*empty.*--skip_unreadable goes on"):
        predict(pictures, output=tmp_path / "x.csv")


def test_what_is_skipped_is_listed_and_stays_so(predict, pictures, tmp_path, capsys):
    for name in ("b.png", "more/e.png"):
        (pictures / name).write_bytes(b"text\n")
    output = tmp_path / "x.csv"
    options = {"output": output, "batch_size": 2}
    (pictures / "d.png").rename(tmp_path / "d.png")
    (pictures / "d.png").write_bytes(b"")
    with pytest.raises(InputError):
        predict(pictures, **options)
    (tmp_path / "d.png").rename(pictures / "d.png")
    skipped, lines = predict(pictures, skip_unreadable=True, **options)
    assert skipped == 2 and f"wrote {output}: 4 images" in lines
    assert [row["file"] for row in rows(output)] == [
        str(pictures / name) for name in ("a.png", "c.png", "d.png", "more/a.png")
    ]
    listed = rows(tmp_path / "x.skipped.csv")
    assert [row["file"] for row in listed] == [
        str(pictures / name) for name in ("b.png", "more/e.png")
    ]
    assert all("it is text" in row["reason"] for row in listed)
    said = capsys.readouterr().err
    assert "warning: 2 of 6 files could not be read\n" in said
    # Mended, it is no longer so.
    for row in listed:
        pathlib.Path(row["file"]).write_bytes((pictures / "a.png").read_bytes())
    assert predict(pictures, skip_unreadable=True, **options)[0] == 0
    assert not (tmp_path / "x.skipped.csv").exists()


def test_on_the_terminal_rows_alone_are_told(predict, pictures, capsys):
    (pictures / "b.png").write_bytes(b"")
    skipped, lines = predict(pictures, skip_unreadable=True)
    assert skipped == 1 and len(lines) == 1 + 5
    assert "skipped: The image" in capsys.readouterr().err


def test_a_shard_has_the_same_files_however_the_folder_is_spelled(
    predict, pictures, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    spellings = ("pictures", "./pictures/", str(pictures))
    (tmp_path / "link").symlink_to(pictures)
    found = []
    for spelling in (*spellings, "link"):
        names = set()
        for index in range(2):
            predict(spelling, output="x.csv", shard=(index, 2))
            part = rows(f"x-{index:05d}-of-00002.csv")
            mine = {os.path.relpath(row["file"], spelling) for row in part}
            assert all(zlib.crc32(os.fsencode(n)) % 2 == index for n in mine)
            assert not names & mine
            names |= mine
            found.append(mine)
    assert len(names) == 6 and found == found[:2] * 4


def test_it_goes_on_under_another_spelling(predict, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = (pictures / "d.png").read_bytes()
    (pictures / "d.png").write_bytes(b"")
    with pytest.raises(InputError):
        predict("pictures", output="x.csv", batch_size=1)
    (pictures / "d.png").write_bytes(good)
    _, lines = predict(pictures, output="x.csv")
    assert "going on after 3 images" in lines
    # All rows in the spelling of the call that finished it.
    assert [row["file"] for row in rows("x.csv")] == [
        str(pictures / name)
        for name in ("a.png", "b.png", "c.png", "d.png", "more/a.png", "more/e.png")
    ]


def test_other_folders_with_the_same_names_are_not_gone_on_with(predict, tmp_path):
    for name, side in (("one", 10), ("two", 60)):
        (tmp_path / name).mkdir()
        noise = np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)
        Image.fromarray(noise).save(tmp_path / name / "a.png")
        (tmp_path / name / "b.png").write_bytes(b"")
    folders = tmp_path / "one", tmp_path / "two"
    with pytest.raises(InputError, match="b.png"):
        predict(*folders, output=tmp_path / "x.csv", batch_size=1)
    with pytest.raises(InputError, match="begun with other files"):
        predict(*folders[::-1], output=tmp_path / "x.csv", batch_size=1)
