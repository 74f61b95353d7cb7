"""Networks of a line and pictures of bytes, for tests of what goes around a network's pass."""

from __future__ import annotations

import numpy as np

from fastnst.stylize.effects import stylized


def invert(size, decode):
    pixels = decode()
    assert pixels.shape == (*size, 3)
    return 255 - pixels


def identity(size, decode):
    return decode().copy()


def noise(*size, low=0, high=256, seed=0):
    return np.random.default_rng(seed).integers(low, high, (*size, 3), dtype=np.uint8)


def smooth(height, width):
    """Waves of 64 pixels and more, whose every octave is far below the finest."""
    rows, columns = np.mgrid[:height, :width] / 64 * 2 * np.pi
    waves = [np.sin(rows), np.sin(columns / 2), np.cos((rows + columns) / 3)]
    return np.rint(127 + 60 * np.stack(waves, -1)).astype(np.uint8)


def apply(network, photo, effects, mask=None):
    before = photo.copy()
    found = stylized(network, photo.shape[:2], lambda: photo, effects, mask)
    np.testing.assert_array_equal(photo, before)
    assert found.shape == photo.shape
    assert found.dtype == np.uint8
    return found
