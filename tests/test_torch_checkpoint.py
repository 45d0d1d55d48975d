"""Checkpoints of PyTorch, written here by hand, in both formats."""

import collections
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from ram_tf import experiment, layers
from ram_tf.errors import InputError
from ram_tf.interchange import published_ram
from ram_tf.interchange.torch_checkpoint import (
    find_weights,
    read_torch_checkpoint,
)
from ram_tf.studies.evaluate import evaluate
from tests.test_configs import config_named

WEIGHTS = {
    "a.weight": np.arange(12, dtype="float32").reshape(3, 4),
    "a.steps": np.array([3, 5], "int64"),
    "a.scale": np.array(0.5, "float64"),
}
TYPES = {
    "f": "FloatStorage",
    "d": "DoubleStorage",
    "l": "LongStorage",
    "e": "HalfStorage",
    "H": "BFloat16Storage",  # Its bits.
}


class Named:
    """Is pickled as a name, as PyTorch's own types are."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Stored:
    """Is pickled as a reference to a storage."""

    def __init__(self, key, array):
        kind = Named("torch", TYPES[array.dtype.char])
        self.reference = ("storage", kind, key, "cpu", array.size)


class Rebuilt:
    """Is pickled as a call that rebuilds a tensor."""

    def __init__(self, stored, offset, shape, strides, call="_rebuild_tensor_v2"):
        self.arguments = (stored, offset, shape, strides, False, None)
        self.call = Named("torch._utils", call)


class Pickler(pickle._Pickler):
    """Writes what `torch.save` does, with the names of a package that is not here."""

    def persistent_id(self, obj):
        return obj.reference if isinstance(obj, Stored) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Named):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Written):
            self.write(obj.content)
        elif isinstance(obj, Rebuilt):
            self.save(obj.call)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(content):
    file = io.BytesIO()
    Pickler(file, 2).dump(content)
    return file.getvalue()


def as_saved(arrays):
    """(content to pickle, storages by key) of named arrays."""
    content, storages = collections.OrderedDict(), {}
    for key, (name, array) in enumerate(arrays.items()):
        strides = tuple(step // array.itemsize for step in array.strides)
        storages[str(key)] = array.ravel()
        content[name] = Rebuilt(Stored(str(key), array), 0, array.shape, strides)
    return content, storages


def write_stream(path, content, storages):
    parts = [pickled(0x1950A86A20F9469CFC6C), pickled(1001), pickled({"little": True})]
    parts += [pickled(content), pickled(sorted(storages))]
    for _, array in sorted(storages.items()):
        parts += [struct.pack("<q", array.size), array.tobytes()]
    path.write_bytes(b"".join(parts))


def write_zip(path, content, storages):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickled(content))
        for key, array in storages.items():
            archive.writestr(f"model/data/{key}", array.tobytes())


FORMATS = {"stream": write_stream, "zip": write_zip}


@pytest.mark.parametrize("kind", FORMATS)
def test_tensors_are_read(kind, tmp_path):
    content, storages = as_saved(WEIGHTS)
    saved = {"epoch": 7, "model_state": content, "parts": [content["a.weight"], "x"]}
    FORMATS[kind](tmp_path / "c.pth", saved, storages)
    found = read_torch_checkpoint(tmp_path / "c.pth")
    assert (found["epoch"], found["parts"][1]) == (7, "x")
    assert list(found["model_state"]) == list(WEIGHTS)
    for name, array in WEIGHTS.items():
        np.testing.assert_array_equal(found["model_state"][name], array)
        assert found["model_state"][name].dtype == array.dtype
    np.testing.assert_array_equal(found["parts"][0], WEIGHTS["a.weight"])


def test_views_of_a_storage_are_read(tmp_path):
    storage = np.arange(10, dtype="float32")
    transposed = Rebuilt(Stored("0", storage), 2, (3, 2), (1, 4), "_rebuild_tensor")
    write_stream(tmp_path / "c.pth", {"t": transposed}, {"0": storage})
    found = read_torch_checkpoint(tmp_path / "c.pth")["t"]
    np.testing.assert_array_equal(found, [[2, 6], [3, 7], [4, 8]])


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_in_a_checkpoint_is_run(kind, tmp_path):
    trap, said = tmp_path / "was_here", []
    FORMATS[kind](tmp_path / "c.pth", {"model_state": Runs(trap), "epoch": 3}, {})
    found = read_torch_checkpoint(tmp_path / "c.pth", said.append)
    assert found == {"epoch": 3} and not trap.exists()
    (line,) = said
    assert line.endswith("without running any: posix.mkdir")


# Protocol 2 as it is written by hand: what only other packages could pickle.
SCALAR = (
    b"cnumpy.core.multiarray\nscalar\n"
    b"(cnumpy\ndtype\n(U\x02f8I00\nI01\ntR(I3\nU\x01<tbU\x08\0\0\0\0\0\0\xf0?tR"
)
LEAVES = {
    "a numpy scalar": SCALAR,
    "argparse's options": b"cargparse\nNamespace\n)\x81}U\x02lrK\x01sb",
    "a class alone": b"cmy.project\nModel\n",
    "a dictionary with a default": (
        b"ccollections\ndefaultdict\n(cbuiltins\ndict\ntRK\x01K\x02s"
    ),
    "a set": b"cbuiltins\nset\n(](K\x01K\x02etR",
    "a list of one's own": b"cmy\nList\n)\x81(K\x01K\x02e",
    "a call of a call": b"cos\nsystem\n(U\x02lstR)R",
    "an old instance": b"(imy\nOld\n",
}


class Written:
    """Is pickled as these bytes."""

    def __init__(self, content):
        self.content = content


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("leaf", LEAVES.values(), ids=LEAVES)
def test_what_lies_beside_the_weights_is_passed_over(kind, leaf, tmp_path):
    content, storages = as_saved(WEIGHTS)
    beside = {"best": Written(leaf), "all": [1, Written(leaf)], "state_dict": content}
    FORMATS[kind](tmp_path / "c.pth", beside, storages)
    said = []
    found = read_torch_checkpoint(tmp_path / "c.pth", said.append)
    assert list(found) == ["all", "state_dict"] and found["all"] == [1]
    assert list(find_weights(found)) == list(WEIGHTS)
    assert len(said) == 1


def test_a_whole_model_is_none_of_weights(tmp_path):
    write_zip(tmp_path / "c.pth", Written(LEAVES["argparse's options"]), {})
    found = read_torch_checkpoint(tmp_path / "c.pth", lambda line: None)
    with pytest.raises(InputError, match="no dictionary.*expected a state_dict"):
        find_weights(found)


@pytest.mark.parametrize("key", [None, "model_state", "state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "model."])
def test_weights_are_found_under_the_names_that_people_use(key, prefix):
    weights = {f"{prefix}{name}": array for name, array in WEIGHTS.items()}
    saved = weights if key is None else {"epoch": 7, key: weights}
    assert list(find_weights(saved)) == list(WEIGHTS)
    assert list(find_weights({"epoch": 3, "model": saved})) == list(WEIGHTS)


def test_a_prefix_that_not_all_have_is_part_of_a_name():
    weights = {"module.a": np.zeros(1), "b": np.zeros(1)}
    assert find_weights(weights) == weights


@pytest.mark.parametrize("kind", FORMATS)
def test_half_precision_is_read(kind, tmp_path):
    values = np.array([1.0, -2.5, 3e38, 0.0], "float32")
    bits = (values.view("uint32") >> 16).astype("uint16")
    half = np.array([1.0, -2.5, 6e4], "float16")
    content = {
        "b": Rebuilt(Stored("0", bits), 1, (3,), (1,)),
        "h": Rebuilt(Stored("1", half), 0, (3,), (1,)),
    }
    FORMATS[kind](tmp_path / "c.pth", content, {"0": bits, "1": half})
    found = read_torch_checkpoint(tmp_path / "c.pth")
    assert found["b"].dtype == "float32" and found["h"].dtype == "float16"
    np.testing.assert_allclose(found["b"], values[1:], rtol=2**-7)
    np.testing.assert_array_equal(found["h"], half)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_part_of_a_checkpoint_is_refused(kind, tmp_path):
    path = tmp_path / "c.pth"
    FORMATS[kind](path, *as_saved(WEIGHTS))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 23):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="no whole PyTorch checkpoint|not read"):
            read_torch_checkpoint(path)


@pytest.mark.parametrize(
    "offset, shape, strides",
    [(0, (3, 5), (5, 1)), (8, (4,), (1,)), (-1, (2,), (1,)), (0, (2,), (-1,))],
)
def test_a_tensor_outside_its_storage_is_refused(offset, shape, strides, tmp_path):
    storage = np.arange(10, dtype="float32")
    tensor = Rebuilt(Stored("0", storage), offset, shape, strides)
    write_zip(tmp_path / "c.pth", {"t": tensor}, {"0": storage})
    with pytest.raises(InputError, match="outside its storage"):
        read_torch_checkpoint(tmp_path / "c.pth")


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path):
    storage = np.arange(10, dtype="float32")
    tensor = Rebuilt(Stored("0", storage), 0, (10**6, 10**6), (0, 0))
    write_zip(tmp_path / "c.pth", {"t": tensor}, {"0": storage})
    with pytest.raises(InputError, match="repeats its storage"):
        read_torch_checkpoint(tmp_path / "c.pth")


def test_a_list_that_holds_itself_is_refused(tmp_path):
    endless = []
    endless.append(endless)
    write_zip(tmp_path / "c.pth", endless, {})
    with pytest.raises(InputError, match="no whole PyTorch checkpoint"):
        read_torch_checkpoint(tmp_path / "c.pth")


# Import


@pytest.fixture
def config(monkeypatch):
    return config_named("ram_mnist", monkeypatch)


def published(units=6, two_layers=False, error_head=False):
    draw = np.random.default_rng(0)
    shapes = {
        "sensor.fc1": (4, 2 * 5 * 5),
        "sensor.fc2": (3, 2),
        "sensor.fc3": (units, 4),
        "sensor.fc4": (units, 3),
        "rnn.i2h": (units, units),
        "rnn.h2h": (units, units),
        "classifier.fc": (10, units),
        "baseliner.fc": (1, units),
        "locator.fc": (3 if two_layers else 2, units),
    }
    if two_layers:
        shapes["locator.fc_lt"] = (2, 3)
    if error_head:
        shapes["uncertain_classifier.fc"] = (10, units + 10)
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = draw.standard_normal(shape).astype("float32")
        weights[f"{name}.bias"] = draw.standard_normal(shape[0]).astype("float32")
    return weights


@pytest.mark.parametrize(
    "name, two_layers, bound",
    [
        ("ram_mnist", False, "tanh"),
        ("ram_mnist", True, "tanh"),
        ("active_ram_mnist", False, "clip"),
    ],
)
def test_a_published_checkpoint_becomes_a_workdir(
    name, two_layers, bound, monkeypatch, tmp_path
):
    config = config_named(name, monkeypatch)
    weights = published(two_layers=two_layers, error_head=config.family != "ram")
    content, storages = as_saved(weights)
    write_stream(tmp_path / "c.pth.tar", {"model_state": content}, storages)
    workdir = tmp_path / "run"
    published_ram.import_ram(
        tmp_path / "c.pth.tar", workdir, config, stddev=0.3, num_scales=2
    )
    network = experiment.restore(workdir).network
    assert network.glimpse_sides == (5, 10)
    assert network.location.stddev == 0.3
    assert network.location.bound == bound
    assert network.retina.pixel_mean == published_ram.PIXEL_MEAN
    assert isinstance(network.core, layers.RectifierCell)
    assert experiment.restore(workdir).pick("learned").first_fraction == 1
    for name, variable, convert in published_ram.published_weights(network):
        np.testing.assert_array_equal(variable, convert(weights[name]))
    images = np.zeros((2, 28, 28, 1), "uint8")
    looked = network(images, policy=experiment.restore(workdir).pick(), num_glimpses=2)
    assert looked.logits.shape == (2, 2, 10)


@pytest.mark.parametrize("name", ["pham_digits", "ram_digits", "cluttered_mnist_60"])
def test_a_config_of_other_models_or_data_is_refused(name, monkeypatch, tmp_path):
    config = config_named(name, monkeypatch)
    with pytest.raises(InputError, match=f"of {config.family} on {config.data.name}"):
        published_ram.import_ram(tmp_path / "c", tmp_path / "run", config, stddev=0.3)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"rnn.h2h.weight": None}, "rnn.h2h.weight"),
        ({"encoder.weight": np.zeros(3, "float32")}, "encoder.weight"),
        ({"sensor.fc1.weight": np.zeros((4, 51), "float32")}, "51 pixels"),
        ({"classifier.fc.weight": np.zeros((7, 6), "float32")}, "shape"),
    ],
)
def test_other_weights_are_refused(change, said, config, tmp_path):
    weights = {k: v for k, v in (published() | change).items() if v is not None}
    content, storages = as_saved(weights)
    write_stream(tmp_path / "c.pth.tar", {"model_state": content}, storages)
    with pytest.raises(InputError, match=said):
        published_ram.import_ram(
            tmp_path / "c.pth.tar",
            tmp_path / "run",
            config,
            stddev=0.2,
            num_scales=2,
        )
    assert not (tmp_path / "run").exists()


def test_a_used_folder_is_not_overwritten(config, tmp_path):
    with pytest.raises(InputError, match="exists: give a new folder"):
        published_ram.import_ram(tmp_path / "c.pth.tar", tmp_path, config, stddev=0.2)


@pytest.mark.slow
def test_the_published_checkpoint_reads_mnist(real_data, config, tmp_path):
    (checkpoint,) = real_data("checkpoints").glob("*.pth.tar")
    workdir = tmp_path / "run"
    published_ram.import_ram(checkpoint, workdir, config, stddev=0.17)
    compared = evaluate(
        workdir,
        chosen=["learned"],
        seeds=1,
        mc_samples=10,
        max_examples=1000,
        datapath=real_data("mnist"),
        report=lambda line: None,
    )
    accuracy = compared["policies"]["learned"]
    assert accuracy["accuracy"]["mean"][-1] == pytest.approx(0.98, abs=0.01)
    assert accuracy["accuracy_one_sample"]["mean"][-1] == pytest.approx(0.94, abs=0.015)
