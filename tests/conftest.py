"""Small pictures, made anew, and the real embedded backbone."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
import torch
from helpers import make_photos, make_style, tiny_arguments

from fastnst.cli import main
from fastnst.errors import EXIT_DONE
from fastnst.objective.backbone import Backbone
from fastnst.objective.weights import load_backbone


@pytest.fixture(autouse=True, scope="session")
def _offline(tmp_path_factory: pytest.TempPathFactory):
    """No test may leave the machine or touch the user's cache."""
    os.environ["FASTNST_OFFLINE"] = "1"
    os.environ["FASTNST_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    del os.environ["FASTNST_OFFLINE"], os.environ["FASTNST_CACHE"]


@pytest.fixture(scope="session")
def forkserver():
    """Processes that begin with fastnst and PyTorch imported, once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fastnst.training.run", "fastnst.cli"])
    return context


@pytest.fixture(scope="session")
def backbone() -> Backbone:
    return load_backbone("embedded")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make_photos(tmp_path)


@pytest.fixture
def style(tmp_path: Path) -> Path:
    return make_style(tmp_path)


@pytest.fixture
def tiny_args(photos: Path, style: Path, tmp_path: Path) -> list[str]:
    return tiny_arguments(photos, style, tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A network trained for a moment on photographs like those of ``photos``."""
    folder = tmp_path_factory.mktemp("trained")
    photos, style = make_photos(folder), make_style(folder)
    path = folder / "paint.ckpt"
    arguments = [
        *tiny_arguments(photos, style, folder), "--steps", "40", "--optimizer", "adam",
        "--learning-rate", "4e-3", "--output", str(path),
    ]  # fmt: skip
    assert main(arguments) == EXIT_DONE
    return path


@pytest.fixture
def model(trained, tmp_path) -> Path:
    return Path(shutil.copy(trained, tmp_path / "paint.ckpt"))


@pytest.fixture
def image() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(2, 3, 40, 48, generator=generator)
