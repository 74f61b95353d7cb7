"""Ctrl-C and other signals: a request to end in good order, or an exception that cleans up."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from fastnst.errors import (
    EXIT_DONE,
    EXIT_HUNG_UP,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    EXIT_WARNED,
)

# Exit code by the signal that was received.
EXIT_CODES: dict[int | None, int] = {
    None: EXIT_DONE,
    signal.SIGINT: EXIT_INTERRUPTED,
    signal.SIGTERM: EXIT_TERMINATED,
}
# What SLURM can send some time before it ends a job, and what a closed terminal sends, often twice;
# Windows has neither.
HANGUP: int | None = getattr(signal, "SIGHUP", None)
if hasattr(signal, "SIGUSR1"):
    EXIT_CODES[signal.SIGUSR1] = EXIT_WARNED
if HANGUP is not None:
    EXIT_CODES[HANGUP] = EXIT_HUNG_UP
# Seconds within which a signal that comes again is the same one: to a process, and to its group.
ECHO = 1.0


class Ended(KeyboardInterrupt):
    """A signal other than Ctrl-C's, raised as Ctrl-C is, so that it leaves as little behind."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = EXIT_CODES[number]


@contextlib.contextmanager
def raised_as_interrupts() -> Iterator[None]:
    """While the block lasts signals that would end the process at once raise Ended instead.

    The first process of a container ignores them otherwise. One that comes again during the
    cleaning up ends the process, unless it comes at once. Without effect outside the main thread.
    """
    at: list[float] = []
    previous: dict[int, Any] = {}

    def end(number: int, _: FrameType | None) -> None:
        if at and (number == HANGUP or time.monotonic() - at[0] < ECHO):
            return
        if at:
            _end_at_once(number)
        at.append(time.monotonic())
        raise Ended(number)

    if threading.current_thread() is threading.main_thread():
        for number in (number for number in EXIT_CODES if number is not None):
            # Who ignores a signal, as nohup does, or handles it keeps it so.
            if signal.getsignal(number) == signal.SIG_DFL:
                previous[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end_at_once(number: int) -> None:
    # By the system's own hand: a library would turn an exception into exit code 1.
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


class EndRequest:
    """While it is entered, the first SIGINT, SIGTERM, SIGUSR1 or SIGHUP is only noted; the next
    ends it, unless it comes within ``echo`` seconds, or is SIGHUP again.

    ``received`` is the signal's number, None if there was none. Without effect outside the main
    thread, where Python takes no signals; a SIGHUP that is ignored, as by nohup, stays so.
    """

    def __init__(self, echo: float = 0.0) -> None:
        self.received: int | None = None
        self._echo, self._at = echo, 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> EndRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (number for number in EXIT_CODES if number is not None):
                if number != HANGUP or signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if number == HANGUP or time.monotonic() - self._at < self._echo:
                return
            _end_at_once(number)
        self.received, self._at = number, time.monotonic()
