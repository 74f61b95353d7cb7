"""The house: floors without circles, light doors, every config usable."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import modules_after

import fastnst

ROOT = Path(fastnst.__file__).parent
# A room imports only from rooms below it.
FLOORS = [
    "errors", "config", "machine", "networks", "image", "video", "checkpoint", "objective",
    "strips", "photos", "engines", "stylize", "export", "page", "optimize", "validate",
    "training", "cli", "__main__",
]  # fmt: skip


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports() -> list[tuple[str, str]]:
    """(importing module, imported module) for all imports within the package, lazy ones too."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(["fastnst", *path.relative_to(ROOT).with_suffix("").parts])
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastnst"):
                found.append((name, str(node.module)))
            elif isinstance(node, ast.Import):
                found += [(name, a.name) for a in node.names if a.name.startswith("fastnst")]
    return found


def test_every_room_has_a_floor_and_imports_only_from_below():
    seen = imports()
    assert len(seen) > 40
    for importer, imported in seen:
        above, below = room(importer), room(imported)
        if above in ("", "__init__") or below == "" or above == below:
            continue
        assert FLOORS.index(below) < FLOORS.index(above), (importer, imported)


def test_only_the_command_line_talks():
    # What is worth telling is handed to a ``notify``, or travels as ``news`` with a result.
    talking = {"print", "sys.stderr", "sys.stdout", "warnings.warn", "logging.warning"}
    found = [
        (path.name, node.lineno)
        for path in sorted(ROOT.rglob("*.py"))
        if path.parent.name != "cli"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in talking
    ]
    assert not found


def test_modules_of_a_room_make_no_circle():
    edges: dict[str, set[str]] = {}
    for importer, imported in imports():
        if importer != imported and room(importer) == room(imported):
            edges.setdefault(importer, set()).add(imported)

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, (*path, module)
        for following in edges.get(module, ()):
            visit(following, (*path, module))

    for module in edges:
        visit(module, ())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["apply", "--help"], ["nonsense"]]
)
def test_help_and_usage_errors_load_nothing_heavy(arguments):
    modules, _ = modules_after(*arguments)
    heavy = {"torch", "numpy", "PIL", "pytorch_lightning", "torchvision", "tensorboard", "yaml"}
    assert not heavy & modules


def test_training_help_does_without_torch():
    modules, _ = modules_after("train", "--help")
    assert not {"torch", "pytorch_lightning", "torchvision"} & modules


def test_apply_loads_neither_lightning_nor_torchvision_nor_tensorboard(tmp_path):
    from helpers import contents

    from fastnst.checkpoint.contents import save_checkpoint

    model, output = tmp_path / "m.ckpt", tmp_path / "out.png"
    save_checkpoint(contents(), model)
    picture = ROOT / "demo" / "cat.jpg"
    modules, _ = modules_after("apply", str(model), str(picture), "--output", str(output))
    assert output.exists()
    heavy = {"pytorch_lightning", "lightning_fabric", "torchvision", "tensorboard", "yaml"}
    assert not heavy & modules


@pytest.mark.parametrize("path", sorted((ROOT.parent / "configs").glob("*.yaml")), ids=str)
def test_every_shipped_config_is_accepted(path, tmp_path):
    from fastnst.cli.options import parse_options
    from fastnst.config import TrainConfig

    arguments = ["--config", str(path), "--style", "a.jpg", "--data", "photos"]
    config = parse_options("fastnst train", "", TrainConfig, arguments)
    if path.name == "johnson.yaml":
        assert (config.loss, config.backbone, config.network) == ("johnson", "vgg16", "johnson")
        assert (config.steps, config.batch_size, config.image_size) == (40000, 4, 256)
    else:
        assert config == TrainConfig(style=config.style, data="photos", minutes=10)


def test_importing_the_package_has_no_side_effects(tmp_path):
    program = "import os, sys, fastnst; print(os.listdir('.'), 'torch' in sys.modules)"
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert child.stdout.strip() == "[] False"


def test_every_demo_picture_has_its_source_in_the_notice():
    section = (ROOT.parent / "NOTICE").read_text().split("fastnst/demo/", 1)[1].split("\n\n", 1)[0]
    named = re.findall(r"^  (\S+\.jpg) ", section, re.MULTILINE)
    pictures = (ROOT / "demo").rglob("*.jpg")
    assert sorted(named) == sorted(p.relative_to(ROOT / "demo").as_posix() for p in pictures)
