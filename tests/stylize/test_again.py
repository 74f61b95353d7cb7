"""The same command again does the rest, whatever stands beside its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import contents as checkpoint
from helpers import files, make_picture, one_line
from PIL import Image

from fastnst.checkpoint.contents import save_checkpoint
from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_PARTIAL, EXIT_USAGE
from fastnst.image import is_own
from fastnst.stylize.file_options import Finished
from fastnst.stylize.job import Wanted
from fastnst.stylize.stylizer import Stylizer
from fastnst.stylize.targets import plan_jobs


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder, with two pictures in it and a model elsewhere."""
    torch.manual_seed(0)
    save_checkpoint(checkpoint(), tmp_path / "paint.ckpt")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for number, name in enumerate(("a.png", "b.png")):
        make_picture(20, 15 + number, number).save(name)
    return folder


def shell(*patterns: str) -> list[str]:
    """What a shell makes of patterns."""
    return [str(path) for pattern in patterns for path in sorted(Path().glob(pattern))]


def apply(*arguments: str, model: str = "../paint.ckpt") -> int:
    return main(["apply", model, *arguments])


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes())
            for path in sorted(folder.rglob("*")) if path.is_file()}  # fmt: skip


@pytest.mark.parametrize("expanded", [True, False])
def test_a_pattern_a_second_time_makes_what_is_missing(expanded, here, capsys):
    pattern = (lambda: shell("*.png")) if expanded else (lambda: ["*.png"])
    assert apply(*pattern()) == EXIT_DONE
    assert files(here) == {Path(name) for name in ("a.png", "a-paint.png", "b.png", "b-paint.png")}
    before = contents(here)
    Path("b-paint.png").unlink()
    capsys.readouterr()
    assert apply(*pattern()) == EXIT_DONE
    told = capsys.readouterr().err
    assert "a-paint.png: exists already and is kept" in told
    assert "error" not in told
    after = contents(here)
    assert after.keys() == before.keys()
    name = str(here / "b-paint.png")
    assert after.pop(name)[1] == before.pop(name)[1]
    assert after == before
    # A third time nothing is left to do.
    assert apply(*pattern()) == EXIT_DONE
    assert contents(here).keys() == {*after, name}


def test_a_folder_a_second_time_leaves_out_that_of_its_results(here, capsys):
    for _ in range(3):
        assert apply(".", "--output", "styled") == EXIT_DONE
        assert files(here / "styled") == {Path("a.png"), Path("b.png")}
    Path("styled/b.png").unlink()
    before = contents(here)
    # However it is written.
    for folder, output in ((str(here), "styled"), (".", f"{here}/styled/"), ("../here", "styled")):
        assert apply(folder, "--output", output) == EXIT_DONE
        assert contents(here).keys() == {*before, str(here / "styled" / "b.png")}


def test_what_else_lies_in_the_folder_of_results_is_no_input_and_told(here, capsys):
    Path("styled").mkdir()
    make_picture(9, 9).save("styled/mine.png")
    assert apply(".", "--output", "styled") == EXIT_DONE
    assert "styled: is the folder of the results; 1 other" in capsys.readouterr().err
    assert files(here / "styled") == {Path("a.png"), Path("b.png"), Path("mine.png")}


def test_results_of_other_styles_beside_are_no_photographs(here, capsys):
    assert apply(*shell("*.png")) == EXIT_DONE
    assert apply(*shell("*.png"), model="wave") == EXIT_DONE
    assert "2 results of earlier runs were passed over: a-paint.png, ..." in capsys.readouterr().err
    stems = {"a", "b", "a-paint", "b-paint", "a-wave", "b-wave"}
    assert {path.stem for path in files(here)} == stems
    for model in ("../paint.ckpt", "wave"):
        assert apply(*shell("*.png"), model=model) == EXIT_DONE
    assert {path.stem for path in files(here)} == stems
    # Neither are they in a folder, nor other folders of results in it.
    assert apply(".", "--output", "styled") == EXIT_DONE
    assert files(here / "styled") == {Path("a.png"), Path("b.png")}
    capsys.readouterr()
    assert apply(".", "--output", "again/here", model="wave") == EXIT_DONE
    assert "6 results of earlier runs were passed over" in capsys.readouterr().err
    assert files(here / "again" / "here") == {Path("a.png"), Path("b.png")}


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".avif", ".png"])
def test_results_of_every_format_have_the_mark(suffix, here):
    for metadata in ("icc", "keep", "none"):
        target = f"out-{metadata}{suffix}"
        assert apply("a.png", "--output", target, "--metadata", metadata) == EXIT_DONE
        assert is_own(Path(target)) == (metadata != "none")
    make_picture(8, 8).save(f"x{suffix}")
    assert not is_own(Path(f"x{suffix}"))


def test_photographs_that_are_only_called_so_are_photographs(here):
    # No result of any style: without the mark, and of another style than this one's.
    make_picture(20, 17).save("a-beach.png")
    Path("day").mkdir()
    make_picture(20, 18).save("day/a.png")
    assert apply(*shell("*.png")) == EXIT_DONE
    assert Path("a-beach-paint.png").exists()
    assert apply(".", "--output", "styled") == EXIT_DONE
    assert files(here / "styled") == {
        Path(name) for name in ("a.png", "b.png", "a-beach.png", "day", "day/a.png")
    }


def test_a_result_that_is_named_alone_is_stylized(here):
    assert apply("a.png") == EXIT_DONE
    assert apply("a-paint.png") == EXIT_DONE
    assert Path("a-paint-paint.png").exists()
    # As is a folder of results.
    assert apply(".", "--output", "../styled") == EXIT_DONE
    assert apply("../styled", "--output", "twice") == EXIT_DONE
    assert files(here / "twice") == {Path("a.png"), Path("b.png")}


def test_overwriting_replaces_results_and_never_a_photograph(here, capsys):
    assert apply(*shell("*.png")) == EXIT_DONE
    Path("a-paint.png").write_bytes(Path("b-paint.png").read_bytes())
    assert apply(*shell("*.png"), "--overwrite") == EXIT_DONE
    with Image.open("a-paint.png") as picture:
        assert picture.height == 15
    # A photograph that is called like a result is not made to be one.
    make_picture(20, 17).save("b-paint.png")
    before = Path("b-paint.png").read_bytes()
    capsys.readouterr()
    assert apply(*shell("*.png"), "--overwrite") == EXIT_USAGE
    assert "b-paint.png: the output would replace an input" in one_line(capsys)
    assert apply(*shell("*.png")) == EXIT_DONE
    assert Path("b-paint.png").read_bytes() == before


def test_a_plan_is_the_same_with_the_results_there(here):
    first = [(job.source, job.target) for job in plan_jobs(shell_paths(), Wanted(None, "paint"))]
    assert apply(*shell("*.png")) == EXIT_DONE
    again = plan_jobs(shell_paths(), Wanted(None, "paint"))
    assert [(job.source, job.target) for job in again] == first
    # So that shards, too, are the same.
    assert len(first) == 2


def shell_paths() -> list[Path]:
    return [Path(name) for name in shell("*.png")]


def test_what_another_run_writes_meanwhile_is_kept(here, capsys, monkeypatch):
    alone = Stylizer.stylize_decoded

    def beside_another(self: Stylizer, *arguments: Any) -> Finished:
        Path("b-paint.png").write_bytes(b"another's")
        return alone(self, *arguments)

    monkeypatch.setattr(Stylizer, "stylize_decoded", beside_another)
    assert apply("a.png", "b.png") == EXIT_PARTIAL
    told = capsys.readouterr().err
    assert "b-paint.png: exists already and is kept" in told
    assert Path("b-paint.png").read_bytes() == b"another's"
    assert files(here) == {Path(name) for name in ("a.png", "a-paint.png", "b.png", "b-paint.png")}
    assert apply("b.png", "--overwrite") == EXIT_DONE
    assert is_own(Path("b-paint.png"))
