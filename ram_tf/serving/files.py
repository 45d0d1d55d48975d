"""What lies beside an exported graph: labels, preprocessing, warm-up requests."""

import csv
import importlib.util
import io
import pathlib
import shlex

import tensorflow as tf

from ram_tf.errors import InputError
from ram_tf.files import whole_file, write_json

EXTRA = "assets.extra"
WARMUP = "tf_serving_warmup_requests"


def write_extra(version, *, class_names, preprocessing, model_name, examples):
    """Writes a version's `assets.extra`: all a client and a server need to know.

    Args:
        version: Folder of the SavedModel.
        class_names: Sequence of strings.
        preprocessing: Dictionary of plain values.
        model_name: Name that the model is served by.
        examples: Signature name -> list of requests, dictionaries of arrays.
    """
    folder = pathlib.Path(version) / EXTRA
    with whole_file(folder / "labels.txt") as file:
        file.writelines(f"{_in_one_line(name)}\n" for name in class_names)
    exact = {"class_names": list(class_names)}
    write_json(folder / "preprocessing.json", {**exact, **preprocessing})
    if importlib.util.find_spec("tensorflow_serving") is None:
        return  # Its messages are needed to write one; a server starts without it.
    with tf.io.TFRecordWriter(str(folder / WARMUP)) as writer:
        for name, requests in examples.items():
            for inputs in requests:
                log = _prediction_log(model_name, name, inputs)
                writer.write(log.SerializeToString())


def _in_one_line(name):
    """The name; one that breaks lines with escapes instead."""
    whole = f"{name}\n".splitlines() == [name]
    return name if whole else name.encode("unicode_escape").decode()


def _prediction_log(model_name, signature, inputs):
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    predict = prediction_log_pb2.PredictLog(request=request)
    return prediction_log_pb2.PredictionLog(predict_log=predict)


def versions(folder):
    """The folders that have the name of a version: a number, as a server reads it."""
    return [
        path
        for path in pathlib.Path(folder).glob("*")
        if path.name.isascii() and path.name.isdecimal()
    ]


def last_version(folder):
    """Returns the newest version's folder of a model.

    Raises:
        InputError: If there is none.
    """
    found = [path for path in versions(folder) if (path / "saved_model.pb").exists()]
    if not found:
        raise InputError(f"no version of a model in {folder}: export one first.")
    return max(found, key=lambda path: int(path.name))


def megabytes(version):
    """Returns the size of a version's files in megabytes."""
    paths = pathlib.Path(version).rglob("*")
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def how_to_serve(output):
    """Returns the lines that start a server for the model in `output`."""
    output = pathlib.Path(output).resolve()
    docker, server = "docker run -p 8500:8500 -p 8501:8501", "tensorflow_model_server"
    # A row of CSV, as Docker reads it: a path may hold a comma.
    mount = io.StringIO()
    csv.writer(mount, lineterminator="").writerow(
        ("type=bind", f"source={output}", "target=/model")
    )
    mount = shlex.join(("--mount", mount.getvalue()))

    def options(folder):
        name = f"--model_name={output.name}"
        path = f"--model_base_path={folder}"
        return shlex.join(("--port=8500", "--rest_api_port=8501", name, path))

    return (
        "serve with either of:",
        f"  {docker} {mount} --entrypoint {server} tensorflow/serving "
        f"{options('/model')}",
        f"  {server} {options(output)}",
    )
