"""The line that is rewritten, at every width, and lines of JSON whose reader has gone."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import sys

import pytest
from helpers import make_model, make_picture

from fastnst.cli import console
from fastnst.cli.console import Rows, StatusLine, bar, fitted, width
from fastnst.errors import EXIT_DONE, OutputError

PATH = "Photographs of the summer 2019/at the lake with everybody 003.jpg"
TRAINING = " 12%  step 100  loss 1.234  content 0.512  style 0.234  12.3 images/s  0:30 left"


@pytest.mark.parametrize("columns", range(10, 140))
def test_a_status_line_is_never_longer_than_the_terminal_is_wide(columns):
    for text, tail in ((bar(3, 12, 9), PATH), ("", PATH), (TRAINING, ""), ("", "湖のほとりで" * 9)):
        line = fitted(text, tail, columns)
        assert 0 < width(line) <= columns
        if width(text) + 2 + width(tail) <= columns:
            assert text in line
            assert tail in line


def test_what_matters_most_of_a_status_line_stays():
    far = bar(3, 12, 9)
    assert fitted(far, PATH, 90) == f"{far}  ...{PATH[-(90 - len(far) - 5) :]}"
    assert fitted(far, PATH, 55) == far
    assert fitted(far, PATH, 40) == "3 of 12  0:27 left"
    assert fitted("", PATH, 30) == f"...{PATH[-27:]}"
    assert fitted(TRAINING, "", 60) == " 12%  step 100  loss 1.234  content 0.512  0:30 left"
    assert fitted(TRAINING, "", 16) == " 12%  0:30 left"


def test_letters_of_two_columns_and_of_none_are_counted_as_such():
    assert width("ab") == 2
    assert width("湖") == 2
    assert width("e\u0301") == 1


SHOWN = """
from fastnst.cli.console import StatusLine
status = StatusLine()
status.show("[####] 3 of 12  0.3/s  0:27 left", "a folder/" * 9)
status.end()
"""


@pytest.mark.parametrize(("columns", "terminal"), [(40, "xterm"), (60, "xterm"), (60, "dumb")])
def test_a_terminal_is_asked_how_wide_it_is(columns, terminal):
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": terminal}
    environment.pop("COLUMNS", None)
    subprocess.run([sys.executable, "-c", SHOWN], stderr=theirs, check=True, env=environment)
    assert select.select([ours], [], [], 5)[0]
    told = os.read(ours, 4096).decode().removeprefix("\r\x1b[2K").strip()
    os.close(ours)
    os.close(theirs)
    assert "\x1b" not in told
    assert (len(told) < columns) == (terminal == "xterm")


def test_where_nobody_looks_at_a_terminal_nothing_is_cut(capsys):
    StatusLine().show("[####] 3 of 12", PATH * 3)
    assert capsys.readouterr().err == f"[####] 3 of 12  {PATH * 3}\n"


def test_the_work_goes_on_where_the_reader_of_its_lines_has_gone(tmp_path):
    model = make_model(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(6):
        make_picture(16, 12, number).save(tmp_path / "in" / f"{number}.png")
    command = [sys.executable, "-m", "fastnst", "apply", str(model), str(tmp_path / "in")]
    child = subprocess.Popen(
        [*command, "--output", str(tmp_path / "out"), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline().startswith(b'{"source"')
    child.stdout.close()
    told = child.stderr.read()
    child.stderr.close()
    assert child.wait() == EXIT_DONE
    assert b"error" not in told
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_lines_that_are_lost_are_an_error_at_the_end(monkeypatch):
    given = []

    def full(line: str) -> None:
        given.append(line)
        raise OutputError("standard output: can't be written (No space left on device)")

    monkeypatch.setattr(console, "give", full)
    rows = Rows(True)
    rows.give({"a": 1})
    rows.give({"a": 2})
    assert given == ['{"a": 1}']
    with pytest.raises(OutputError, match="No space left"):
        rows.end()
