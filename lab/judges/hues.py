"""Hues: does what differs in colour still differ?

A network may paint a red fish on grey stone in one colour, or strew all its palette over both; the
lightness may be right at that, and a palette of a painting's own is what we want.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from judges.edges import correlation, seen

Floats = NDArray[np.float32]

# Sides in pixels, at a short side of 384, of the places whose mean colours are compared.
PLACE = 16


def hues(result: Image.Image, photograph: Image.Image) -> float:
    """The correlation, -1..1, of the distances of hue and saturation between all pairs of places.

    1: what differs in colour in the photograph differs in the result, in whatever colours; 0:
    colours lie at random, or there is one alone. Strength doesn't count, so that a nearly grey
    picture can have some: look at it, too. Both are of mode RGB and one size.
    """
    return correlation(*(distances(seen(picture)[..., 1:]) for picture in (result, photograph)))


def distances(opponents: Floats) -> Floats:
    """Distances between all pairs of places of a picture's a and b of Lab (H, W, 2)."""
    high, wide = (side // PLACE for side in opponents.shape[:2])
    cells = opponents[: high * PLACE, : wide * PLACE].reshape(high, PLACE, wide, PLACE, 2)
    places = cells.mean(axis=(1, 3)).reshape(-1, 2)
    first, second = np.triu_indices(len(places), 1)
    apart: Floats = np.linalg.norm(places[first] - places[second], axis=1)
    return apart
