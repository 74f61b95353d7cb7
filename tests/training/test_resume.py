"""Runs that go on: found by their folders, by their painting whatever it is called now, and with
what they know already.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

import pytest
from helpers import make_picture

from fastnst.checkpoint.contents import load_checkpoint
from fastnst.cli import main
from fastnst.cli.train import _of_resumed
from fastnst.errors import EXIT_DONE, EXIT_USAGE, ConfigError
from fastnst.training.record.resume import AUTO, OPTIONS, file_of


@pytest.fixture
def begun(tiny_args, tmp_path, monkeypatch) -> Path:
    """A run of two steps; its last.ckpt."""
    monkeypatch.chdir(tmp_path)
    more = ["--steps", "2", "--learning-rate", "1e-3", "--output", "a.ckpt"]
    assert main([*tiny_args, *more]) == EXIT_DONE
    return tmp_path / "runs" / "paint" / "version_0" / "last.ckpt"


def steps_of(path: str) -> int:
    return load_checkpoint(Path(path)).step


def refused(arguments: list[str], capsys) -> str:
    capsys.readouterr()
    assert main(arguments) == EXIT_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_checkpoint_alone_says_all_that_is_to_be_known(begun, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    more = ["--steps", "3", "--output", "b.ckpt"]
    assert main(["train", "--resume", str(begun), *more]) == EXIT_DONE
    before, after = load_checkpoint(begun), load_checkpoint(Path("b.ckpt"))
    assert after.step == 3
    assert after.info["training"]["options"]["learning_rate"] == 1e-3
    for key in ("style", "data", "loss"):
        assert after.info[key] == before.info[key]
    assert (tmp_path / "runs" / "paint" / "version_1" / "last.ckpt").exists()


@pytest.mark.parametrize(("given", "other"), [("minutes", "steps"), ("steps", "minutes")])
def test_of_two_ways_to_say_how_long_the_one_given_now_counts(given, other, begun):
    options = json.loads(begun.with_name(OPTIONS).read_text())
    begun.with_name(OPTIONS).write_text(json.dumps({**options, "steps": None, other: 9}))
    parsed = argparse.Namespace(
        resume=begun, style=[], name=None, log_dir="runs", **{given: 3, other: None}
    )
    found = _of_resumed(parsed)
    assert other not in found
    assert found["learning_rate"] == 1e-3


def test_the_painting_may_be_called_otherwise_and_another_one_may_not(
    begun, tiny_args, style, tmp_path, capsys
):
    shutil.copy(style, "hokusai.png")
    more = ["--resume", str(begun), "--steps", "3", "--learning-rate", "1e-3", "--output"]
    arguments = [*tiny_args, "--style", "hokusai.png", *more]
    assert main([*arguments, "b.ckpt"]) == EXIT_DONE
    assert load_checkpoint(Path("b.ckpt")).style_name == "hokusai"
    make_picture(80, 64, 5).save("hokusai.png")
    line = refused([*arguments, "c.ckpt"], capsys)
    assert "style was 'paint' (60 x 48 of " in line
    assert "is 'hokusai' (60 x 48 of " in line
    assert "{" not in line
    Path("photos/photo01.jpg").unlink()
    line = refused([*tiny_args, *more, "c.ckpt"], capsys)
    assert "data was 16 photographs, is 15" in line


@pytest.mark.parametrize("folder", ["version_0", ".", ".."])
def test_a_folder_of_runs_means_the_newest(folder, begun):
    more = ["--steps", "3", "--output", "b.ckpt"]
    assert main(["train", "--resume", str(begun.parents[1] / folder), *more]) == EXIT_DONE
    assert steps_of("b.ckpt") == 3


def test_one_command_starts_a_run_and_goes_on_with_it(tiny_args, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = [*tiny_args, "--resume", "auto", "--overwrite", "--output", "a.ckpt", "--steps"]
    for steps in (2, 3):
        assert main([*command, str(steps)]) == EXIT_DONE
        assert steps_of("a.ckpt") == steps
    assert load_checkpoint(tmp_path / "runs/paint/version_1/last.ckpt").step == 3
    assert "has its 3 steps" in refused([*command, "3"], capsys)


def test_a_checkpoint_away_from_its_run_knows_all_but_paths(begun, photos, style, capsys):
    shutil.move(begun, "moved.ckpt")
    line = refused(["train", "--resume", "moved.ckpt", "--steps", "3"], capsys)
    assert "no style image: give one with --style FILE" in line
    paths = ["--style", str(style), "--data", str(photos)]
    more = ["--resume", "moved.ckpt", "--steps", "3", "--output", "b.ckpt"]
    assert main(["train", *paths, *more, "--device", "cpu"]) == EXIT_DONE
    options = load_checkpoint(Path("b.ckpt")).info["training"]["options"]
    assert (options["learning_rate"], options["image_size"]) == (1e-3, 32)


def test_damaged_options_are_as_none(begun, capsys):
    begun.with_name(OPTIONS).write_text("{")
    assert "no style image" in refused(["train", "--resume", str(begun)], capsys)


def test_the_newest_of_a_folder_is_the_one_saved_last(tmp_path):
    paths = [tmp_path / name for name in ("a/version_10/last.ckpt", "a/version_9/last.ckpt")]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        path.write_text("")
        os.utime(path, (1000 + number, 1000 + number))
    assert file_of(tmp_path, tmp_path) == file_of(tmp_path / "a", tmp_path) == paths[1]
    assert file_of(paths[0].parent, tmp_path) == paths[0]
    assert file_of(Path(AUTO), tmp_path / "a") == paths[1]
    assert file_of(Path(AUTO), tmp_path / "none") is None
    assert file_of(None, tmp_path) is None
    assert file_of(Path("x.ckpt"), tmp_path) == Path("x.ckpt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"no last\.ckpt in this folder or below it"):
        file_of(tmp_path / "empty", tmp_path)
