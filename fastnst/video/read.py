"""Clips to frames: upright, RGB, each with its time and what other streams have before it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from fastnst.errors import ClipReadError
from fastnst.video.clock import Clock, ShownAt, jumps
from fastnst.video.colour import Colours, ToRGB, colours_of, has_alpha
from fastnst.video.crop import NONE, Margins, margins
from fastnst.video.deinterlace import Deinterlacer
from fastnst.video.other_streams import OtherStreams
from fastnst.video.part import Part
from fastnst.video.probe import Clip, is_cover, told
from fastnst.video.seek import seek
from fastnst.video.turn import slant_of, turn_of, upright

Pixels = NDArray[np.uint8]

# Seconds that other streams may lie behind the picture in a file.
SLACK = 2
# Seconds that a file may end before what its header says.
MISSING = 1.0
# Frames a second where nothing tells when they are.
USUAL_RATE = 25


@dataclass
class Piece:
    """What is next in a clip: a frame (H, W, 3) at ``pts``, in the picture's time base, and the
    packets of other streams before it; after the last frame the packets alone.
    """

    pixels: Pixels | None
    pts: int = 0
    duration: int = 0
    packets: list[Packet[Stream]] = field(default_factory=list)


class Reader:
    """A clip's pieces in order; ``news`` is what is worth telling of them, complete at their end.

    ``others`` are the streams whose packets come along; frames up to the pts ``after`` are passed
    over. Raises ClipReadError while it is iterated:
    for files that are damaged or end before their header says, unless ``truncated`` takes them.
    """

    def __init__(
        self, clip: Clip, part: Part, others: list[Stream], truncated: bool = False,
        after: int | None = None,
    ) -> None:  # fmt: skip
        self.clip, self.part, self.truncated = clip, part, truncated
        self.others = others
        self._taken = OtherStreams(clip, part, others)
        self.after = after
        assert clip.picture.time_base is not None
        self.time_base: Fraction = clip.picture.time_base
        self.colours: Colours | None = None
        # How wide a pixel is by its height, upright; None where that isn't told, or square.
        self.aspect: Fraction | None = None
        self.news: list[str] = []
        self._whole = Deinterlacer(self.time_base)
        self._clock = Clock() if jumps(clip.container) else None
        self._shown_at = ShownAt(trusted=clip.container.format.name != "avi")
        self._to_rgb: ToRGB | None = None
        self._margins = NONE
        self._last: int | None = None
        self._furthest = Fraction(0)
        self._corrupt = 0
        self._broken = 0
        self._timeless = 0

    def __iter__(self) -> Iterator[Piece]:
        # Several frames at once would be no faster beside the network, and FFmpeg may then hand out
        # a damaged frame before it is known to be one.
        self.clip.picture.thread_type = "SLICE"
        waiting: list[Packet[Stream]] = []
        for packet in itertools.chain(self._packets(), [None]):
            if packet is None or packet.stream is self.clip.picture:
                for frame in self._decoded(packet):
                    piece = self._piece(frame)
                    if piece is not None:
                        piece.packets, waiting = waiting, []
                        yield piece
            elif self._taken.takes(packet):
                waiting.append(packet)
        self._tell_faults()
        self._check_end()
        yield Piece(None, packets=waiting)

    def _tell_faults(self) -> None:
        """What is known of the frames once all have been read."""
        if self._timeless:
            self._tell(
                f"{self._timeless} frames have no time: put at {float(self._rate()):g} a second"
            )
        if self._broken > 0:
            self._tell(f"damaged: {self._broken} packets have lost something on their way")
        if self._clock is not None and self._clock.gaps:
            self._tell(f"damaged: {self._clock.gaps} gaps in its sound")
        if self._corrupt:
            self._tell(f"damaged: {self._corrupt} frames are patched up from others")
        if self._whole.used:
            self._tell("interlaced: made whole by bwdif")

    def copies(self) -> Iterator[Packet[Stream]]:
        """The packets of the other streams alone: nothing is decoded."""
        for packet in self._packets():
            if self._taken.takes(packet):
                yield packet

    def seen_at(self, time: Fraction) -> Pixels | None:
        """The frame (H, W, 3) that is seen at a time of the clip's own clock: the last that begins
        by then, or the first of all.
        """
        seek(self.clip, time)
        found: Pixels | None = None
        for piece in self:
            late = piece.pixels is None or piece.pts * self.time_base + self.part.zero > time
            if late and found is not None:
                break
            found = piece.pixels
        return found

    def _packets(self) -> Iterator[Packet[Any]]:
        """Those of all streams as far as the part goes, and what ends the decoder."""
        container, picture, part = self.clip.container, self.clip.picture, self.part
        if part.begin is not None:
            seek(self.clip, part.begin)
        demuxed = container.demux()
        while True:
            try:
                packet = next(demuxed)
            except StopIteration:
                return
            except av.FFmpegError as error:
                self._damaged(error)
                return
            self._broken += packet.is_corrupt
            if packet.dts is None:
                # Of the file's end, or without a time to come along at.
                if packet.size and (packet.stream is picture or is_cover(packet.stream)):
                    yield packet
                continue
            if self._clock is not None and self._clock(packet):
                self._tell("its clock jumps: made one that goes on")
                # One of each stream ends where another recording begins, and has lost nothing.
                self._broken -= len(container.streams)
            time = packet.dts * packet.time_base
            last = max(packet.dts, packet.dts if packet.pts is None else packet.pts)
            self._furthest = max(self._furthest, (last + (packet.duration or 0)) * packet.time_base)
            if part.end is not None and time > part.end + SLACK and packet.stream is picture:
                return
            yield packet

    def _decoded(self, packet: Packet[Any] | None) -> Iterator[VideoFrame]:
        """The frames that are ready after a packet; None is the end."""
        try:
            frames = self.clip.picture.codec_context.decode(packet)
        except av.FFmpegError as error:
            self._damaged(error)
            return
        for frame in frames:
            yield from self._whole(frame)
        if packet is None:
            yield from self._whole(None)

    def _damaged(self, error: av.FFmpegError) -> None:
        if self._last is None and self._clock is not None:
            # Recordings of a broadcast begin anywhere, and so with what can't be decoded.
            self._tell("begins in mid-stream: its first frames can't be decoded")
            return
        place = f"after {float(self._furthest - self.clip.begins):.1f} s"
        if not self.truncated:
            raise ClipReadError(
                f"{self.clip.path}: damaged {place} ({told(error)}); --allow-truncated takes it"
            ) from error
        self._tell(f"damaged {place}")

    def _check_end(self) -> None:
        """That the file doesn't end long before its header says."""
        clip = self.clip
        if self.part.end is not None or not clip.tells_its_end:
            return
        found = float(self._furthest - clip.begins)
        said = clip.length or 0
        if found < said - max(MISSING, said / 100):
            line = f"cut short: ends after {found:.1f} of {said:.1f} s"
            if not self.truncated:
                raise ClipReadError(f"{clip.path}: {line}; --allow-truncated takes it")
            self._tell(line)

    def _piece(self, frame: VideoFrame) -> Piece | None:
        """A frame's piece, or None where it is not in the part."""
        duration = int(frame.duration or 0)
        pts = self._shown_at(frame.pts, frame.dts)
        if pts is None:
            self._timeless += 1
            step = duration or round(1 / (self._rate() * self.time_base))
            pts = 0 if self._last is None else self._last + max(1, step)
        if not self.part.has(pts, self.time_base):
            return None
        if self._last is not None and pts <= self._last:
            # No container takes two frames of one time.
            pts = self._last + 1
        self._last = pts
        colours = self._looked_at(frame)
        pts -= self.part.shift(self.time_base)
        if self.after is not None and pts <= self.after:
            return None
        return Piece(self._pixels(frame, colours), pts, duration)

    def _rate(self) -> Fraction:
        """Frames a second, as far as the stream tells."""
        picture = self.clip.picture
        return picture.average_rate or picture.guessed_rate or Fraction(USUAL_RATE)

    def _looked_at(self, frame: VideoFrame) -> Colours:
        """A frame's colours; what is to be known of all frames is learned from the first."""
        try:
            colours = colours_of(frame)
        except ClipReadError as error:
            raise ClipReadError(f"{self.clip.path}: {error}") from error
        self._corrupt += frame.is_corrupt
        if self._to_rgb is None:
            self._to_rgb = ToRGB(frame.width, frame.height)
            self.colours = colours
            if colours.hdr:
                self._tell(f"HDR ({colours.hdr}) made standard by a table")
            # VP9's is a stream within the stream, which its decoder leaves alone.
            apart = self.clip.picture.metadata.get("alpha_mode") == "1"
            if apart or has_alpha(frame.format):
                self._tell("its transparency is left out")
            if slant := slant_of(frame):
                self._tell(slant)
            self._margins = self._seen(frame)
        if self.aspect is None:
            told_aspect = self.clip.picture.sample_aspect_ratio
            if told_aspect and told_aspect != 1:
                self.aspect = 1 / told_aspect if turn_of(frame)[0] == 0 else told_aspect
        width, height = self._to_rgb.size
        if (frame.width, frame.height) != (width, height):
            self._tell(f"its size changes: all of it is made {width} x {height}")
        return colours

    def _seen(self, frame: VideoFrame) -> Margins:
        """What the container says of frames is not to be seen."""
        number = self.clip.container.streams.video.index(self.clip.picture)
        left, top, right, bottom = found = margins(self.clip.path, number)
        width, height = frame.width - left - right, frame.height - top - bottom
        if found == NONE or min(width, height) < 1:
            return NONE
        self._tell(f"cropped to {width} x {height}, as its container has it")
        return found

    def _pixels(self, frame: VideoFrame, colours: Colours) -> Pixels:
        assert self._to_rgb is not None
        pixels = self._to_rgb(frame, colours)
        left, top, right, bottom = self._margins
        height, width, _ = pixels.shape
        return upright(pixels[top : height - bottom, left : width - right], turn_of(frame))

    def _tell(self, news: str) -> None:
        if news not in self.news:
            self.news.append(news)
