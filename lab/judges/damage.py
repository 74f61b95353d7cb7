"""Photographs damaged in known ways, which show what a judge answers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image, ImageFilter

Pictures = dict[str, Image.Image]

SEED = 7


def damaged(photographs: Mapping[str, Image.Image]) -> Iterator[tuple[str, Pictures]]:
    """A name and all photographs (RGB) as they are, and after each damage."""
    yield "the photograph", dict(photographs)
    yield "grey", {name: one.convert("L").convert("RGB") for name, one in photographs.items()}
    for radius in (4, 10):
        soft = ImageFilter.GaussianBlur(radius)
        yield (
            f"blurred by {radius} pixels",
            {name: one.filter(soft) for name, one in photographs.items()},
        )
    yield "noise of 60 levels", {name: noisy(one, 60) for name, one in photographs.items()}
    yield "another photograph", exchanged(photographs)


def noisy(picture: Image.Image, deviation: float) -> Image.Image:
    """A picture with Gauss's noise of so many levels of 255 in each channel."""
    pixels = np.asarray(picture, np.float32)
    noise = np.random.default_rng(SEED).normal(0, deviation, pixels.shape)
    return Image.fromarray((pixels + noise).round().clip(0, 255).astype(np.uint8))


def exchanged(photographs: Mapping[str, Image.Image]) -> Pictures:
    """For each photograph the next one, at its size."""
    names = list(photographs)
    return {
        name: photographs[after].resize(photographs[name].size)
        for name, after in zip(names, names[1:] + names[:1], strict=True)
    }
