"""What may be done around a transfer network's pass: strength, colours, masks, stroke size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastnst.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

# Rec. 601 luma, as JPEG's YCbCr has it.
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Effects:
    """How the stylized picture is put together.

    ``strength`` 0..1 blends from the photograph (0) to the full style (1). ``keep_colors`` takes
    the luminance alone from the stylized picture. ``stroke_size`` makes strokes that many times as
    large: the network sees the picture smaller by that factor, and the photograph's own fine detail
    comes back at full size. Raises ConfigError for values out of range.
    """

    strength: float = 1.0
    keep_colors: bool = False
    stroke_size: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength must be a number from 0 to 1, not {self.strength}")
        if not 0.1 <= self.stroke_size <= 10:
            raise ConfigError(
                f"stroke_size must be a number from 0.1 to 10, not {self.stroke_size}"
            )


def stylize_with(
    network: Callable[[Tensor], Tensor],
    image: Tensor,
    effects: Effects,
    mask: Tensor | None = None,
) -> Tensor:
    """Stylize pictures (B, 3, H, W), RGB, 0..1, with effects; the result has the same shape.

    ``mask`` (B, 1, H, W) or (1, 1, H, W), 0..1, is stylized where it is 1.
    """
    return finished(_at_stroke_size(network, image, effects.stroke_size), image, effects, mask)


def finished(
    stylized: Tensor, image: Tensor, effects: Effects, mask: Tensor | None = None
) -> Tensor:
    """Colours, strength and mask; each pixel by itself. Shapes as in ``stylize_with``."""
    if effects.keep_colors:
        stylized = with_colors_of(stylized, image)
    weight = effects.strength if mask is None else effects.strength * mask
    if mask is None and weight == 1:
        return stylized
    return image + (stylized - image) * weight


def luminance(image: Tensor) -> Tensor:
    """Luma (B, 1, H, W) of pictures (B, 3, H, W)."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def with_colors_of(stylized: Tensor, image: Tensor) -> Tensor:
    """The luminance of ``stylized`` with the colour differences of ``image``; clipped to 0..1.

    Gatys et al. (2017), "Controlling Perceptual Factors", section 5.2.
    """
    return (image + luminance(stylized) - luminance(image)).clamp(0, 1)


def _at_stroke_size(
    network: Callable[[Tensor], Tensor], image: Tensor, stroke_size: float
) -> Tensor:
    height, width = image.shape[-2:]
    size = [max(1, round(side / stroke_size)) for side in (height, width)]
    if size == [height, width]:
        return network(image)
    seen = resized(image, size)
    stylized = resized(network(seen), [height, width])
    if stroke_size > 1:
        # What shrinking took from the photograph, in luminance alone: colours are the style's.
        stylized = stylized + luminance(image - resized(seen, [height, width]))
    return stylized.clamp(0, 1)


def resized(image: Tensor, size: list[int]) -> Tensor:
    """Pictures (B, 3, H, W), 0..1, at ``size`` (height, width), bicubic with antialiasing."""
    # Here: the plain style needs no PyTorch.
    import torch.nn.functional as F

    larger = F.interpolate(image, size, mode="bicubic", align_corners=False, antialias=True)
    return larger.clamp(0, 1)
