"""Pipes, devices and addresses in place of files: written to, or refused in a line."""

from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import make_model, make_picture, one_line
from PIL import Image

from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_USAGE
from fastnst.machine import files
from fastnst.machine.files import atomic_write

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")


@pytest.fixture
def apply(tmp_path, monkeypatch):
    """``fastnst apply`` of a small network to a.png, b.png in the folder, with more arguments."""
    monkeypatch.chdir(tmp_path)
    model = make_model(tmp_path)
    for name in "ab":
        make_picture(40, 30).save(f"{name}.png")

    def run(*arguments: str) -> int:
        return main(["apply", str(model), *arguments])

    return run


class Reader:
    """A thread that reads a pipe to its end."""

    def __init__(self, path: str) -> None:
        self.content = b""
        self._path = path
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        self.content = Path(self._path).read_bytes()

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_a_pipe_gets_the_picture_and_stays_a_pipe(more, apply):
    os.mkfifo("pipe.png")
    with Reader("pipe.png") as reader:
        assert apply("a.png", "--output", "pipe.png", *more) == EXIT_DONE
    assert stat.S_ISFIFO(os.stat("pipe.png").st_mode)
    Path("got.png").write_bytes(reader.content)
    assert apply("a.png", "--output", "file.png") == EXIT_DONE
    assert np.array_equal(Image.open("got.png"), Image.open("file.png"))
    assert not list(Path().glob(".*"))


def test_what_the_shell_puts_in_place_of_a_command_gets_the_pictures_own_format(apply):
    reading, writing = os.pipe()
    path = f"/dev/fd/{writing}"
    got: list[bytes] = []

    def read() -> None:
        with open(reading, "rb") as pipe:
            got.append(pipe.read())

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert apply("a.png", "--output", path) == EXIT_DONE
    os.close(writing)
    thread.join(20)
    assert got[0].startswith(b"\x89PNG")


def test_devices_are_written_to_and_never_replaced(apply, capsys):
    assert apply("a.png", "--output", "/dev/null") == EXIT_DONE
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("s.png")
        capsys.readouterr()
        assert apply("a.png", "--output", "s.png", "--overwrite") == EXIT_USAGE
        assert "s.png: can't be written (is a disk or a socket)" in one_line(capsys)
        assert stat.S_ISSOCK(os.stat("s.png").st_mode)


def test_a_pipe_that_nobody_reads_is_no_wait_for_ever(apply, monkeypatch, capsys):
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    os.mkfifo("pipe.png")
    assert apply("a.png", "--output", "pipe.png") == EXIT_USAGE
    assert "pipe.png: can't be written (a pipe that nobody reads)" in one_line(capsys)


@pytest.mark.parametrize("name", ["pipe.png", "pipe"])
def test_several_pictures_are_not_written_into_one_pipe(name, apply, capsys):
    os.mkfifo(name)
    assert apply("a.png", "b.png", "--output", name) == EXIT_USAGE
    one_line(capsys)
    assert stat.S_ISFIFO(os.stat(name).st_mode)


@pytest.mark.parametrize("output", ["s3://bucket/out/", "https://example.org/x.png"])
def test_an_address_is_no_place_for_results(output, apply, capsys):
    before = set(Path().rglob("*"))
    for inputs in (["a.png"], ["a.png", "b.png"]):
        assert apply(*inputs, "--output", output) == EXIT_USAGE
        told = one_line(capsys)
        assert "is an address" in told or "names one file" in told
    assert set(Path().rglob("*")) == before


def test_other_results_leave_a_pipe_in_its_place_too(tmp_path):
    os.mkfifo(tmp_path / "x.ckpt")
    with Reader(str(tmp_path / "x.ckpt")) as reader, atomic_write(tmp_path / "x.ckpt") as file:
        file.write(b"0123456789")
        file.seek(4)
        file.write(b"x")
    assert reader.content == b"0123x56789"
    assert [path.name for path in tmp_path.iterdir()] == ["x.ckpt"]


def test_a_pipe_as_an_input_is_refused_with_what_takes_one(apply, capsys):
    os.mkfifo("pipe.png")
    os.mkfifo("pipe.mp4")
    assert apply("pipe.png", "--output", "x.png") == EXIT_USAGE
    assert "pipe.png: a device or a pipe" in (told := one_line(capsys))
    assert "'-', which takes a picture from standard input" in told
    for arguments, message in (
        (["apply", "pipe.png", "a.png"], "pipe.png: a device or a pipe"),
        (["train", "--style", "a.png", "--data", "pipe.png"], "pipe.png: a device or a pipe"),
    ):
        assert main(arguments) == EXIT_USAGE
        assert message in one_line(capsys)
