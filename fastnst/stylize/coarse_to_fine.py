"""Large pictures, coarse to fine.

A network's strokes are so many pixels wide, whatever the picture, so it first paints the picture
small, where a stroke is as large a part of it as in the painting; then what it painted, enlarged
and with the photograph's detail, is painted again at up to twice the size, and so on up to full
size. Each time the coarse octaves stay as they were and the finest two are new: strokes keep their
place and get edges. Large photographs are soft, pixel by pixel, and so is what is painted of them:
at last its edges are made steeper.

All of it is on bytes, in bands of rows: the same whether the network's passes are whole or in
strips, and in little memory beside the picture's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastnst.stylize.bands import Pixels, Size, each_band, resampled, resampled_rows

# A pass of the network over a picture of so many rows and columns, which is given once, so that its
# memory can be had back before the pass takes most.
Network = Callable[[Size, Callable[[], Pixels]], Pixels]
T = TypeVar("T", bound=np.generic)

# Octaves that steps may be longer than one each, all together: the fewer, the less time.
SPARE_OCTAVES = 0.6
# A blur's weights along a line, and the pixels on either side that it looks at.
BLUR = (1, 4, 6, 4, 1)
HALO = 2


def painted(network: Network, held: list[Pixels], enlarged: float, used_up: bool = False) -> Pixels:
    """The picture in ``held`` with strokes ``enlarged`` so many times.

    ``used_up`` takes it out of there as soon as it isn't needed any more.
    """
    full = _size(held[0])
    if enlarged <= 1:
        larger = resampled(held[0], _divided(full, enlarged))
        return resampled(network(_size(larger), lambda: larger), full)
    sizes = steps(full, enlarged)
    result = network(sizes[1], lambda: resampled(held[0], sizes[1]))
    for grid, size in zip(sizes, sizes[2:], strict=False):
        coarse = resampled(result, grid)
        source = [_with_detail(coarse, resampled(held[0], size), grid)]
        if used_up and size is sizes[-1]:
            held.clear()
        del result
        result = network(size, source.pop)
        _put_coarse(result, coarse)
    return with_edges(result, min(1.0, math.log2(enlarged)))


def steps(size: Size, enlarged: float) -> list[Size]:
    """Sizes (rows, columns) at which a picture is painted coarse to fine, and one before.

    Each is the one before times a factor of 1.5 to 2.5, or less where there is but one step; the
    last is ``size``. What is painted at a size replaces what is finer than two sizes before.

    >>> steps((2048, 4096), 4)
    [(256, 512), (512, 1024), (1024, 2048), (2048, 4096)]
    """
    count = max(1, math.ceil(math.log2(enlarged) - SPARE_OCTAVES))
    powers = ((count + 1 - place) / count for place in range(count + 2))
    return [_divided(size, enlarged**power) for power in powers]


def _divided(size: Size, by: float) -> Size:
    rows, columns = (max(1, round(side / by)) for side in size)
    return rows, columns


def _size(pixels: Pixels) -> Size:
    rows, columns, _ = pixels.shape
    return rows, columns


def _with_detail(coarse: Pixels, photo: Pixels, grid: Size) -> Pixels:
    """``coarse``, enlarged, with what the photograph has beyond ``grid``.

    In luminance alone: colours are the style's.
    """
    size = _size(photo)
    light = np.empty(size, np.uint8)
    result = np.empty_like(photo)

    def lighten(rows: slice) -> None:
        light[rows] = np.asarray(Image.fromarray(photo[rows]).convert("L"))

    def band(rows: slice) -> None:
        detail = light[rows].astype(np.int16) - resampled_rows(below, size, rows)
        enlarged = resampled_rows(coarse, size, rows)
        result[rows] = (enlarged + detail[..., None]).clip(0, 255)

    each_band(size[0], lighten)
    below = resampled(light, grid)
    each_band(size[0], band)
    return result


def _put_coarse(result: Pixels, coarse: Pixels) -> None:
    """Replace in ``result`` what is as coarse as ``coarse``."""
    size = _size(result)
    own = resampled(result, _size(coarse))

    def band(rows: slice) -> None:
        mended = result[rows].astype(np.int16)
        mended += resampled_rows(coarse, size, rows)
        mended -= resampled_rows(own, size, rows)
        result[rows] = mended.clip(0, 255)

    each_band(size[0], band)


def with_edges(pixels: Pixels, amount: float) -> Pixels:
    """A picture (H, W, 3) with steeper edges: ``amount`` 0..1 of what a blur takes away is added,
    within the least and the most of the 3 x 3 pixels around, so that there are no halos.
    """
    height = len(pixels)
    result = np.empty_like(pixels)
    total = sum(BLUR) ** 2

    def band(rows: slice) -> None:
        low, high = max(0, rows.start - HALO), min(height, rows.stop + HALO)
        beyond = (low - rows.start + HALO, rows.stop + HALO - high)
        around = np.pad(pixels[low:high], (beyond, (HALO, HALO), (0, 0)), "edge")
        own = pixels[rows].astype(np.float32)
        blurred = _blurred(_blurred(around.astype(np.uint16), 0), 1)
        own += (own - blurred * np.float32(1 / total)) * np.float32(amount)
        least, most = _extremes(around[1:-1, 1:-1])
        result[rows] = np.rint(own).clip(least, most)

    each_band(height, band)
    return result


def _blurred(values: NDArray[np.uint16], axis: int) -> NDArray[np.uint16]:
    """Sums along an axis by ``BLUR``; bytes along two still fit."""
    parts = _shifted(values, axis, len(BLUR))
    result = parts[0] * np.uint16(BLUR[0])
    for part, weight in zip(parts[1:], BLUR[1:], strict=True):
        result += part * np.uint16(weight)
    return result


def _extremes(values: Pixels) -> tuple[Pixels, Pixels]:
    """The least and the most of the 3 x 3 pixels around each."""
    least = most = values
    for axis in (0, 1):
        one, two, three = _shifted(least, axis, 3)
        least = np.minimum(np.minimum(one, two), three)
        one, two, three = _shifted(most, axis, 3)
        most = np.maximum(np.maximum(one, two), three)
    return least, most


def _shifted(values: NDArray[T], axis: int, count: int) -> list[NDArray[T]]:
    """``count`` parts, each a pixel further along the axis, as long as all have values."""
    length = values.shape[axis] - count + 1
    places = (slice(None),) * axis
    return [values[(*places, slice(at, at + length))] for at in range(count)]
