"""Frames between two that are painted: what was painted is moved to where the clip shows it.

(In kind: key frames and what is propagated from them on both sides, Jamriška et al. 2019, Stylizing
video by example; here the motion is optical flow, and a network paints the key frames.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fastnst.video.smooth import falling, unlike

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Paint = Callable[[Pixels], Pixels]
T = TypeVar("T")

# Levels of the photograph by which one side must be nearer for about three quarters of the weight.
NEARER = 1.5
# Change of the photograph, in levels, up to which a place is found, and from which on it is lost.
FOUND, LOST = 3.0, 8.0
# By how much the painted frame that is nearer in time counts where both have lost a place: two
# that are wrong in different ways are not mixed.
DECIDE = 3.0
# Share of places that are lost from which on the frame is painted: something else flashes up, or
# moves too far to be followed.
MANY = 0.2


class Between:
    """Of ``every`` frames one is painted. Call it with the photographs (H, W, 3) of each of
    ``groups`` and what is shown of the last; gives what to show of all of them. ``paint`` makes
    those that neither side resembles. 1 does nothing, and needs no OpenCV.
    """

    def __init__(self, every: int, paint: Paint) -> None:
        self.every, self._paint = every, paint
        self._photo: Pixels | None = None
        self._shown: Pixels | None = None

    def groups(self, frames: Iterable[T]) -> Iterator[list[T]]:
        """The first frame alone, then ``every`` at a time; the last of a group is to be painted,
        which at the clip's end is the clip's last.
        """
        group: list[T] = []
        size = 1
        for frame in frames:
            group.append(frame)
            if len(group) == size:
                yield group
                group, size = [], self.every
        if group:
            yield group

    def __call__(self, photos: Sequence[Pixels], shown: Pixels) -> list[Pixels]:
        if self.every == 1:
            return [shown]
        from fastnst.video.flow import half, resized

        *between, last = photos
        before, old = self._photo, self._shown
        self._photo, self._shown = resized(last, half(shown)), shown
        if before is None or old is None:
            return [*map(self._paint, between), shown]
        sides = (before, old), (self._photo, shown)
        result = []
        for number, photo in enumerate(between, 1):
            made = _made(resized(photo, half(shown)), sides, number / len(photos))
            result.append(self._paint(photo) if made is None else made)
        return [*result, shown]


def _made(photo: Pixels, sides: tuple[tuple[Pixels, Pixels], ...], time: float) -> Pixels | None:
    """What to show of a photograph, at half the size, that lies at a ``time`` 0..1 between two
    sides, each as photograph and as shown; None where it resembles neither.
    """
    from fastnst.video import flow as motion

    fields = [motion.flow(key, photo) for key, _ in sides]
    changes = []
    for (key, _), field in zip(sides, fields, strict=True):
        change = unlike(motion.difference(motion.moved(key, field), photo), photo)
        # Of two that are lost neither is nearer, be it more alike by chance.
        change = np.minimum(change, LOST)
        change[motion.enters(field)] = LOST
        changes.append(change)
    before, after = changes
    lost = 1 - falling(np.minimum(before, after), FOUND, LOST)
    if (lost > 0.5).mean() > MANY:
        return None
    decide = DECIDE if time <= 0.5 else -DECIDE
    odds = np.log((1 - time) / time) + (after - before) / NEARER + decide * lost
    share = motion.around(1 / (1 + np.exp(-odds.clip(-30, 30))), 5)
    size = sides[0][1].shape[0], sides[0][1].shape[1]
    old, new = (
        motion.moved(shown, motion.enlarged(field, size), fine=True)
        for (_, shown), field in zip(sides, fields, strict=True)
    )
    result: Pixels = motion.blended(old, new, motion.resized(share, size))
    return result
