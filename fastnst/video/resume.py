"""A clip written in parts of some seconds, each by an encoder of its own, and joined at the end."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from av.packet import Packet
from av.stream import Stream

from fastnst.errors import ClipWriteError
from fastnst.machine.files import atomic_write
from fastnst.video.encode import Encoder, Look, Painted
from fastnst.video.options import ClipOptions
from fastnst.video.parts import Head, Parts, write_packets
from fastnst.video.probe import Clip
from fastnst.video.read import Reader
from fastnst.video.smooth import State
from fastnst.video.write import Writer

# Of a part. What is lost when a run ends, and what is painted until a part is on the disk.
SECONDS = 2


class PartsWriter:
    """Frames to the parts of ``parts`` for ``target``, in a block, which leaves out the part in
    whose midst an error comes. Raises ClipWriteError, OSError.
    """

    def __init__(self, parts: Parts, target: Path, clip: Clip, options: ClipOptions) -> None:
        self.parts, self.target, self.clip, self.options = parts, target, clip, options
        self.news: list[str] = []
        self._began: int | None = None
        self._stack = contextlib.ExitStack()
        self._file: BinaryIO | None = None
        self._encoder: Encoder | None = None

    def __enter__(self) -> PartsWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def begins(self, pts: int) -> bool:
        """Whether a new part begins with the frame of that time."""
        assert self.clip.picture.time_base is not None
        began = self._began
        if began is not None and (pts - began) * self.clip.picture.time_base < SECONDS:
            return False
        self._began = pts
        return True

    def write(self, painted: Painted) -> None:
        """The next frame."""
        if painted.before is not None:
            self._finish(painted.before)
            self._begin(painted.look)
        assert self._encoder is not None
        assert self._file is not None
        write_packets(self._file, self._encoder.packets(painted.pixels, painted.time))

    def close(self, packets: Sequence[Packet[Stream]]) -> None:
        """Finish the last part. Other streams are none of its business."""
        self._finish(None)

    def _begin(self, look: Look) -> None:
        # The container is never written to: an encoder asks it what its head will hold.
        scratch = Writer(io.BytesIO(), self.target, self.clip, [], self.options, "none")
        self._stack.callback(scratch.abandon)
        self._encoder = scratch.begin(look)
        self.news = self._encoder.news
        head = Head(look, self._encoder.head())
        self._file = self._stack.enter_context(self.parts.writing(head))

    def _finish(self, state: State | None) -> None:
        if self._encoder is None or self._file is None:
            return
        write_packets(self._file, self._encoder.rest())
        if state is not None:
            self.parts.keep_state(state)
        self._stack.close()
        self._encoder = self._file = None


def join(
    parts: Parts, reader: Reader, target: Path, options: ClipOptions, metadata: str, overwrite: bool
) -> list[str]:
    """Write the target of all its parts, and of the other streams of the reader's clip, without
    coding anything again; returns what is worth telling.
    """
    head = parts.head()
    with atomic_write(target, overwrite) as file:
        writer = Writer(file, target, reader.clip, reader.others, options, metadata)
        try:
            _write(writer, head, parts, reader)
        except BaseException:
            writer.abandon()
            raise
    return writer.news


def _write(writer: Writer, head: Head, parts: Parts, reader: Reader) -> None:
    encoder = writer.begin(head.look)
    if encoder.head() != head.extradata:
        raise ClipWriteError(
            f"{parts.folder}: its parts are another encoder's; delete it to begin anew"
        )
    pictures = parts.packets()
    waiting = next(pictures, None)
    for packet in reader.copies():
        while waiting is not None and _begins(waiting) <= _begins(packet):
            waiting.stream = encoder.stream
            writer.mux([waiting])
            waiting = next(pictures, None)
        writer.copy([packet])
    while waiting is not None:
        waiting.stream = encoder.stream
        writer.mux([waiting])
        waiting = next(pictures, None)
    writer.end()


def _begins(packet: Packet[Any]) -> Fraction:
    assert packet.dts is not None
    return packet.dts * packet.time_base
