"""``fastnst apply``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastnst.cli.console import OneLineParser, StatusLine, add_model, say
from fastnst.errors import (
    EXIT_DONE,
    EXIT_PARTIAL,
    EXIT_USAGE,
    ConfigError,
    FastnstError,
)
from fastnst.shipped import find_model


def parser() -> OneLineParser:
    """The command's arguments."""
    parser = OneLineParser("fastnst apply", description="Stylize pictures with a checkpoint.")
    add_model(parser)
    parser.add_argument(
        "inputs", type=Path, nargs="+", metavar="INPUT",
        help="pictures, or folders of pictures (taken with all that is below them)",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="PATH",
        help="file for a single picture, else a folder; its suffix sets the format, "
        "which is else the input's (default: beside each input, as NAME-STYLE)",
    )  # fmt: skip
    parser.add_argument(
        "--max-size", type=int, metavar="PIXELS", help="shrink to this long side first"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    return parser


def run(argv: Sequence[str]) -> int:
    """Stylize each input; one that fails is told in a line and the rest is done."""
    arguments = parser().parse_args(argv)
    if arguments.max_size is not None and arguments.max_size < 1:
        raise ConfigError(f"--max-size must be at least 1, not {arguments.max_size}")
    from fastnst.stylize import Stylizer, plan_jobs

    stylizer = Stylizer.load(find_model(arguments.model), arguments.device)
    jobs = plan_jobs(arguments.inputs, arguments.output, stylizer.name)
    status = StatusLine()
    done = failed = 0
    for number, job in enumerate(jobs, 1):
        if job.target.exists() and not arguments.overwrite:
            status.end()
            say(f"{job.target}: exists already and is kept; --overwrite replaces it")
            failed += job.named
            continue
        try:
            stylizer.stylize_file(job.source, job.target, arguments.max_size)
        except FastnstError as error:
            status.end()
            say(f"fastnst: error: {' '.join(str(error).split())}")
            failed += 1
            continue
        done += 1
        if len(jobs) == 1 or status.due() or number == len(jobs):
            status.show(f"{number} of {len(jobs)}: {job.target}")
    status.end()
    if not failed:
        return EXIT_DONE
    return EXIT_PARTIAL if done else EXIT_USAGE
