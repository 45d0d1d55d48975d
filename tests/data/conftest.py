"""Tiny archives in place of the registered ones, without a network or the caches."""

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import os
import socket
import threading

import pytest


def register(monkeypatch, builder_class, archives, prefix, url=None):
    """Makes TensorFlow Datasets expect these archives, from `url` if given.

    `prefix` is what the registered URLs of the data set begin with.
    """
    from tensorflow_datasets.core.download.checksums import get_all_url_infos

    known = {**get_all_url_infos(), **(builder_class.url_infos or {})}
    infos = {}
    for old, info in known.items():
        if not old.startswith(prefix):
            continue
        content = (archives / info.filename).read_bytes()
        info = dataclasses.replace(
            info,
            size=type(info.size)(len(content)),
            checksum=hashlib.sha256(content).hexdigest(),
        )
        infos[f"{url}{info.filename}" if url else old] = info
    assert infos
    monkeypatch.setattr(builder_class, "url_infos", infos)
    return infos


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Keeps the user's own caches out of it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "default"))
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def serve(monkeypatch):
    """Returns a function that serves a folder on this machine: URL, paths asked for."""
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    running = []

    def start(folder):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args):
                served.append(self.path)

        served = []
        handler = functools.partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        running.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/", served

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def listing(folder):
    """Every path below a folder, itself too, with its size and when it changed."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in (folder, *folder.rglob("*"))
    }


@contextlib.contextmanager
def untouched(folder):
    """Fails when anything in a folder was written, made or removed meanwhile."""
    before = listing(folder)
    yield
    assert listing(folder) == before


def multiset(images, labels):
    """Returns images and labels so that their order does not matter."""
    return sorted(
        (image.tobytes(), int(k)) for image, k in zip(images, labels, strict=True)
    )


def prepared_folders(*roots):
    # Threads of a failed download may still rename files: `os.walk` passes over what
    # goes while it reads.
    walks = (walk for root in roots for walk in os.walk(root))
    return [folder for folder, _, files in walks if "dataset_info.json" in files]
