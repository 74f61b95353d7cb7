"""Small pictures, made anew, and the real embedded backbone."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fastnst.cli import main
from fastnst.errors import EXIT_DONE
from fastnst.perceptual.backbone import Backbone
from fastnst.perceptual.weights import load_backbone

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"


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


def make_picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth colourful picture with some edges."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    picture.paste((200, 30, 60), (0, 0, width // 3, height // 3))
    return picture


def make_photos(folder: Path) -> Path:
    """A folder of 16 small photographs, some in a folder below."""
    photos = folder / "photos"
    (photos / "more").mkdir(parents=True)
    for i in range(16):
        place = photos if i % 2 else photos / "more"
        make_picture(60 + i, 50 + 2 * i, i).save(place / f"photo{i:02}.jpg")
    return photos


def make_style(folder: Path) -> Path:
    path = folder / "paint.png"
    make_picture(80, 64, 99).save(path)
    return path


def tiny_arguments(photos: Path, style: Path, folder: Path) -> list[str]:
    """Arguments of a training run of a second."""
    return [
        "train", "--style", str(style), "--data", str(photos), "--backbone", "embedded",
        "--image-size", "32", "--style-size", "48", "--batch-size", "2",
        "--log-dir", str(folder / "runs"), "--device", "cpu", "--precision", "float32",
        "--validation-photos", "0", "--init", "none",
    ]  # fmt: skip


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
