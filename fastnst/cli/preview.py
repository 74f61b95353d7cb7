"""``fastnst preview``."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fastnst.cli.console import StatusLine, clock, say
from fastnst.cli.options import THE_LOSS, USUAL, parse_options
from fastnst.config import PreviewConfig
from fastnst.errors import EXIT_DONE

DESCRIPTION = (
    "Before training: a contact sheet of what other style weights, style sizes and total variation "
    "weights give, by a short optimization with the very training loss. Each tile is labelled with "
    "the flag that 'fastnst train' takes; the middle column is what the given options mean."
)
GROUPS = {
    USUAL: ("style", "content", "output", "size", "style_weight"),
    "what is varied": ("content_weight", "tv_weight", "style_size", "style_weights"),
    "run": ("steps", "device", "overwrite"),
    **THE_LOSS,
}


def run(argv: Sequence[str]) -> int:
    """Parse, optimize the tiles, and say where the sheet is."""
    config = parse_options("fastnst preview", DESCRIPTION, PreviewConfig, list(argv), GROUPS)
    from fastnst.optimize.preview import preview

    status = StatusLine()
    started = time.monotonic()

    def notify(text: str) -> None:
        status.end()
        say(text)

    def on_step(done: int, everything: int) -> None:
        if status.due() or done == everything:
            left = (time.monotonic() - started) / done * (everything - done)
            status.show(f"{done / everything:4.0%}  {clock(left)} left")

    try:
        preview(config, notify, on_step, status.download)
    finally:
        status.end()
    say(f"contact sheet: {config.output}")
    return EXIT_DONE
