"""The page's files with two styles, and the runtime that the user's cache has."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
USERS_CACHE, IS_OFFLINE = cache_folder(), "FASTNST_OFFLINE" in os.environ


def real_runtime() -> Path:
    """onnxruntime-web, fetched once into the user's cache; skips where it can't be had."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTNST_CACHE", str(USERS_CACHE))
        if not IS_OFFLINE:
            patch.delenv("FASTNST_OFFLINE")
        try:
            return runtime.runtime_folder()
        except DownloadError as error:
            pytest.skip(f"no onnxruntime-web: {error}")


def two_styles() -> list[styles.Style]:
    """``wave`` and ``udnie``, as the page has them."""
    two = {name: shipped_models()[name] for name in ("wave", "udnie")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(styles, "shipped_models", lambda: two)
        return styles.page_styles()


def as_floats(name: str) -> bytes:
    """A shipped style as ``fastnst export --io float-nchw`` writes it."""
    part = read_arrays(shipped_models()[name])
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
