"""The only resizer of pictures: by Lanczos' filter where they are made to fit, and cubic where a
part of one becomes a crop, or its bands are resampled one by one.

The page in the browser resamples strokes to the same bytes (page/static/resample.mjs).
"""

from __future__ import annotations

from PIL import Image


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize to (width, height) with antialiasing, at least one pixel a side."""
    width, height = (max(1, side) for side in size)
    if image.size == (width, height):
        return image
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)


def resize_part(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """The part of a picture within ``box`` (left, top, right, bottom), to the fraction of a pixel,
    at another (width, height): cubic with antialiasing.
    """
    return image.resize(size, Image.Resampling.BICUBIC, box)


def resize_short_side(image: Image.Image, side: int) -> Image.Image:
    """Resize so that the short side has ``side`` pixels."""
    factor = side / min(image.size)
    return resize(image, (round(image.width * factor), round(image.height * factor)))


def resize_long_side(image: Image.Image, side: int) -> Image.Image:
    """Resize so that the long side has ``side`` pixels."""
    factor = side / max(image.size)
    return resize(image, (round(image.width * factor), round(image.height * factor)))


def resize_height(image: Image.Image, height: int) -> Image.Image:
    """Resize to ``height`` pixels, the width in proportion."""
    return resize(image, (round(image.width * height / image.height), height))


def limit_long_side(image: Image.Image, side: int) -> Image.Image:
    """Resize so that the long side has at most ``side`` pixels; smaller pictures stay."""
    return image if max(image.size) <= side else resize_long_side(image, side)


def limited_size(size: tuple[int, int], side: int | None) -> tuple[int, int]:
    """The size that ``limit_long_side`` makes of one; without ``side`` it stays."""
    if side is None or max(size) <= side:
        return size
    factor = side / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
