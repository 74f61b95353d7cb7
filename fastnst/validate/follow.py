"""Where the blocks of one frame have come from in the one before: motion that nobody has told, as
far as two frames show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

# Sides of a block, and how far it is looked for on either side, in pixels.
BLOCK, REACH = 16, 10
# Parts of a pixel that are tried around the best whole one.
PARTS = (-0.5, -0.25, 0.0, 0.25, 0.5)
# Mean difference, in levels of 255, up to which a block counts as found again. Beyond it has been
# covered, turned or lit in another way, and no shift explains it.
FOUND = 3.0


@dataclass(frozen=True)
class Motion:
    """Where each pixel of a frame has come from, as rows and columns (H, W) of the one before, and
    which pixels are of blocks that were found there.
    """

    rows: Floats
    columns: Floats
    found: NDArray[np.bool_]

    def change(self, before: Pixels, after: Pixels) -> float:
        """Root mean square change, in levels of 255, from one frame (H, W, 3) to the next less the
        motion, where blocks were found; no number where none was.
        """
        moved = shifted(before.astype(np.float32), self.rows, self.columns)
        apart = (after - moved)[self.found]
        return float(np.sqrt(np.square(apart).mean())) if apart.size else float("nan")


def follow(before: Pixels, after: Pixels) -> Motion:
    """Block matching: for each block of ``BLOCK`` pixels of ``after`` the shift of least absolute
    difference, in grey, to a quarter of a pixel. Blocks at the border are not looked for.
    """
    old, new = (_grey(frame) for frame in (before, after))
    high, wide = (side // BLOCK for side in new.shape)
    best = np.full((high, wide), np.inf, np.float32)
    down, across = np.zeros((2, high, wide), np.float32)
    # From no motion on outwards, so that of shifts that are as good the least wins.
    whole = sorted(
        product(range(-REACH, REACH + 1), repeat=2), key=lambda at: at[0] ** 2 + at[1] ** 2
    )
    for down_by, across_by in whole:
        apart = _by_block(new, np.roll(old, (down_by, across_by), (0, 1)))
        better = apart < best
        best[better], down[better], across[better] = apart[better], -down_by, -across_by
    rows, columns = np.indices(new.shape, np.float32)
    centre = down.copy(), across.copy()
    for dy, dx in product(PARTS, repeat=2):
        tried = _pixels(centre[0] + dy, new.shape), _pixels(centre[1] + dx, new.shape)
        apart = _by_block(new, shifted(old, rows + tried[0], columns + tried[1]))
        better = apart < best
        best[better] = apart[better]
        down[better], across[better] = centre[0][better] + dy, centre[1][better] + dx
    found = best <= FOUND
    found[[0, -1]] = found[:, [0, -1]] = False
    return Motion(
        rows + _pixels(down, new.shape),
        columns + _pixels(across, new.shape),
        _pixels(found, new.shape).astype(bool),
    )


def shifted(frame: Floats, rows: Floats, columns: Floats) -> Floats:
    """A frame (H, W) or (H, W, 3) taken at other places, linearly."""
    top, left = np.floor(rows), np.floor(columns)
    # A frame of colours takes one weight for the three.
    extended = (*rows.shape, *(1,) * (frame.ndim - rows.ndim))
    y, x = (rows - top).reshape(extended), (columns - left).reshape(extended)
    height, width = frame.shape[:2]
    above, below = ((top + n).clip(0, height - 1).astype(np.intp) for n in (0, 1))
    before, behind = ((left + n).clip(0, width - 1).astype(np.intp) for n in (0, 1))
    upper = frame[above, before] * (1 - x) + frame[above, behind] * x
    lower = frame[below, before] * (1 - x) + frame[below, behind] * x
    result: Floats = upper * (1 - y) + lower * y
    return result


def _grey(frame: Pixels) -> Floats:
    grey: Floats = frame.mean(axis=2, dtype=np.float32)
    return grey


def _by_block(one: Floats, other: Floats) -> Floats:
    """Mean absolute difference of each whole block."""
    high, wide = (side // BLOCK for side in one.shape)
    apart = np.abs(one - other)[: high * BLOCK, : wide * BLOCK]
    result: Floats = apart.reshape(high, BLOCK, wide, BLOCK).mean(axis=(1, 3))
    return result


def _pixels(blocks: NDArray[np.generic], shape: tuple[int, ...]) -> Floats:
    """A value of each block for each of its pixels; 0 for the rest at the border."""
    result = np.zeros(shape, np.float32)
    spread = blocks.astype(np.float32).repeat(BLOCK, 0).repeat(BLOCK, 1)
    result[: spread.shape[0], : spread.shape[1]] = spread
    return result
