"""Which rows a strip of a network's result is made of, and how each layer's share is cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastnst.networks.architecture import Bypassed, Layer


@dataclass(frozen=True)
class Cut:
    """What a layer does with the rows it gets: ``above`` and ``below`` so many are mirrored on.

    Then ``rows`` from ``first`` on are taken (None: all): of what a convolution reads, of what a
    layer that enlarges returns, and of what passes beside a residual block's or a skip's ``body``.
    """

    above: int = 0
    below: int = 0
    first: int = 0
    rows: int | None = None
    body: tuple[Cut, ...] = ()


def whole_cut(layer: Layer) -> Cut:
    """The cut of a layer that gets all rows."""
    if isinstance(layer, Bypassed):
        return Cut(body=tuple(map(whole_cut, layer.body)))
    return Cut(layer.reach, layer.reach)


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
        heights.append(layer.side_after(heights[-1]))
    cuts: list[Cut] = []
    for place in reversed(range(len(layers))):
        free = mirrored and all(map(_is_pointwise, layers[:place]))
        start, end, cut = _before(layers[place], heights[place], start, end, free)
        cuts.append(cut)
    return start, end, tuple(reversed(cuts))


def halo(layers: Sequence[Layer]) -> int:
    """Rows on either side that a row after ``layers`` of one scale depends on."""
    return sum(layer.reach for layer in layers)


def _is_pointwise(layer: Layer) -> bool:
    return not layer.reach and layer.shrink == layer.grow


def _before(
    layer: Layer, height: int, start: int, end: int, mirrored: bool
) -> tuple[int, int, Cut]:
    """One layer's part of ``strip_cuts``."""
    if layer.grow > 1:
        low, high = start // layer.grow, -(-end // layer.grow)
        rows = layer.grow * (high - low)
        return low, high, Cut(0, 0, *_part(start - layer.grow * low, end - start, rows))
    if isinstance(layer, Bypassed):
        low, high, body = strip_cuts(layer.body, height, start, end, mirrored)
        return low, high, Cut(0, 0, *_part(start - low, end - start, high - low), body)
    if layer.reach:
        pad, stride = layer.reach, layer.shrink
        first, last = start * stride - pad, (end - 1) * stride + pad + 1
        if mirrored:
            return first, last, Cut()
        above, below = max(0, -first), max(0, last - height)
        # A mirror at the border shows rows on this side of it: they are read as well.
        low = max(0, min(first, height - 1 - below)) if below else max(0, first)
        high = min(height, max(last, above + 1))
        part = _part(first - (low - above), last - first, high - low + above + below)
        return low, high, Cut(above, below, *part)
    return layer.shrink * start, layer.shrink * end, Cut()


def _part(first: int, rows: int, of: int) -> tuple[int, int | None]:
    return (0, None) if rows == of else (first, rows)
