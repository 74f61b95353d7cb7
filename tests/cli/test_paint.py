"""scripts/paint: a first picture, in an environment that has been set up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT, make_picture
from PIL import Image


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The scripts, the photograph, and an environment with this fastnst."""
    folder = tmp_path / "check out"
    (folder / "scripts").mkdir(parents=True)
    for name in ("paint", "setup"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts" / name)
    (folder / "fastnst" / "demo").mkdir(parents=True)
    make_picture(90, 60).save(folder / "fastnst" / "demo" / "raccoon.jpg")
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    command = binaries / "fastnst"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fastnst "$@"\n')
    command.chmod(0o755)
    (folder / ".venv" / "fastnst-setup-light").touch()
    return folder


def paint(checkout: Path, cwd: Path, *arguments: str) -> str:
    """Run it; what it says."""
    done = subprocess.run(
        [checkout / "scripts" / "paint", *arguments], cwd=cwd, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_it_paints_a_photograph_and_says_how_to_go_on(checkout, tmp_path):
    told = paint(checkout, tmp_path)
    with Image.open(tmp_path / "raccoon-wave.jpg") as painted:
        assert painted.size == (90, 60)
    # What it tells to run is there.
    assert f"source {checkout}/.venv/bin/activate" in told
    assert "fastnst styles" in told
    make_picture(50, 40).save(tmp_path / "mine.png")
    paint(checkout, tmp_path, "mine.png", "udnie")
    assert (tmp_path / "mine-udnie.png").exists()
