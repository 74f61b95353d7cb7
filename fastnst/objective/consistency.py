"""Shift consistency: a network should paint the same of a picture that is moved by a few pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastnst.networks.architecture import MULTIPLE

# Pixels at the border of what two passes have in common that don't count: there each sees a
# mirrored picture instead of the other's.
MARGIN = 8
# The mean square is of tenths of the range, so that a weight of about 1 is of the loss's order.
TENTHS = 100
# A regular grid weighs so many times as much again: one of a level of 255 costs about 1.5.
GRID_WEIGHT = 1000


def offset(seed: int, step: int) -> tuple[int, int]:
    """Pixels across and down to move a step's picture by: 0 to 3, not both 0."""
    place = int(np.random.default_rng((seed, 2, step)).integers(1, MULTIPLE**2))
    return divmod(place, MULTIPLE)


class ShiftConsistency(NamedTuple):
    """``change`` is the mean square difference of two passes, in tenths of the range;
    ``grid_correlation`` the part of it that is a pattern of 4 x 4 pixels, weighted.
    """

    change: Tensor
    grid_correlation: Tensor


def shift_consistency(
    network: Callable[[Tensor], Tensor], content: Tensor, stylized: Tensor, move: tuple[int, int]
) -> ShiftConsistency:
    """How much a network's result changes where its picture is cut off by ``move`` pixels, across
    and down, compared where both results show the same.

    content and stylized: (B, 3, H, W), 0..1. A network that computes at a quarter of the size tells
    pixels apart by their place modulo 4; moved by less, a picture is painted afresh. Whatever
    depends on that place counts here: strokes that jump in a video, and a regular pattern, which is
    the cheapest texture for a style and shows in flat areas as a checkerboard artifact. (In kind:
    Zheng et al. 2016, stability training.) Gradients go through both. Scalars; 0 where no more than
    the margins is in common.
    """
    across, down = move
    height, width = (
        (side - shift) // MULTIPLE * MULTIPLE
        for side, shift in zip(content.shape[-2:], (down, across), strict=True)
    )
    if min(height, width) <= 2 * MARGIN:
        return ShiftConsistency(stylized.sum() * 0, stylized.sum() * 0)
    window = (..., slice(down, down + height), slice(across, across + width))
    cut = content[window].contiguous(memory_format=torch.channels_last)
    again = network(cut).float()
    difference = stylized[window].float() - again
    change = TENTHS * difference[..., MARGIN:-MARGIN, MARGIN:-MARGIN].square().mean()
    correlation = grid_correlation(stylized.float() - content, again - cut)
    return ShiftConsistency(change, GRID_WEIGHT * TENTHS * correlation)


def grid_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Mean square of the pattern that two passes have in common at the same places modulo 4.

    first and second: what a network changed of a picture, and of the same one moved by less than 4
    pixels, (B, 3, H, W) each. Strokes move along and meet other places of the second pass, so that
    what is left of their means over cells of 4 x 4 pixels agrees by chance alone, as often one way
    as the other; a grid agrees always. Scalar, less than 0 by chance; 0 in expectation for strokes,
    the grid's mean square (``fastnst.validate.patterns.grid``) for a grid.
    """
    return (mean_cell(first) * mean_cell(second)).mean()


def mean_cell(change: Tensor) -> Tensor:
    """The mean of a change (B, C, H, W) over its whole cells of 4 x 4 pixels, less its mean colour:
    (B, C, 4, 4). Sides are at least 4.
    """
    batch, channels, *sides = change.shape
    rows, columns = (side // MULTIPLE for side in sides)
    cells = change[..., : rows * MULTIPLE, : columns * MULTIPLE].reshape(
        batch, channels, rows, MULTIPLE, columns, MULTIPLE
    )
    mean = cells.mean(dim=(2, 4))
    return mean - mean.mean(dim=(2, 3), keepdim=True)
