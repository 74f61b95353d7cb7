"""Frames to packets: which encoder, what it is told, and the times of what it gives."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec import Codec
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fastnst.errors import ClipWriteError, ConfigError
from fastnst.video.colour import Colours, FromRGB
from fastnst.video.options import ClipOptions
from fastnst.video.probe import Clip
from fastnst.video.smooth import State

Pixels = NDArray[np.uint8]
# Of a frame, in its clip's time base.
Time = tuple[int, int]

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
# The worst quality that each knows, and its words for speed.
WORST = {"libx264": 51, "libx265": 51, "mpeg4": 31}
WORDS = [
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
    "placebo",
]  # fmt: skip
PRESETS = {
    "libx264": WORDS, "libx265": WORDS, "libsvtav1": [str(n) for n in range(14)],
    "libaom-av1": [str(n) for n in range(12)], "libvpx-vp9": [str(n) for n in range(9)],
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


@dataclass(frozen=True)
class Painted:
    """A frame (H, W, 3) to write, and the packets of other streams before it; ``before`` is the
    smoother's state where a new part begins with it.
    """

    pixels: Pixels
    look: Look
    time: Time
    packets: list[Packet[Stream]]
    before: State | None = None


class Encoder:
    """The picture of a clip anew: a stream of ``container`` that takes frames of one ``look``.

    ``news`` is what is worth telling. Raises ClipWriteError.
    """

    def __init__(
        self, container: OutputContainer, target: Path, clip: Clip, options: ClipOptions, look: Look
    ) -> None:
        self.target, self.clip, self.options = target, clip, options
        self.name = choose_encoder(options.codec, target)
        self.news: list[str] = []
        self.stream = self._stream(container, look)
        self._from_rgb = FromRGB(str(self.stream.pix_fmt), look.colours)
        self._durations: dict[int, int] = {}

    def packets(self, pixels: Pixels, time: Time) -> list[Packet[VideoStream]]:
        """What is ready once a frame (H, W, 3) at a time, pts and duration, is in."""
        frame = self._from_rgb(pixels)
        frame.pts, duration = time
        frame.time_base = self.clip.picture.time_base
        if duration:
            frame.duration = self._durations[frame.pts] = duration
        return self._timed(self.stream.encode(frame))

    def head(self) -> bytes:
        """What the codec says of itself once for all frames."""
        return bytes(self.stream.codec_context.extradata or b"")

    def rest(self) -> list[Packet[VideoStream]]:
        """What is left once all frames are in."""
        return self._timed(self.stream.encode(None))

    def _timed(self, packets: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
        for packet in packets:
            if packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
        return packets

    def _stream(self, container: OutputContainer, look: Look) -> VideoStream:
        rate, time_base = self.clip.picture.average_rate, self.clip.picture.time_base
        try:
            added: Any = container.add_stream(self.name, rate=rate or 25)
        except ValueError as error:
            raise ClipWriteError(
                f"{self.target}: {self.target.suffix} can't hold {self.options.codec}; "
                "choose .mkv, which holds every codec"
            ) from error
        stream: VideoStream = added
        stream.width, stream.height = look.width, look.height
        stream.pix_fmt = self._format(look)
        assert time_base is not None
        if self.name == "mpeg4" and time_base.denominator > MPEG4_TICKS:
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
        stream.options = dict(_settings(self.name, self.options))
        return stream

    def _format(self, look: Look) -> str:
        """The pixel format, by which no row or column is lost."""
        if self.name == "ffv1":
            return "bgr0"
        if not (look.width % 2 or look.height % 2) or self.name in ANY_SIDE:
            return "yuv420p"
        size = f"{look.width} x {look.height}"
        if self.name in HALVED:
            raise ClipWriteError(
                f"{self.target}: {self.name} takes no odd sides, and it has {size} pixels; "
                "--codec vp9 does"
            )
        self.news.append(
            f"{size} is odd, so it is coded with a colour for each pixel (4:4:4), which not every "
            "player knows"
        )
        return "yuv444p"


def choose_encoder(codec: str, target: Path) -> str:
    """The name of an encoder for a codec that PyAV was built with. Raises ClipWriteError."""
    usual = AUTO_WEBM if target.suffix.lower() == ".webm" else AUTO
    for name in usual if codec == "auto" else ENCODERS[codec]:
        with contextlib.suppress(ValueError, av.FFmpegError):
            Codec(name, "w")
            return name
    raise ClipWriteError(f"{target}: PyAV was built without an encoder for {codec}")


def check_settings(encoder: str, options: ClipOptions) -> None:
    """Raises ConfigError for a quality or a preset that an encoder doesn't know."""
    worst, known = WORST.get(encoder, 63), PRESETS.get(encoder)
    if options.quality is not None and options.quality > worst:
        raise ConfigError(f"the quality of {encoder} goes to {worst}, and not to {options.quality}")
    if options.preset is not None and known and options.preset not in known:
        words = " ".join(known) if known is WORDS else f"{known[0]} to {known[-1]}"
        raise ConfigError(f"presets of {encoder} are {words}, not {options.preset}")


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


# SVT-AV1 would write a screenful on standard error. What goes wrong FFmpeg tells by itself.
os.environ.setdefault("SVT_LOG", "0")
