"""Which rows a strip of a network's result is made of, and how each layer's share is cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastnst.networks.architecture import (
    BINOMIAL,
    Blur,
    Bounded,
    Conv,
    FromLevels,
    Layer,
    Norm,
    Relu,
    Residual,
    Shuffle,
    ToLevels,
    Unshuffle,
    Upsample,
)

POINTWISE = (Norm, Relu, Bounded, FromLevels, ToLevels)


@dataclass(frozen=True)
class Cut:
    """What a layer does with the rows it gets: ``above`` and ``below`` so many are mirrored on.

    Then ``rows`` from ``first`` on are taken (None: all): of what a convolution reads, of what a
    layer that enlarges returns, and of the identity beside a residual block's ``body``.
    """

    above: int = 0
    below: int = 0
    first: int = 0
    rows: int | None = None
    body: tuple[Cut, ...] = ()


def whole_cut(layer: Layer) -> Cut:
    """The cut of a layer that gets all rows."""
    if isinstance(layer, Residual):
        return Cut(body=tuple(map(whole_cut, layer.body)))
    pad = _kernel(layer) // 2
    return Cut(pad, pad)


def strip_cuts(
    layers: Sequence[Layer], height: int, start: int, end: int, mirrored: bool = True
) -> tuple[int, int, tuple[Cut, ...]]:
    """What rows ``start`` to ``end`` after ``layers`` need of a source of ``height`` rows.

    Returns the source's first row, the one after its last, and each layer's cut. Where nothing but
    pointwise layers come before a convolution, and ``mirrored``, rows beyond the source's are asked
    for, which it mirrors itself: so do strips at a border and between them look the same.
    """
    heights = [height]
    for layer in layers:
        heights.append(height_after(layer, heights[-1]))
    cuts: list[Cut] = []
    for place in reversed(range(len(layers))):
        free = mirrored and all(isinstance(layer, POINTWISE) for layer in layers[:place])
        start, end, cut = _before(layers[place], heights[place], start, end, free)
        cuts.append(cut)
    return start, end, tuple(reversed(cuts))


def height_after(layer: Layer, height: int) -> int:
    """Rows that a layer makes of ``height`` rows."""
    if isinstance(layer, Conv):
        return -(-height // layer.stride)
    if isinstance(layer, (Upsample, Shuffle)):
        return 2 * height
    return height // 2 if isinstance(layer, Unshuffle) else height


def halo(layers: Sequence[Layer]) -> int:
    """Rows on either side that a row after ``layers`` of one scale depends on."""
    return sum(
        halo(layer.body) if isinstance(layer, Residual) else _kernel(layer) // 2 for layer in layers
    )


def _before(
    layer: Layer, height: int, start: int, end: int, mirrored: bool
) -> tuple[int, int, Cut]:
    """One layer's part of ``strip_cuts``."""
    if isinstance(layer, Unshuffle):
        return 2 * start, 2 * end, Cut()
    if isinstance(layer, (Upsample, Shuffle)):
        low, high = start // 2, -(-end // 2)
        first, rows = _part(start - 2 * low, end - start, 2 * (high - low))
        return low, high, Cut(first=first, rows=rows)
    if isinstance(layer, Residual):
        low, high, body = strip_cuts(layer.body, height, start, end, mirrored)
        return low, high, Cut(0, 0, *_part(start - low, end - start, high - low), body)
    if isinstance(layer, (Conv, Blur)):
        stride = layer.stride if isinstance(layer, Conv) else 1
        pad = _kernel(layer) // 2
        first, last = start * stride - pad, (end - 1) * stride + pad + 1
        if mirrored:
            return first, last, Cut()
        above, below = max(0, -first), max(0, last - height)
        # A mirror at the border shows rows on this side of it: they are read as well.
        low = max(0, min(first, height - 1 - below)) if below else max(0, first)
        high = min(height, max(last, above + 1))
        part = _part(first - (low - above), last - first, high - low + above + below)
        return low, high, Cut(above, below, *part)
    return start, end, Cut()


def _part(first: int, rows: int, of: int) -> tuple[int, int | None]:
    return (0, None) if rows == of else (first, rows)


def _kernel(layer: Layer) -> int:
    if isinstance(layer, Conv):
        return layer.kernel
    return len(BINOMIAL) if isinstance(layer, Blur) else 1
