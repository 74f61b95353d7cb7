"""Frames to a clip, with the streams that come along packet by packet."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from fastnst.errors import ClipWriteError
from fastnst.video.encode import Encoder, Look, Painted
from fastnst.video.options import CONTAINERS, ClipOptions
from fastnst.video.probe import MARK, Clip, is_cover, told
from fastnst.video.sound import SoundAnew

# Containers in which a cover is marked as one. In others it would be one more picture that moves.
COVERED = frozenset((".mp4", ".m4v", ".mov"))
# Bytes that are whole samples of up to ten channels.
SILENCE = 20160


class Writer:
    """A clip written into ``file``, for ``target``, with ``others`` of the clip's streams.

    ``write`` takes frames in order and what lies before them, ``close`` ends it. ``metadata``
    "keep" takes along what the clip says of itself, the place it was taken at included; but with
    "none" it is marked as made by fastnst. ``news`` is what is worth telling. Raises
    ClipWriteError, or OSError of the file.
    """

    def __init__(
        self, file: BinaryIO, target: Path, clip: Clip, others: Sequence[Stream],
        options: ClipOptions, metadata: str,
    ) -> None:  # fmt: skip
        self.target, self.clip, self.options, self.file = target, clip, options, file
        self.news: list[str] = []
        self._others, self._metadata = others, metadata
        self._container: OutputContainer | None = None
        self._encoder: Encoder | None = None
        self._copies: dict[int, Stream] = {}
        self._anew: dict[int, SoundAnew] = {}
        self._refused = 0

    def begins(self, pts: int) -> bool:
        """Whether a new part begins with the frame of that time: never, it is all one."""
        return False

    def write(self, painted: Painted) -> None:
        """The next frame, and what lies before it."""
        encoder = self._encoder or self.begin(painted.look)
        self.copy(painted.packets)
        self.mux(encoder.packets(painted.pixels, painted.time))

    def begin(self, look: Look) -> Encoder:
        """Write the head of the file, for frames of one look, which the encoder takes."""
        container: OutputContainer = av.open(
            self.file, "w", format=CONTAINERS[self.target.suffix.lower()]
        )
        self._container = container
        encoder = Encoder(container, self.target, self.clip, self.options, look)
        self._encoder, self.news = encoder, encoder.news
        for stream in self._others:
            if can_hold(self.target, stream):
                self._copies[stream.index] = _copied(container, stream)
            else:
                self._anew[stream.index] = SoundAnew(container, stream)
        if self._metadata == "keep":
            container.metadata.update(self.clip.container.metadata)
        if self._metadata != "none":
            container.metadata["comment"] = MARK
        if (self.options.start, self.options.end) == (None, None):
            if timecode := self.clip.picture.metadata.get("timecode"):
                encoder.stream.metadata["timecode"] = timecode
            with contextlib.suppress(av.FFmpegError, ValueError):
                container.set_chapters(self.clip.container.chapters())
        try:
            container.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise ClipWriteError(
                f"{self.target}: {encoder.name} doesn't take {look.width} x {look.height} pixels "
                f"with these options ({told(error)})"
            ) from error
        return encoder

    def copy(self, packets: Sequence[Packet[Stream]]) -> None:
        """Packets of the clip's other streams."""
        for packet in packets:
            index = packet.stream.index
            if index in self._anew:
                self.mux(list(self._anew[index].packets(packet)))
            else:
                packet.stream = self._copies[index]
                try:
                    self.mux([packet])
                except av.error.InvalidDataError:
                    # Of what is damaged the container can't tell what it is to write of it.
                    self._refused += 1

    def mux(self, packets: Sequence[Packet[Any]]) -> None:
        """Packets of the file's own streams."""
        assert self._container is not None
        for packet in packets:
            self._container.mux_one(packet)

    def close(self, packets: Sequence[Packet[Stream]]) -> None:
        """End the file with what is left of the frames, and of the other streams."""
        if self._encoder is not None:
            self.copy(packets)
            self.mux(self._encoder.rest())
            self.end()

    def end(self) -> None:
        """End the file with what is in it."""
        assert self._container is not None
        for sound in self._anew.values():
            self.mux(list(sound.packets(None)))
        self._container.close()
        self._container = None
        if self._refused:
            self.news.append(f"{self._refused} damaged packets of its other streams are left out")

    def abandon(self) -> None:
        """Let go of a file that is of no use."""
        if self._container is not None:
            with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                self._container.close()


def can_hold(target: Path, stream: Stream) -> bool:
    """Whether the container of a path's suffix takes a stream as it is: tried, in memory."""
    if is_cover(stream) and target.suffix.lower() not in COVERED:
        return False
    try:
        with av.open(io.BytesIO(), "w", format=CONTAINERS[target.suffix.lower()]) as trial:
            copied = _copied(trial, stream)
            trial.start_encoding()
            name = getattr(stream.codec_context, "name", "")
            if name.startswith("pcm_") or stream.type == "data":
                # MP4 asks such sound only at its end which speakers it is for.
                silence: Packet[Stream] = Packet(bytes(SILENCE))
                silence.stream, silence.pts, silence.dts = copied, 0, 0
                trial.mux_one(silence)
    except (av.FFmpegError, ValueError):
        return False
    return True


def _copied(container: OutputContainer, stream: Stream) -> Stream:
    copied = container.add_stream_from_template(stream)
    copied.time_base = stream.time_base
    copied.metadata.update(stream.metadata)
    copied.disposition = stream.disposition
    return copied


def taken_along(clip: Clip, target: Path) -> tuple[list[Stream], list[str]]:
    """The other streams that come along, and what is told of those that the target's container
    doesn't take. Matroska takes any sound, if need be coded anew.

    Raises ClipWriteError where sound would be lost that another container would keep.
    """
    taken: list[Stream] = []
    lost: list[str] = []
    news: list[str] = []
    for stream in clip.others:
        if stream.type == "data" and "timecode" in stream.metadata:
            # Made anew by the container, of what the picture's stream says of it.
            continue
        if can_hold(target, stream):
            taken.append(stream)
            continue
        name = _name(stream)
        if stream.type != "audio" or stream.codec_context is None:
            lost.append(name)
        elif target.suffix.lower() == ".mkv":
            taken.append(stream)
            news.append(f"its {name}, which .mkv can't hold, is coded anew as FLAC")
        else:
            raise ClipWriteError(
                f"{target}: {target.suffix.lower()} can't hold the clip's sound ({name}); "
                f"--output {target.with_suffix('.mkv').name} can"
            )
    if lost:
        news.append(f"{target.suffix.lower()} can't hold its {', '.join(lost)}: left out")
    return taken, news


def _name(stream: Any) -> str:
    context = stream.codec_context
    if is_cover(stream):
        return f"cover ({context.name})"
    return f"{stream.type} {context.name}" if context is not None else f"stream of {stream.type}"
