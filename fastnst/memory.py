"""How much memory there is, and how much a picture takes, before it is taken."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from fastnst.errors import ConfigError

# What Python, PyTorch and a checkpoint take before the first pixel, in bytes.
BASE = 620_000_000
# Bytes a pixel: of a decoded picture and its array, and of a network's pass over the whole picture
# at its widest (scripts/measure_memory).
PICTURE = 8
WHOLE = {"fast": 190, "johnson": 1100}
# Values a pixel that are kept between the passes of fastnst.strips, and bytes a pixel of a strip.
# Bytes a value that is kept, by its type.
ITEM = {"float32": 4, "float16": 2}
KEPT = {"fast": 3, "johnson": 8}
STRIP = {"fast": 250, "johnson": 1200}
# Bytes of a strip: enough to keep the processor busy, few enough to be little beside the rest.
STRIP_BYTES = 300_000_000
# Share of the free memory that a picture may take where the caller doesn't say.
SHARE = 0.6


@dataclass(frozen=True)
class Plan:
    """How a picture is stylized: in one go (``rows`` is None), or in strips of ``rows`` rows.

    ``dtype`` and ``spare`` are ``fastnst.strips.StripNetwork``'s; ``bytes`` is what it will take in
    all.
    """

    rows: int | None
    dtype: str
    spare: bool
    bytes: int


def parse_size(text: str) -> int:
    """Bytes of a size such as 1G, 1.5G, 800M or 2000000000. Raises ConfigError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", text.strip().lower())
    if match is None:
        raise ConfigError(f"'{text}' is no size in bytes, such as 800M or 1.5G")
    return int(float(match[1]) * 1000 ** " kmgt".index(match[2] or " "))


def available_memory() -> int:
    """Bytes that can be had without swapping: the system's, or the container's if less."""
    found = [4_000_000_000]
    try:
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        found = [int(fields["MemAvailable"].split()[0]) * 1024]
    except (OSError, KeyError, ValueError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2]
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        found.append(max(0, limit - used))
    except (OSError, ValueError):
        pass  # No such limit ("max" is no number).
    return min(found)


def plan_picture(
    kind: str, width: int, height: int, limit: int | None = None, tile: str | int = "auto"
) -> Plan:
    """How to stylize a picture of ``width`` x ``height`` with a network of ``kind``.

    ``limit`` is the most bytes the process may take in all (default: a share of what is free);
    ``tile`` is "auto", "off" or the rows of a strip. Raises ConfigError where even strips take more
    than a limit that was given.
    """
    pixels = width * height
    whole = BASE + (PICTURE + WHOLE[kind]) * pixels
    in_one = Plan(None, "float32", True, whole)
    bound = limit if limit is not None else BASE + int(SHARE * available_memory())
    if tile == "off" or (tile == "auto" and whole <= bound):
        return in_one
    rows = tile if isinstance(tile, int) else _strip_rows(kind, width)
    choices = [
        Plan(rows, dtype, spare, _strips_bytes(kind, width, pixels, rows, dtype, spare))
        for dtype, spare in (
            ("float32", True), ("float16", True), ("float16", False),
        )
    ]  # fmt: skip
    fitting = [plan for plan in choices if plan.bytes <= bound]
    if not fitting and limit is not None:
        raise ConfigError(
            f"{width} x {height} pixels take {choices[-1].bytes / 1e9:.2f} GB even in strips, more "
            f"than --max-memory {limit / 1e9:.2f}G"
        )
    return fitting[0] if fitting else choices[-1]


def _strip_rows(kind: str, width: int) -> int:
    return max(16, min(1024, STRIP_BYTES // (STRIP[kind] * width)))


def _strips_bytes(kind: str, width: int, pixels: int, rows: int, dtype: str, spare: bool) -> int:
    kept = KEPT[kind] * ITEM[dtype] * (2 if spare else 1) * pixels
    return BASE + PICTURE * pixels + kept + STRIP[kind] * rows * width


def is_out_of_memory(error: Exception) -> bool:
    """Whether PyTorch, OpenVINO or Python failed for want of memory."""
    if isinstance(error, MemoryError):
        return True
    told = str(error)
    return isinstance(error, RuntimeError) and ("allocate" in told or "out of memory" in told)
