"""scripts/compare_checkouts: what it calls different is, and nothing else."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import shutil
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT, make_picture
from PIL import Image

SCRIPT = ROOT / "scripts" / "compare_checkouts"


@pytest.fixture(scope="module")
def script():
    loader = importlib.machinery.SourceFileLoader("compare_checkouts", str(SCRIPT))
    spec = importlib.util.spec_from_loader("compare_checkouts", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["compare_checkouts"] = module
    loader.exec_module(module)
    return module


def png(picture: Image.Image, level: int = 1) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def test_results_are_told_apart_by_bytes_and_by_how_much(script):
    case = script.Case("a picture", (), "a.png")
    before = make_picture(20, 10)
    after = before.copy()
    red, green, blue = before.getpixel((4, 4))
    after.putpixel((4, 4), (red - 7, green, blue))

    def row(first: bytes, second: bytes):
        return script.compared(case, script.Came(0, "", first), script.Came(0, "", second))

    assert row(png(before), png(before)) == script.Row("a picture", True)
    assert row(png(before), png(after)).difference == "by 7 levels at most"
    assert not row(png(before), png(before, 9)).equal


def test_a_case_that_fails_on_both_sides_is_no_proof(script):
    came = script.Came(2, "fastnst: error: no such engine", b"")
    assert not script.compared(script.Case("a picture", (), "a.png"), came, came).equal
    assert script.compared(script.Case("refused", ()), came, came).equal


def test_weights_are_compared_without_what_stands_beside_them(script):
    def file(value: float, seconds: float) -> bytes:
        buffer = io.BytesIO()
        torch.save({"state_dict": {"w": torch.tensor([value])}, "seconds": seconds}, buffer)
        return buffer.getvalue()

    assert script.of_weights("run", file(1.0, 3), file(1.0, 4)).equal
    assert script.of_weights("run", file(1.0, 3), file(1.25, 3)).difference == "by 0.25 at most"


def test_structure_counts(script, tmp_path):
    room = tmp_path / "fastnst" / "room"
    room.mkdir(parents=True)
    (tmp_path / "README.md").write_text("four words of it\n")
    (tmp_path / "fastnst" / "__init__.py").write_text("")
    (tmp_path / "fastnst" / "errors.py").write_text("def short(a):\n    return a\n")
    (room / "wide.py").write_text(
        "class A:\n    def wide(self, a, *b, c=1, **d):\n        x = 1\n        return x\n"
    )
    figures = script.structure(tmp_path)
    assert figures["modules in the top folder"] == "1"
    assert figures["modules in all"] == "3"
    assert figures["longest function, lines"] == "3 (room/wide.py: wide)"
    assert figures["widest function, parameters"] == "4 (room/wide.py: wide)"
    assert figures["words of the README"] == "4"


# A child process costs a second, one that trains ten.
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "names",
    [("openvino", "torch", "refused empty", "piped"), pytest.param("", marks=pytest.mark.long)],
    ids=["few", "all"],
)
def test_a_changed_constant_is_found_where_it_matters(names, script, tmp_path, monkeypatch, capsys):
    few = [case for case in script.cases(True) if case.name.startswith(names)]
    monkeypatch.setattr(script, "cases", lambda tiny: few)
    # A copy with another luminance: keeping the photograph's colours differs, and nothing else.
    shutil.copytree(ROOT / "fastnst", tmp_path / "copy" / "fastnst", symlinks=True)
    (tmp_path / "copy" / "checkpoints").symlink_to(ROOT / "checkpoints")
    changed = tmp_path / "copy" / "fastnst" / "stylize" / "effects.py"
    text = changed.read_text()
    assert "(0.299, 0.587, 0.114)" in text
    changed.write_text(text.replace("(0.299, 0.587, 0.114)", "(0.4, 0.486, 0.114)"))
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path / "copy"), str(ROOT), "--tiny"])
    assert script.main() == 1
    rows = [line for line in capsys.readouterr().out.splitlines() if " levels at most" in line]
    table = capsys.readouterr()
    assert len(rows) == 2, table
    assert all("keep colours" in row and "DIFFERENT" in row for row in rows)


def test_another_package_in_a_checkouts_place_is_refused(script, tmp_path):
    (tmp_path / "empty").mkdir()
    script.make_pictures(tmp_path / "pictures")
    with pytest.raises(SystemExit, match=r"has no package fastnst|broke down"):
        script.carried_out(tmp_path / "empty", [], Path(tmp_path / "A"))
