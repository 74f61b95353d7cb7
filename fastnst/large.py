"""Pictures larger than memory, from Pillow image to Pillow image, effects included."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fastnst.architecture import SMALLEST
from fastnst.effects import Effects, finished, luminance
from fastnst.image import resize
from fastnst.strips import STRIP, StripNetwork


def stylize_large(
    network: StripNetwork, picture: Image.Image, effects: Effects, mask: Image.Image | None = None
) -> Image.Image:
    """``fastnst.effects.stylize_with`` in strips: a picture and a mask of its size, mode RGB.

    The picture is used up where nothing but the style is asked for: there is no memory for two.
    """
    if effects == Effects() and mask is None:
        return Image.fromarray(network(lambda: _pixels(picture, close=True)))
    # Here: the plain style needs no PyTorch.
    from fastnst.image import to_picture, to_tensor

    factor = effects.stroke_size
    if factor == 1:
        seen = picture
    else:
        # Never below what the network takes.
        sides = (max(SMALLEST, round(side / factor)) for side in picture.size)
        seen = resize(picture, (next(sides), next(sides)))
    stylized = resize(Image.fromarray(network(lambda: _pixels(seen))), picture.size)
    result = Image.new("RGB", picture.size)
    blurred = resize(seen, picture.size) if factor > 1 else None
    for top in range(0, picture.height, STRIP):
        box = (0, top, picture.width, min(picture.height, top + STRIP))
        image, strip = to_tensor(picture.crop(box)), to_tensor(stylized.crop(box))
        if blurred is not None:
            detail = luminance(image - to_tensor(blurred.crop(box)))
            strip = (strip + detail).clamp(0, 1)
        weights = None if mask is None else luminance(to_tensor(mask.crop(box)))
        result.paste(to_picture(finished(strip, image, effects, weights)), box[:2])
    return result


def _pixels(picture: Image.Image, close: bool = False) -> np.ndarray:
    """The picture as uint8 (H, W, 3), copied in parts: NumPy's own way takes it twice."""
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for top in range(0, picture.height, STRIP):
        box = (0, top, picture.width, min(picture.height, top + STRIP))
        pixels[box[1] : box[3]] = np.asarray(picture.crop(box))
    if close:
        picture.close()
    return pixels
