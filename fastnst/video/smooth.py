"""A gate in time: where the input stands still, the result stands still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

# What of the frame before is kept at most: of all of it nothing new would ever be seen.
LARGEST = 0.95
# Pixels on either side over which changes of the input are averaged: 9 across.
RADIUS = 4
# Mean change of the input, in levels of 255, up to which a place stands still, and from which on it
# moves. A camera's noise is below, an edge that moves by a pixel above.
STILL, MOVES = 2.0, 4.0
# Mean difference around a place between what was shown and what is painted now, up to which the
# former stays, and from which on nothing of it does: strokes of what moves reach further than it
# does, and would leave a trail where the photograph stands still.
NEAR, FAR = 10.0, 20.0
# Mean change of a whole frame, in levels, that is a cut.
CUT = 25.0


@dataclass(frozen=True)
class State:
    """What a gate knows of the frame before: the photograph (H, W, 3), and what was shown of it."""

    photo: Pixels | None = None
    shown: Floats | None = None


class Gate:
    """Call it with each frame (H, W, 3) and what was painted of it, in order; gives what to show.

    ``smooth`` 0..1 is the share of the frame shown before that stays where nothing moves; 0 gives
    back what was painted. At a cut it begins anew; from a ``state`` it goes on.
    """

    def __init__(self, smooth: float, state: State | None = None) -> None:
        self.share = np.float32(LARGEST * smooth)
        state = state or State()
        self._photo, self._shown = state.photo, state.shown

    def state(self) -> State:
        """What it knows by now."""
        # Shown is written over from frame to frame.
        return State(self._photo, None if self._shown is None else self._shown.copy())

    def __call__(self, photo: Pixels, painted: Pixels) -> Pixels:
        if not self.share:
            return painted
        before, self._photo = self._photo, photo
        if before is None or self._shown is None or self._shown.shape != painted.shape:
            self._shown = painted.astype(np.float32)
            return painted
        changes = changed(before, photo)
        if changes.mean() > CUT:
            self._shown = painted.astype(np.float32)
            return painted
        kept = self.share * falling(changes, STILL, MOVES)
        if kept.shape != painted.shape[:2]:
            # Painted at another size, as --max-size has it.
            size = painted.shape[1], painted.shape[0]
            kept = np.asarray(Image.fromarray(kept).resize(size, Image.Resampling.BILINEAR))
        strayed = changed(np.rint(self._shown).astype(np.uint8), painted)
        kept = kept * falling(strayed, NEAR, FAR)
        # In float: of bytes a small difference would be rounded away each time, and stay for ever.
        shown = self._shown
        shown -= painted
        shown *= kept[..., None]
        shown += painted
        return np.rint(shown).astype(np.uint8)


def changed(before: Pixels, after: Pixels) -> Floats:
    """How much each place (H, W) has changed around it, in levels: the mean over the channels and
    9 x 9 pixels.
    """
    # The absolute difference of bytes, which a subtraction would carry over.
    apart = np.maximum(before, after) - np.minimum(before, after)
    # Four times as many levels, so that averages of a few are not rounded to one.
    levels = (apart.astype(np.uint16).sum(axis=2) * 4 // 3).clip(0, 255).astype(np.uint8)
    blurred = Image.fromarray(levels).filter(ImageFilter.BoxBlur(RADIUS))
    result: Floats = np.asarray(blurred).astype(np.float32) * np.float32(0.25)
    return result


def falling(changes: Floats, few: float, many: float) -> Floats:
    """1 up to ``few`` levels, 0 from ``many`` on, and a line between."""
    result: Floats = ((many - changes) / (many - few)).clip(0, 1)
    return result
