"""The packets of a clip's other streams: sound, subtitles, covers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.stream import Stream

from fastnst.video.part import Part
from fastnst.video.probe import Clip, is_cover

# Seconds of sound that are taken along of what an edit list hides before a clip's beginning, for a
# decoder to get into its stride.
PREROLL = Fraction(1, 10)


class OtherStreams:
    """Which packets of the ``streams`` beside the picture come along with a part of a clip."""

    def __init__(self, clip: Clip, part: Part, streams: list[Stream]) -> None:
        self.clip, self.part, self.streams = clip, part, streams
        # The last time of each stream that has come.
        self._reached: dict[int, int] = {}

    def takes(self, packet: Packet[Any]) -> bool:
        """Whether a packet is one of theirs and in the part; if so, its times are told from the
        part's ``zero`` on from now on.
        """
        if packet.stream not in self.streams:
            return False
        if is_cover(packet.stream):
            # It is of no time, whatever the part.
            packet.pts = packet.dts = 0
            return True
        if packet.pts is None or packet.dts is None or self._stale(packet):
            return False
        if not self.part.has(packet.pts, packet.time_base):
            return False
        shift = self.part.shift(packet.time_base)
        packet.pts -= shift
        packet.dts -= shift
        return True

    def _stale(self, packet: Packet[Any]) -> bool:
        """Whether another stream's packet is none to come along: hidden by an edit list, or before
        one that came already, as after a jump of the clock.
        """
        assert packet.pts is not None
        assert packet.dts is not None
        if packet.is_discard and packet.pts * packet.time_base < self.clip.begins - PREROLL:
            return True
        last = self._reached.get(packet.stream.index)
        if last is not None and packet.dts - last < (packet.stream.type == "audio"):
            return True
        self._reached[packet.stream.index] = packet.dts
        return False
