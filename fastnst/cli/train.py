"""``fastnst train``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastnst.cli.console import StatusLine, clock, say
from fastnst.cli.options import THE_LOSS, USUAL, parse_options
from fastnst.config import TrainConfig
from fastnst.errors import EXIT_DONE
from fastnst.machine.signals import EXIT_CODES

if TYPE_CHECKING:
    from fastnst.training.run import TrainResult
    from fastnst.training.watch.callbacks import Progress

DESCRIPTION = (
    "Train a transfer network for one style. The result is a checkpoint for 'fastnst apply'; "
    "watch the run with 'tensorboard --logdir runs'."
)
GROUPS = {
    USUAL: ("style", "data", "minutes", "output", "style_weight"),
    "style and balance": (
        "content_weight", "style_size", "style_weights", "tv_weight", "stability_weight",
        "spectrum_weight", "style_ramp",
    ),
    "photographs and time": (
        "steps", "image_size", "batch_size", "no_early_stop", "photo_cache", "workers",
    ),
    "network and optimizer": (
        "network", "init", "optimizer", "learning_rate", "schedule", "gradient_clip", "seed",
    ),
    "device": ("device", "precision", "devices", "nodes", "strategy"),
    "run and logs": (
        "overwrite", "resume", "name", "log_dir", "log_every", "save_every", "validation_photos",
    ),
    **THE_LOSS,
}  # fmt: skip


def run(argv: Sequence[str]) -> int:
    """Parse, train, and say how it went."""
    config = parse_options(
        "fastnst train", DESCRIPTION, TrainConfig, list(argv), GROUPS, _of_resumed
    )
    from fastnst.training.run import train

    status = StatusLine()

    def notify(text: str) -> None:
        status.end()
        say(text)

    def on_progress(progress: Progress) -> None:
        if status.due() or progress.fraction >= 1:
            status.show(_progress_text(progress))

    try:
        result = train(config, notify, on_progress, status.download)
    finally:
        status.end()
    if result.rank:
        return EXIT_CODES[result.received]
    return _tell_end(config, result)


def _of_resumed(parsed: Namespace) -> dict[str, Any]:
    """The options of the run that is to be gone on with; none where it's a new one."""
    if parsed.resume is None:
        return {}
    from fastnst.training.record.resume import file_of, options_of

    style = parsed.style and TrainConfig(style=tuple(parsed.style), data="-").run_name
    runs = Path(parsed.log_dir) / (parsed.name or style or "")
    found = file_of(Path(parsed.resume), runs)
    if found is None:
        return {}
    options = options_of(found)
    # Of two ways to say how long, the one that is given now.
    for given, other in (("steps", "minutes"), ("minutes", "steps")):
        if getattr(parsed, given) is not None:
            options.pop(other, None)
    return options


def _progress_text(progress: Progress) -> str:
    losses = progress.losses
    parts = "  ".join(
        f"{label} {float(losses[name]):.3f}"
        for label, name in (("loss", "total"), ("content", "content"), ("style", "style"))
    )
    return (
        f"{progress.fraction:4.0%}  step {progress.step}  {parts}  "
        f"{progress.images_per_second:.1f} images/s  {clock(progress.seconds_left)} left"
    )


def _tell_end(config: TrainConfig, result: TrainResult) -> int:
    trained = f"{result.steps} steps in {clock(result.seconds)}"
    from fastnst.validate.summaries import looks_text

    if result.received is not None:
        say(f"ended early after {trained}; go on with --resume {result.checkpoint}")
        return EXIT_CODES[result.received]
    losses = "  ".join(f"{name} {value:.4f}" for name, value in result.losses.items())
    looks = f"; {looks_text(result.likeness)}" if result.likeness else ""
    say(f"{trained}; on photographs held out: {losses}{looks}")
    if result.kept_step != result.steps:
        say(f"kept the weights of step {result.kept_step}, the best on these photographs")
    say(f"logs: {result.run_folder} (tensorboard --logdir {result.run_folder.parent.parent})")
    if result.checkpoint != config.output_path:
        say(f"{config.output_path}: written by another run meanwhile, and kept (no --overwrite)")
    say(f"checkpoint: {result.checkpoint}")
    return EXIT_DONE
