"""Parts of clips, by their own clocks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from fastnst.video.probe import MICROSECONDS, Clip


@dataclass(frozen=True)
class Part:
    """A part of a clip in seconds of its own clock; None where it has no end.

    Times in it are told from ``zero`` on.
    """

    begin: Fraction | None
    end: Fraction | None
    zero: Fraction

    def has(self, pts: int, time_base: Fraction) -> bool:
        """Whether a time lies in it."""
        time = pts * time_base
        return (self.begin is None or time >= self.begin) and (self.end is None or time < self.end)

    def shift(self, time_base: Fraction) -> int:
        """What to take from times for them to be told from ``zero`` on."""
        return round(self.zero / time_base)


def part_of(clip: Clip, start: float | None, end: float | None) -> Part:
    """A part by seconds from the clip's beginning."""
    begin, until = (None if t is None else clip.begins + exact(t) for t in (start, end))
    # A clock that has come around, as transport streams' does each day, may begin below 0, of which
    # MP4 shows nothing.
    return Part(begin, until, min(clip.begins, Fraction(0)) if begin is None else begin)


def exact(seconds: float) -> Fraction:
    """Seconds as a fraction, to the microsecond."""
    return Fraction(round(seconds * MICROSECONDS), MICROSECONDS)
