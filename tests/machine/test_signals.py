"""Signals end a command as Ctrl-C does: nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastnst.cli import main
from fastnst.errors import EXIT_HUNG_UP, EXIT_TERMINATED, EXIT_WARNED
from fastnst.machine import signals
from fastnst.machine.files import atomic_write
from fastnst.machine.signals import Ended, EndRequest, raised_as_interrupts

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signals here")
CODES = {
    signal.SIGTERM: EXIT_TERMINATED, signal.SIGHUP: EXIT_HUNG_UP, signal.SIGUSR1: EXIT_WARNED,
}  # fmt: skip


@pytest.fixture(autouse=True)
def by_default():
    before = {number: signal.signal(number, signal.SIG_DFL) for number in CODES}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize("number", CODES)
def test_a_signal_cleans_up_and_says_what_it_was(number, tmp_path, monkeypatch, capsys):
    def work(arguments: list[str]) -> int:
        with atomic_write(tmp_path / "a.png") as file:
            file.write(b"half")
            assert list(tmp_path.glob(".a.png.*.part"))
            send(number)
            pytest.fail("went on")

    monkeypatch.setattr("fastnst.cli.gallery.run", work)
    assert main(["gallery"]) == CODES[number] == 128 + number
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err == f"fastnst: ended by {number.name}\n"
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_that_comes_again_at_once_does_not_end_the_cleaning_up():
    cleaned = []
    with pytest.raises(Ended), raised_as_interrupts():  # noqa: PT012
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)
            send(signal.SIGHUP)
            cleaned.append(True)
    assert cleaned == [True]


def test_a_signal_that_is_ignored_or_handled_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # As nohup has it.
    taken = []
    signal.signal(signal.SIGUSR1, lambda *_: taken.append(True))
    with raised_as_interrupts(), EndRequest() as request:
        send(signal.SIGHUP)
        assert request.received is None
    with raised_as_interrupts():
        send(signal.SIGUSR1)
        send(signal.SIGHUP)
    assert taken == [True]


def test_a_closed_terminals_signals_are_one_request_however_many_come():
    with EndRequest() as request:
        send(signal.SIGHUP)
        send(signal.SIGHUP)
        send(signal.SIGHUP)
    assert request.received == signal.SIGHUP


SECOND = """
import os, signal, time
from fastnst.machine import signals
signals.ECHO = 0.0
with signals.raised_as_interrupts():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
"""


def test_a_second_signal_ends_what_hangs():
    child = subprocess.run([sys.executable, "-c", SECOND], check=False, capture_output=True)
    assert child.returncode == -signal.SIGTERM


def test_every_signal_of_ours_has_its_exit_code():
    assert {code for number, code in signals.EXIT_CODES.items() if number} == {130, 143, 138, 129}


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/usr/bin/unshare").exists(), reason="takes root and unshare"
)
def test_the_first_process_of_a_container_heeds_them(tmp_path):
    program = (
        "import sys, time\nfrom fastnst import cli\nimport fastnst.cli.gallery as command\n"
        "def run(arguments):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "command.run = run\nsys.exit(cli.main(['gallery']))"
    )
    child = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    if not child.stdout.readline():
        pytest.skip(f"unshare: {child.stderr.read()}")
    (first,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    os.kill(int(first), signal.SIGTERM)
    told = child.stderr.read()
    assert child.wait(20) == EXIT_TERMINATED
    assert "ended by SIGTERM" in told
    child.stdout.close()
    child.stderr.close()
