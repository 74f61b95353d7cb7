"""Masks: pictures that say by their brightness, or by their transparency, where to stylize."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fastnst.stylize.jobs import read_asked

# Levels of 255 that a grey's channels, or one colour's pixels, may differ by all the same.
ALIKE = 12
# Alpha from which a pixel counts as one that is seen.
SEEN = 128


def read_mask(
    path: Path, max_pixels: int | None = None, allow_truncated: bool = False
) -> tuple[Image.Image, tuple[str, ...]]:
    """A mask, mode RGB or L, stylized where it is white; and what to say of it.

    What is transparent is not stylized. Of what is opaque, greys say how much; a single colour, or
    a photograph that was cut out, says by being there. Raises ImageReadError.
    """
    decoded = read_asked(path, max_pixels, allow_truncated)
    news = [f"{path}: {'; '.join(decoded.news)}"] if decoded.news else []
    if decoded.alpha is None:
        return decoded.picture, tuple(news)
    alpha = np.asarray(decoded.alpha)
    seen = np.asarray(decoded.picture)[alpha >= SEEN].astype(np.int16)
    # Of the picture, which lies over white, black is subtracted again.
    if _are_greys(seen):
        grey = np.asarray(decoded.picture.convert("L")).astype(np.int16)
        weights = np.clip(grey - (255 - alpha), 0, 255).astype(np.uint8)
        told = "its transparent parts are not stylized"
    else:
        weights, told = alpha, "it has transparency: stylized where it is opaque"
    return Image.fromarray(weights), (*news, f"{path}: {told}")


def _are_greys(seen: np.ndarray) -> bool:
    """Whether pixels (N, 3) are greys, and more than one."""
    if not seen.size:
        return False
    coloured = np.ptp(seen, axis=1).max() > ALIKE
    return not coloured and np.ptp(seen[:, 0]) > ALIKE
