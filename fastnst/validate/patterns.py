"""The grid that a network which computes at a coarser scale would paint, and its price."""

from __future__ import annotations

from torch import Tensor

from fastnst.networks.architecture import MULTIPLE

LEVELS = 255


def grid(stylized: Tensor, content: Tensor) -> Tensor:
    """Mean square, in levels of 255, of the grid between two batches (B, 3, H, W), 0..1; scalar.

    A network that works at a quarter of the size tells pixels apart by their place modulo 4, and
    learns to: a regular pattern is the cheapest texture that a Gram matrix takes for brush strokes,
    and shows in flat areas as a weave. Whatever such a pattern adds is the same in all cells of
    4 x 4 pixels, so it is what is left of the change after a mean over the cells, less the mean
    colour. Strokes, which begin anywhere, leave nothing. What the sides have beyond whole cells
    doesn't count; less than a cell is no grid, 0.
    """
    change = LEVELS * (stylized.float() - content.float())
    batch, channels, *sides = change.shape
    rows, columns = (side // MULTIPLE for side in sides)
    if not rows or not columns:
        return change.sum() * 0
    cells = change[..., : rows * MULTIPLE, : columns * MULTIPLE].reshape(
        batch, channels, rows, MULTIPLE, columns, MULTIPLE
    )
    mean = cells.mean(dim=(2, 4))
    return (mean - mean.mean(dim=(2, 3), keepdim=True)).square().mean()
