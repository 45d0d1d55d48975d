"""Exported models, each asked in every way that a user could ask it."""

import csv
import http.client
import io
import json
import pathlib
import shlex
import subprocess
import sys
import threading
from unittest import mock

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from ram_tf import data, experiment, pretrained
from ram_tf.errors import InputError
from ram_tf.serving import check, client, files, isolated, requests
from ram_tf.serving.export import claim_version, export
from ram_tf.serving.served import Served
from tests import untrained
from tests.comparisons import assert_close
from tests.data.awkward_files import awkward_files
from tests.image_files import image_files
from tests.serving_double import ServingDouble

AWKWARD = awkward_files()
SIGNATURES = {
    "serving_default",
    "classify_uint8",
    "classify_seeded",
    "classify_encoded",
    "start",
    "look",
    "sense",
}
# Each family, and a retina with noise, with the precision that it was trained in: what
# is served is float32.
TRAINED_IN = {
    "active_ram": "mixed_float16",
    "dram": "mixed_bfloat16",
    "fine_grained": "mixed_bfloat16",
    "mram": "mixed_float16",
    "noisy": "float32",
    "open_set": "mixed_bfloat16",
    "pham": "mixed_bfloat16",
    "ram": "mixed_bfloat16",
    "zoom": "mixed_bfloat16",
}
# Parts of a family that compute in the precision it is asked for.
TWO_LAYERS = ("dram", "mram", "zoom")
# How many numbers a location has.
COORDINATES = {kind: 3 if kind == "zoom" else 2 for kind in TRAINED_IN}
SERVED = (pytest.param("pham", marks=pytest.mark.slow), "ram")


def of_kinds(*left_out):
    """Runs a test for every kind, all but one of them among the slow ones."""
    return pytest.mark.parametrize(
        "kind",
        [
            pytest.param(kind, marks=[] if kind == "ram" else [pytest.mark.slow])
            for kind in sorted(TRAINED_IN)
            if kind not in left_out
        ],
    )


CLASSIFIED = {
    "probabilities": ((10,), "float32"),
    "classes": ((), "int64"),
    "labels": ((), "object"),
    "probabilities_per_glimpse": ((2, 10), "float32"),
    "num_glimpses": ((), "int32"),
}


def check_here(script, version, answers):
    """Does in this process what `isolated.run` starts one for."""
    with mock.patch.dict(sys.modules):
        try:
            check.main(str(version), answers)
        except SystemExit as end:
            return subprocess.CompletedProcess(script, 1, str(end), "")
    return subprocess.CompletedProcess(script, 0, "", "")


def check_nothing(script, version, answers):
    return subprocess.CompletedProcess(script, 0, "", "")


@pytest.fixture
def written_in_no_time(monkeypatch):
    """Makes exports write next to nothing, for what is around them."""

    def write(served, folder):
        folder.mkdir()
        (folder / "saved_model.pb").touch()

    monkeypatch.setattr(Served, "write", write)
    monkeypatch.setattr(Served, "examples", lambda served: {})
    monkeypatch.setattr(isolated, "run", check_nothing)


@pytest.fixture(scope="module", autouse=True)
def tiny_backbone():
    with untrained.tiny_backbone():
        yield


class Made(dict):
    """Makes what is asked for by its kind, once."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def __missing__(self, kind):
        self[kind] = self.make(kind)
        return self[kind]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Kind -> folder of its run."""
    root = tmp_path_factory.mktemp("runs")
    return Made(lambda kind: untrained.write_run(root / kind, kind, TRAINED_IN[kind]))


@pytest.fixture(scope="module")
def models(runs, tmp_path_factory):
    """Kind -> folder of its exported model."""
    root = tmp_path_factory.mktemp("exported") / 'models, that\'s "it"'

    def write(kind):
        # What it would compare is compared below.
        with mock.patch.object(isolated, "run", check_nothing):
            export(runs[kind], root / kind, report=lambda line: None)
        return root / kind

    return Made(write)


@pytest.fixture(scope="module")
def loaded(models):
    """Kind -> function (signature, **inputs) -> dictionary of arrays."""

    def load(kind):
        signatures = tf.saved_model.load(str(models[kind] / "1")).signatures

        def call(name, **inputs):
            answered = signatures[name](
                **{key: tf.constant(value) for key, value in inputs.items()}
            )
            return {key: value.numpy() for key, value in answered.items()}

        return call

    return Made(load)


@pytest.fixture(scope="module")
def images():
    """Kind -> 17 images, bytes."""
    draw = np.random.default_rng(0)
    return {
        kind: draw.integers(0, 256, (17, *shape), dtype=np.uint8)
        for kind, (*_, shape) in untrained.KINDS.items()
    }


@pytest.fixture(scope="module")
def servers(models):
    started = Made(lambda kind: ServingDouble(models[kind]))
    yield started
    for server in started.values():
        server.stop()


def as_floats(pixels):
    return (pixels / 255.0).astype("float32")


def encode(pixels, kind="PNG"):
    file = io.BytesIO()
    PIL.Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(
        file, kind
    )
    return file.getvalue()


def look_first(call, kind, floats, seed):
    """The state before the first glimpse, with an overview where there is one."""
    place = np.zeros((len(floats), COORDINATES[kind]), "float32")
    sensed = call("sense", images=floats, location=place, seed=seed)
    first = {name: sensed[name] for name in ("overview",) if name in sensed}
    return call("start", seed=seed, **first)


def carried(answer):
    """What the next `look` takes of an answer."""
    names = [name for name in answer if name.startswith("state_")]
    return {name: answer[name] for name in (*names, "location")}


# The signatures


@of_kinds()
@pytest.mark.parametrize("batch", [1, 17])
def test_every_signature_answers_any_batch(loaded, images, kind, batch):
    call, pixels = loaded[kind], images[kind][:batch]
    seed = np.arange(batch)
    floats = as_floats(pixels)
    encoded = np.array([encode(image) for image in pixels], object)
    answers = [
        call("serving_default", images=floats),
        call("classify_uint8", images=pixels),
        call("classify_seeded", images=floats, seed=seed),
        call("classify_encoded", image_bytes=encoded),
    ]
    for answer in answers:
        assert ("information_gain" in answer) == (kind == "pham")
        assert all(len(value) == batch for value in answer.values())
        for name, (shape, dtype) in CLASSIFIED.items():
            assert answer[name].shape == (batch, *shape)
            assert answer[name].dtype == dtype
        assert_close(answer["probabilities"].sum(-1), np.ones(batch))
        best = answer["probabilities"].argmax(-1)
        np.testing.assert_array_equal(answer["classes"], best)
        expected = [f"class {label}".encode() for label in best]
        assert answer["labels"].tolist() == expected
        np.testing.assert_array_equal(answer["num_glimpses"], 2)
        assert answer["locations"].shape == (batch, 2, COORDINATES[kind])
        assert np.abs(answer["locations"]).max() <= 1
        assert ("scales" in answer) == (kind == "zoom")
    started = look_first(call, kind, floats, seed)
    sensed = call("sense", images=floats, location=started["location"], seed=seed)
    looked = call("look", **carried(started), glimpse=sensed["glimpse"])
    assert all(len(value) == batch for value in (*looked.values(), *sensed.values()))
    assert sensed["boxes"].dtype == np.int32
    # What one answers the next one takes.
    for name, value in started.items():
        assert looked[name].shape == value.shape and looked[name].dtype == value.dtype


@of_kinds()
def test_tensors_are_those_that_a_client_knows(models, kind):
    """Whatever a run was trained in: no half precision, and the batch is free."""
    content = (models[kind] / "1" / "saved_model.pb").read_bytes()
    graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0]
    known = {tf.float32, tf.int32, tf.int64, tf.uint8, tf.bool, tf.string}
    for name in SIGNATURES:
        signature = graph.signature_def[name]
        assert signature.inputs and signature.outputs
        for key, tensor in [*signature.inputs.items(), *signature.outputs.items()]:
            assert tf.as_dtype(tensor.dtype) in known, (name, key)
            assert tensor.tensor_shape.dim[0].size == -1, (name, key)
            assert all(side.size > 0 for side in tensor.tensor_shape.dim[1:]), key


@of_kinds("noisy")
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_run_is_restored_in_the_precision_that_is_asked_for(
    images, kind, dtype, tmp_path
):
    keras.config.set_dtype_policy("float64")
    workdir = untrained.write_run(tmp_path / "run", kind, dtype)
    for asked, expected in ((None, dtype), ("float32", "float32")):
        network = experiment.restore(workdir, dtype=asked).network
        core = getattr(network, "upper" if kind in TWO_LAYERS else "core")
        assert network.dtype_policy.name == core.dtype_policy.name == expected
        assert keras.config.dtype_policy().name == "float64"
    policy = experiment.restore(workdir, dtype="float32").pick()
    looked = network(images[kind][:2], policy=policy, num_glimpses=1)
    assert looked.hidden.dtype == looked.logits.dtype == tf.float32


@pytest.mark.slow
@pytest.mark.parametrize("name", pretrained.names())
def test_every_packaged_model_is_exported(name, monkeypatch, tmp_path):
    monkeypatch.setattr(isolated, "run", check_here)
    lines = []
    path = export(f"packaged:{name}", tmp_path / name, report=lines.append)
    # Of images read in windows, what is left out is said first.
    assert path == tmp_path / name / "1" and str(path) in lines[name == "hunt"]
    assert keras.config.dtype_policy().name == "float32"


@of_kinds()
def test_bytes_and_files_are_read_as_floats_are(loaded, images, kind):
    call, pixels = loaded[kind], images[kind]
    floats = call("serving_default", images=as_floats(pixels))
    encoded = np.array([encode(image) for image in pixels], object)
    for answer in (
        call("classify_uint8", images=pixels),
        call("classify_encoded", image_bytes=encoded),
    ):
        for key in ("probabilities", "locations"):
            assert_close(answer[key], floats[key], 1e-4)


@of_kinds()
def test_the_model_in_memory_answers_the_same(loaded, images, runs, kind):
    restored = experiment.restore(runs[kind], dtype="float32")
    served = Served.from_trained(restored)
    floats = as_floats(images[kind])
    answer = loaded[kind]("serving_default", images=floats)
    ours = served.answer("serving_default", {"images": floats})
    assert list(check.differences(ours, answer)) == []
    if not restored.network.is_random(restored.pick()):
        looked = restored.network(
            floats, policy=restored.pick(), num_glimpses=served.num_glimpses
        )
        assert_close(answer["locations"], looked.locations, 1e-4)


@of_kinds()
def test_a_row_depends_on_its_own_image_and_seed(loaded, images, kind):
    call, floats = loaded[kind], as_floats(images[kind])
    seed = 7 + np.arange(len(floats)) ** 3
    together = call("classify_seeded", images=floats, seed=seed)
    again = call("classify_seeded", images=floats, seed=seed)
    assert list(check.differences(together, again)) == []
    order = np.random.default_rng(1).permutation(len(floats))[:5]
    alone = call("classify_seeded", images=floats[order], seed=seed[order])
    for key, value in alone.items():
        if value.dtype.kind == "f":
            assert_close(value, together[key][order], 1e-4, key)
        else:
            np.testing.assert_array_equal(value, together[key][order])
    other = call("classify_seeded", images=floats, seed=seed + 1)
    assert (other["locations"] != together["locations"]).any(axis=(1, 2)).mean() > 0.8


@of_kinds("noisy")
def test_looking_step_by_step_is_looking_at_the_image(loaded, images, kind):
    call, floats = loaded[kind], as_floats(images[kind])
    whole = call("serving_default", images=floats)
    seed = np.zeros(len(floats), np.int64)
    answer = look_first(call, kind, floats, seed)
    for step in range(2):
        state = carried(answer)
        location = state["location"]
        assert_close(location, whole["locations"][:, step], 1e-4)
        if kind == "zoom":
            assert_close(answer["scale"], whole["scales"][:, step], 1e-4)
        glimpse = call("sense", images=floats, location=location, seed=seed)["glimpse"]
        assert glimpse.min() > -1e-5 and glimpse.max() < 1 + 1e-5
        answer = call("look", glimpse=glimpse, **state)
        assert_close(
            answer["probabilities"], whole["probabilities_per_glimpse"][:, step], 1e-4
        )
        if kind == "pham" and step == 0:
            assert_close(
                answer["information_gain"], whole["information_gain"][:, 0], 1e-3
            )
    np.testing.assert_array_equal(answer["classes"], whole["classes"])


@pytest.mark.slow
def test_the_noise_of_a_sensor_is_that_of_its_seed(loaded, images):
    call, floats = loaded["noisy"], as_floats(images["noisy"])
    corner = np.full((len(floats), 2), -1, "float32")
    seed = np.arange(len(floats))

    def sense(seed):
        return call("sense", images=floats, location=corner, seed=seed)["glimpse"]

    glimpse = sense(seed)
    np.testing.assert_array_equal(glimpse, sense(seed))
    outside = glimpse[:, 0, :3, :3]
    assert (sense(seed + 1)[:, 0, :3, :3] != outside).all()
    assert outside.min() >= 0.4 and outside.max() <= 0.9 and outside.std() > 0.1
    # As of the first glimpse when a whole image is looked at.
    whole = call("classify_seeded", images=floats, seed=seed)
    place = whole["locations"][:, 0]
    seen = call("sense", images=floats, location=place, seed=seed)["glimpse"]
    started = {**call("start", seed=seed), "location": place}
    answer = call("look", glimpse=seen, **started)
    belief = whole["probabilities_per_glimpse"][:, 0]
    assert_close(answer["probabilities"], belief, 1e-4)


@pytest.mark.slow
def test_states_of_one_batch_may_be_at_different_steps(loaded, images):
    call, floats = loaded["pham"], as_floats(images["pham"][:2])
    started = call("start", seed=np.array([3, 3]))

    def look(state, rows):
        state = {name: value[rows] for name, value in state.items()}
        glimpse = call(
            "sense",
            images=floats[rows],
            location=state["location"],
            seed=state["state_seed"],
        )
        return call("look", glimpse=glimpse["glimpse"], **state)

    def kept(answer):
        return {name: answer[name] for name in started}

    once = look(started, [0, 1])
    twice = look(kept(once), [0, 1])
    # The first example's second look, in one batch with the second's first.
    mixed = {name: np.stack([once[name][0], started[name][1]]) for name in started}
    answer = look(mixed, [0, 1])
    for name in ("probabilities", "location"):
        assert_close(answer[name][0], twice[name][0], 1e-4)
        assert_close(answer[name][1], once[name][1], 1e-4)


def test_copies_are_averaged(runs, images):
    restored = experiment.restore(runs["ram"], dtype="float32")
    one, many = (
        Served.from_trained(restored, mc_samples=samples) for samples in (1, 4)
    )
    floats = as_floats(images["ram"])
    single, averaged = (
        served.answer("serving_default", {"images": floats}) for served in (one, many)
    )
    # The first copy is that of one sample alone.
    assert_close(single["locations"], averaged["locations"], 1e-4)
    assert np.abs(single["probabilities"] - averaged["probabilities"]).max() > 1e-4


# Stopping


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, bound, expected", [("pham", 1e9, 1), ("pham", 0.0, 2), ("ram", 1e9, 1)]
)
def test_looking_stops_when_no_place_promises_enough(
    runs, images, kind, bound, expected
):
    restored = experiment.restore(runs[kind], dtype="float32")
    served = Served.from_trained(restored, stop_epsilon=bound)
    floats = as_floats(images[kind][:3])
    answer = served.answer("serving_default", {"images": floats})
    np.testing.assert_array_equal(answer["num_glimpses"], expected)
    np.testing.assert_array_equal(
        answer["probabilities"], answer["probabilities_per_glimpse"][:, expected - 1]
    )
    started = served.answer("start", {"seed": np.zeros(3, np.int64)})
    asked = {"images": floats, "location": started["location"]}
    sensed = served.answer("sense", {**asked, "seed": np.zeros(3, np.int64)})
    assert served.answer("look", {**started, **sensed})["stop"].all() == (expected == 1)


def test_a_family_without_a_rule_to_stop_is_refused(runs, tmp_path):
    with pytest.raises(InputError, match="when to stop.*--stop_epsilon"):
        export(runs["open_set"], tmp_path / "m", stop=0.1)


# What is written


@of_kinds()
def test_nothing_a_server_refuses_is_in_the_graph(models, kind):
    path = models[kind] / "1" / "saved_model.pb"
    graph = saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs[0]
    library = graph.graph_def.library.function
    nodes = [*graph.graph_def.node, *(n for f in library for n in f.node_def)]
    assert len(nodes) > 100
    assert not {"PyFunc", "EagerPyFunc", "PyFuncStateless"} & {n.op for n in nodes}
    assert not [f for f in library if f.attr["_XlaMustCompile"].b]
    assert set(graph.signature_def) >= SIGNATURES


@of_kinds()
def test_labels_and_preprocessing_travel_with_the_model(models, images, runs, kind):
    folder = models[kind] / "1" / "assets.extra"
    labels = (folder / "labels.txt").read_text().splitlines()
    assert labels == [f"class {digit}" for digit in range(10)]
    told = json.loads((folder / "preprocessing.json").read_text())
    assert tuple(told["image_shape"]) == images[kind].shape[1:]
    assert told["num_glimpses"] == 2 and told["class_names"] == labels
    # What tests/test_sensor.py builds a sensor from.
    assert told["sensor"] == experiment.restore(runs[kind]).network.describe_sensor()


def test_sixteen_bits_are_served_by_the_range_of_the_run(tmp_path):
    """`data.value_range` goes from a run's config to prediction and to the graph."""
    folder = untrained.write_run(tmp_path / "run", "ram")
    config = json.loads((folder / "config.json").read_text())
    config["data"] = {"name": "folder", "datapath": None, "value_range": [0, 4095]}
    (folder / "config.json").write_text(json.dumps(config))
    restored = experiment.restore(folder)
    path = tmp_path / "x.png"
    path.write_bytes(AWKWARD["twelve_bits_by_range.png"].content)
    pixels = experiment.read_image(path, restored)[None]
    assert pixels.max() == 255
    served = Served.from_trained(restored)
    contents = np.array([path.read_bytes()], object)
    by_file = served.answer("classify_encoded", {"image_bytes": contents})
    by_pixels = served.answer("classify_uint8", {"images": pixels})
    assert_close(by_file["probabilities"], by_pixels["probabilities"], 1e-2)
    assert tuple(served.preprocessing()["value_range"]) == (0, 4095)


def test_a_label_is_one_line(tmp_path):
    names = ["cat", "two\nlines", "a\r", "page\x0cbreak", "caf\u00e9", "", "\udcff"]
    files.write_extra(
        tmp_path, class_names=names, preprocessing={}, model_name="m", examples={}
    )
    folder = tmp_path / "assets.extra"
    content = (folder / "labels.txt").read_bytes().decode(errors="surrogateescape")
    labels = content.splitlines()
    assert len(labels) == len(names)
    assert labels[:2] == ["cat", "two\\nlines"] and labels[4:] == names[4:]
    told = json.loads((folder / "preprocessing.json").read_text())
    assert told["class_names"] == names


@pytest.mark.parametrize("kind", SERVED)
def test_the_warm_up_requests_are_answered(models, loaded, kind):
    path = models[kind] / "1" / "assets.extra" / "tf_serving_warmup_requests"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert 0 < len(records) <= 1000
    asked = set()
    for record in records:
        request = prediction_log_pb2.PredictionLog.FromString(
            record
        ).predict_log.request
        assert request.model_spec.name == kind
        inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        name = request.model_spec.signature_name
        assert loaded[kind](name, **inputs)
        asked.add(name)
    assert asked == SIGNATURES


def test_nothing_is_written_outside_and_every_version_counts(
    runs, written_in_no_time, tmp_path
):
    """Also where what lies around has odd names."""
    root = tmp_path / 'it\'s a "folder"'
    output = root / "m, 1"
    for name in ("²", "7", "0009", "notes"):
        (root / name).mkdir(parents=True)
        (output / name).mkdir(parents=True)
    before = sorted(root.rglob("*"))
    lines = []
    path = export(runs["ram"], output, report=lines.append)
    assert path == output / "10" and files.last_version(output) == path
    outside = {each for each in root.rglob("*") if path not in each.parents}
    assert outside == {*before, path}
    docker, server = (shlex.split(line) for line in lines[-2:])
    assert f"--model_base_path={output}" in server
    assert "--model_name=m, 1" in server and "--model_name=m, 1" in docker
    (mount,) = csv.reader([docker[docker.index("--mount") + 1]])
    assert f"source={output}" in mount and "target=/model" in mount


def test_two_exports_at_once_lose_no_version(tmp_path):
    output = tmp_path / "models" / "m"
    folders = [tmp_path / name for name in ("one", "two", "three")]
    claimed = []
    for folder in folders:
        (output / "1").mkdir(parents=True, exist_ok=True)
        (output / "1" / "saved_model.pb").touch()
        folder.mkdir()
        (folder / "saved_model.pb").touch()
    start = threading.Barrier(len(folders))

    def claim(folder):
        start.wait()
        claimed.append(claim_version(folder, output).name)

    threads = [threading.Thread(target=claim, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == ["2", "3", "4"]


@pytest.mark.parametrize("name", ["a[b]", "a*", "what?", "a\\b"])
def test_an_output_that_tensorflow_takes_for_a_pattern_is_refused(runs, tmp_path, name):
    with pytest.raises(InputError, match="pattern.*another --output"):
        export(runs["ram"], tmp_path / name / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_no_version(
    runs, written_in_no_time, tmp_path, monkeypatch
):
    output = tmp_path / "m"

    def refuse(script, *arguments):
        return subprocess.CompletedProcess(
            script, 1, "", "and\nstart: location differs"
        )

    monkeypatch.setattr(isolated, "run", refuse)
    with pytest.raises(InputError, match="as it should: start: location differs"):
        export(runs["ram"], output)
    assert list(output.iterdir()) == []


@pytest.mark.slow
def test_a_wrong_answer_is_found(models, loaded, tmp_path):
    inputs = {"seed": np.arange(2)}
    answers = loaded["ram"]("start", **inputs)
    for error, expected in ((0.0, 0), (1.0, 1)):
        wrong = {**answers, "location": answers["location"] + np.float32(error)}
        path = tmp_path / "requests.npz"
        check.save_requests(path, {"start": [inputs]}, {"start": [wrong]})
        done = check_here(check.__file__, models["ram"] / "1", path)
        assert done.returncode == expected
    assert done.stdout == "start: location differs"


def test_the_check_finds_what_this_process_finds(models, tmp_path, monkeypatch):
    """Say TensorFlow from PYTHONPATH, where the interpreter alone has none."""
    (tmp_path / "only_here.py").write_text("")
    script = tmp_path / "script.py"
    script.write_text("import sys, only_here; print(sys.argv[1:])")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    done = isolated.run(script, "a b", 3)
    assert (done.returncode, done.stdout) == (0, "['a b', '3']\n"), done.stderr


# Other ways in


@pytest.mark.slow
def test_the_c_api_gives_the_same_answers(models, loaded, images, tmp_path):
    """The loader that TensorFlow Serving uses, without TensorFlow's Python."""
    library = pathlib.Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2"
    path = models["ram"] / "1"
    saved = saved_model_pb2.SavedModel.FromString(
        (path / "saved_model.pb").read_bytes()
    )
    signatures = saved.meta_graphs[0].signature_def
    pixels = images["ram"]
    turned = image_files()["turned_6.jpg"]
    encoded = np.array([*(encode(image) for image in pixels), turned])
    asked = [
        ("serving_default", {"images": as_floats(pixels[:1])}),
        ("serving_default", {"images": as_floats(pixels)}),
        ("classify_uint8", {"images": pixels}),
        ("classify_seeded", {"images": as_floats(pixels), "seed": np.arange(17)}),
        ("classify_encoded", {"image_bytes": encoded}),
        ("start", {"seed": np.arange(17)}),
    ]
    content = []
    for number, (name, inputs) in enumerate(asked):
        feeds = []
        for key, value in inputs.items():
            file = tmp_path / f"{number}_{key}.npy"
            np.save(file, value)
            feeds.append((signatures[name].inputs[key].name, str(file)))
        outputs = signatures[name].outputs
        fetches = {key: outputs[key].name for key in outputs}
        content.append({"feeds": feeds, "fetches": fetches})
    request = tmp_path / "request.json"
    request.write_text(json.dumps(content))
    done = subprocess.run(
        [
            sys.executable,
            pathlib.Path(__file__).with_name("c_api.py"),
            str(library),
            str(path),
            str(request),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for number, (name, inputs) in enumerate(asked):
        if name == "classify_encoded":
            inputs = {"image_bytes": encoded.astype(object)}
        expected = loaded["ram"](name, **inputs)
        with np.load(tmp_path / f"answer_{number}.npz") as answer:
            assert list(check.differences(expected, dict(answer))) == []


@pytest.mark.slow
def test_tensorflows_own_command_runs_it(models, images, tmp_path):
    np.save(tmp_path / "images.npy", as_floats(images["ram"][:3]))
    done = subprocess.run(
        [
            pathlib.Path(sys.executable).with_name("saved_model_cli"),
            "run",
            f"--dir={models['ram'] / '1'}",
            "--tag_set=serve",
            "--signature_def=serving_default",
            f"--inputs=images={tmp_path / 'images.npy'}",
            f"--outdir={tmp_path}",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert np.load(tmp_path / "probabilities.npy").shape == (3, 10)


CLIENTS = {
    "grpc": lambda server: client.GrpcClient(
        f"localhost:{server.grpc_port}", server.name
    ),
    "rest": lambda server: client.RestClient(
        f"localhost:{server.rest_port}", server.name
    ),
}


@pytest.mark.parametrize("kind", SERVED)
@pytest.mark.parametrize("protocol", CLIENTS)
def test_bad_requests_are_refused_and_good_ones_go_on(
    servers, images, loaded, kind, protocol
):
    asked = CLIENTS[protocol](servers[kind])
    floats = as_floats(images[kind][:2])
    good = np.array([encode(image) for image in images[kind][:2]], object)
    cut = np.array([good[0], encode(images[kind][1], "JPEG")[:200]], object)
    expected = loaded[kind]("serving_default", images=floats)
    for signature, inputs in (
        ("serving_default", {"images": floats[:, 1:]}),
        ("serving_default", {"images": floats[0]}),
        ("serving_default", {"pictures": floats}),
        ("classify_uint8", {"images": np.full(floats.shape, "a")}),
        ("classify_seeded", {"images": floats}),
        ("classify_encoded", {"image_bytes": cut}),
        ("classify_encoded", {"image_bytes": np.array([b"no image"], object)}),
        ("unheard_of", {"images": floats}),
    ):
        with pytest.raises(InputError, match="server answered"):
            asked.call(signature, inputs)
        answer = asked.call("serving_default", {"images": floats})
        assert_close(answer["probabilities"], expected["probabilities"], 1e-4)
    assert asked.image_shape() == floats.shape[1:]


@pytest.mark.parametrize("kind", SERVED)
@pytest.mark.parametrize("protocol", CLIENTS)
def test_a_sensor_is_pointed_by_the_client_alone(
    servers, images, loaded, kind, protocol, tmp_path
):
    asked = CLIENTS[protocol](servers[kind])
    path = tmp_path / "image.png"
    path.write_bytes(encode(images[kind][0]))
    lines, picture = [], tmp_path / "path.png"
    requests.step(asked, [path], 2, output=picture, report=lines.append)
    whole = loaded[kind]("serving_default", images=as_floats(images[kind][:1]))
    with np.load(picture.with_suffix(".npz")) as drawn:
        assert_close(drawn["locations"], whole["locations"], 1e-4)
    assert picture.stat().st_size > 5000
    assert [line.split()[0] for line in lines] == ["glimpse", "glimpse", "wrote"]


def test_many_clients_lose_nothing(servers, images, tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(encode(images["ram"][0]))
    result = requests.load(
        lambda: CLIENTS["grpc"](servers["ram"]), [path], 3, 4, report=lambda line: None
    )
    assert result["answered"] > 20 and result["refused"] > 5
    assert result["wrong"] == result["lost"] == 0


def test_files_that_the_server_cannot_read_are_answered_as_predict_does(
    servers, loaded, images, tmp_path, capsys
):
    """GIF among others: the client decodes it, and says so; what is broken it names."""
    asked = CLIENTS["grpc"](servers["ram"])
    contents = image_files()
    names = ["plain.jpg", "picture.gif", "turned_6.jpg"]
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.write_bytes(contents[path.name])
    table = io.StringIO()
    requests.classify(asked, paths, table)
    warning = capsys.readouterr().err
    shape = images["ram"].shape[1:]
    pixels = np.stack([data.read_image(path, shape) for path in paths])
    answer = loaded["ram"]("classify_uint8", images=pixels)
    rows = list(csv.DictReader(io.StringIO(table.getvalue())))
    assert [row["class"].encode() for row in rows] == answer["labels"].tolist()
    for row, probabilities in zip(rows, answer["probabilities"]):
        assert float(row["probability"]) == pytest.approx(max(probabilities), abs=1e-4)
    assert warning.count("\n") == 1 and str(paths[1]) in warning
    broken = tmp_path / "broken.png"
    broken.write_bytes(contents["cut.png"])
    text = tmp_path / "text.png"
    text.write_bytes(contents["text.png"])
    with pytest.raises(InputError, match=r"2 of a batch of 5 .*broken.png.*text.png"):
        requests.classify(asked, [*paths, broken, text])


@pytest.mark.slow
def test_a_user_exports_serves_and_asks(trained, images, succeed, refuse, tmp_path):
    output = tmp_path / "digits"
    result = succeed(
        "export_saved_model.py", f"--workdir={trained}", f"--output={output}"
    )
    assert f"wrote {output / '1'}" in result.out
    assert "docker run" in result.out and "tensorflow_model_server" in result.out
    folder = tmp_path / "images"
    folder.mkdir()
    for index, pixels in enumerate(images["open_set"][:3]):
        (folder / f"{index}.png").write_bytes(encode(pixels))
    server = ServingDouble(output)
    try:
        ask = ("tools/serve_client.py", "--model=digits")
        by_grpc = succeed(*ask, f"--grpc=localhost:{server.grpc_port}", folder)
        by_rest = succeed(*ask, f"--rest=localhost:{server.rest_port}", folder)
    finally:
        server.stop()
    local = succeed("tools/predict.py", f"--workdir={trained}", folder)
    assert by_grpc.out == by_rest.out == local.out
    for address in ("--grpc=localhost:1", "--rest=localhost:1"):
        for more in ((), ("--step",)):
            line = refuse(*ask, address, *more, folder / "0.png")
            assert "server" in line


def test_whatever_it_is_sent_the_double_answers(servers):
    path = "/v1/models/ram:predict"
    chunks = iter([b'{"inputs": ', b"[1, 2]}"])
    for method, body, headers, status in (
        ("POST", b'{"inputs": [[1.0]]}', {}, 400),
        ("POST", b'{"instances": [1]}', {}, 400),
        ("POST", b"[]", {}, 400),
        ("POST", b"no JSON", {}, 400),
        ("POST", None, {}, 400),
        ("POST", chunks, {"Transfer-Encoding": "chunked"}, 400),
        ("PUT", b"{}", {}, 501),
    ):
        connection = http.client.HTTPConnection("localhost", servers["ram"].rest_port)
        connection.request(method, path, body, headers, encode_chunked=body is chunks)
        assert connection.getresponse().status == status
        connection.close()
    floats = np.zeros((1, *untrained.KINDS["ram"][-1])).tolist()
    request = json.dumps({"inputs": {"images": floats}}).encode()
    connection = http.client.HTTPConnection("localhost", servers["ram"].rest_port)
    connection.request("POST", path, iter([request[:50], request[50:]]))
    answer = connection.getresponse()
    assert answer.status == 200 and "probabilities" in json.load(answer)["outputs"]
