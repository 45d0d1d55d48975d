"""Files that a server does not decode: read here as it would, and named."""

import csv
import io

import numpy as np
import pytest

from ram_tf.errors import InputError
from ram_tf.serving import requests
from tests.data.awkward_files import SIZE, awkward_files

AWKWARD = awkward_files()


class Server:
    """Refuses what is no PNG as the graph of an export does; keeps what it is asked."""

    def __init__(self, told):
        self.told = told
        self.pixels = []
        self.batches = []

    def image_shape(self):
        return (*SIZE, 3)

    def call(self, signature, inputs):
        if signature == "classify_encoded":
            contents = list(inputs["image_bytes"])
            self.batches.append(len(contents))
            for index, content in enumerate(contents):
                if not content.startswith(b"\x89PNG"):
                    raise InputError(
                        "the server answered INVALID_ARGUMENT: assertion failed: "
                        f"[image_bytes[{index}]: neither JPEG nor PNG: send pixels "
                        f"instead{self.told}]"
                    )
            count = len(contents)
        else:
            self.pixels += list(inputs["images"])
            count = len(inputs["images"])
        return {
            "labels": np.array([b"cat"] * count),
            "probabilities": np.full((count, 2), 0.5),
            "locations": np.zeros((count, 1, 2)),
        }


@pytest.fixture
def write(tmp_path):
    """Returns a function: names of awkward files -> paths of them."""

    def write(*names):
        for name in names:
            (tmp_path / name).write_bytes(AWKWARD[name].content)
        return [tmp_path / name for name in names]

    return write


def test_the_refusal_names_the_file_and_tells_the_range(write, capsys):
    server = Server(", read by data.value_range=(0.0, 4095.0)")
    paths = write("twelve_bits_by_range.png", "twelve_bits_by_range.tif")
    table = io.StringIO()
    requests.classify(server, paths, table)
    for path, pixels in zip(paths, server.pixels, strict=True):
        assert np.array_equal(pixels, AWKWARD[path.name].pixels)
    said = capsys.readouterr().err
    assert f"the server did not decode {paths[1]}; 2 file(s)" in said
    assert len([*csv.DictReader(io.StringIO(table.getvalue()))]) == 2


def test_every_file_of_a_batch_that_cannot_be_read_is_named(write):
    paths = write("UPPER.PNG", "empty.png", "photo.heic", "float.tif")
    with pytest.raises(InputError) as refused:
        requests.classify(Server(""), paths)
    line = str(refused.value)
    assert (
        line.startswith("3 of a batch of 4 files cannot be read: ")
        and line.count("\n") == 0
    )
    assert all(str(path) in line for path in paths[1:])


def test_a_batch_is_bounded_in_bytes(write, monkeypatch):
    (path,) = write("UPPER.PNG")
    monkeypatch.setattr(requests, "_BATCH_BYTES", 2 * path.stat().st_size)
    server = Server("")
    requests.classify(server, [path] * 5, io.StringIO())
    assert server.batches == [2, 2, 1]
