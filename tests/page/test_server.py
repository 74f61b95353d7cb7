"""The page's server, its files and its runtime, without a browser."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import re
import tarfile

import numpy as np
import pytest
from helpers import ROOT, one_line
from page_helpers import as_floats, served, two_styles
from PIL import Image

from fastnst.checkpoint.shipped import shipped_models
from fastnst.cli import main
from fastnst.errors import EXIT_USAGE, ConfigError, DownloadError
from fastnst.machine.download import Source
from fastnst.page import runtime
from fastnst.page.build import write_folder
from fastnst.page.server import PageServer, open_server
from fastnst.page.site import STATIC, TYPES, site
from fastnst.page.styles import PAINTINGS, page_styles

pytest.importorskip("onnx", reason="the extra 'export' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")


@pytest.fixture(scope="module")
def fake_runtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtime")
    for name in (*runtime.FILES, runtime.NOTICE):
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture(scope="module")
def styles():
    return two_styles()


@pytest.fixture(scope="module")
def files(styles, fake_runtime):
    return site(styles, fake_runtime)


@pytest.fixture(scope="module")
def server(files):
    with served(files) as server:
        yield server


def ask(server: PageServer, path: str, method: str = "GET", **headers: str):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_every_file_comes_whole_with_its_type_and_the_headers_that_isolate_the_page(server, files):
    for name, file in files.items():
        response, body = ask(server, f"/{name}")
        assert (response.status, body) == (200, file.read())
        assert response.headers["Content-Type"] == TYPES["." + name.rsplit(".", 1)[1]]
        assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert not re.search(r"https?:|\*|unsafe-inline|'unsafe-eval'", policy)
    assert ask(server, "/")[1] == files["index.html"].read()


def test_the_runtime_comes_compressed_where_that_is_accepted(server, files):
    name = next(name for name in files if name.endswith(".wasm"))
    plain, body = ask(server, f"/{name}", **{"Accept-Encoding": "br"})
    assert (plain.headers["Content-Encoding"], body) == (None, files[name].read())
    accepted = {"Accept-Encoding": "gzip, deflate, br"}
    packed, content = ask(server, f"/{name}", **accepted)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(content) == body
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"]
    # Two contents, two tags; caches between are told what the answer hangs on.
    assert plain.headers["ETag"] != packed.headers["ETag"]
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    known = ask(server, f"/{name}", **accepted, **{"If-None-Match": packed.headers["ETag"]})
    assert (known[0].status, known[1]) == (304, b"")
    assert "Content-Encoding" not in ask(server, "/app.mjs", **accepted)[0].headers


def test_a_cache_that_cannot_be_written_serves_the_runtime_plain(tmp_path, monkeypatch):
    file = tmp_path / "a.wasm"
    file.write_bytes(b"wasm")
    monkeypatch.setattr(runtime, "atomic_write", faulty)
    assert runtime.compressed(file) is None
    assert list(tmp_path.iterdir()) == [file]


def faulty(target):
    raise OSError(28, "No space left on device")


def test_another_host_is_refused(server):
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1", ""):
        response, body = ask(server, "/", Host=host)
        assert response.status == 421
        assert b"<html" not in body
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0].status == 200


@pytest.mark.parametrize(
    "path",
    ["/models/", "/models", "/../site.py", "/%2e%2e/site.py", "/runtime/../../site.py",
     "//etc/passwd", "/models/%00", "/nothing.html"],
)  # fmt: skip
def test_there_is_nothing_but_the_list(server, path):
    assert ask(server, path)[0].status == 404


def test_nothing_is_written_and_heads_have_no_body(server):
    assert ask(server, "/", "POST")[0].status == 501
    response, body = ask(server, "/", "HEAD")
    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) == (STATIC / "index.html").stat().st_size


def test_what_is_known_is_not_sent_again_and_hashed_files_last(server, files):
    response, _ = ask(server, "/app.mjs")
    assert response.headers["Cache-Control"] == "no-cache"
    again, body = ask(server, "/app.mjs", **{"If-None-Match": response.headers["ETag"]})
    assert (again.status, body) == (304, b"")
    model = next(name for name in files if name.endswith(".onnx"))
    assert "immutable" in ask(server, f"/{model}")[0].headers["Cache-Control"]


def test_the_next_free_port_is_taken_unless_one_is_named(files, monkeypatch):
    with PageServer(files, 0) as taken:
        port = taken.server_port
        monkeypatch.setattr("fastnst.page.server.PORT", port)
        with open_server(files) as other:
            assert other.server_port > port or other.server_port == 0
            assert other.server_address[0] == "127.0.0.1"
        with pytest.raises(ConfigError, match=f"--port {port}"):
            open_server(files, port)


def test_the_list_of_styles_is_true(styles, files):
    rows = json.loads(files["styles.json"].read())["styles"]
    assert [row["name"] for row in rows] == ["wave", "udnie"]
    for row, style in zip(rows, styles, strict=True):
        model = files[row["file"]].read()
        assert hashlib.sha256(model).hexdigest() == row["sha256"]
        assert (len(model), row["title"]) == (row["bytes"], PAINTINGS[style.name][0])
        thumbnail = np.asarray(Image.open(io.BytesIO(files[row["thumbnail"]].read())))
        assert thumbnail.shape == (200, 200, 3)
        assert thumbnail.std() > 20


def test_every_shipped_style_has_a_name_in_words_that_the_one_list_knows():
    told = (ROOT / "checkpoints" / "styles.toml").read_text()
    assert set(PAINTINGS) == set(shipped_models())
    for _, painter in PAINTINGS.values():
        assert painter in told


def test_ones_own_models_stand_first_and_others_are_left_out_in_a_line(tmp_path, monkeypatch):
    wave = shipped_models()["wave"]
    monkeypatch.setattr("fastnst.page.styles.shipped_models", lambda: {"wave": wave})
    (tmp_path / "mine_too.onnx").write_bytes(as_floats("wave"))
    (tmp_path / "again.ckpt").write_bytes(wave.read_bytes())
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    (tmp_path / "empty.ckpt").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no model")
    told: list[str] = []
    found = page_styles(tmp_path, told.append)
    assert [style.title for style in found][-2:] == ["mine too", "The Great Wave"]
    assert len(found) == 3
    assert [("broken.onnx" in line, "empty.ckpt" in line) for line in told] == [
        (True, False),
        (False, True),
    ]
    # One network, whichever form its file has.
    thumbnails = [
        np.asarray(Image.open(io.BytesIO(style.thumbnail))).astype(int) for style in found
    ]
    assert abs(thumbnails[1] - thumbnails[2]).max() < 16


def test_a_missing_folder_and_a_bad_port_are_told_in_a_line(tmp_path, capsys):
    assert main(["serve", "--models", str(tmp_path / "none")]) == EXIT_USAGE
    assert "--models" in one_line(capsys)
    assert main(["serve", "--port", "70000"]) == EXIT_USAGE
    assert "--port" in one_line(capsys)


def test_a_folder_of_other_files_is_left_alone(files, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="other files"):
        write_folder(files, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    folder = tmp_path / "page"
    write_folder(files, folder)
    first = (folder / "service-worker.js").read_bytes()
    write_folder(files, folder)
    assert (folder / "service-worker.js").read_bytes() == first
    kept = json.loads(re.search(r"FILES = (\[.*?\]);", first.decode(), re.DOTALL).group(1))
    assert all((folder / name).is_file() for name in kept)
    assert not [name for name in kept if "webgpu" in name or "asyncify" in name]


def test_no_address_of_another_host_is_in_the_page():
    for path in STATIC.iterdir():
        found = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text())
        assert set(found) <= {"http://www.w3.org"}, path


def test_the_browser_is_told_early_of_each_module_of_the_page_and_of_no_other():
    needed, waiting = set(), ["app.mjs"]
    while waiting:
        name = waiting.pop()
        needed.add(name)
        found = re.findall(r'^(?:import|export) .*?from "\./([\w.-]+)";', text(name), re.M | re.S)
        waiting += [other for other in found if other not in needed]
    told = re.findall(r'rel="modulepreload" href="([^"]+)"', text("index.html"))
    assert sorted(told) == sorted(needed)


def text(name: str) -> str:
    return (STATIC / name).read_text()


# The runtime's package.


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package of the runtime's files; function that says which bytes are fetched."""
    monkeypatch.setenv("FASTNST_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FASTNST_OFFLINE")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        for name in (*runtime.FILES, "../../evil"):
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            packed.addfile(member, io.BytesIO(name.encode()))
    content = archive.getvalue()
    source = Source("http://127.0.0.1:9/", hashlib.sha256(content).hexdigest(), len(content))
    monkeypatch.setattr(runtime, "SOURCE", source)

    def gives(found: bytes | None = None) -> None:
        class Response(io.BytesIO):
            headers: dict[str, str] = {}  # noqa: RUF012

        monkeypatch.setattr(
            "fastnst.machine.download._opened",
            lambda _: Response(content if found is None else found),
        )

    return gives


def test_the_runtime_is_fetched_once_with_its_licence(package, tmp_path, monkeypatch):
    package()
    told: list[str] = []
    folder = runtime.runtime_folder(told.append)
    assert len(told) == 1
    assert "npm" in told[0]
    assert {path.name for path in folder.iterdir()} == {*runtime.FILES, runtime.NOTICE}
    assert "Copyright (c) Microsoft Corporation" in (folder / runtime.NOTICE).read_text()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    monkeypatch.setenv("FASTNST_OFFLINE", "1")
    assert runtime.runtime_folder(told.append) == folder
    assert len(told) == 1


def test_a_runtime_with_another_hash_is_not_kept(package, tmp_path):
    package(b"x" * 300)
    with pytest.raises(DownloadError, match=r"SHA-256|cut short"):
        runtime.runtime_folder()
    assert list((tmp_path / "cache").iterdir()) == []


def test_offline_says_what_to_do(package, monkeypatch):
    monkeypatch.setenv("FASTNST_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"FASTNST_OFFLINE.*unpack"):
        runtime.runtime_folder()
