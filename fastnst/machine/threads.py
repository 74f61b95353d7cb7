"""How many threads compute, as PyTorch understands it."""

from __future__ import annotations

import os


def asked_threads() -> int:
    """OMP_NUM_THREADS, or 0 where it says nothing and it is for each library to choose."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() else 0


def threads() -> int:
    """As many as were asked for, or one for each processor that this process may use."""
    if asked_threads():
        return asked_threads()
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
