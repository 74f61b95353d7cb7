"""``fastnst apply``."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastnst.checkpoint.shipped import find_model, named_models
from fastnst.cli.clips import add_clip_options, clip_options, clip_progress
from fastnst.cli.console import (
    OneLineParser,
    Options,
    Rows,
    StatusLine,
    add_device,
    add_mix,
    add_model,
    as_type,
    bar,
    say,
)
from fastnst.cli.pipes import is_piped, receive, send
from fastnst.cli.usage import read_share
from fastnst.errors import (
    EXIT_DONE,
    EXIT_PARTIAL,
    EXIT_USAGE,
    ConfigError,
)

if TYPE_CHECKING:
    from fastnst.stylize.file_options import FileOptions
    from fastnst.stylize.job import Job
    from fastnst.stylize.stylizer import Stylizer

EXAMPLE = "fastnst apply wave photo.jpg"
STYLE_FIRST = f"the style comes first, without an option, as in: {EXAMPLE}"
# How a path ends that is a folder's, whether it is there or not.
FOLDER_ENDS = tuple({"/", os.sep})


def parser() -> OneLineParser:
    """The command's arguments."""
    parser = OneLineParser(
        "fastnst apply", description="Stylize pictures and clips with a checkpoint.",
        example=EXAMPLE, instead=dict.fromkeys(("--style", "--model", "--checkpoint"), STYLE_FIRST),
    )  # fmt: skip
    add_model(parser)
    _add_inputs(parser)
    _add_reading(parser.add_argument_group("input"))
    _add_effects(parser.add_argument_group("effects"))
    _add_writing(parser.add_argument_group("output"))
    _add_memory(computing := parser.add_argument_group("speed and memory"))
    add_device(computing)
    add_clip_options(parser)
    return parser


def _add_inputs(group: Options) -> None:
    group.add_argument(
        "inputs", type=Path, nargs="+", metavar="INPUT",
        help="pictures and clips, or folders of them (taken with all that is below them, links "
        "included); @FILE is a text file of paths, '-' a picture on standard input",
    )  # fmt: skip
    group.add_argument(
        "--output", metavar="PATH",
        help="the file to write, whose suffix sets the format. For several inputs a folder; a / at "
        "its end makes it one. '-' is standard output (default: beside each input, as NAME-STYLE)",
    )  # fmt: skip


def _add_reading(group: Options) -> None:
    group.add_argument(
        "--max-size", type=int, metavar="PIXELS", help="shrink to this long side first"
    )
    group.add_argument(
        "--max-pixels", type=_pixels, metavar="N",
        help="refuse larger files, as in 500M (default: 200M; 2000M with the extra 'large')",
    )  # fmt: skip
    group.add_argument(
        "--allow-truncated", action="store_true",
        help="take files that were cut short: where data are missing the picture is grey",
    )  # fmt: skip


def _add_effects(group: Options) -> None:
    group.add_argument(
        "--strength", type=as_type(read_share), default=1.0, metavar="0..1",
        help="how much of the style: 0 leaves the photograph; what is between takes two passes, "
        "and is a blend where the style did not start from the base (default: 1)",
    )  # fmt: skip
    add_mix(group)
    group.add_argument("--keep-colors", action="store_true", help="keep the photograph's colours")
    group.add_argument(
        "--mask", type=Path, metavar="FILE",
        help="a picture, stretched over each input: stylize where it is white, and not where it is "
        "transparent",
    )  # fmt: skip
    group.add_argument(
        "--stroke-size", type=_stroke_size, metavar="auto|FACTOR",
        help="strokes so many times as large as the network's own; auto: strokes grow with "
        "pictures larger than 512 pixels (default: auto; of clips: 1)",
    )  # fmt: skip


def _add_memory(group: Options) -> None:
    group.add_argument(
        "--tile", type=_tile, default="auto", metavar="auto|off|N",
        help="work through large pictures in strips, of N rows: the very same result in a fraction "
        "of the memory (default: auto, where the whole would not fit)",
    )  # fmt: skip
    group.add_argument(
        "--max-memory", metavar="SIZE",
        help="most memory to take in all, such as 1.5G (default: a share of what is free)",
    )  # fmt: skip


def _add_writing(group: Options) -> None:
    group.add_argument(
        "--metadata", choices=("none", "icc", "keep"), default="icc",
        help="what the results take along: 'icc', that their colours are sRGB (default); 'keep', "
        "the EXIF data too, GPS included",
    )  # fmt: skip
    group.add_argument("--overwrite", action="store_true", help="replace existing results")
    group.add_argument(
        "--shard", type=_shard, default=(1, 1), metavar="I/N",
        help="of all inputs take every N-th, from the I-th on: for N machines",
    )  # fmt: skip
    group.add_argument(
        "--json", action="store_true", help="a line of JSON on stdout for each input"
    )


def _shard(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"'{text}' is not I/N with I from 1 to N")
    return int(part), int(parts)


def _pixels(text: str) -> int:
    digits, factor = (text[:-1], 1_000_000) if text[-1:] in ("M", "m") else (text, 1)
    if not digits.isdecimal() or int(digits) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of pixels, such as 500M")
    return int(digits) * factor


def _stroke_size(text: str) -> str | float:
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither auto nor a number") from None


def _tile(text: str) -> str | int:
    if text in ("auto", "off"):
        return text
    if not text.isdigit() or not 16 <= int(text) <= 65536:
        raise argparse.ArgumentTypeError(f"'{text}' is neither auto, off nor rows from 16 on")
    return int(text)


def run(argv: Sequence[str]) -> int:
    """Stylize each input; one that fails is told in a line and the rest is done."""
    arguments = parser().parse_args(argv)
    given = arguments.output
    arguments.into_folder = given is not None and given.endswith(FOLDER_ENDS)
    arguments.output = None if given is None else Path(given)
    arguments.piped = is_piped(arguments)
    if arguments.piped:
        receive(arguments)
    return _stylize(arguments)


def file_options(arguments: argparse.Namespace) -> FileOptions:
    """What becomes of a file. Raises ConfigError, ImageReadError for a mask."""
    if arguments.max_size is not None and arguments.max_size < 1:
        raise ConfigError(f"--max-size must be at least 1, not {arguments.max_size}")
    from fastnst.machine.memory import parse_size
    from fastnst.stylize.effects import Effects
    from fastnst.stylize.file_options import FileOptions

    mask = None
    if arguments.mask is not None:
        from fastnst.stylize.masks import read_mask

        mask, news = read_mask(arguments.mask, arguments.max_pixels, arguments.allow_truncated)
        for line in news:
            say(line)
    strokes: Any = "auto" if arguments.stroke_size is None else arguments.stroke_size
    effects = Effects(arguments.strength, arguments.keep_colors, strokes)
    return FileOptions(
        arguments.max_size,
        arguments.max_pixels,
        effects,
        mask,
        arguments.tile,
        None if arguments.max_memory is None else parse_size(arguments.max_memory),
        arguments.metadata,
        arguments.allow_truncated,
        clip_options(arguments),
    )


def open_stylizer(arguments: argparse.Namespace) -> Stylizer:
    """The checkpoint, or the mixture, that was asked for. Raises CheckpointError or ConfigError."""
    from fastnst.checkpoint.others import refuse_swapped
    from fastnst.stylize.stylizer import Stylizer

    refuse_swapped(arguments.model, arguments.inputs, named_models())
    mix = [(find_model(model), share) for model, share in arguments.style_mix]
    model = find_model(arguments.model)
    stylizer = Stylizer.load(model, arguments.device, arguments.engine, mix, arguments.precision)
    for line in stylizer.news:
        say(line)
    return stylizer


def _jobs(arguments: argparse.Namespace, style_name: str) -> Sequence[Job]:
    """What is to be done, or one machine's share of it."""
    from fastnst.stylize.jobs import Wanted, plan_jobs, stream_job

    wanted = Wanted(
        arguments.output, style_name, arguments.into_folder, arguments.overwrite,
        arguments.frame is not None,
    )  # fmt: skip
    jobs: Sequence[Job]
    if arguments.piped:
        jobs = [stream_job(arguments.inputs[0], wanted)]
    else:
        jobs = plan_jobs(arguments.inputs, wanted, say)
    part, parts = arguments.shard
    return jobs[part - 1 :: parts]


def _stylize(arguments: argparse.Namespace) -> int:
    options = file_options(arguments)
    from fastnst.image import InMemory
    from fastnst.stylize.jobs import run_jobs

    stylizer = open_stylizer(arguments)
    jobs = _jobs(arguments, stylizer.name)
    status, rows, started = StatusLine(), Rows(arguments.json), time.monotonic()
    counts = dict.fromkeys(("done", "kept", "failed"), 0)
    named_kept = 0
    outcomes = run_jobs(stylizer, jobs, options, arguments.overwrite, clip_progress(status))
    for number, outcome in enumerate(outcomes, 1):
        job, state, message = outcome.job, outcome.state, outcome.message
        counts[state] += 1
        named_kept += state == "kept" and job.named
        if message:
            status.end()
            say(f"fastnst: error: {message}" if state == "failed" else message)
        row = {"source": str(job.source), "target": str(job.target), "outcome": state}
        rows.give({**row, "message": message})
        if state == "done" and isinstance(job.target, InMemory):
            send(job.target.content, arguments.stream)
        elif state == "done" and (len(jobs) == 1 or status.due() or number == len(jobs)):
            spent = time.monotonic() - started
            far = "" if len(jobs) == 1 else bar(number, len(jobs), spent)
            status.show(far, str(job.target))
    status.end()
    rows.end()
    # A result that was to be made by its name and lies there already is no success.
    if not counts["failed"] and not named_kept:
        return EXIT_DONE
    return EXIT_PARTIAL if counts["done"] else EXIT_USAGE
