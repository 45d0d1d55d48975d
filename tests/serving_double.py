"""A double of TensorFlow Serving, for tests of clients: one model, no batching.

Of its gRPC calls it answers `PredictionService/Predict` and `GetModelMetadata`, of its
REST calls `POST /v1/models/NAME:predict` in the columnar form (named `inputs`) and `GET
/v1/models/NAME/metadata`. Whatever else it is asked it refuses, and says why.
"""

import base64
import concurrent.futures
import http.server
import json
import threading
import urllib.parse

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

from ram_tf.serving.files import last_version


class ServingDouble:
    """Serves the latest version of one exported model.

    Args:
        folder: Folder of the model, with version folders inside.
        grpc_port: Int, 0 for a free one.
        rest_port: Int, 0 for a free one.
    """

    def __init__(self, folder, grpc_port=0, rest_port=0):
        path = last_version(folder).resolve()
        self.name, self.version = path.parent.name, int(path.name)
        self.signatures = tf.saved_model.load(str(path)).signatures
        self.definitions = _signature_definitions(path)
        self._grpc = self._serve_grpc(grpc_port)
        self._rest = http.server.ThreadingHTTPServer(
            ("127.0.0.1", rest_port), _handler(self)
        )
        self.rest_port = self._rest.server_address[1]
        threading.Thread(target=self._rest.serve_forever, daemon=True).start()

    def predict(self, signature, inputs):
        """Calls a signature with `name -> (shape, dtype) -> tensor` functions."""
        function = self.signatures[signature or "serving_default"]
        _, specs = function.structured_input_signature
        if inputs.keys() != specs.keys():
            raise ValueError(f"inputs {sorted(inputs)}, expected {sorted(specs)}")
        tensors = {name: inputs[name](spec) for name, spec in specs.items()}
        for name, spec in specs.items():
            if tensors[name].dtype != spec.dtype:
                raise TypeError(f"{name} must be {spec.dtype.name}")
            if not spec.shape.is_compatible_with(tensors[name].shape):
                raise ValueError(f"{name} must have the shape {spec.shape}")
        return {name: value.numpy() for name, value in function(**tensors).items()}

    def stop(self):
        """Stops answering."""
        self._grpc.stop(None)
        self._rest.shutdown()
        self._rest.server_close()

    def _serve_grpc(self, port):
        import grpc
        from tensorflow_serving.apis import (
            get_model_metadata_pb2,
            predict_pb2,
            prediction_service_pb2_grpc,
        )

        double = self

        class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
            def Predict(self, request, context):
                if request.model_spec.name != double.name:
                    context.abort(grpc.StatusCode.NOT_FOUND, "no such model")
                inputs = {
                    name: lambda spec, proto=proto: tf.constant(tf.make_ndarray(proto))
                    for name, proto in request.inputs.items()
                }
                try:
                    outputs = double.predict(request.model_spec.signature_name, inputs)
                except Exception as error:  # Whatever a client may have sent.
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, _one_line(error))
                answer = predict_pb2.PredictResponse()
                for name, value in outputs.items():
                    answer.outputs[name].CopyFrom(tf.make_tensor_proto(value))
                return answer

            def GetModelMetadata(self, request, context):
                answer = get_model_metadata_pb2.GetModelMetadataResponse()
                definitions = get_model_metadata_pb2.SignatureDefMap()
                for name, definition in double.definitions.items():
                    definitions.signature_def[name].CopyFrom(definition)
                answer.metadata["signature_def"].Pack(definitions)
                return answer

        server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(8),
            options=[("grpc.max_receive_message_length", -1)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            Service(), server
        )
        self.grpc_port = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        return server


def _signature_definitions(path):
    from tensorflow.core.protobuf import saved_model_pb2

    content = (path / "saved_model.pb").read_bytes()
    saved = saved_model_pb2.SavedModel.FromString(content)
    return dict(saved.meta_graphs[0].signature_def)


def _handler(double):
    base = f"/v1/models/{double.name}"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if urllib.parse.unquote(self.path) != f"{base}/metadata":
                return self._answer(404, {"error": f"nothing at {self.path}"})
            definitions = {
                name: json_format.MessageToDict(
                    definition, preserving_proto_field_name=True
                )
                for name, definition in double.definitions.items()
            }
            content = {"signature_def": {"signature_def": definitions}}
            return self._answer(200, {"metadata": content})

        def do_POST(self):
            try:
                body = self._read_body()
                if urllib.parse.unquote(self.path) != f"{base}:predict":
                    return self._answer(404, {"error": f"nothing at {self.path}"})
                outputs = self._predict(json.loads(body))
            except Exception as error:  # Whatever a client may have sent.
                return self._answer(400, {"error": _one_line(error)})
            plain = {name: _to_json(value) for name, value in outputs.items()}
            return self._answer(200, {"outputs": plain})

        def _predict(self, request):
            if not isinstance(request, dict) or not isinstance(
                request.get("inputs"), dict
            ):
                raise ValueError("only a dictionary with named `inputs` is answered")
            inputs = {
                name: lambda spec, value=value: tf.constant(
                    _from_json(value), spec.dtype
                )
                for name, value in request["inputs"].items()
            }
            return double.predict(request.get("signature_name"), inputs)

        def _read_body(self):
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                """What may follow the last chunk."""
            return body

        def _answer(self, status, content):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *unused):
            """Says nothing."""

    return Handler


def _from_json(value):
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return [_from_json(item) for item in value] if isinstance(value, list) else value


def _to_json(value):
    if value.dtype == object:
        return np.vectorize(bytes.decode, otypes=[object])(value).tolist()
    return value.tolist()


def _one_line(error):
    return " ".join(str(error).split())[:500]
