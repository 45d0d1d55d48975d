"""How a client finds its server: URLs, and proxies that do not lead to this machine."""

import http.server
import json
import threading

import grpc
import pytest

from ram_tf.errors import InputError
from ram_tf.serving import client

PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "grpc_proxy", "all_proxy")


class Server(http.server.BaseHTTPRequestHandler):
    """Answers with metadata of 4x5 images, or with a page of a portal."""

    content = json.dumps(
        {
            "metadata": {
                "signature_def": {
                    "signature_def": {
                        "serving_default": {
                            "inputs": {
                                "images": {
                                    "tensor_shape": {
                                        "dim": [{"size": n} for n in (-1, 4, 5, 1)]
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    ).encode()

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>" if "portal" in self.path else self.content)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def port():
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(autouse=True)
def proxy(monkeypatch):
    """A proxy at which nobody answers."""
    for name in PROXIES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)


@pytest.mark.parametrize(
    "address",
    [
        "localhost:{}",
        "127.0.0.1:{}",
        "http://localhost:{}",
        "http://localhost:{}/",
        "http://localhost:{}/behind/a/path",
        "http://localhost:{}/v1/models/other",
    ],
)
def test_a_server_here_is_asked_past_proxies(port, address):
    rest = client.RestClient(address.format(port), "a model", timeout=10)
    assert rest.url.endswith("/v1/models/a%20model") and rest.url.count("/v1/") == 1
    assert rest.image_shape() == (4, 5, 1)


def test_another_server_is_asked_through_the_proxy():
    rest = client.RestClient("model.invalid:80", "m", timeout=10)
    with pytest.raises(
        InputError, match="no server at http://model.invalid:80/.*fused"
    ):
        rest.image_shape()


def test_what_is_no_model_server_is_said(port):
    rest = client.RestClient(f"localhost:{port}/portal", "m", timeout=10)
    with pytest.raises(InputError, match="is no model server"):
        rest.image_shape()


@pytest.mark.parametrize("address", ["grpc://localhost:8500", "ftp://a", "http://"])
def test_no_address_for_rest_is_one_line(address):
    with pytest.raises(InputError, match="no address for REST"):
        client.RestClient(address, "m")


@pytest.mark.parametrize(
    ("address", "target", "past_proxies"),
    [
        ("localhost:8500", "localhost:8500", True),
        ("grpc://127.0.0.1:8500/", "127.0.0.1:8500", True),
        ("http://[::1]:8500", "[::1]:8500", True),
        ("grpc://model.example:8500", "model.example:8500", False),
        ("dns:///model.example:8500", "dns:///model.example:8500", False),
        ("unix:///tmp/socket", "unix:///tmp/socket", False),
    ],
)
def test_grpc_gets_a_name_that_it_knows(monkeypatch, address, target, past_proxies):
    pytest.importorskip("tensorflow_serving")
    made, make = [], grpc.insecure_channel

    def note(name, options):
        made.append((name, dict(options)))
        return make(name, options)

    monkeypatch.setattr(grpc, "insecure_channel", note)
    client.GrpcClient(address, "m").channel.close()
    ((name, options),) = made
    assert name == target
    assert ("grpc.enable_http_proxy" in options) == past_proxies


def test_encryption_is_refused_over_grpc():
    pytest.importorskip("tensorflow_serving")
    with pytest.raises(InputError, match="encryption"):
        client.GrpcClient("https://localhost:8500", "m")
