"""What may be done around a transfer network's pass: stroke size, colours, strength, masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fastnst.errors import ConfigError, as_share
from fastnst.stylize.bands import Pixels, Size, each_band
from fastnst.stylize.coarse_to_fine import Network, painted

# Short side in pixels at which the network's own strokes are right (scripts/compare_sizes).
SHORT_SIDE = 512
SMALLEST_STROKES, LARGEST_STROKES = 0.1, 10
# Rec. 601 luma, as JPEG's YCbCr has it.
LUMA = (0.299, 0.587, 0.114)


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
            told = f"strength must be a number from 0 to 1, not {self.strength:g}"
            raise ConfigError(told + as_share(self.strength))
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
