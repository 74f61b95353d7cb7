"""``fastnst validate``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastnst.checkpoint.shipped import find_model
from fastnst.cli.console import OneLineParser, StatusLine, add_model, clock, say
from fastnst.errors import ConfigError
from fastnst.machine.signals import EXIT_CODES, EndRequest

if TYPE_CHECKING:
    import torch

    from fastnst.checkpoint.contents import Checkpoint
    from fastnst.validate.measure import Photos, Subject

# Below this the deepest default layer sees too few positions to have statistics.
SMALLEST = 32


def parser() -> OneLineParser:
    """The command's arguments."""
    parser = OneLineParser(
        "fastnst validate",
        description="Measure how good a style is on photographs that training never saw: how much "
        "the results look like the painting, how much of the photographs is left in them, and how "
        "many iterations of L-BFGS reach its loss (Johnson et al. 2016, section 4.1).",
        example="fastnst validate wave --data photos/",
    )
    add_model(parser)
    parser.add_argument(
        "--data", required=True, metavar="PATH",
        help="photographs: a folder, a text file of paths, or a glob in quotes; of the folder that "
        "the network was trained on, those are taken that training held out",
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=20, help="photographs (default: 20)")
    parser.add_argument(
        "--sizes", type=_sizes, default=(256,), metavar="SIZE[,SIZE...]",
        help="sides of the square pictures in pixels (default: 256)",
    )  # fmt: skip
    parser.add_argument(
        "--iterations", type=int, default=100, metavar="N",
        help="limit of the optimization (default: 100); 0 does without: likeness, kept and rank "
        "alone, in a second a photograph",
    )  # fmt: skip
    parser.add_argument(
        "--whole", type=int, nargs="?", const=sys.maxsize, default=1, metavar="N",
        help="run the curves of N photographs, or of all, to the limit (default: 1); the others "
        "end where they reach the network: the same k in a fraction of the time",
    )  # fmt: skip
    parser.add_argument(
        "--paintings", type=Path, metavar="FOLDER",
        help="pictures of paintings, beside those of the shipped styles, to say which of all is "
        "the nearest to each result",
    )  # fmt: skip
    _add_report(parser)
    return parser


def _add_report(parser: OneLineParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path("report"), metavar="FOLDER",
        help="folder for report.json and report.html (default: report)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an existing report")
    parser.add_argument(
        "--store", action="store_true",
        help="write the summary into the checkpoint, where 'fastnst info' shows it",
    )  # fmt: skip
    parser.add_argument(
        "--backbone-weights", type=Path, metavar="FILE",
        help="weights of the backbone it was trained with, where they are neither cached nor to be "
        "fetched",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of sizes such as 256,512") from None
    if not all(SMALLEST <= size <= 4096 for size in sizes):
        raise argparse.ArgumentTypeError(f"sizes are from {SMALLEST} to 4096 pixels, not {text}")
    return sizes


def run(argv: Sequence[str]) -> int:
    """Validate, write the report, and say the essence."""
    arguments = parser().parse_args(argv)
    for name, least in (("count", 1), ("iterations", 0), ("seed", 0)):
        if getattr(arguments, name) < least:
            raise ConfigError(f"--{name} must be at least {least}, not {getattr(arguments, name)}")
    from fastnst.checkpoint.contents import load_checkpoint
    from fastnst.machine.device import choose_device
    from fastnst.validate.flicker import measure_flicker
    from fastnst.validate.measure import choose_photos
    from fastnst.validate.report import check_report, store_validation, write_report
    from fastnst.validate.summaries import summarize

    check_report(arguments.output, arguments.overwrite)
    checkpoint = load_checkpoint(find_model(arguments.model))
    photos = choose_photos(arguments.data, arguments.count, checkpoint)
    device = choose_device(arguments.device)
    status = StatusLine()
    subject = _load(arguments, checkpoint, device, status)
    say(f"{len(photos.files)} photographs, {photos.choice}; {subject.loss.backbone.name} backbone")
    with EndRequest() as request:
        results = _measure(arguments, subject, photos, status, request)
    if not results:
        return EXIT_CODES[request.received]
    summaries = {
        str(size): summarize(found, arguments.iterations, device) for size, found in results.items()
    }
    flicker = measure_flicker(checkpoint, photos.files)
    for summary in summaries.values():
        summary["flicker"] = flicker
    write_report(arguments.output, _head(checkpoint, subject, photos), summaries, results)
    _tell(summaries)
    if arguments.store:
        store_validation(checkpoint, summaries)
        say(f"stored in {checkpoint.path}")
    say(f"report: {arguments.output / 'report.html'}")
    return EXIT_CODES[request.received]


def _head(checkpoint: Checkpoint, subject: Subject, photos: Photos) -> dict[str, str]:
    """What the report is of."""
    head = {
        "model": str(checkpoint.path),
        "style": checkpoint.style_name,
        "network": checkpoint.info["network"]["kind"],
        "backbone": subject.loss.backbone.name,
        "photographs are": photos.choice,
        "optimizer": "projected L-BFGS",
    }
    if subject.known.others:
        head["ranked among"] = ", ".join([subject.known.name, *subject.known.others])
    return head


def _load(
    arguments: argparse.Namespace, checkpoint: Checkpoint, device: torch.device, status: StatusLine
) -> Subject:
    """The subject, with the paintings that are known."""
    from fastnst.validate.measure import load_subject
    from fastnst.validate.paintings import known_paintings

    def on_picture(done: int, count: int) -> None:
        if done and status.due():
            status.show(f"paintings: {done} of {count}")

    def notify(text: str) -> None:
        status.end()
        say(text)

    subject = load_subject(checkpoint, arguments.backbone_weights, device, status.download)
    known = known_paintings(checkpoint, arguments.paintings, notify, on_picture)
    if known.own is None:
        notify(
            f"what its painting looks like is not known ({checkpoint.path} was made before that "
            f"was stored): --paintings FOLDER with {known.name}.jpg measures likeness"
        )
    status.end()
    return dataclasses.replace(subject, known=known)


def _measure(
    arguments: argparse.Namespace,
    subject: Subject,
    photos: Photos,
    status: StatusLine,
    request: EndRequest,
) -> dict[int, Any]:
    from fastnst.validate.measure import Setting, measure_photos

    results: dict[int, Any] = {}
    for size in arguments.sizes:
        setting = Setting(size, arguments.seed, arguments.iterations, arguments.whole)
        watcher = _watcher(size, len(photos.files), status, request)
        results[size] = measure_photos(subject, photos, setting, watcher, say)
        status.end()
        if request.received is not None:
            say("ended early; the report has the photographs measured so far, if any")
            break
    return {size: found for size, found in results.items() if found}


def _watcher(
    size: int, count: int, status: StatusLine, request: EndRequest
) -> Callable[[int, str, int], bool]:
    started = time.monotonic()

    def on_iteration(number: int, start: str, step: int) -> bool:
        if status.due():
            spent = time.monotonic() - started
            left = f"  {clock(spent / number * (count - number))} left" if number else ""
            place = f", from {start}: iteration {step}" if start else ""
            status.show(f"{size} pixels, photograph {number + 1} of {count}{place}{left}")
        return request.received is not None

    return on_iteration


def _tell(summaries: dict[str, Any]) -> None:
    from fastnst.validate.summaries import flicker_text, looks_text, quartiles_text, rank_text

    levels = next(iter(summaries.values()))["flicker"]
    if levels:
        say(f"flicker in levels of 255: {flicker_text(levels)}")
    for size, summary in summaries.items():
        say(f"at {size}: {looks_text(summary)} (means of {summary['photos']} photographs)")
        if "rank" in summary:
            say(f"at {size}: its own painting is the nearest on {rank_text(summary['rank'])}")
        if "k" in summary:
            say(
                f"at {size}: equals {quartiles_text(summary, 'k')} iterations from noise, "
                f"{quartiles_text(summary, 'k_from_content')} from the photograph"
            )
        say(
            f"at {size}: loss {summary['network_loss']:.4g} (unchanged "
            f"{summary['unchanged_loss']:.4g}); a pass takes {summary['seconds']['pass']:.3g} s"
            f"{_speed(summary)}"
        )


def _speed(summary: dict[str, Any]) -> str:
    if "speedup" not in summary:
        return ""
    equal, papers = summary["speedup"]["at_equal_loss"], summary["speedup"]["at_500_iterations"]
    return (
        f", an iteration {summary['seconds']['iteration']:.3g} s: "
        + ("" if equal is None else f"{equal:.0f} times as fast at equal loss, ")
        + f"{papers:.0f} times as fast as 500 iterations"
    )
