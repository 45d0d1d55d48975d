"""Exported models, each asked in every way that a user could ask it."""

import io
import json
import pathlib
import re
import signal
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from ram_tf import data, export, trained
from ram_tf.errors import InputError
from ram_tf.serving import check, client, requests, stand_in
from tests.comparisons import assert_close

SIGNATURES = {
    "serving_default",
    "classify_uint8",
    "classify_seeded",
    "classify_encoded",
    "start",
    "look",
    "sense",
}
FAMILIES = ("active_ram", "pham", "ram")
CLASSIFIED = {
    "probabilities",
    "classes",
    "labels",
    "locations",
    "probabilities_per_glimpse",
    "num_glimpses",
}


@pytest.fixture(scope="module")
def models(trained_runs, succeed, tmp_path_factory):
    """Family -> folder of its exported model, made by the command."""
    root = tmp_path_factory.mktemp("exported") / "models"
    for family, workdir in trained_runs.items():
        result = succeed(
            "export_saved_model.py",
            f"--workdir={workdir}",
            f"--output={root / family}",
        )
        assert f"wrote {root / family / '1'}" in result.out
        assert "docker run" in result.out and "tensorflow_model_server" in result.out
    return {family: root / family for family in trained_runs}


@pytest.fixture(scope="module")
def trained_runs(trained, trained_phases, trained_variants):
    return {
        "ram": trained,
        "pham": trained_phases,
        "active_ram": trained_variants / "both" / "seed_0",
    }


@pytest.fixture(scope="module")
def loaded(models):
    """Family -> function (signature, **inputs) -> dictionary of arrays."""

    def load(folder):
        signatures = tf.saved_model.load(str(folder / "1")).signatures

        def call(name, **inputs):
            answered = signatures[name](
                **{key: tf.constant(value) for key, value in inputs.items()}
            )
            return {key: value.numpy() for key, value in answered.items()}

        return call

    return {family: load(folder) for family, folder in models.items()}


@pytest.fixture(scope="module")
def images(trained_runs):
    """Family -> 17 images, bytes."""
    draw = np.random.default_rng(0)
    shapes = {
        family: trained.restore(workdir).image_shape
        for family, workdir in trained_runs.items()
    }
    return {
        family: draw.integers(0, 256, (17, *shape), dtype=np.uint8)
        for family, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def servers(models):
    started = {family: stand_in.StandIn(folder) for family, folder in models.items()}
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


# The signatures


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("batch", [1, 17])
def test_every_signature_answers_any_batch(loaded, images, family, batch):
    call, pixels = loaded[family], images[family][:batch]
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
        assert answer.keys() >= CLASSIFIED
        assert ("information_gain" in answer) == (family == "pham")
        assert all(len(value) == batch for value in answer.values())
        assert_close(answer["probabilities"].sum(-1), np.ones(batch))
        assert answer["probabilities"].shape == (batch, 10)
        best = answer["probabilities"].argmax(-1)
        np.testing.assert_array_equal(answer["classes"], best)
        assert answer["labels"].tolist() == [str(label).encode() for label in best]
        np.testing.assert_array_equal(answer["num_glimpses"], 2)
        assert np.abs(answer["locations"]).max() <= 1
    started = call("start", seed=seed)
    sensed = call("sense", images=floats, location=started["location"])
    boxes = sensed.pop("boxes")
    looked = call("look", **started, **sensed)
    assert all(len(value) == batch for value in (*looked.values(), boxes))
    assert started.keys() <= looked.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_bytes_and_files_are_read_as_floats_are(loaded, images, family):
    call, pixels = loaded[family], images[family]
    floats = call("serving_default", images=as_floats(pixels))
    encoded = np.array([encode(image) for image in pixels], object)
    for answer in (
        call("classify_uint8", images=pixels),
        call("classify_encoded", image_bytes=encoded),
    ):
        for key in ("probabilities", "locations"):
            assert_close(answer[key], floats[key], 1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_in_memory_answers_the_same(loaded, images, trained_runs, family):
    restored = trained.restore(trained_runs[family])
    served = export.Served.from_trained(restored)
    floats = as_floats(images[family])
    answer = loaded[family]("serving_default", images=floats)
    ours = served.answer("serving_default", {"images": floats})
    assert list(check.differences(ours, answer)) == []
    if restored.pick().deterministic:
        looked = restored.network(
            floats, policy=restored.pick(), num_glimpses=served.num_glimpses
        )
        assert_close(answer["locations"], looked.locations, 1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_depends_on_its_own_image_and_seed(loaded, images, family):
    call, floats = loaded[family], as_floats(images[family])
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


@pytest.mark.parametrize("family", FAMILIES)
def test_looking_step_by_step_is_looking_at_the_image(loaded, images, family):
    call, floats = loaded[family], as_floats(images[family])
    whole = call("serving_default", images=floats)
    state = call("start", seed=np.zeros(len(floats), np.int64))
    for step in range(2):
        assert_close(state["location"], whole["locations"][:, step], 1e-4)
        glimpse = call("sense", images=floats, location=state["location"])["glimpse"]
        assert glimpse.min() > -1e-5 and glimpse.max() < 1 + 1e-5
        answer = call("look", glimpse=glimpse, **state)
        assert_close(
            answer["probabilities"], whole["probabilities_per_glimpse"][:, step], 1e-4
        )
        if family == "pham" and step == 0:
            assert_close(
                answer["information_gain"], whole["information_gain"][:, 0], 1e-3
            )
        names = [name for name in answer if name.startswith("state_")]
        state = {name: answer[name] for name in (*names, "location")}
    np.testing.assert_array_equal(answer["classes"], whole["classes"])


def test_states_of_one_batch_may_be_at_different_steps(loaded, images):
    call, floats = loaded["pham"], as_floats(images["pham"][:2])
    started = call("start", seed=np.array([3, 3]))

    def look(state, rows):
        state = {name: value[rows] for name, value in state.items()}
        glimpse = call("sense", images=floats[rows], location=state["location"])
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


def test_copies_are_averaged(trained_runs, images):
    restored = trained.restore(trained_runs["ram"])
    one, many = (
        export.Served.from_trained(restored, mc_samples=samples) for samples in (1, 4)
    )
    floats = as_floats(images["ram"])
    single, averaged = (
        served.answer("serving_default", {"images": floats}) for served in (one, many)
    )
    # The first copy is that of one sample alone.
    assert_close(single["locations"], averaged["locations"], 1e-4)
    assert np.abs(single["probabilities"] - averaged["probabilities"]).max() > 1e-4


# Stopping


@pytest.mark.parametrize("bound, expected", [(1e9, 1), (0.0, 2)])
def test_looking_stops_when_no_place_promises_enough(
    trained_runs, images, bound, expected
):
    restored = trained.restore(trained_runs["pham"])
    served = export.Served.from_trained(restored, stop_epsilon=bound)
    floats = as_floats(images["pham"][:3])
    answer = served.answer("serving_default", {"images": floats})
    np.testing.assert_array_equal(answer["num_glimpses"], expected)
    np.testing.assert_array_equal(
        answer["probabilities"], answer["probabilities_per_glimpse"][:, expected - 1]
    )
    started = served.answer("start", {"seed": np.zeros(3, np.int64)})
    sensed = served.answer("sense", {"images": floats, "location": started["location"]})
    assert served.answer("look", {**started, **sensed})["stop"].all() == (expected == 1)


def test_a_family_without_a_rule_to_stop_is_refused(trained, refuse, tmp_path):
    line = refuse(
        "export_saved_model.py",
        f"--workdir={trained}",
        f"--output={tmp_path / 'm'}",
        "--stop_epsilon=0.1",
    )
    assert "when to stop" in line and "--stop_epsilon" in line


# Files in the graph


def test_files_are_cropped_and_resized_as_in_training():
    draw = np.random.default_rng(0)
    photo = np.asarray(
        PIL.Image.fromarray(draw.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
            (96, 70), PIL.Image.BICUBIC
        )
    )
    for kind, size, channels in (
        ("PNG", (20, 30), 3),
        ("PNG", (33, 33), 1),
        ("JPEG", (28, 28), 3),
        ("JPEG", (100, 60), 1),
    ):
        content = encode(photo, kind)
        ours = export.decode(tf.constant(content), size, channels).numpy()
        theirs = data.decode_image(content, "photo", size, channels)
        assert ours.shape == theirs.shape and ours.dtype == np.uint8
        assert np.abs(ours.astype(int) - theirs).max() <= 2


def test_transparency_is_laid_on_white():
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, 4:, 3] = 255
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    ours = export.decode(tf.constant(file.getvalue()), (8, 8), 1).numpy()
    np.testing.assert_array_equal(ours[:, :4], 255)
    np.testing.assert_array_equal(ours[:, 4:], 0)


# What is written


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_a_server_refuses_is_in_the_graph(models, family):
    path = models[family] / "1" / "saved_model.pb"
    graph = saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs[0]
    library = graph.graph_def.library.function
    nodes = [*graph.graph_def.node, *(n for f in library for n in f.node_def)]
    assert len(nodes) > 100
    assert not {"PyFunc", "EagerPyFunc", "PyFuncStateless"} & {n.op for n in nodes}
    assert not [f for f in library if f.attr["_XlaMustCompile"].b]
    assert set(graph.signature_def) >= SIGNATURES


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_and_preprocessing_travel_with_the_model(models, images, family):
    folder = models[family] / "1" / "assets.extra"
    labels = (folder / "labels.txt").read_text().split()
    assert labels == [str(digit) for digit in range(10)]
    told = json.loads((folder / "preprocessing.json").read_text())
    assert tuple(told["image_shape"]) == images[family].shape[1:]
    assert told["num_glimpses"] == 2


def test_the_servers_config_names_every_model(models):
    root = models["ram"].parent
    config = text_format.Parse(
        (root / "models.config").read_text(),
        model_server_config_pb2.ModelServerConfig(),
    ).model_config_list.config
    assert [entry.name for entry in config] == list(FAMILIES)
    assert [entry.base_path for entry in config] == [f"/models/{f}" for f in FAMILIES]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_warm_up_requests_are_answered(models, servers, family):
    path = models[family] / "1" / "assets.extra" / "tf_serving_warmup_requests"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert 0 < len(records) <= 1000
    asked = set()
    for record in records:
        request = prediction_log_pb2.PredictionLog.FromString(
            record
        ).predict_log.request
        assert request.model_spec.name == family
        inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        name = request.model_spec.signature_name
        answer = client.GrpcClient(f"localhost:{servers[family].grpc_port}", family)
        assert answer.call(name, inputs)
        asked.add(name)
    assert asked == SIGNATURES


def test_versions_count_up_and_none_is_lost(trained_runs, start, tmp_path):
    output = tmp_path / "models" / "m"
    output.mkdir(parents=True)
    arguments = (f"--workdir={trained_runs['ram']}", f"--output={output}")
    both = [start("export_saved_model.py", *arguments) for _ in range(2)]
    for command in both:
        result = command.finish()
        assert result.status == 0, result.err
    assert sorted(path.name for path in output.iterdir()) == ["1", "2"]
    for path in output.iterdir():
        assert set(tf.saved_model.load(str(path)).signatures) >= SIGNATURES


def test_a_failed_export_leaves_no_version(trained_runs, tmp_path, monkeypatch):
    output = tmp_path / "m"
    wrong = check.save_requests

    def spoil(path, examples, answers):
        answers["start"][0]["location"] = answers["start"][0]["location"] + 1
        wrong(path, examples, answers)

    monkeypatch.setattr(check, "save_requests", spoil)
    with pytest.raises(InputError, match="start: location differs"):
        export.export(trained_runs["ram"], output)
    assert list(output.iterdir()) == []


# Other ways in


def test_the_c_api_gives_the_same_answers(models, loaded, images, tmp_path):
    """The loader that TensorFlow Serving uses, without TensorFlow's Python."""
    library = pathlib.Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2"
    path = models["ram"] / "1"
    saved = saved_model_pb2.SavedModel.FromString(
        (path / "saved_model.pb").read_bytes()
    )
    signatures = saved.meta_graphs[0].signature_def
    pixels = images["ram"]
    encoded = np.array([encode(image) for image in pixels])
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


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("protocol", CLIENTS)
def test_bad_requests_are_refused_and_good_ones_go_on(
    servers, images, loaded, family, protocol
):
    asked = CLIENTS[protocol](servers[family])
    floats = as_floats(images[family][:2])
    good = np.array([encode(image) for image in images[family][:2]], object)
    cut = np.array([good[0], encode(images[family][1], "JPEG")[:200]], object)
    expected = loaded[family]("serving_default", images=floats)
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


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("protocol", CLIENTS)
def test_a_sensor_is_pointed_by_the_client_alone(
    servers, images, loaded, family, protocol, tmp_path
):
    asked = CLIENTS[protocol](servers[family])
    path = tmp_path / "image.png"
    path.write_bytes(encode(images[family][0]))
    lines, picture = [], tmp_path / "path.png"
    requests.step(asked, [path], 2, output=picture, report=lines.append)
    whole = loaded[family]("serving_default", images=as_floats(images[family][:1]))
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


def test_a_user_serves_and_asks(models, images, trained_runs, start, succeed, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        (folder / f"{index}.png").write_bytes(encode(images["ram"][index]))
    server = start(
        "tools/stand_in_server.py",
        f"--model={models['ram']}",
        "--port=0",
        "--rest_api_port=0",
    )
    try:
        line = server.process.stdout.readline()
        grpc_port, rest_port = re.findall(r"localhost:(\d+)", line)
        ask = ("tools/serve_client.py", "--model=ram")
        by_grpc = succeed(*ask, f"--grpc=localhost:{grpc_port}", folder)
        by_rest = succeed(*ask, f"--rest=localhost:{rest_port}", folder)
    finally:
        server.send(signal.SIGKILL).finish()
    assert by_grpc.out == by_rest.out
    local = succeed("tools/predict.py", f"--workdir={trained_runs['ram']}", folder)
    assert by_grpc.out == local.out


def test_no_server_is_one_clear_line(refuse, tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(encode(np.zeros((8, 8, 1), np.uint8)))
    for address in ("--grpc=localhost:1", "--rest=localhost:1"):
        refuse("tools/serve_client.py", "--model=m", address, path)
    assert "export" in refuse("tools/stand_in_server.py", f"--model={tmp_path}")
