"""What may be done around a transfer network's pass: stroke size, colours, strength, masks.

A picture of thousands of pixels is painted coarse to fine. The network's strokes are so many pixels
wide, whatever the picture, so it first paints the picture small, where a stroke is as large a part
of it as in the painting; then what it painted, enlarged and with the photograph's detail, is
painted again at up to twice the size, and so on up to full size. Each time the coarse octaves stay
as they were and the finest two are new: strokes keep their place and get edges.

All of it is on bytes, in bands of rows: the same whether the network's passes are whole or in
strips, and in little memory beside the picture's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastnst.errors import ConfigError
from fastnst.image.resize import resize_part
from fastnst.machine.threads import threads

# A picture, sRGB, (H, W, 3), or a mask, (H, W).
Pixels = NDArray[np.uint8]
Size = tuple[int, int]
# A pass of the network over a picture of so many rows and columns, which is given once, so that its
# memory can be had back before the pass takes most.
Network = Callable[[Size, Callable[[], Pixels]], Pixels]

# Short side in pixels at which the network's own strokes are right (scripts/compare_sizes).
SHORT_SIDE = 512
SMALLEST_STROKES, LARGEST_STROKES = 0.1, 10
# Octaves that steps may be longer than one each, all together: the fewer, the less time.
SPARE_OCTAVES = 0.6
# Rec. 601 luma, as JPEG's YCbCr has it.
LUMA = (0.299, 0.587, 0.114)
# Rows of a band.
BAND = 256
# Pixels of a picture on either side of a place that cubic resampling looks at, in its coarser grid.
REACH = 3


@dataclass(frozen=True)
class Effects:
    """How the stylized picture is put together.

    ``strength`` 0..1 goes from the photograph (0) to the full style (1): painted, where there is a
    network for it (``fastnst.stylize.strength``), or blended. ``keep_colors`` takes
    the luminance alone from the stylized picture. ``stroke_size`` makes strokes that many times as
    large as the network's own; "auto" lets them keep their share of pictures whose short side is
    longer than 512 pixels. Raises ConfigError for values out of range.
    """

    strength: float = 1.0
    keep_colors: bool = False
    stroke_size: float | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength must be a number from 0 to 1, not {self.strength}")
        size: object = self.stroke_size
        known = isinstance(size, int | float) and SMALLEST_STROKES <= size <= LARGEST_STROKES
        if size != "auto" and not known:
            raise ConfigError(
                f"stroke_size must be auto or a number from {SMALLEST_STROKES} to "
                f"{LARGEST_STROKES}, not {size}"
            )

    def enlarged(self, size: Size) -> float:
        """How many times as large strokes are in a picture of this size."""
        if self.stroke_size == "auto":
            return max(1.0, min(size) / SHORT_SIDE)
        return float(self.stroke_size)

    @property
    def blends(self) -> bool:
        """Whether the photograph's own pixels are in the result."""
        return self.keep_colors or self.strength < 1


def stylized(
    network: Network,
    size: Size,
    decode: Callable[[], Pixels],
    effects: Effects,
    mask: Pixels | None = None,
) -> Pixels:
    """Stylize a picture (H, W, 3) of ``size``, which ``decode`` gives once; of the same shape.

    ``mask`` (H, W) is stylized where it is 255, and as much as it is elsewhere.
    """
    enlarged = effects.enlarged(size)
    blends = effects.blends or mask is not None
    if enlarged == 1 and not blends:
        return network(size, decode)
    held = [decode()]
    result = painted(network, held, enlarged, used_up=not blends)
    return finished(result, held[0], effects, mask) if blends else result


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
    return result


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


def finished(result: Pixels, photo: Pixels, effects: Effects, mask: Pixels | None = None) -> Pixels:
    """Colours, strength and mask, each pixel by itself, into ``result``, which is returned."""

    def band(rows: slice) -> None:
        before, after = (one[rows].astype(np.float32) for one in (photo, result))
        if effects.keep_colors:
            after = with_colors_of(after, before)
        if mask is not None:
            share = np.float32(effects.strength / 255) * mask[rows, :, None]
            after = before + (after - before) * share
        elif effects.strength < 1:
            after = before + (after - before) * np.float32(effects.strength)
        result[rows] = np.rint(after)

    each_band(len(photo), band)
    return result


def with_colors_of(
    stylized: NDArray[np.float32], photo: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The luminance of ``stylized`` with the colour differences of ``photo``; clipped to 0..255.

    Gatys et al. (2017), "Controlling Perceptual Factors", section 5.2.
    """
    return (photo + luminance(stylized - photo)).clip(0, 255)


def luminance(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Luma (..., 1) of pictures (..., 3), or of their differences."""
    return (image @ np.asarray(LUMA, np.float32))[..., None]


def resampled(pixels: Pixels, size: Size) -> Pixels:
    """A picture (H, W, 3) or (H, W) at another size, cubic with antialiasing."""
    if pixels.shape[:2] == size:
        return pixels
    result = np.empty((*size, *pixels.shape[2:]), np.uint8)

    def band(rows: slice) -> None:
        result[rows] = _resampled_rows(pixels, size, rows)

    each_band(size[0], band)
    return result


def _resampled_rows(pixels: Pixels, size: Size, rows: slice) -> Pixels:
    """Those rows of ``resampled``, without a copy of the whole."""
    height, width = pixels.shape[:2]
    scale = height / size[0]
    top, bottom = rows.start * scale, min(height, rows.stop * scale)
    reach = REACH * max(1.0, scale)
    low, high = max(0, math.floor(top - reach)), min(height, math.ceil(bottom + reach))
    part = Image.fromarray(np.ascontiguousarray(pixels[low:high]))
    box = (0, top - low, width, bottom - low)
    wanted = (size[1], rows.stop - rows.start)
    return np.asarray(resize_part(part, wanted, box))


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
        detail = light[rows].astype(np.int16) - _resampled_rows(below, size, rows)
        enlarged = _resampled_rows(coarse, size, rows)
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
        mended += _resampled_rows(coarse, size, rows)
        mended -= _resampled_rows(own, size, rows)
        result[rows] = mended.clip(0, 255)

    each_band(size[0], band)


def each_band(height: int, work: Callable[[slice], None]) -> None:
    """``work`` on all bands of rows, as many at once as there are processors: NumPy and Pillow let
    others compute meanwhile.
    """
    bands = [slice(top, min(height, top + BAND)) for top in range(0, height, BAND)]
    if len(bands) == 1:
        return work(bands[0])
    with ThreadPoolExecutor(threads()) as pool:
        # Fetched, so that an error is raised.
        list(pool.map(work, bands))
    return None
