"""Options of ``fastnst apply`` that are for clips alone, and how far a clip is."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from fastnst.cli.console import StatusLine, as_type, clock, filled_bar
from fastnst.cli.usage import read_share
from fastnst.video.options import CODECS, USUAL_SMOOTH, ClipOptions

if TYPE_CHECKING:
    from fastnst.video.clips import Progress, Watch

# Seconds of a minute by how far from the right they stand in h:mm:ss.
UNITS = (1, 60, 3600)


def add_clip_options(parser: argparse.ArgumentParser) -> None:
    """What is for clips alone."""
    group = parser.add_argument_group("clips")
    group.add_argument(
        "--codec", choices=CODECS, default="auto",
        help="how the result is coded: 'ffv1' loses nothing, into .mkv (default: auto, h264, or "
        "vp9 in .webm)",
    )  # fmt: skip
    group.add_argument(
        "--quality",
        type=int,
        metavar="N",
        help="the encoder's CRF; lower is better (default: 21 of h264, or as good)",
    )
    group.add_argument(
        "--preset",
        metavar="WORD",
        help="the encoder's preset, such as medium (default: veryfast of h264)",
    )
    group.add_argument(
        "--start", type=_seconds, metavar="TIME", help="begin there: 12.5, 1:30 or 1:02:03"
    )
    group.add_argument("--end", type=_seconds, metavar="TIME", help="end there")
    group.add_argument(
        "--frame", type=_seconds, metavar="TIME",
        help="a picture of the clip's frame at that time alone, as PNG or as --output says",
    )  # fmt: skip
    group.add_argument(
        "--smooth", type=as_type(read_share), metavar="0..1",
        help="less flicker: how much of the frame before stays, moved along with what the clip "
        f"shows (default: {USUAL_SMOOTH}; 0: each frame as the picture would be)",
    )  # fmt: skip
    group.add_argument(
        "--paint-every", type=int, default=1, metavar="N",
        help="faster: paint one of N frames, and move strokes to those between, along with what "
        "the clip shows (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--resumable", action="store_true",
        help="keep finished parts beside the result until it is whole: the same command goes on "
        "where a run was ended",
    )  # fmt: skip


def clip_options(arguments: argparse.Namespace) -> ClipOptions:
    """They, checked. Raises ConfigError."""
    strokes = 1.0 if arguments.stroke_size is None else arguments.stroke_size
    return ClipOptions(
        arguments.codec, arguments.quality, arguments.preset, arguments.start, arguments.end,
        arguments.frame, arguments.smooth, strokes, arguments.paint_every, arguments.resumable,
    )  # fmt: skip


def _seconds(text: str) -> float:
    """Seconds of 12.5, 1:30 or 1:02:03.5."""
    parts = text.split(":")
    try:
        numbers = [*map(int, parts[:-1]), float(parts[-1])]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= len(UNITS) or not all(0 <= n < float("inf") for n in numbers):
        raise argparse.ArgumentTypeError(f"'{text}' is no time, such as 12.5 or 1:30")
    return sum(n * unit for n, unit in zip(reversed(numbers), UNITS, strict=False))


def clip_progress(status: StatusLine) -> Watch:
    """A function that shows how far a clip is, now and then: by its time, not by its frames, whose
    number many files don't tell.
    """
    began = [time.monotonic(), 0.0]

    def watch(progress: Progress) -> None:
        now = time.monotonic()
        if progress.frames == 1:
            began[:] = now, progress.seconds
        if not status.due():
            return
        spent = max(now - began[0], 1e-9)
        rate = f"{(progress.frames - 1) / spent:.3g} frames/s"
        if progress.in_all is None:
            status.show(f"{clock(progress.seconds)}  {rate}")
            return
        share = min(1.0, progress.seconds / progress.in_all) if progress.in_all > 0 else 1.0
        pace = (progress.seconds - began[1]) / spent
        left = clock((progress.in_all - progress.seconds) / pace) if pace > 0 else "?"
        far = f"{clock(progress.seconds)} of {clock(progress.in_all)}"
        status.show(f"{filled_bar(share)} {far}  {rate}  {left} left")

    return watch
