"""What lies beside an exported graph: labels, preprocessing, warm-up, server config."""

import importlib.util
import pathlib

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
        file.writelines(f"{name}\n" for name in class_names)
    write_json(folder / "preprocessing.json", preprocessing)
    if importlib.util.find_spec("tensorflow_serving") is None:
        return  # Its messages are needed to write one; a server starts without it.
    with tf.io.TFRecordWriter(str(folder / WARMUP)) as writer:
        for name, requests in examples.items():
            for inputs in requests:
                log = _prediction_log(model_name, name, inputs)
                writer.write(log.SerializeToString())


def _prediction_log(model_name, signature, inputs):
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    predict = prediction_log_pb2.PredictLog(request=request)
    return prediction_log_pb2.PredictionLog(predict_log=predict)


def last_version(folder):
    """Returns the newest version's folder of a model.

    Raises:
        InputError: If there is none.
    """
    folder = pathlib.Path(folder)
    versions = [path for path in folder.glob("*") if path.name.isdigit()]
    if not versions:
        raise InputError(f"no version of a model in {folder}: export one first.")
    return max(versions, key=lambda path: int(path.name))


def megabytes(version):
    """Returns the size of a version's files in megabytes."""
    paths = pathlib.Path(version).rglob("*")
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def write_models_config(output):
    """Writes `models.config` beside the models: every one there with a version."""
    root = pathlib.Path(output).resolve().parent
    names = [
        folder.name
        for folder in sorted(root.iterdir())
        if folder.is_dir() and any(path.name.isdigit() for path in folder.iterdir())
    ]
    entries = "".join(
        f'  config {{ name: "{name}" base_path: "/models/{name}" '
        'model_platform: "tensorflow" }\n'
        for name in names
    )
    with whole_file(root / "models.config") as file:
        file.write(f"model_config_list {{\n{entries}}}\n")


def how_to_serve(output):
    """Returns the lines that start a server for the models beside `output`."""
    output = pathlib.Path(output).resolve()
    ports = "--port=8500 --rest_api_port=8501"
    return (
        "serve with either of:",
        f"  docker run -p 8500:8500 -p 8501:8501 -v {output.parent}:/models "
        "tensorflow/serving --model_config_file=/models/models.config",
        f"  tensorflow_model_server {ports} --model_name={output.name} "
        f"--model_base_path={output}",
    )
