"""The page's files with two styles, the runtime that the user's cache has, and the page opened."""

from __future__ import annotations

import base64
import io
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastnst.checkpoint.numpy_reader import read_arrays
from fastnst.checkpoint.shipped import shipped_models
from fastnst.errors import DownloadError
from fastnst.export.onnx_graph import onnx_model
from fastnst.machine.cache import cache_folder
from fastnst.page import runtime, styles
from fastnst.page.server import PageServer, open_server
from fastnst.page.site import File

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
# Before the tests get a cache of their own.
USERS_CACHE = cache_folder()
# Milliseconds that a busy machine may take for a picture.
PATIENCE = 180_000


def real_runtime() -> Path:
    """onnxruntime-web in the user's cache, where scripts/setup_browser puts it; skips otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTNST_CACHE", str(USERS_CACHE))
        patch.setenv("FASTNST_OFFLINE", "1")
        try:
            return runtime.runtime_folder()
        except DownloadError:
            pytest.skip("no onnxruntime-web in the cache; fastnst serve fetches it")


def two_styles() -> list[styles.Style]:
    """``wave`` and ``udnie``, as the page has them."""
    two = {name: shipped_models()[name] for name in ("wave", "udnie")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(styles, "shipped_models", lambda: two)
        return styles.page_styles()


def as_floats(model: str | Path) -> bytes:
    """A checkpoint, or a shipped style, as ``fastnst export --io float-nchw`` writes it."""
    part = read_arrays(shipped_models()[model] if isinstance(model, str) else model)
    network = part.info["network"]
    return onnx_model(network["kind"], network["options"], part.weights, "float-nchw")


@contextmanager
def served(files: dict[str, File]) -> Iterator[PageServer]:
    with open_server(files, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


class Opened:
    """The page, opened; all that it said on the console and all that it asked for."""

    def __init__(self, context, url: str) -> None:
        self.page = context.new_page()
        self.troubles: list[str] = []
        self.asked: list[str] = []
        self.page.on(
            "console", lambda said: said.type == "error" and self.troubles.append(said.text)
        )
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        # The context's requests are the workers' too.
        context.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)
        self.page.wait_for_selector("html[data-ready]")

    def says(self, pattern: str | re.Pattern[str], of: str = "#status") -> None:
        """Wait until the page says so."""
        from playwright.sync_api import expect

        expect(self.page.locator(of)).to_contain_text(pattern, timeout=PATIENCE)

    def give(self, *files: tuple[str, bytes]) -> None:
        rows = [
            {"name": name, "mimeType": f"image/{name.rsplit('.', 1)[1]}", "buffer": content}
            for name, content in files
        ]
        self.page.set_input_files("#files", rows)

    def drop(self, name: str, content: bytes) -> None:
        transfer = self.page.evaluate_handle(
            """([name, text]) => { const moved = new DataTransfer();
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            moved.items.add(new File([bytes], name)); return moved; }""",
            [name, base64.b64encode(content).decode()],
        )
        self.page.dispatch_event("body", "drop", {"dataTransfer": transfer})

    def painted(self, text: str) -> None:
        """Wait until the status says ``text`` of a finished picture."""
        self.says(re.compile(re.escape(text) + r".* in \d"))

    def download(self, button: str = "#download") -> bytes:
        with self.page.expect_download(timeout=PATIENCE) as waiting:
            self.page.click(button)
        with open(waiting.value.path(), "rb") as file:
            return file.read()

    def pixels(self) -> np.ndarray:
        """The picture, downloaded as PNG."""
        self.page.select_option("#format", "image/png")
        return np.asarray(Image.open(io.BytesIO(self.download()))).astype(int)
