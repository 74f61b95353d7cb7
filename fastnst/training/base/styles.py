"""The styles that a base learns: pictures, parts of them in other colours, and made textures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from fastnst.image import resize_part, resize_short_side, to_tensor
from fastnst.photos.collection import pictures_below
from fastnst.photos.paintings import read_painting

REORDERED = [2, 0, 1]
TEXTURES = 12


def style_pictures(
    folders: Sequence[Path], left_out: set[str], size: int
) -> Iterator[tuple[str, Tensor]]:
    """Every style image (1, 3, H, W), 0..1, its short side ``size``, by a name of its own.

    Each picture of the folders counts twice, as it is and as a quarter of it, enlarged, with its
    colour channels in another order; and there are textures. Pictures whose names without suffix
    are ``left_out`` are no styles.
    """
    for folder in folders:
        for path in sorted(pictures_below(folder)):
            if path.stem in left_out:
                continue
            picture = read_painting(path, size)
            yield path.stem, to_tensor(resize_short_side(picture, size))
            width, height = picture.size
            box = (width // 4, height // 4, width - width // 4, height - height // 4)
            part = to_tensor(resize_short_side(picture.crop(box), size))
            yield f"{path.stem}, enlarged and recoloured", part[:, REORDERED]
    for number in range(TEXTURES):
        yield f"texture {number}", to_tensor(texture(number, size))


def texture(number: int, size: int) -> Image.Image:
    """A pattern in a few flat colours: waves, cells, or noise of some coarseness, by turns."""
    rng = np.random.default_rng(number)
    palette = rng.integers(0, 256, (int(rng.integers(3, 6)), 3))
    field = (_waves, _cells, _noise)[number % 3](rng, size)
    shades = np.clip(field * len(palette), 0, len(palette) - 1).astype(int)
    return Image.fromarray(palette[shades].astype(np.uint8))


def _waves(rng: np.random.Generator, size: int) -> np.ndarray:
    down, across = np.mgrid[0:size, 0:size] / size
    angle, bend, count = rng.uniform(0, np.pi), rng.uniform(0, 0.1), rng.integers(8, 30)
    along = across * np.cos(angle) + down * np.sin(angle)
    aside = down * np.cos(angle) - across * np.sin(angle)
    bent: np.ndarray = along + bend * np.sin(2 * np.pi * 3 * aside)
    return np.sin(2 * np.pi * count * bent) / 2 + 0.5


def _cells(rng: np.random.Generator, size: int) -> np.ndarray:
    down, across = np.mgrid[0:size, 0:size] / size
    points = rng.random((int(rng.integers(60, 300)), 2))
    apart = np.hypot(down[..., None] - points[:, 0], across[..., None] - points[:, 1])
    nearest = np.sort(apart, axis=-1)[..., :2]
    edge = nearest[..., 1] - nearest[..., 0] < 0.006
    return np.where(edge, 0.999, rng.random(len(points))[apart.argmin(-1)] * 0.8)


def _noise(rng: np.random.Generator, size: int) -> np.ndarray:
    coarse = Image.fromarray(rng.random((int(rng.integers(12, 60)),) * 2).astype(np.float32))
    return np.asarray(resize_part(coarse, (size, size)))
