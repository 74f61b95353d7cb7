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

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastnst.stylize.bands import Pixels, Size, each_band, resampled, resampled_rows

# A pass of the network over a picture of so many rows and columns, which is given once, so that its
# memory can be had back before the pass takes most.
Network = Callable[[Size, Callable[[], Pixels]], Pixels]

# Octaves that steps may be longer than one each, all together: the fewer, the less time.
SPARE_OCTAVES = 0.6
# Pixels on either side that a blur by 1, 4, 6, 4, 1 looks at, and rows of a band that stay in a
# processor's own memory while they are blurred.
HALO = 2
FEW_ROWS = 64


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

    def band(rows: slice) -> None:
        low, high = max(0, rows.start - HALO), min(height, rows.stop + HALO)
        beyond = (low - rows.start + HALO, rows.stop + HALO - high)
        around = np.pad(pixels[low:high], (beyond, (HALO, HALO), (0, 0)), "edge")
        own = pixels[rows].astype(np.float32)
        own += (own - _blurred(around)) * np.float32(amount)
        steeper = np.rint(own).clip(0, 255).astype(np.uint8)
        inner = around[1:-1, 1:-1]
        np.maximum(steeper, _of_three(np.minimum, inner), out=steeper)
        np.minimum(steeper, _of_three(np.maximum, inner), out=result[rows])

    each_band(height, band, FEW_ROWS)
    return result


def _blurred(pixels: Pixels) -> NDArray[np.float32]:
    """By 1, 4, 6, 4, 1 along columns and rows, which is by 1, 1 four times; without the halo."""
    sums = pixels.astype(np.uint16)
    for _ in range(4):
        sums = sums[1:] + sums[:-1]
    for _ in range(4):
        sums = sums[:, 1:] + sums[:, :-1]
    return sums.astype(np.float32) / np.float32(256)


def _of_three(choose: np.ufunc, pixels: Pixels) -> Pixels:
    """``choose`` of the 3 x 3 pixels around each; without the outermost."""
    three = choose(choose(pixels[2:], pixels[1:-1]), pixels[:-2])
    result: Pixels = choose(choose(three[:, 2:], three[:, 1:-1]), three[:, :-2])
    return result
