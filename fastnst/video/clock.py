"""Times that can't be taken as they are: of clocks that jump, as in recordings and in transport
streams put one after another, and of frames that don't say when they are shown.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.format import Flags
from av.packet import Packet

# Seconds that a stream may lie behind where it has been, or ahead of it, within one clock; they are
# those of FFmpeg's command.
BEHIND, AHEAD = Fraction(1, 10), 10


def jumps(container: InputContainer) -> bool:
    """Whether clips of this format may have a clock that jumps."""
    flag: Any = Flags.ts_discont.value
    return bool(container.format.flags & flag)


class Clock:
    """One clock that goes on from all of a clip's. Call it with each packet in order.

    ``gaps`` is how often packets of sound are missing.
    """

    def __init__(self) -> None:
        self.gaps = 0
        self._offset = Fraction(0)
        # By stream, when its last packet was to be decoded, and when its next is due.
        self._seen: dict[int, tuple[Fraction, Fraction]] = {}

    def __call__(self, packet: Packet[Any]) -> bool:
        """Put a packet's times, of which it has a dts, on that clock; whether it has jumped."""
        if packet.stream.type not in ("video", "audio"):
            self._shift(packet)
            return False
        assert packet.dts is not None
        time, base, index = packet.dts * packet.time_base, packet.time_base, packet.stream.index
        now = time + self._offset
        known = self._seen.get(index)
        # A stream's first is held against the others', beside which it may begin early or late.
        last, due = known or max(self._seen.values(), default=(now, now))
        jumped = abs(now - due) > AHEAD or (known is not None and now < last - BEHIND)
        if jumped:
            self._offset += due - now
        elif packet.stream.type == "audio" and known is not None:
            self.gaps += due > last and now - due >= due - last
        self._shift(packet)
        now = packet.dts * base
        self._seen[index] = now, now + (packet.duration or 0) * base
        return jumped

    def _shift(self, packet: Packet[Any]) -> None:
        assert packet.dts is not None
        shift = round(self._offset / packet.time_base)
        packet.dts += shift
        if packet.pts is not None:
            packet.pts += shift


class ShownAt:
    """When frames are shown, by FFmpeg's guess (libavcodec's guess_correct_pts): when they say,
    unless that goes back more often than when they are decoded. AVI tells the latter alone, so that
    the former is made up, and not ``trusted``. Call it with each frame's pts and dts.
    """

    def __init__(self, trusted: bool) -> None:
        self._faults = [not trusted, 0]
        self._last: list[int | None] = [None, None]

    def __call__(self, pts: int | None, dts: int | None) -> int | None:
        """A frame's time; None where it has neither."""
        for which, time in enumerate((pts, dts)):
            last = self._last[which]
            if time is not None:
                self._faults[which] += last is not None and time <= last
                self._last[which] = time
        if pts is None or (dts is not None and self._faults[0] > self._faults[1]):
            return dts
        return pts
