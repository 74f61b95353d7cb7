"""Paying for what does not move with the picture: flicker in a video, and a weave in a still."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fastnst.networks.architecture import MULTIPLE

# Pixels at the border of what two passes have in common that don't count: there each sees a
# mirrored picture instead of the other's.
MARGIN = 8
# The mean square is of tenths of the range, so that a weight of about 1 is of the loss's order.
TENTHS = 100


def offset(seed: int, step: int) -> tuple[int, int]:
    """Pixels across and down to move a step's picture by: 0 to 3, not both 0."""
    place = int(np.random.default_rng((seed, 2, step)).integers(1, MULTIPLE**2))
    return divmod(place, MULTIPLE)


def instability(
    network: Callable[[Tensor], Tensor], content: Tensor, stylized: Tensor, move: tuple[int, int]
) -> Tensor:
    """Mean square difference, in tenths of the range, between what the network paints of a picture
    and of the same picture cut off by ``move`` pixels, across and down, where both show the same.

    content and stylized: (B, 3, H, W), 0..1. A network that computes at a quarter of the size tells
    pixels apart by their place modulo 4; moved by less, a picture is painted afresh. Whatever is
    tied to that place counts here: strokes that jump in a video, and a regular pattern, which is
    the cheapest texture for a style and shows in flat areas as a weave. (In kind: Zheng et al.
    2016, stability training.) Gradients go through both. Scalar; 0 where no more than the margins
    is in common.
    """
    across, down = move
    height, width = (
        (side - shift) // MULTIPLE * MULTIPLE
        for side, shift in zip(content.shape[-2:], (down, across), strict=True)
    )
    if min(height, width) <= 2 * MARGIN:
        return stylized.sum() * 0
    window = (..., slice(down, down + height), slice(across, across + width))
    cut = content[window].contiguous(memory_format=torch.channels_last)
    change = stylized[window].float() - network(cut).float()
    return TENTHS * change[..., MARGIN:-MARGIN, MARGIN:-MARGIN].square().mean()
