"""Pictures and features of which any rows can be read, and replaced while others are read."""

from __future__ import annotations

import numpy as np

from fastnst.networks.architecture import MULTIPLE


class PictureRows:
    """A picture, uint8 (H, W, 3), mirrored to the right and below to multiples of ``MULTIPLE``."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.height, self.width = (-(-side // MULTIPLE) * MULTIPLE for side in pixels.shape[:2])

    def read(self, start: int, end: int) -> np.ndarray:
        """Rows ``start`` to ``end`` (not included)."""
        height, width = self.pixels.shape[:2]
        rows = self.pixels[_mirror(start, end, height)]
        return np.pad(rows, ((0, 0), (0, self.width - width), (0, 0)), mode="reflect")

    def write(self, start: int, features: np.ndarray, halo: int = 0) -> None:
        """Replace the rows from ``start`` on."""
        height, width = self.pixels.shape[:2]
        self.pixels[start : start + len(features)] = features[: height - start, :width]


class KeptRows:
    """Features kept in memory, (H, W, C); ``write`` replaces rows while later ones are read.

    Reads after a write still see the ``halo`` rows above the written ones as they were before.
    """

    def __init__(self, height: int, width: int, channels: int, dtype: str) -> None:
        self.height, self.width = height, width
        self.values = np.empty((height, width, channels), dtype)
        self._first, self._old = 0, self.values[:0]

    def read(self, start: int, end: int) -> np.ndarray:
        """Rows ``start`` to ``end`` (not included), mirrored beyond the border."""
        rows = _mirror(start, end, self.height)
        old = (rows >= self._first) & (rows < self._first + len(self._old))
        if start >= 0 and end <= self.height and not old.any():
            return self.values[start:end]
        found: np.ndarray = self.values[rows]
        found[old] = self._old[rows[old] - self._first]
        return found

    def write(self, start: int, features: np.ndarray, halo: int = 0) -> None:
        """Replace the rows from ``start`` on by ``features``."""
        end = start + len(features)
        self._first = max(start, end - halo)
        self._old = self.values[self._first : end].copy()
        self.values[start:end] = features

    def settle(self) -> None:
        """Forget what was there before."""
        self._old = self.values[:0]


def _mirror(start: int, end: int, height: int) -> np.ndarray:
    """The rows ``start`` to ``end`` of ``height``, those beyond it mirrored, the border once."""
    rows = np.abs(np.arange(start, end))
    return np.where(rows < height, rows, 2 * (height - 1) - rows)


Rows = PictureRows | KeptRows
