"""Full disks, killed processes, folders that go: nothing is lost, nothing half there."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import contents, make_model, make_picture
from PIL import Image, ImageCms

from fastnst.checkpoint.contents import load_checkpoint, save_checkpoint
from fastnst.cli import main
from fastnst.errors import (
    EXIT_DONE,
    EXIT_INTERNAL,
    EXIT_PARTIAL,
    EXIT_USAGE,
    CheckpointError,
    ImageWriteError,
)
from fastnst.image import WRITE_FORMATS, srgb_profile, write_picture
from fastnst.stylize.file_options import FileOptions
from fastnst.stylize.jobs import Wanted, plan_jobs, run_jobs
from fastnst.stylize.stylizer import Stylizer


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@contextlib.contextmanager
def disk_of(room: int) -> Iterator[None]:
    """No file can grow beyond ``room`` bytes: EFBIG, which needs no root, in ENOSPC's place."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def make_folder(folder: Path, count: int, side: int = 40) -> Path:
    folder.mkdir()
    for number in range(count):
        make_picture(side, side, number).save(folder / f"p{number:02}.png")
    return folder


# B1: a full disk.


@pytest.mark.parametrize("suffix", sorted(WRITE_FORMATS))
def test_a_picture_that_finds_the_disk_full_leaves_the_old_one_and_no_other(suffix, tmp_path):
    target = tmp_path / f"x{suffix}"
    write_picture(make_picture(64, 48), target)
    size, before = target.stat().st_size, target.read_bytes()
    for tenth in range(10):
        with disk_of(size * tenth // 10), pytest.raises(ImageWriteError, match="File too large"):
            write_picture(make_picture(64, 48), target)
        assert target.read_bytes() == before
        assert list(tmp_path.iterdir()) == [target]
    with disk_of(size):
        write_picture(make_picture(64, 48), target)


def test_a_checkpoint_that_finds_the_disk_full_leaves_the_old_one_and_no_other(tmp_path):
    target = tmp_path / "x.ckpt"
    save_checkpoint(contents(), target)
    size, before = target.stat().st_size, target.read_bytes()
    for tenth in range(10):
        with disk_of(size * tenth // 10), pytest.raises(CheckpointError, match="can't be written"):
            save_checkpoint(contents(), target)
        assert target.read_bytes() == before
        assert list(tmp_path.iterdir()) == [target]
    with disk_of(size + 100):
        save_checkpoint(contents(), target)
    load_checkpoint(target)


def test_in_a_folder_the_disk_costs_what_does_not_fit_and_no_more(model, tmp_path, capsys):
    folder, output = make_folder(tmp_path / "in", 3), tmp_path / "out"
    (folder / "p01.png").unlink()
    make_picture(400, 300).save(folder / "p01.bmp")
    arguments = ["apply", str(model), str(folder), "--output", str(output)]
    with disk_of(50_000):
        assert main(arguments) == EXIT_PARTIAL
    assert "p01.bmp: can't be written (File too large)" in capsys.readouterr().err
    assert sorted(path.name for path in output.iterdir()) == ["p00.png", "p02.png"]


def test_a_stream_needs_no_disk(model, tmp_path, capsysbinary, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    make_picture(300, 200).save(buffer, "PNG")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(buffer.getvalue())))
    with disk_of(0):
        assert main(["apply", str(model), "-", "--engine", "torch"]) == EXIT_DONE
    told = capsysbinary.readouterr()
    assert not told.err
    with Image.open(io.BytesIO(told.out)) as image:
        assert image.size == (300, 200)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("room", [200, 100_000])
def test_training_that_finds_the_disk_full_ends_with_a_line(room, tiny_args, tmp_path, capsys):
    output = tmp_path / "o.ckpt"
    output.write_bytes(b"old")
    with disk_of(room):
        arguments = [*tiny_args, "--steps", "4", "--output", str(output), "--overwrite"]
        assert main(arguments) in (EXIT_INTERNAL, EXIT_USAGE)
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("fastnst: error: ")
    assert "can't be written" in told[-1]
    assert not any("Traceback" in line for line in told)
    assert output.read_bytes() == b"old"
    assert not list(tmp_path.rglob(".*.part"))


# B2: kill -9.


def test_results_do_not_depend_on_the_time():
    # Without this no two runs write the same bytes.
    date = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())).profile.creation_date
    assert str(date) == "2000-01-01 00:00:00"


# A disk on which a file takes 80 ms, so that most kills find one half written.
SLOWLY = """
import io, os, sys, time
opened = os.fdopen
class Slow(io.FileIO):
    def write(self, content):
        content = bytes(content)
        for place in range(0, len(content), len(content) // 15 + 1):
            super().write(content[place : place + len(content) // 15 + 1])
            time.sleep(0.005)
        return len(content)
os.fdopen = lambda fd, mode="r", *rest: Slow(fd, mode) if "w" in mode else opened(fd, mode, *rest)
from fastnst.cli import main
sys.exit(main(sys.argv[1:]))
"""


def killed_and_run_again(model: Path, folder: Path, output: Path, delays: list[float]) -> None:
    """Each time a run on a fresh ``output`` is killed after a delay, and then made again."""
    arguments = ["apply", str(model), str(folder), "--output"]
    undisturbed = output / "undisturbed"
    assert main([*arguments, str(undisturbed)]) == EXIT_DONE
    expected = {path.name: path.read_bytes() for path in undisturbed.iterdir()}
    found, half = set(), 0
    for number, delay in enumerate(delays):
        results = output / str(number)
        command = [sys.executable, "-c", SLOWLY, *arguments, str(results)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
            deadline = time.monotonic() + 60
            # Starting takes longer than the whole folder.
            while not results.exists() and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(delay)
            child.kill()
        half += len(list(results.glob(".*.part")))
        there = [path for path in results.iterdir() if not path.name.startswith(".")]
        found.add(len(there))
        for path in there:
            assert path.read_bytes() == expected[path.name], path
        assert main([*arguments, str(results)]) == EXIT_DONE
        again = {path.name: path.read_bytes() for path in results.iterdir()
                 if not path.name.startswith(".")}  # fmt: skip
        assert again == expected
    # Some were killed in between and within a file, else this proves nothing.
    assert found - {0, len(expected)}
    assert half


def test_a_killed_run_leaves_whole_pictures_alone_and_is_made_good_by_another(model, tmp_path):
    folder = make_folder(tmp_path / "in", 12, 64)
    killed_and_run_again(model, folder, tmp_path / "out", [0.4, 0.65, 0.9])


@pytest.mark.long
@pytest.mark.timeout(900)
def test_thirty_killed_runs_leave_whole_pictures_alone(model, tmp_path):
    folder, rng = make_folder(tmp_path / "in", 12, 64), random.Random(0)
    delays = [rng.uniform(0, 1.5) for _ in range(30)]
    killed_and_run_again(model, folder, tmp_path / "out", delays)


# B3: folders and files in the way. (test_cli.py and test_apply.py have collisions and what exists.)


def test_a_collision_is_found_before_anything_is_written(model, tmp_path, capsys):
    folder = make_folder(tmp_path / "in", 2)
    make_picture(8, 8).save(folder / "p01.gif")
    make_picture(8, 8).save(folder / "p01.gif.png")
    for sources in ([folder], [folder / "p01.gif.png", folder / "p01.gif", folder / "p01.png"]):
        arguments = ["apply", str(model), *map(str, sources), "--output", str(tmp_path / "out")]
        assert main(arguments) == EXIT_USAGE
        assert "would both become" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["in/p00.png", "in/../in/p00.png", "link.png"])
def test_an_input_is_never_replaced(name, model, tmp_path, capsys):
    folder = make_folder(tmp_path / "in", 1)
    (tmp_path / "link.png").symlink_to(folder / "p00.png")
    before = (folder / "p00.png").read_bytes()
    arguments = ["apply", str(model), str(folder / "p00.png"), "--overwrite", "--output"]
    assert main([*arguments, str(tmp_path / name)]) == EXIT_USAGE
    assert "would replace an input" in capsys.readouterr().err
    assert (folder / "p00.png").read_bytes() == before


def test_a_folder_that_goes_midway_costs_a_line_each(model, tmp_path):
    folder, output = make_folder(tmp_path / "in", 8), tmp_path / "out"
    stylizer = Stylizer.load(model, "cpu")
    outcomes = []
    jobs = plan_jobs([folder], Wanted(output, "x"))
    for outcome in run_jobs(stylizer, jobs, FileOptions(), False):
        outcomes.append(outcome)
        if len(outcomes) == 1:
            # In one go, since the next result is being written.
            output.rename(tmp_path / "gone")
    assert len(outcomes) == 8
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    assert len(failed) >= 5
    assert all("No such file or directory" in outcome.message for outcome in failed)
    assert not output.exists()


def test_an_input_that_goes_midway_costs_its_own_line(model, tmp_path):
    folder = make_folder(tmp_path / "in", 8)
    stylizer = Stylizer.load(model, "cpu")
    jobs = plan_jobs([folder], Wanted(tmp_path / "out", "x"))
    (folder / "p05.png").unlink()
    states = [outcome.state for outcome in run_jobs(stylizer, jobs, FileOptions(), False)]
    assert states == ["done"] * 5 + ["failed"] + ["done"] * 2


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO])
def test_a_rename_that_fails_leaves_the_old_file(number, tmp_path, monkeypatch):
    target = tmp_path / "x.png"
    target.write_bytes(b"old")

    def failing(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(ImageWriteError, match=os.strerror(number)):
        write_picture(make_picture(8, 8), target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


# B4: the folder for temporary files.


@pytest.mark.parametrize("place", ["absent", "other", "full"])
def test_results_need_no_folder_for_temporary_files(place, model, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    if place != "absent":
        temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    original = os.open

    def opened(path, *args, **kwargs):
        if place == "full" and str(path).startswith(str(temporary)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(path, *args, **kwargs)

    rename = os.replace

    def renamed(source, target) -> None:
        # As though every folder were a file system of its own.
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "replace", renamed)
    make_picture(20, 20).save(tmp_path / "a.png")
    arguments = ["apply", str(model), str(tmp_path / "a.png"), "--output", str(tmp_path / "b.png")]
    assert main(arguments) == EXIT_DONE
    save_checkpoint(contents(), tmp_path / "c.ckpt")
    assert not temporary.exists() or not list(temporary.iterdir())


# B5: several processes.


def test_processes_on_one_folder_leave_whole_pictures_and_shards_share_the_work(model, tmp_path):
    folder = make_folder(tmp_path / "in", 24, 64)
    alone = tmp_path / "alone"
    arguments = ["apply", str(model), str(folder), "--output"]
    assert main([*arguments, str(alone)]) == EXIT_DONE
    command = [sys.executable, "-m", "fastnst", *arguments]
    both, shared = tmp_path / "both", tmp_path / "shared"
    children = [
        subprocess.Popen([*command, *rest], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for rest in (
            [str(both), "--overwrite"], [str(both), "--overwrite"],
            [str(shared), "--json", "--shard", "1/2"], [str(shared), "--json", "--shard", "2/2"],
        )
    ]  # fmt: skip
    told = [child.communicate(timeout=100)[0] for child in children]
    assert [child.returncode for child in children] == [EXIT_DONE] * 4
    expected = {path.name: path.read_bytes() for path in alone.iterdir()}
    for results in (both, shared):
        assert {path.name: path.read_bytes() for path in results.iterdir()} == expected
    done = [json.loads(line)["source"] for out in told[2:] for line in out.splitlines()]
    assert sorted(done) == sorted(str(path) for path in folder.iterdir())


# B6: names that lead elsewhere.


def test_results_never_leave_their_folder(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside, outside = make_folder(tmp_path / "in", 2), make_folder(tmp_path / "elsewhere", 1)
    (outside / "p00.png").rename(outside / "q.png")
    (inside / "link.png").symlink_to(outside / "q.png")
    (inside / "loop").symlink_to(inside)
    (inside / "away").symlink_to(outside)
    before = set(tmp_path.rglob("*"))
    for sources, made in {
        (str(inside),): {"p00.png", "p01.png", "link.png", "away", "away/q.png"},
        ("in/../elsewhere/q.png",): {"q.png"},
        (str(outside / "q.png"), "./in/link.png"): {"q.png", "link.png"},
        ("in/*.png",): {"p00.png", "p01.png", "link.png"},
    }.items():
        output = tmp_path / "out"
        assert main(["apply", str(model), *sources, "--output", str(output)]) == EXIT_DONE
        assert {str(path.relative_to(output)) for path in output.rglob("*")} == made
        shutil.rmtree(output)
    assert set(tmp_path.rglob("*")) == before


def test_a_result_replaces_a_link_and_not_what_it_leads_to(model, tmp_path):
    make_picture(8, 8).save(tmp_path / "a.png")
    precious = tmp_path / "precious.png"
    precious.write_bytes(b"precious")
    target = tmp_path / "out.png"
    target.symlink_to(precious)
    arguments = ["apply", str(model), str(tmp_path / "a.png"), "--output", str(target)]
    assert main([*arguments, "--overwrite"]) == EXIT_DONE
    assert precious.read_bytes() == b"precious"
    with Image.open(target) as result:
        assert result.size == (8, 8)
    assert not target.is_symlink()


def test_an_input_named_twice_is_one(tmp_path):
    folder = make_folder(tmp_path / "in", 1)
    inputs = [folder / "p00.png", folder / ".." / "in" / "p00.png", folder]
    [job] = plan_jobs(inputs, Wanted(tmp_path / "out", "x"))
    assert job.named
