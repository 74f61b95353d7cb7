"""Ctrl-C and other signals as a request to end in good order, not as an error at a random line."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from fastnst.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_TERMINATED, EXIT_WARNED

# Exit code by the signal that was received.
EXIT_CODES: dict[int | None, int] = {
    None: EXIT_DONE,
    signal.SIGINT: EXIT_INTERRUPTED,
    signal.SIGTERM: EXIT_TERMINATED,
}
# What SLURM can send some time before it ends a job; Windows has no such signal.
if hasattr(signal, "SIGUSR1"):
    EXIT_CODES[signal.SIGUSR1] = EXIT_WARNED


class EndRequest:
    """While it is entered, the first SIGINT, SIGTERM or SIGUSR1 is only noted; the next ends it,
    unless it comes within ``echo`` seconds.

    ``received`` is the signal's number, None if there was none. Without effect outside the main
    thread, where Python takes no signals.
    """

    def __init__(self, echo: float = 0.0) -> None:
        self.received: int | None = None
        self._echo, self._at = echo, 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> EndRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (number for number in EXIT_CODES if number is not None):
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
            if time.monotonic() - self._at < self._echo:
                return
            # By the system's own hand: a library would turn an exception into exit code 1.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received, self._at = number, time.monotonic()
