"""Edges: do outlines lie where the photograph's are?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastnst.image import resize_short_side
from fastnst.validate.likeness import lab

Floats = NDArray[np.float32]

# Pixels of the short side at which pictures are compared, and by which they are blurred before: of
# brush strokes little is left at that, of what a stranger takes for an object most.
SIDE, BLUR = 384, 2.0
# A hundredth of a level of Lab: what a grey picture's hues vary by is rounding.
LEAST = 1e-4


def seen(picture: Image.Image) -> Floats:
    """Lab (H, W, 3) of a picture of mode RGB at a short side of ``SIDE``, in hundredths."""
    return lab(np.asarray(resize_short_side(picture, SIDE)))


def edges(result: Image.Image, photograph: Image.Image) -> float:
    """The correlation of the lengths of both pictures' gradients of lightness, -1..1, blurred by 2
    pixels at a short side of 384. Both are of mode RGB and one size.
    """
    return correlation(*(gradients(seen(picture)[..., 0]) for picture in (result, photograph)))


def gradients(lightness: Floats, blur: float = BLUR) -> Floats:
    """Lengths (H, W) of the gradient of a lightness (H, W), blurred by so many pixels (Gauss)."""
    down, across = np.gradient(blurred(lightness, blur))
    length: Floats = np.hypot(down, across)
    return length


def blurred(values: Floats, deviation: float) -> Floats:
    """Values (H, W) after Gauss's bell of a deviation in pixels; the border goes on as it is."""
    reach = round(3 * deviation)
    places = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (places / deviation) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        length = values.shape[axis]
        wide = np.pad(values, [(reach, reach) if axis == n else (0, 0) for n in (0, 1)], "edge")
        shifts = [wide.take(range(at, at + length), axis) for at in range(2 * reach + 1)]
        values = np.tensordot(weights, np.stack(shifts), 1)
    return values


def correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Pearson's, -1..1, of two arrays of one shape; 0 where either varies by less than can be seen
    (``LEAST``, as standard deviation).
    """
    one, other = (part - part.mean(dtype=np.float64) for part in (one, other))
    if min(one.std(), other.std()) < LEAST:
        return 0.0
    return float((one * other).mean() / (one.std() * other.std()))
