"""Frames to a clip: the encoder, and the streams that come along packet by packet."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.codec import Codec
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fastnst.errors import ClipWriteError
from fastnst.video.colour import Colours, FromRGB
from fastnst.video.options import CONTAINERS, ClipOptions
from fastnst.video.probe import MARK, Clip, told

Pixels = NDArray[np.uint8]

# Encoders by codec, the first that PyAV was built with. Some builds have no x264, whose licence is
# the GPL.
ENCODERS = {
    "h264": ("libx264", "libopenh264", "h264_videotoolbox"),
    "hevc": ("libx265", "hevc_videotoolbox"),
    "av1": ("libsvtav1", "libaom-av1"),
    "vp9": ("libvpx-vp9",),
    "ffv1": ("ffv1",),
}
AUTO = ("libx264", "libopenh264", "libsvtav1", "libvpx-vp9", "mpeg4")
AUTO_WEBM = ("libvpx-vp9", "libsvtav1")
# Quality and preset of each where the user says nothing: painted frames are full of detail, and
# look alike from here on.
DEFAULTS = {
    "libx264": (21, "veryfast"), "libx265": (24, "superfast"), "libsvtav1": (34, "10"),
    "libaom-av1": (34, "8"), "libvpx-vp9": (34, "8"), "mpeg4": (4, ""),
}  # fmt: skip
# Those that take a frame whose sides are odd with a colour for every second pixel.
ANY_SIDE = frozenset(("libvpx-vp9", "libaom-av1", "mpeg4"))
# Those that know no other than a colour for every second pixel.
HALVED = frozenset(("libsvtav1", "libopenh264", "mpeg4", "h264_videotoolbox", "hevc_videotoolbox"))
# The largest denominator of a time base in MPEG-4.
MPEG4_TICKS = 65535


@dataclass(frozen=True)
class Look:
    """What an encoder is told of frames: size, colours, and how wide a pixel is by its height."""

    width: int
    height: int
    colours: Colours
    aspect: Fraction | None


class Writer:
    """A clip written into ``file``, for ``target``, with ``others`` of the clip's streams.

    ``write`` takes frames in order and what lies before them, ``close`` ends it. ``keep_metadata``
    takes along what the clip says of itself, the place it was taken at included; ``mark`` says that
    fastnst made it. ``news`` is what is worth telling. Raises ClipWriteError, or OSError of the
    file.
    """

    def __init__(
        self, file: BinaryIO, target: Path, clip: Clip, others: Sequence[Stream],
        options: ClipOptions, metadata: str,
    ) -> None:  # fmt: skip
        self.target, self.clip, self.options, self.file = target, clip, options, file
        self.encoder = choose_encoder(options.codec, target)
        self.news: list[str] = []
        self._others, self._metadata = others, metadata
        self._container: OutputContainer | None = None
        self._picture: VideoStream | None = None
        self._copies: dict[int, Stream] = {}
        self._from_rgb: FromRGB | None = None
        self._durations: dict[int, int] = {}

    def write(
        self, pixels: Pixels, look: Look, time: tuple[int, int], packets: Sequence[Packet[Stream]]
    ) -> None:
        """A frame (H, W, 3) at ``time``, pts and duration in the clip's time base."""
        if self._container is None:
            self._begin(look)
        assert self._from_rgb is not None
        assert self._picture is not None
        self._copy(packets)
        frame = self._from_rgb(pixels)
        frame.pts, duration = time
        frame.time_base = self.clip.picture.time_base
        if duration:
            frame.duration = self._durations[frame.pts] = duration
        self._mux(self._picture.encode(frame))

    def close(self, packets: Sequence[Packet[Stream]]) -> None:
        """End the file with what is left of the other streams."""
        if self._container is None or self._picture is None:
            return
        self._copy(packets)
        self._mux(self._picture.encode(None))
        self._container.close()
        self._container = None

    def abandon(self) -> None:
        """Let go of a file that is of no use."""
        if self._container is not None:
            with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                self._container.close()

    def _begin(self, look: Look) -> None:
        container = _container(self.file, self.target)
        self._container = container
        picture = self._stream(container, look)
        self._picture = picture
        self._from_rgb = FromRGB(str(picture.pix_fmt), look.colours)
        for stream in self._others:
            self._copies[stream.index] = _copied(container, stream)
        if self._metadata == "keep":
            container.metadata.update(self.clip.container.metadata)
        if self._metadata != "none":
            container.metadata["comment"] = MARK
        if (self.options.start, self.options.end) == (None, None):
            with contextlib.suppress(av.FFmpegError, ValueError):
                container.set_chapters(self.clip.container.chapters())
        try:
            container.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise ClipWriteError(
                f"{self.target}: {self.encoder} doesn't take {look.width} x {look.height} pixels "
                f"with these options ({told(error)})"
            ) from error

    def _stream(self, container: OutputContainer, look: Look) -> VideoStream:
        rate, time_base = self.clip.picture.average_rate, self.clip.picture.time_base
        try:
            added: Any = container.add_stream(self.encoder, rate=rate or 25)
        except ValueError as error:
            raise ClipWriteError(
                f"{self.target}: {self.target.suffix} can't hold {self.options.codec}; "
                "choose .mkv, which holds every codec"
            ) from error
        stream: VideoStream = added
        stream.width, stream.height = look.width, look.height
        stream.pix_fmt = self._format(look)
        assert time_base is not None
        if self.encoder == "mpeg4" and time_base.denominator > MPEG4_TICKS:
            time_base = Fraction(1, MPEG4_TICKS)
        stream.time_base = stream.codec_context.time_base = time_base
        context = stream.codec_context
        if look.aspect:
            context.sample_aspect_ratio = look.aspect
        if stream.pix_fmt != "bgr0":
            colours = look.colours
            context.colorspace, context.color_range = colours.matrix, colours.range
            context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        stream.disposition = self.clip.picture.disposition
        stream.options = dict(_settings(self.encoder, self.options))
        return stream

    def _format(self, look: Look) -> str:
        """The pixel format, by which no row or column is lost."""
        if self.encoder == "ffv1":
            return "bgr0"
        if not (look.width % 2 or look.height % 2) or self.encoder in ANY_SIDE:
            return "yuv420p"
        size = f"{look.width} x {look.height}"
        if self.encoder in HALVED:
            raise ClipWriteError(
                f"{self.target}: {self.encoder} takes no odd sides, and it has {size} pixels; "
                "--codec vp9 does"
            )
        self.news.append(
            f"{size} is odd, so it is coded with a colour for each pixel (4:4:4), which not every "
            "player knows"
        )
        return "yuv444p"

    def _copy(self, packets: Sequence[Packet[Stream]]) -> None:
        for packet in packets:
            packet.stream = self._copies[packet.stream.index]
            self._mux([packet])

    def _mux(self, packets: Sequence[Packet[Any]]) -> None:
        assert self._container is not None
        for packet in packets:
            if packet.stream is self._picture and packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            self._container.mux_one(packet)


def choose_encoder(codec: str, target: Path) -> str:
    """The name of an encoder for a codec that PyAV was built with. Raises ClipWriteError."""
    usual = AUTO_WEBM if target.suffix.lower() == ".webm" else AUTO
    for name in usual if codec == "auto" else ENCODERS[codec]:
        with contextlib.suppress(ValueError, av.FFmpegError):
            Codec(name, "w")
            return name
    raise ClipWriteError(f"{target}: PyAV was built without an encoder for {codec}")


def can_hold(target: Path, stream: Stream) -> bool:
    """Whether the container of a path's suffix takes a stream as it is: tried, in memory."""
    try:
        with av.open(io.BytesIO(), "w", format=CONTAINERS[target.suffix.lower()]) as trial:
            _copied(trial, stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _container(file: Any, target: Path) -> OutputContainer:
    return av.open(file, "w", format=CONTAINERS[target.suffix.lower()])


def _copied(container: OutputContainer, stream: Stream) -> Stream:
    copied = container.add_stream_from_template(stream)
    copied.time_base = stream.time_base
    copied.metadata.update(stream.metadata)
    copied.disposition = stream.disposition
    return copied


def _settings(encoder: str, options: ClipOptions) -> dict[str, str]:
    """An encoder's own options."""
    usual, usual_preset = DEFAULTS.get(encoder, (0, ""))
    quality = str(usual if options.quality is None else options.quality)
    preset = options.preset or usual_preset
    by_encoder = {
        "libx264": {"crf": quality, "preset": preset},
        "libx265": {"crf": quality, "preset": preset, "x265-params": "log-level=error"},
        "libsvtav1": {"crf": quality, "preset": preset},
        "libaom-av1": {"crf": quality, "b": "0", "cpu-used": preset, "row-mt": "1"},
        "libvpx-vp9": {
            "crf": quality, "b": "0", "cpu-used": preset, "row-mt": "1", "deadline": "realtime",
        },
        "mpeg4": {"qmin": quality, "qmax": quality},
    }  # fmt: skip
    return by_encoder.get(encoder, {"preset": options.preset} if options.preset else {})


# SVT-AV1 would write a screenful on standard error.
os.environ.setdefault("SVT_LOG", "1")
