"""Variables of other programs, hidden from libraries that would take them for fastnst's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def hidden(*beginnings: str) -> Iterator[None]:
    """The environment without variables whose names begin so, while the block lasts."""
    found = {name: value for name, value in os.environ.items() if name.startswith(beginnings)}
    for name in found:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(found)
