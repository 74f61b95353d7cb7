"""How much memory there is, and whether it was too little."""

from __future__ import annotations

import os
import re
from pathlib import Path

from fastnst.errors import ConfigError
from fastnst.machine.control_groups import free_memory


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
    limited = free_memory()
    return min(found) if limited is None else min(*found, limited)


def is_out_of_memory(error: Exception) -> bool:
    """Whether PyTorch, OpenVINO or Python failed for want of memory."""
    if isinstance(error, MemoryError):
        return True
    told = str(error)
    return isinstance(error, RuntimeError) and any(
        words in told for words in ("allocate", "out of memory", "bad_alloc")
    )
