"""Runs of a moment: what they spend their time on beside steps, made small."""

from __future__ import annotations

import functools

import pytest
from helpers import SHALLOW
from PIL import Image

from fastnst.training import run, styles

measure = styles.signature


@functools.cache
def measured(size: tuple[int, int], pixels: bytes):
    return measure(Image.frombytes("RGB", size, pixels))


@pytest.fixture(autouse=True)
def _little_to_look_at(monkeypatch):
    """Held-out photographs as small as the crops, and what a painting looks like found once."""

    def signature(picture):
        return measured(picture.size, picture.tobytes())

    monkeypatch.setattr(styles, "signature", signature)
    for module in (run, styles):
        monkeypatch.setattr(module, "PANEL_SIZE", 32)


@pytest.fixture
def tiny_args(tiny_args) -> list[str]:
    return [*tiny_args, *SHALLOW]
