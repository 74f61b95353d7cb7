"""How a line that is worth telling gets to the user: whoever calls hands in what tells it.

What is told of one result travels with it instead, as its ``news``. Nothing below the command line
prints, warns or logs.
"""

from __future__ import annotations

from collections.abc import Callable

Notify = Callable[[str], None]


def silent(line: str) -> None:
    """Tell nobody."""
