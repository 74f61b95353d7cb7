"""How much memory a picture takes, before it is taken, and how to take less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastnst.errors import ConfigError
from fastnst.machine.memory import available_memory
from fastnst.networks.architecture import Layer, Residual, Skip


@dataclass(frozen=True)
class Costs:
    """What an engine takes (scripts/measure_memory): bytes before the first pixel, and bytes of a
    pass for each value of a network's widest layer, over the whole picture in float32 and in
    bfloat16, and in a strip.
    """

    base: int
    whole: float
    rough: float
    strip: float


COSTS = {
    "openvino": Costs(base=140_000_000, whole=10, rough=5.6, strip=9),
    "torch": Costs(base=710_000_000, whole=17, rough=17, strip=40),
}
# Bytes a pixel of a decoded picture and its array, or a result, its array and its file.
PICTURE = 8
# Bytes a pixel of a picture's array alone, and of a value that is kept, by its type.
ARRAY = 3
ITEM = {"float32": 4, "float16": 2}
# Bytes of a strip: enough to keep the processor busy, few enough to be little beside the rest. And
# the fewest rows, whose borders are computed twice more often.
STRIP_BYTES = 300_000_000
FEWEST = 16
# Share of the free memory that a picture may take where the caller doesn't say.
SHARE = 0.6


@dataclass(frozen=True)
class Pass:
    """What is to be done: a pass of the network of ``layers`` over ``width`` x ``height`` pixels by
    an ``engine``, in float32 where it is ``exact``, while other pictures take ``held`` bytes.
    """

    layers: Sequence[Layer]
    width: int
    height: int
    engine: str = "torch"
    exact: bool = True
    held: int = 0


@dataclass(frozen=True)
class Plan:
    """How a picture is stylized: in one go (``rows`` is None), or in strips of ``rows`` rows.

    ``dtype`` and ``spare`` are ``fastnst.strips.network.StripNetwork``'s; ``bytes`` is what it will
    take in all.
    """

    rows: int | None
    dtype: str
    spare: bool
    bytes: int


def plan_picture(work: Pass, limit: int | None = None, tile: str | int = "auto") -> Plan:
    """How to stylize a picture.

    ``limit`` is the most bytes the process may take in all (default: a share of what is free);
    ``tile`` is "auto", "off" or the rows of a strip. Raises ConfigError where even strips take more
    than a limit that was given.
    """
    costs = COSTS[work.engine]
    widest, _, skipped = values_a_pixel(work.layers)
    each = costs.whole if work.exact else costs.rough
    values = each * widest + ITEM["float32"] * skipped
    whole = costs.base + work.held + int((PICTURE + values) * work.width * work.height)
    bound = limit
    if bound is None:
        bound = costs.base + work.held + int(SHARE * available_memory())
    if tile == "off" or (tile == "auto" and whole <= bound):
        return Plan(None, "float32", True, whole)
    choices = [
        plan_strips(work, rows, dtype, spare)
        for dtype, spare in (("float32", True), ("float16", True), ("float16", False))
        for rows in ([tile] if isinstance(tile, int) else _rows(costs.strip * widest * work.width))
    ]
    fitting = [plan for plan in choices if plan.bytes <= bound]
    if not fitting and limit is not None:
        raise ConfigError(
            f"{work.width} x {work.height} pixels take {choices[-1].bytes / 1e9:.2f} GB even in "
            f"strips, more than --max-memory {limit / 1e9:.2f}G"
        )
    return fitting[0] if fitting else choices[-1]


def plan_strips(work: Pass, rows: int, dtype: str = "float16", spare: bool = False) -> Plan:
    """The plan of ``fastnst.strips.network.StripNetwork`` with these arguments."""
    widest, kept, skipped = values_a_pixel(work.layers)
    features = kept * ITEM[dtype]
    # The picture is gone when the spare ones come, unless a skip reads it again.
    most = max(PICTURE, ARRAY + features, features * (2 if spare else 1))
    most += ARRAY if skipped else 0
    costs = COSTS[work.engine]
    strip = costs.strip * widest * rows * work.width
    taken = costs.base + work.held + int(most * work.width * work.height + strip)
    return Plan(rows, dtype, spare, taken)


class Values(NamedTuple):
    """Values for each pixel of the picture: of the widest layer, of a residual block, and of the
    features that a skip hands on.
    """

    widest: float
    kept: float
    skipped: float


def values_a_pixel(layers: Sequence[Layer]) -> Values:
    """What the features of a network amount to."""
    channels, area, widest, kept, skipped = 3, 1.0, 0.0, 0.0, 0.0
    # The bodies of skips in their places.
    queue = list(layers)
    while queue:
        layer = queue.pop(0)
        if isinstance(layer, Skip):
            skipped = channels * area
            queue = [*layer.body, *queue]
            continue
        channels = layer.channels_after(channels)
        area = area * layer.grow**2 / layer.shrink**2
        if isinstance(layer, Residual):
            kept = channels * area
        widest = max(widest, channels * area)
    return Values(widest, kept, skipped)


def _rows(bytes_a_row: float) -> list[int]:
    """Rows of a strip that may be tried, the best first."""
    rows = max(FEWEST, min(1024, int(STRIP_BYTES / bytes_a_row)))
    return [rows, max(FEWEST, rows // 2), max(FEWEST, rows // 4)]
