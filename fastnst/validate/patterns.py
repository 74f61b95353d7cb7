"""Regular patterns that networks paint where a painter has strokes: a grid, a weave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fastnst.networks.architecture import MULTIPLE
from fastnst.objective.consistency import mean_cell

LEVELS = 255
# Sides of a window of ``weave`` in pixels; cycles a pixel that are fine; what makes a peak.
WINDOW, FINE, PEAK = 128, 0.2, 4.0


def grid(stylized: Tensor, content: Tensor) -> Tensor:
    """Mean square, in levels of 255, of the grid between two batches (B, 3, H, W), 0..1; scalar.

    A network that works at a quarter of the size tells pixels apart by their place modulo 4, and
    learns to: a regular pattern is the cheapest texture that a Gram matrix takes for brush strokes,
    and shows in flat areas as a weave. Whatever such a pattern adds is the same in all cells of
    4 x 4 pixels, so it is what is left of the change after a mean over the cells, less the mean
    colour. Strokes, which begin anywhere, leave nothing. What the sides have beyond whole cells
    doesn't count; less than a cell is no grid, 0.
    """
    change = LEVELS * (stylized.float() - content.float())
    if min(change.shape[-2:]) < MULTIPLE:
        return change.sum() * 0
    return mean_cell(change).square().mean()


def weave(pictures: Iterable[NDArray[np.uint8]]) -> float:
    """Share, 0..1, of what is finest in these pictures (H, W, 3) that is a regular pattern.

    Of the mean power of their luma in windows of 128 pixels, above a fifth of a cycle a pixel, that
    which is four times the median of its distance from 0: strokes, edges and noise of any kind
    spread over a ring, a pattern's is a peak. Paintings have less than 0.01. Windows should be ten
    or more, or chance has peaks too; NaN without one.
    """
    hann = np.hanning(WINDOW)
    across = np.fft.rfftfreq(WINDOW)
    radius = np.hypot(np.fft.fftfreq(WINDOW)[:, None], across)
    powers = [
        np.abs(np.fft.rfft2((window - window.mean()) * np.outer(hann, hann))) ** 2
        for picture in pictures
        for window in _windows(np.asarray(Image.fromarray(picture).convert("L"), np.float64))
    ]
    if not powers:
        return float("nan")
    power = np.mean(powers, axis=0)
    ring = np.round(radius * WINDOW).astype(int)
    medians = np.array([np.median(power[ring == r]) for r in range(ring.max() + 1)])
    fine = radius > FINE
    peaks = fine & (power > PEAK * medians[ring])
    return float(power[peaks].sum() / power[fine].sum())


def _windows(luma: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    rows, columns = (range(0, side - WINDOW + 1, WINDOW // 2) for side in luma.shape)
    return (luma[y : y + WINDOW, x : x + WINDOW] for y in rows for x in columns)
