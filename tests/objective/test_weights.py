"""Fetching weights from a real HTTP server on loopback, and all that can go wrong with it."""

from __future__ import annotations

import hashlib
import io
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors import safe_open

from fastnst.errors import BackboneError
from fastnst.machine import download
from fastnst.objective import weights
from fastnst.objective.weights import Source, load_backbone


@pytest.fixture(scope="module")
def vgg16_file() -> bytes:
    """torchvision's file of VGG16, its classifier cut to one number (it is left behind anyway)."""
    state = torchvision.models.vgg16(weights=None).state_dict()
    state = {key: value for key, value in state.items() if key.startswith("features.")}
    state["classifier.0.weight"] = torch.zeros(1)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        end = len(self.body) // 2 if self.path == "/short" else len(self.body)
        self.wfile.write(self.body[:end])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(vgg16_file, monkeypatch, tmp_path) -> Iterator[str]:
    monkeypatch.setenv("FASTNST_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FASTNST_OFFLINE")
    Handler.body = vgg16_file
    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def use(monkeypatch, name: str, url: str, body: bytes, sha256: str = "") -> None:
    source = Source(url, sha256 or hashlib.sha256(body).hexdigest(), len(body))
    monkeypatch.setitem(weights.SOURCES, name, source)


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.suffix == ".part"]


def test_a_good_file_is_fetched_once_and_only_its_convolutions_kept(
    server, vgg16_file, monkeypatch, tmp_path
):
    use(monkeypatch, "vgg16", f"{server}/vgg16.pth", vgg16_file)
    seen: list[tuple[int, int]] = []
    first = load_backbone("vgg16", on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(vgg16_file), len(vgg16_file))
    [kept] = (tmp_path / "cache").iterdir()
    with safe_open(kept, framework="pt") as file:
        assert len(file.keys()) == 26
    # From now on the network is not needed, nor asked.
    use(monkeypatch, "vgg16", "http://127.0.0.1:1/", vgg16_file)
    second = load_backbone("vgg16")
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
    assert first.origin == second.origin


def test_a_damaged_cache_is_fetched_again(server, vgg16_file, monkeypatch, tmp_path):
    use(monkeypatch, "vgg16", f"{server}/vgg16.pth", vgg16_file)
    load_backbone("vgg16")
    [kept] = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    load_backbone("vgg16")
    assert kept.stat().st_size > 50_000_000


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("/vgg16.pth", "0" * 64, "wrong SHA-256"),
        ("/short", "", "cut short after"),
        ("/missing", "", "the server answers 404"),
    ],
)
def test_what_the_server_does_wrong_is_said_with_what_to_do(
    server, vgg16_file, monkeypatch, tmp_path, path, sha256, message
):
    use(monkeypatch, "vgg16", server + path, vgg16_file, sha256)
    with pytest.raises(BackboneError, match=message) as caught:
        load_backbone("vgg16")
    assert "--backbone-weights FILE" in str(caught.value)
    assert "--backbone embedded" in str(caught.value)
    assert not any((tmp_path / "cache").iterdir())


def test_a_refused_connection_is_said_at_once(server, vgg16_file, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    use(monkeypatch, "vgg16", f"http://127.0.0.1:{port}/", vgg16_file)
    started = time.monotonic()
    with pytest.raises(BackboneError, match="no connection"):
        load_backbone("vgg16")
    assert time.monotonic() - started < 5


def test_auto_falls_back_to_the_embedded_trunk_when_nobody_answers(server, vgg16_file, monkeypatch):
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.5)
    with socket.socket() as silent:  # Listens, and never accepts.
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        use(monkeypatch, "vgg19", f"http://127.0.0.1:{silent.getsockname()[1]}/", vgg16_file)
        told: list[str] = []
        started = time.monotonic()
        backbone = load_backbone("auto", notify=told.append)
        assert time.monotonic() - started < 5
    assert backbone.name == "embedded"
    [line] = told
    assert "embedded" in line
    assert "no answer within" in line
    assert download.CONNECT_SECONDS < 10


@pytest.mark.parametrize("hangs", [False, True])
def test_a_name_that_can_not_be_looked_up_is_told_in_time(hangs, server, vgg16_file, monkeypatch):
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.5)
    use(monkeypatch, "vgg16", "http://nowhere.invalid/vgg16.pth", vgg16_file)
    released = threading.Event()

    def look_up(*args: object, **kwargs: object) -> None:
        if hangs:  # As a resolver does whose network is gone; no socket's timeout ends that.
            released.wait(10)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    message = "no answer within 0.5 s" if hangs else "no connection .Name or service not known"
    started = time.monotonic()
    with pytest.raises(BackboneError, match=message):
        load_backbone("vgg16")
    assert time.monotonic() - started < 3
    released.set()


def test_a_file_that_asks_to_run_code_is_not_obeyed(server, monkeypatch, tmp_path):
    canary = tmp_path / "canary"

    class Payload:
        def __reduce__(self):
            return (Path.touch, (canary,))

    body = pickle.dumps(Payload())
    Handler.body = body
    use(monkeypatch, "vgg16", f"{server}/vgg16.pth", body)
    with pytest.raises(BackboneError, match="not a file of PyTorch weights"):
        load_backbone("vgg16")
    assert not canary.exists()


def test_a_given_file_is_recognized_and_needs_no_network(vgg16_file, tmp_path):
    file = tmp_path / "vgg16.pth"
    file.write_bytes(vgg16_file)
    assert load_backbone("auto", file).name == "vgg16"
    assert load_backbone("auto", weights.EMBEDDED).name == "embedded"


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no zip"])
def test_a_given_file_of_something_else_is_refused(content, tmp_path):
    for suffix in (".pth", ".safetensors"):
        file = tmp_path / f"weights{suffix}"
        file.write_bytes(content)
        with pytest.raises(BackboneError, match=str(file)):
            load_backbone("auto", file)
    with pytest.raises(BackboneError, match="no such file"):
        load_backbone("auto", tmp_path / "absent.pth")


def test_offline_says_so(monkeypatch):
    with pytest.raises(BackboneError, match="FASTNST_OFFLINE"):
        load_backbone("vgg16")
