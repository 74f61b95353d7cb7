"""Two threads beside the caller's: one ahead of it, that draws items, and one behind, that takes
what it made of them. Each holds no more than a few items, so memory stays what it is.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

# Items that wait.
ROOM = 2
# Seconds after which a thread that waits looks whether it is to end.
LOOK = 0.1


class _End:
    """What comes after the last item: the error that ended them, or none."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Generic[T]):
    """The items of ``source``, drawn by a thread of their own while the caller works on others.

    What the source raises is raised where its next item would have come. Leaving the block ends the
    thread, which closes the source.
    """

    def __init__(self, source: Iterable[T]) -> None:
        self._source = source
        self._queue: queue.Queue[T | _End] = queue.Queue(ROOM)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._items()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _items(self) -> Iterator[T]:
        while not isinstance(item := self._queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def _run(self) -> None:
        end = _End()
        try:
            for item in self._source:
                if not self._put(item):
                    return
        except BaseException as error:
            end = _End(error)
        self._put(end)

    def _put(self, item: T | _End) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=LOOK)
            except queue.Full:
                continue
            return True
        return False


class Behind(Generic[T]):
    """``work`` on each item that is put, in a thread of its own.

    What it raises is raised by the next ``put``, or at the block's end, which waits for the items
    that are left. A block that is left by an error lets them be.
    """

    def __init__(self, work: Callable[[T], None]) -> None:
        self._work = work
        self._queue: queue.Queue[T | _End] = queue.Queue(ROOM)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Behind[T]:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._stop.set()
        # The thread takes whatever comes, so there is room in a moment.
        self._queue.put(_End())
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(self, item: T) -> None:
        """Leave an item to the thread; waits while it is busy with others."""
        if self._error is not None:
            raise self._error
        self._queue.put(item)

    def _run(self) -> None:
        while not isinstance(item := self._queue.get(), _End):
            if self._error is None and not self._stop.is_set():
                try:
                    self._work(item)
                except BaseException as error:
                    self._error = error
