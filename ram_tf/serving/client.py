"""Clients of TensorFlow Serving, and looking through them one glimpse at a time."""

import base64
import http.client
import ipaddress
import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np

from ram_tf.errors import InputError
from ram_tf.pixels import check_pixels
from ram_tf.serving.check import differences


class GrpcClient:
    """Asks a model over gRPC.

    Args:
        address: `host:port`, or `grpc://host:port`. This machine itself is asked past
            any proxy.
        model: Name of the model.
        timeout: Seconds for one request.
    """

    def __init__(self, address, model, timeout=60.0):
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        # Whole images travel both ways.
        options = [("grpc.max_receive_message_length", -1)]
        address = _grpc_target(address)
        if _is_here(f"//{address}"):
            options.append(("grpc.enable_http_proxy", 0))
        self.channel = grpc.insecure_channel(address, options)
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model
        self.timeout = timeout

    def call(self, signature, inputs):
        """Calls a signature.

        Args:
            signature: Its name.
            inputs: Dictionary of arrays; strings as arrays of bytes.

        Returns:
            Dictionary of arrays.

        Raises:
            InputError: If the server refuses or cannot be reached, or float images are
                not in [0, 1], which a server does not look at.
        """
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        _check(inputs)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        answer = self._ask(self.stub.Predict, request)
        return {name: tf.make_ndarray(value) for name, value in answer.outputs.items()}

    def image_shape(self):
        """Returns (height, width, channels) of the images that the model takes.

        `None` of a model of images that are read in windows, which takes none.
        """
        return self.shape_of("serving_default", "images")

    def shape_of(self, signature, name):
        """Returns the shape of an input of a signature, without the batch dimension.

        `None` where there is no such input.
        """
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest()
        request.model_spec.name = self.model
        request.metadata_field.append("signature_def")
        answer = self._ask(self.stub.GetModelMetadata, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        inputs = signatures.signature_def[signature].inputs
        if name not in inputs:
            return None
        return tuple(dim.size for dim in inputs[name].tensor_shape.dim)[1:]

    def _ask(self, method, request):
        import grpc

        try:
            return method(request, timeout=self.timeout)
        except grpc.RpcError as error:
            raise InputError(
                f"the server answered {error.code().name}: {error.details()}"
            ) from error


class RestClient:
    """Asks a model over HTTP; see `GrpcClient`.

    Args:
        address: `host:port`, or a URL, which may be `https://` and have a path.
        model: Name of the model.
        timeout: Seconds for one request.
    """

    def __init__(self, address, model, timeout=60.0):
        base, name = _rest_base(address), urllib.parse.quote(model, safe="")
        self.url = f"{base}/v1/models/{name}"
        handlers = [urllib.request.ProxyHandler({})] if _is_here(base) else []
        self.opener = urllib.request.build_opener(*handlers)
        self.timeout = timeout

    def call(self, signature, inputs):
        _check(inputs)
        body = {
            "signature_name": signature,
            "inputs": {name: _as_json(value) for name, value in inputs.items()},
        }
        outputs = self._open(f"{self.url}:predict", json.dumps(body).encode())
        # Every signature of ours has several outputs, so they have their names.
        return {name: np.array(value) for name, value in outputs["outputs"].items()}

    def image_shape(self):
        return self.shape_of("serving_default", "images")

    def shape_of(self, signature, name):
        metadata = self._open(f"{self.url}/metadata")["metadata"]["signature_def"]
        inputs = metadata["signature_def"][signature]["inputs"]
        if name not in inputs:
            return None
        shape = inputs[name]["tensor_shape"]["dim"]
        return tuple(int(dim["size"]) for dim in shape)[1:]

    def _open(self, url, body=None):
        try:
            with self.opener.open(url, body, self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise InputError(f"the server answered {error.code}: {text}") from error
        except urllib.error.URLError as error:
            raise InputError(f"no server at {url}: {error.reason}.") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise InputError(
                f"what answers at {url} is no model server: {reason}."
            ) from error


def _grpc_target(address):
    """What gRPC is to connect to: it knows names like `dns:///`, and no URLs."""
    scheme, _, rest = address.rpartition("://")
    if scheme in ("grpc", "http", "tcp"):
        return rest.rstrip("/")
    if scheme in ("https", "grpcs"):
        raise InputError(
            f"{address!r} asks for encryption, which this client has over REST alone: "
            "give host:port, or --rest=https://HOST."
        )
    return address


def _rest_base(address):
    """The URL that comes before the name of a model."""
    url = address if "://" in address else f"http://{address}"
    if not re.match(r"https?://[^/]", url):
        raise InputError(
            f"{address!r} is no address for REST: expected host:port, or a URL that "
            "begins with http:// or https://."
        )
    return url.partition("/v1/models")[0].rstrip("/")


def _is_here(url):
    """Whether a URL is of this machine itself."""
    try:
        host = urllib.parse.urlsplit(url).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        found = ipaddress.ip_address(host)
    except ValueError:  # Any other name.
        return False
    return found.is_loopback or found.is_unspecified


def _check(inputs):
    if "images" in inputs:
        check_pixels(np.asarray(inputs["images"]))


def _as_json(value):
    value = np.asarray(value)
    if value.dtype.kind not in "SO":
        return value.tolist()
    return [{"b64": base64.b64encode(item).decode()} for item in value.tolist()]


def drive(client, sensor, num_glimpses, seed=0, overview=None):
    """Looks through the step service, for sensors that can only be pointed.

    Args:
        client: A `GrpcClient` or `RestClient`.
        sensor: Function `(x, y) -> glimpse`, an array as `look` takes it, without the
            batch dimension. Nothing else is seen. With a zoom it gets (x, y, z).
        num_glimpses: Int, the most to take; a model that stops by itself takes fewer.
        seed: Int.
        overview: Array `(height, width, channels)`, the coarse view of the whole that
            some families begin with, or `None`.

    Yields:
        After each glimpse what `look` answered, without the batch dimension, with
        `looked_at` `(2,)` and `glimpse` beside it; with a zoom `looked_scale` too.
    """
    first = (
        {} if overview is None else {"overview": np.asarray(overview, np.float32)[None]}
    )
    answer = client.call("start", {"seed": np.array([seed], np.int64), **first})
    for _ in range(num_glimpses):
        location = np.asarray(answer["location"], np.float32)
        looked = {"looked_scale": answer["scale"][0]} if "scale" in answer else {}
        state = {
            name: value
            for name, value in answer.items()
            if name == "location" or name.startswith("state_")
        }
        glimpse = np.asarray(sensor(location[0]), np.float32)
        answer = client.call("look", {**_typed(state), "glimpse": glimpse[None]})
        yield {
            **{name: value[0] for name, value in answer.items()},
            **looked,
            "looked_at": location[0],
            "glimpse": glimpse,
        }
        if np.any(answer.get("stop", False)):
            return


def _typed(state):
    """JSON knows no 32-bit numbers."""
    kinds = {"f": np.float32, "b": np.bool_}
    return {
        name: value
        if value.dtype.kind == "i"
        else value.astype(kinds[value.dtype.kind], copy=False)
        for name, value in state.items()
    }


def load_test(make_client, good, bad, seconds, num_clients):
    """Sends good and bad requests from many clients and checks every answer.

    Args:
        make_client: Function that returns a new client.
        good: List of `(signature, inputs)`. What they answer alone, before, is what
            they must answer.
        bad: List of `(signature, inputs)` that must be refused.
        seconds: Float.
        num_clients: Int.

    Returns:
        Dictionary: `answered`, `refused`, `wrong` (an answer that differs, or a bad
        request that was not refused), `lost` (good requests without an answer), and
        `p50_ms` and `p99_ms` of the answered ones.
    """
    alone = make_client()
    expected = [alone.call(*request) for request in good]
    counts = dict.fromkeys(("answered", "refused", "wrong", "lost"), 0)
    latencies, lock = [], threading.Lock()
    end = time.monotonic() + seconds

    def work(number):
        client, draw = make_client(), np.random.default_rng(number)
        while time.monotonic() < end:
            index = int(draw.integers(len(good) + len(bad)))
            is_good = index < len(good)
            request = good[index] if is_good else bad[index - len(good)]
            started = time.perf_counter()
            try:
                answer = client.call(*request)
            except InputError:
                kind = "lost" if is_good else "refused"
            else:
                right = is_good and not any(differences(expected[index], answer))
                kind = "answered" if right else "wrong"
            with lock:
                counts[kind] += 1
                if kind == "answered":
                    latencies.append(time.perf_counter() - started)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(num_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p99 = np.percentile(latencies or [0.0], [50, 99])
    return {**counts, "p50_ms": 1e3 * float(p50), "p99_ms": 1e3 * float(p99)}
