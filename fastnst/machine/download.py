"""Files fetched from the network, whole and with the right SHA-256, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fastnst.errors import DownloadError
from fastnst.machine.files import reason

# Called with the bytes that have come and the bytes to come.
Progress = Callable[[int, int], None]
# Without a network this is how long it takes to find out, at the most.
CONNECT_SECONDS = 8.0
CHUNK = 1 << 20


@dataclass(frozen=True)
class Source:
    """A file on the network: its address, SHA-256 and size in bytes."""

    url: str
    sha256: str
    size: int


def download(source: Source, target: Path, on_progress: Progress | None) -> None:
    """Raises DownloadError unless the file has come whole and has the right SHA-256."""
    digest = hashlib.sha256()
    with _opened(source.url) as response, open(target, "wb") as file:
        total = int(response.headers.get("Content-Length") or source.size)
        done = 0
        for chunk in _chunks(response):
            digest.update(chunk)
            file.write(chunk)
            done += len(chunk)
            if on_progress is not None:
                on_progress(done, total)
    if done < total:
        raise DownloadError(f"the download was cut short after {done} of {total} bytes")
    if digest.hexdigest() != source.sha256:
        raise DownloadError(f"the download has the wrong SHA-256 {digest.hexdigest()}")


def _chunks(response: IO[bytes]) -> Iterator[bytes]:
    try:
        while chunk := response.read(CHUNK):
            yield chunk
    except http.client.IncompleteRead as error:
        yield error.partial
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"the download broke off ({_why(error)})") from error


def _opened(url: str) -> Any:
    """The response to a GET, or DownloadError within ``CONNECT_SECONDS``.

    In a thread of its own: neither looking up a name nor trying several addresses in turn heeds
    the socket's timeout.
    """
    outcome: list[Any] = []

    def connect() -> None:
        try:
            outcome.append(urllib.request.urlopen(url, timeout=CONNECT_SECONDS))
        except (OSError, http.client.HTTPException, ValueError) as error:
            outcome.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    # The socket's own time may be up a moment before.
    if not outcome or isinstance(getattr(outcome[0], "reason", outcome[0]), TimeoutError):
        raise DownloadError(f"no answer within {CONNECT_SECONDS:g} s")
    if isinstance(outcome[0], urllib.error.HTTPError):
        outcome[0].close()
        raise DownloadError(f"the server answers {outcome[0].code} {outcome[0].reason}")
    if isinstance(outcome[0], Exception):
        raise DownloadError(f"no connection ({_why(outcome[0])})")
    return outcome[0]


def _why(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, OSError):
        return reason(cause)
    return str(cause) or type(cause).__name__
