"""Paying for what does not move with the picture: flicker in a video, and a weave in a still."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastnst.networks.architecture import MULTIPLE
from fastnst.validate.patterns import mean_cell

# Pixels at the border of what two passes have in common that don't count: there each sees a
# mirrored picture instead of the other's.
MARGIN = 8
# The mean square is of tenths of the range, so that a weight of about 1 is of the loss's order.
TENTHS = 100
# What is tied to places costs so many times as much again: a grid of a level of 255 about 1.5.
TIED = 1000


def offset(seed: int, step: int) -> tuple[int, int]:
    """Pixels across and down to move a step's picture by: 0 to 3, not both 0."""
    place = int(np.random.default_rng((seed, 2, step)).integers(1, MULTIPLE**2))
    return divmod(place, MULTIPLE)


class Unsteady(NamedTuple):
    """What does not move with a picture: ``instability``, the mean square change in tenths of the
    range, and ``grid``, a price on the part of it that is a pattern of 4 x 4 pixels.
    """

    instability: Tensor
    grid: Tensor


def unsteady(
    network: Callable[[Tensor], Tensor], content: Tensor, stylized: Tensor, move: tuple[int, int]
) -> Unsteady:
    """What the network paints otherwise of a picture and of the same one cut off by ``move``
    pixels, across and down, where both show the same.

    content and stylized: (B, 3, H, W), 0..1. A network that computes at a quarter of the size tells
    pixels apart by their place modulo 4; moved by less, a picture is painted afresh. Whatever is
    tied to that place counts here: strokes that jump in a video, and a regular pattern, which is
    the cheapest texture for a style and shows in flat areas as a weave. (In kind: Zheng et al.
    2016, stability training.) Gradients go through both. Scalars; 0 where no more than the margins
    is in common.
    """
    across, down = move
    height, width = (
        (side - shift) // MULTIPLE * MULTIPLE
        for side, shift in zip(content.shape[-2:], (down, across), strict=True)
    )
    if min(height, width) <= 2 * MARGIN:
        return Unsteady(stylized.sum() * 0, stylized.sum() * 0)
    window = (..., slice(down, down + height), slice(across, across + width))
    cut = content[window].contiguous(memory_format=torch.channels_last)
    again = network(cut).float()
    change = stylized[window].float() - again
    unstable = TENTHS * change[..., MARGIN:-MARGIN, MARGIN:-MARGIN].square().mean()
    return Unsteady(unstable, TIED * TENTHS * tied(stylized.float() - content, again - cut))


def tied(change: Tensor, again: Tensor) -> Tensor:
    """Mean square of the pattern that two passes have in common at the same places modulo 4.

    change and again: what a network changed of a picture, and of the same one moved by less than 4
    pixels, (B, 3, H, W) each. Strokes move along and meet other places of the second pass, so that
    what is left of their means over cells of 4 x 4 pixels agrees by chance alone, as often one way
    as the other; a grid agrees always. Scalar, less than 0 by chance; 0 in expectation for strokes,
    the grid's mean square (``fastnst.validate.patterns.grid``) for a grid.
    """
    return (mean_cell(change) * mean_cell(again)).mean()
