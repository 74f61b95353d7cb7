"""How much a picture looks like a painting, and how much of a photograph is left in it.

Neither is in any loss: a network is trained on features of a backbone, and judged by pixels. All of
it is NumPy, without chance: the same at any time, and on any machine but for rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastnst.image import resize, resize_short_side

Floats = NDArray[np.float32]
# What a picture is to ``distance``: by part, (directions, quantiles).
Signature = Mapping[str, Floats]

# Pictures are compared at this short side in pixels: about as they are looked at on a screen.
SIDE = 384
# Of longer pictures the middle counts: a line of pixels would be enlarged to a square's thousands.
LONGEST = 4
# Colours, then patches at full, half and quarter size.
LEVELS = 3
PATCH = 7
# Patches begin every so many pixels: of all of them neighbours say the same.
STRIDE = 2
DIRECTIONS = {"colours": 32, "patches": 64}
QUANTILES = 64
# Along a random direction a patch varies less than a colour: with this both count about alike.
PATCHES_WEIGHT = 4.0
# Halvings of the short side at which edges are compared.
EDGE_SCALES = 2
# Fixed, since a signature is only comparable with those along the same directions.
SEED = 20161008
# Linear sRGB to XYZ under D65 (IEC 61966-2-1), rows divided by the white point.
XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32
)
XYZ /= XYZ.sum(axis=1, keepdims=True)


def lab(levels: NDArray[np.uint8]) -> Floats:
    """CIELAB under D65 of sRGB levels (..., 3), in hundredths: L in 0..1, a and b about -1..1."""
    values = np.arange(256, dtype=np.float32) / 255
    curve = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    linear = curve.astype(np.float32)[levels] @ XYZ.T
    root = np.where(linear > (6 / 29) ** 3, np.cbrt(linear), linear / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    result: Floats = np.stack([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], axis=-1)
    return result.astype(np.float32)


def signature(picture: Image.Image) -> dict[str, Floats]:
    """Quantiles of a picture's colours and patches along fixed directions.

    Colours are Lab; patches of 7 x 7 pixels of it, less their own mean, are taken from the picture
    at a short side of 384 pixels, a half and a quarter of that. A distance of these is the sliced
    Wasserstein distance (Rabin et al. 2011). Returns ``colours`` and ``patches 0`` to ``2``,
    (directions, quantiles) each.
    """
    rng = np.random.default_rng(SEED)
    pixels = _seen(picture)
    found = {"colours": _quantiles(pixels.reshape(-1, 3), rng, DIRECTIONS["colours"])}
    for level in range(LEVELS):
        found[f"patches {level}"] = _quantiles(_patches(pixels), rng, DIRECTIONS["patches"])
        pixels = _halved(pixels)
    return found


def signature_shapes() -> dict[str, tuple[int, int]]:
    """The parts of a signature, each with its (directions, quantiles)."""
    parts = {"colours": "colours"} | {f"patches {level}": "patches" for level in range(LEVELS)}
    return {name: (DIRECTIONS[kind], QUANTILES) for name, kind in parts.items()}


def pooled(signatures: Sequence[Signature], weights: Sequence[float]) -> dict[str, Floats]:
    """Several pictures as one: the weighted mean of their quantiles, which is along each direction
    what is nearest to all of them (the barycenter of Rabin et al. 2011).
    """
    shares = (np.asarray(weights) / sum(weights)).astype(np.float32)
    return {
        name: sum(
            (share * one[name] for share, one in zip(shares, signatures, strict=True)),
            np.zeros_like(signatures[0][name]),
        )
        for name in signatures[0]
    }


def _seen(picture: Image.Image) -> Floats:
    """Lab (H, W, 3) of a picture of any mode at a short side of ``SIDE``; of a long one its middle,
    ``LONGEST`` times as long as wide.
    """
    width, height = (min(side, LONGEST * min(picture.size)) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    middle = picture.convert("RGB").crop((left, top, left + width, top + height))
    return lab(np.asarray(resize_short_side(middle, SIDE)))


def _patches(pixels: Floats) -> Floats:
    """Patches (N, 3 * 49) of a picture (H, W, 3), each less its mean colour."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (PATCH, PATCH), axis=(0, 1))
    # In one piece first: means of windows that lie apart take most of the time otherwise.
    chosen = np.ascontiguousarray(windows[::STRIDE, ::STRIDE]).reshape(-1, 3, PATCH * PATCH)
    centred: Floats = chosen - chosen.mean(axis=-1, keepdims=True)
    return centred.reshape(-1, 3 * PATCH * PATCH)


def _halved(pixels: Floats) -> Floats:
    """The mean of each 2 x 2 pixels of (H, W, 3)."""
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    cells = pixels[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    halved: Floats = cells.mean(axis=(1, 3))
    return halved


def _quantiles(points: Floats, rng: np.random.Generator, directions: int) -> Floats:
    """Quantiles (directions, QUANTILES) of points (N, D) along random unit vectors."""
    vectors = rng.standard_normal((points.shape[1], directions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=0)
    projected = np.sort((points @ vectors).T, axis=1)
    # The middle of each of QUANTILES equal shares.
    places = (np.arange(QUANTILES) + 0.5) / QUANTILES * projected.shape[1] - 0.5
    below = np.clip(np.floor(places).astype(int), 0, projected.shape[1] - 1)
    above = np.minimum(below + 1, projected.shape[1] - 1)
    part = np.clip(places - below, 0, 1).astype(np.float32)
    result: Floats = projected[:, below] * (1 - part) + projected[:, above] * part
    return result


def distance(one: Signature, other: Signature) -> float:
    """Sliced Wasserstein distance of two pictures: 0 for the same, about 0.3 for a photograph and a
    painting. The colours' and the mean of the patches', which count about alike.
    """
    apart = {name: float(np.abs(one[name] - other[name]).mean()) for name in one}
    colours = apart.pop("colours")
    return colours + PATCHES_WEIGHT * sum(apart.values()) / len(apart)


def likeness(result: Signature, painting: Signature, photograph: Signature) -> float:
    """Distance of the result to the painting over the photograph's: 0 is the painting's own
    statistics, 1 no nearer than the photograph was. 1 too where the photograph is the painting.
    """
    before = distance(photograph, painting)
    return distance(result, painting) / before if before > 0 else 1.0


def kept(result: Image.Image, photograph: Image.Image) -> float:
    """How much of the photograph is still there, -1..1: the correlation of the edges of both.

    Edges are the length of the gradient of lightness, at a short side of 192 and of 96 pixels; the
    mean of both scales' correlations. 1 for the photograph itself, whatever its contrast; 0 where
    either has no edges or they are elsewhere. A result of another size is resized to the
    photograph's.
    """
    if result.size != photograph.size:
        result = resize(result.convert("RGB"), photograph.size)
    one, other = (_seen(picture)[..., :1] for picture in (result, photograph))
    found = []
    for _ in range(EDGE_SCALES):
        one, other = _halved(one), _halved(other)
        found.append(_correlation(_edges(one[..., 0]), _edges(other[..., 0])))
    return float(np.mean(found))


def _edges(lightness: Floats) -> Floats:
    """Length of the gradient (H, W)."""
    down, across = np.gradient(lightness)
    length: Floats = np.hypot(down, across)
    return length


def _correlation(one: Floats, other: Floats) -> float:
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    # The least beyond 1 is rounding.
    return min(1.0, float((one * other).sum()) / norm) if norm > 0 else 0.0
