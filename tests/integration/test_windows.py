"""A hunt from training to service: images that are read where the model looks."""

import csv
import importlib
import json
import runpy
import sys
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tifffile

from ram_tf import data, experiment
from ram_tf.data.windows import HuntReader, to_pixels
from ram_tf.data.windows.writing import write_pyramid
from ram_tf.errors import InputError
from ram_tf.evaluation import words
from ram_tf.serving import export, prediction, requests
from ram_tf.studies.draw import draw
from ram_tf.studies.evaluate import evaluate
from tests.untrained import CONFIGS

pytestmark = pytest.mark.slow
SIDE = 512


def make_config():
    with mock.patch.object(sys, "path", [*sys.path, str(CONFIGS)]):
        config = importlib.import_module("hunt").get_config()
    config.data.update(num_train=40, num_test=8, target_side=32)
    config.data.sides = (SIDE,)
    config.model.retina.size, config.model.retina.sides = 8, (32, 128, 512)
    config.model.glimpse_network.update(filters=(4,), strides=(2,), units=8)
    config.model.core.units = 8
    config.train.update(epochs=2, steps_per_epoch=2, batch_size=8, num_glimpses=2)
    config.eval.policies = ("learned", "mean")
    config.eval.update(mc_samples=1, seeds=1)
    config.runtime.xla = False
    return config


class Loaded:
    """A model that was exported, asked as a server is; what it is asked is kept."""

    def __init__(self, folder):
        self.signatures = tf.saved_model.load(str(folder)).signatures
        self.asked = []

    def image_shape(self):
        _, inputs = self.signatures["serving_default"].structured_input_signature
        return (8, 8, 1) if "images" in inputs else None

    def call(self, signature, inputs):
        self.asked.append(signature)
        if signature not in self.signatures:
            raise InputError(f"no signature {signature}")
        given = {name: tf.constant(value) for name, value in inputs.items()}
        answer = self.signatures[signature](**given)
        return {name: value.numpy() for name, value in answer.items()}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hunt")
    assert experiment.run(make_config(), folder / "whole", report=str) == 0
    return folder / "whole"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    reader = HuntReader(SIDE, 2, 32, seed=7)
    whole = reader.read(0, 0, 0, SIDE, SIDE)
    write_pyramid(reader, folder / "a.tif", tile=128, compression="deflate")
    np.save(folder / "b.npy", whole)
    content = bytearray((folder / "a.tif").read_bytes())
    with tifffile.TiffFile(folder / "a.tif") as tiff:
        for page in (tiff.pages[0], *tiff.pages[0].pages):
            for start, count in zip(page.dataoffsets, page.databytecounts):
                content[start : start + count] = bytes(count)
    (folder / "c.tif").write_bytes(content)
    (folder / "d.svs").write_bytes(b"no slide")
    return folder


def test_a_run_that_was_stopped_ends_as_one_that_was_not(workdir, tmp_path):
    for until_epoch in (1, None):
        assert (
            experiment.run(make_config(), tmp_path, until_epoch=until_epoch, report=str)
            == 0
        )
    expected, found = (
        experiment.restore(folder, "last").network.get_weights()
        for folder in (workdir, tmp_path)
    )
    assert all(np.array_equal(one, other) for one, other in zip(expected, found))


def test_it_is_measured_and_drawn(workdir, tmp_path):
    said = []
    measured = evaluate(workdir, seeds=1, report=said.append)
    assert set(measured["policies"]) >= {"learned", "mean", "random", "center"}
    for policy in measured["policies"].values():
        # Two glimpses: 8 x 8 pixels of two levels, all 32 x 32 of the smallest one, and
        # a row and a column more where they do not begin at a pixel; less at a border.
        read = policy["bytes_read"]["mean"]
        assert 2 * 3 * 16 < read < 2 * (2 * 9**2 + 33**2)
    assert any("bytes of an image in 2 glimpses" in line for line in said)
    with pytest.raises(InputError, match="--robustness"):
        evaluate(workdir, robustness=True, report=str)
    draw(workdir, "glimpses", tmp_path / "a.png", num_images=2, report=str)
    assert (tmp_path / "a.png").stat().st_size > 10_000
    draw(workdir, "animation", tmp_path / "a.gif", num_images=1, report=str)


def test_files_are_classified_and_what_is_damaged_is_named(workdir, files, tmp_path):
    with pytest.raises(InputError, match="--skip_unreadable goes on"):
        prediction.predict(workdir, [files], report=str)
    said = []
    skipped = prediction.predict(
        workdir,
        [files],
        output=tmp_path / "out.csv",
        skip_unreadable=True,
        report=said.append,
    )
    assert skipped == 2
    assert "tile" in (tmp_path / "out.skipped.csv").read_text()
    assert any(line.startswith("read ") for line in said)
    with open(tmp_path / "out.csv", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["file"].rpartition("/")[2] for row in rows] == ["a.tif", "b.npy"]
    assert rows[0]["class"] == rows[1]["class"]
    assert rows[0]["micrometres"] == ""
    places = [
        np.array([json.loads(f"[{each[1:-1]}]") for each in row[key].split()])
        for row in rows
        for key in ("locations", "pixels")
    ]
    assert np.abs(to_pixels(places[0], (SIDE, SIDE))[:, ::-1] - places[1]).max() <= 1
    assert (tmp_path / "out.skipped.csv").read_text().count("\n") == 3


def test_the_step_service_reads_the_glimpses_alone(workdir, files, tmp_path):
    said = []
    version = export.export(workdir, tmp_path / "hunt", report=said.append)
    assert any("left out what takes whole images" in line for line in said)
    server = Loaded(version)
    # Keras makes the first one the default one.
    assert set(server.signatures) == {"start", "look", "sensor", "serving_default"}
    lines = []
    requests.step(
        server, [files / "a.tif"], 2, output=tmp_path / "path.png", report=lines.append
    )
    assert (tmp_path / "path.png").exists()
    (read,) = [line for line in lines if line.startswith("read ")]
    assert int(read.split()[1].replace(",", "")) < (files / "a.tif").stat().st_size
    rows = []
    prediction.predict(workdir, [files / "a.tif"], report=rows.append)
    _, _, _, looked, *_ = next(csv.reader([rows[1]]))
    for line, place in zip(lines, looked.split()):
        assert f"at {place}:" in line
    example = runpy.run_path(str(CONFIGS.parent / "docs" / "pointed_windows.py"))
    pointed = list(example["look"](server.signatures, files / "a.tif", 2))
    for line, (place, label, _) in zip(lines, pointed):
        assert f"at {words.format_places(place[None])}: {label} " in line
    sensor = pointed[-1][-1]
    sensor.move(-1, -1)  # A quarter of the widest patch is inside.
    np.testing.assert_allclose(sensor.read()[-1, 0], 0.27, rtol=1e-6)
    with pytest.raises(InputError, match="with --step"):
        requests.classify(server, [files / "b.npy"])


def test_what_cannot_look_into_windows_is_refused():
    dataset = data.load("hunt", None, num_train=8, num_test=4, sides=1024)
    with pytest.raises(InputError, match="cannot look at images"):
        with mock.patch.object(sys, "path", [*sys.path, str(CONFIGS)]):
            pham = importlib.import_module("pham_digits").get_config()
        experiment.build_network(pham, dataset.image_shape, 4)
