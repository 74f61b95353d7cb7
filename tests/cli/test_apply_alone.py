"""fastnst-apply: the wheel without PyTorch, with nothing but its own dependencies to be found."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import make_picture
from PIL import Image

from fastnst.engines import choose
from fastnst.errors import ConfigError
from fastnst.machine import parts

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "scripts" / "build_apply_wheel"
# Of each dependency what is imported, and the folder of libraries that wheels put beside it.
NEEDED = ("numpy", "PIL", "openvino")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the wheel's content and its dependencies, as site-packages has them."""
    if importlib.util.find_spec("hatchling") is None or not BUILD.exists():
        pytest.skip("hatchling, which builds the wheel, is not installed")
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("OpenVINO is not installed")
    folder = tmp_path_factory.mktemp("installed")
    built = folder / "dist"
    subprocess.run([sys.executable, BUILD, "--output", built], check=True, capture_output=True)
    (wheel,) = built.glob("fastnst_apply-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for name in NEEDED:
        package = Path(importlib.util.find_spec(name).origin).parent
        libraries = [f"{name}.libs", "pillow.libs"] if name == "PIL" else [f"{name}.libs"]
        for part in (package, *(package.parent / library for library in libraries)):
            if part.exists() and not (folder / part.name).exists():
                (folder / part.name).symlink_to(part)
    return folder


def python(installed: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    # Without site-packages (-S).
    return subprocess.run(
        [sys.executable, "-S", *map(str, arguments)], cwd=cwd, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"},
    )  # fmt: skip


def test_a_shipped_style_is_applied_by_its_name(installed, tmp_path):
    make_picture(90, 70).save(tmp_path / "in.png")
    done = python(installed, "-m", "fastnst", "apply", "wave", "in.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "in-wave.png") as result:
        assert result.size == (90, 70)
        first = result.convert("RGB").tobytes()
    # From Python too, pickled as other processes get it.
    program = (
        "import sys, pickle, fastnst\n"
        "wave = pickle.loads(pickle.dumps(fastnst.load('wave')))\n"
        "wave('in.png').save('again.png')\n"
        "print('torch' in sys.modules, fastnst.__file__)"
    )
    done = python(installed, "-c", program, cwd=tmp_path)
    assert done.stdout.split() == ["False", str(installed / "fastnst" / "__init__.py")], done.stderr
    with Image.open(tmp_path / "again.png") as result:
        assert result.convert("RGB").tobytes() == first


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("train --style a.jpg --data b", "fastnst train needs PyTorch"),
        ("validate wave --data x", "fastnst validate needs PyTorch"),
        ("apply wave in.png --engine torch", "--engine torch needs PyTorch"),
        ("apply wave in.png --device cuda", "--device cuda needs PyTorch"),
    ],
)
def test_what_needs_more_says_in_a_line_what_to_install(installed, tmp_path, arguments, line):
    make_picture(30, 30).save(tmp_path / "in.png")
    done = python(installed, "-m", "fastnst", *arguments.split(), cwd=tmp_path)
    assert done.returncode == 2
    (told,) = done.stderr.splitlines()
    assert told.startswith(f"fastnst: error: {line}")
    assert told.endswith("then 'pip install .' in a copy of fastnst's repository")


def test_the_styles_are_listed_and_shown(installed, tmp_path):
    done = python(
        installed, "-m", "fastnst", "styles", "--sheet", "a.png", "--size", "24", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "Katsushika Hokusai" in done.stdout
    assert (tmp_path / "a.png").exists()


def test_the_wheel_is_small_and_has_every_style(installed):
    (wheel,) = (installed / "dist").glob("*.whl")
    assert wheel.stat().st_size < 25e6
    styles = {path.name for path in (ROOT / "checkpoints").glob("*.ckpt")}
    assert {path.name for path in (installed / "fastnst" / "checkpoints").iterdir()} >= styles
    (metadata,) = installed.glob("fastnst_apply-*.dist-info/METADATA")
    needs = [line for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist")]
    plain = [line.split()[1] for line in needs if "extra ==" not in line]
    assert [name.split(">")[0] for name in plain] == ["numpy", "openvino", "pillow"]


def test_without_pytorch_the_processor_computes_whatever_is_there(monkeypatch):
    monkeypatch.setattr(choose, "has_torch", lambda: False)
    monkeypatch.setattr(choose, "_has_accelerator", lambda: True)
    monkeypatch.setattr(choose, "installed", lambda: True)
    assert choose.choose_engine("auto", "auto") == "openvino"
    monkeypatch.setattr(choose, "installed", lambda: False)
    with pytest.raises(ConfigError, match="needs PyTorch, which is not installed"):
        choose.choose_engine("auto", "auto")
    monkeypatch.setattr(choose, "has_torch", lambda: True)
    assert choose.choose_engine("auto", "auto") == "torch"


def test_other_missing_modules_are_no_users_error():
    assert not parts.LEFT_OUT & {"numpy", "PIL", "fastnst", "openvino"}
