"""Against flicker: strokes move along with what a clip shows, instead of jumping.

A network paints each frame afresh. Here what was shown of the frame before is moved along with the
clip, and stays in part where the two frames show the same. (In kind: Ruder et al. 2016, Artistic
style transfer for videos, whose optimization begins so.)
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

# What of the frame before is kept at most: of all of it nothing new would ever be seen.
LARGEST = 0.95
# Sides of the squares over which changes are averaged, in pixels of half the size.
SQUARE, FIELD = 5, 9
# Mean change of the photograph less the motion, in levels of 255, up to which a place is the same,
# and from which on it is another, covered or uncovered.
SAME, OTHER = 2.0, 5.0
# Pixels of half the size by which motion may be wrong without a place being taken for another.
WRONG = 0.5
# Mean difference around a place between what was shown and what is painted now, by the colour that
# has most of it: strokes that jump come to less than the one, fields that change their colour to
# more than the other. Of those a smaller share stays: strokes reach further than what moves, and
# much of it would be a trail where the photograph stands still.
NEAR, FAR, TRAIL = 6.0, 14.0, 0.7
# Mean change of a whole frame less the motion, in levels, that is a cut.
CUT = 12.0


@dataclass(frozen=True)
class State:
    """What a smoother knows of the frame before: the photograph at half the size of what is shown
    (H/2, W/2, 3), and what was shown of it (H, W, 3).
    """

    photo: Pixels | None = None
    shown: Floats | None = None


class Smoother:
    """Call it with each frame (H, W, 3) and what was painted of it, in order; gives what to show.

    ``smooth`` 0..1 is the share of what was shown before that stays where a frame shows the same as
    the one before; 0 gives back what was painted, and needs no OpenCV. At a cut it begins anew;
    from a ``state`` it goes on.
    """

    def __init__(self, smooth: float, state: State | None = None) -> None:
        self.share = np.float32(LARGEST * smooth)
        state = state or State()
        self._photo, self._shown = state.photo, state.shown

    def state(self) -> State:
        """What it knows by now."""
        return State(self._photo, self._shown)

    def __call__(self, photo: Pixels, painted: Pixels) -> Pixels:
        if not self.share:
            return painted
        from fastnst.video.flow import blended, enlarged, flow, half, moved, resized, rounded

        size = painted.shape[0], painted.shape[1]
        before, self._photo = self._photo, resized(photo, half(painted))
        if before is None or self._shown is None:
            return self._anew(painted)
        if before.shape != self._photo.shape or self._shown.shape != painted.shape:
            return self._anew(painted)
        field = flow(before, self._photo)
        kept = self._kept(before, field, resized(painted, half(painted)))
        if kept is None:
            return self._anew(painted)
        # In float: of bytes a small difference would be rounded away each time, and stay for ever.
        shown = moved(self._shown, enlarged(field, size), fine=True)
        self._shown = blended(shown, painted, resized(kept, size))
        return rounded(self._shown)

    def _anew(self, painted: Pixels) -> Pixels:
        self._shown = painted.astype(np.float32)
        return painted

    def _kept(self, before: Pixels, field: Floats, painted: Pixels) -> Floats | None:
        """The share (H, W) of what was shown that stays, all at half the size; None at a cut."""
        from fastnst.video.flow import around, difference, enters, moved, resized

        assert self._photo is not None
        assert self._shown is not None
        change = difference(moved(before, field), self._photo)
        if change.mean() > CUT:
            return None
        change = unlike(change, self._photo)
        strayed = moved(resized(self._shown, painted.shape[:2]), field) - painted
        other = functools.reduce(np.maximum, np.moveaxis(np.abs(around(strayed, FIELD)), 2, 0))
        near = TRAIL + (1 - TRAIL) * falling(other, NEAR, FAR)
        kept: Floats = self.share * falling(change, SAME, OTHER) * near
        kept[enters(field)] = 0
        return kept


def unlike(change: Floats, photo: Pixels) -> Floats:
    """Mean ``change`` (H, W) around each place of a photograph (H, W, 3) from what was moved to it,
    less what motion that is a little wrong comes to.
    """
    from fastnst.video.flow import around, steepness

    return around(change - WRONG * steepness(photo), SQUARE)


def falling(changes: Floats, few: float, many: float) -> Floats:
    """1 up to ``few`` levels, 0 from ``many`` on, and a line between."""
    result: Floats = ((many - changes) / (many - few)).clip(0, 1)
    return result
