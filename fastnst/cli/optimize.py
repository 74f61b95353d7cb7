"""``fastnst optimize``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastnst.cli.console import StatusLine, clock, say
from fastnst.cli.options import THE_LOSS, USUAL, parse_options
from fastnst.config import OptimizeConfig
from fastnst.machine.signals import EXIT_CODES

if TYPE_CHECKING:
    from fastnst.objective.parts import LossParts
    from fastnst.optimize.run import Standing

DESCRIPTION = (
    "Stylize one picture by optimization (Gatys et al. 2016): minutes instead of milliseconds, the "
    "very loss that 'fastnst train' minimizes. configs/optimize has the recipes of the literature."
)
GROUPS = {
    USUAL: ("style", "content", "output", "size", "style_weight"),
    "picture": (
        "content_weight", "tv_weight", "style_size", "style_weights", "fit", "style_fit", "scales",
        "init", "seed",
    ),
    "optimizer": (
        "steps", "optimizer", "learning_rate", "beta1", "beta2", "epsilon", "device", "precision",
    ),
    "records": ("overwrite", "save_every", "statistics", "log_dir"),
    **THE_LOSS,
}  # fmt: skip


def run(argv: Sequence[str]) -> int:
    """Parse, optimize, and say how it went."""
    config = parse_options("fastnst optimize", DESCRIPTION, OptimizeConfig, list(argv), GROUPS)
    from fastnst.optimize.run import optimize

    status = StatusLine()

    def notify(text: str) -> None:
        status.end()
        say(text)

    def on_step(standing: Standing) -> None:
        if status.due() or standing.step in (0, standing.steps):
            status.show(_standing_text(standing))

    try:
        result = optimize(config, notify, on_step, status.download)
    finally:
        status.end()
    say(
        f"loss {result.first_total:.6g} -> {_losses_text(result.best.parts)} "
        f"in {clock(result.seconds)}"
    )
    if result.received is not None:
        say("ended early; this is the best picture so far")
    say(f"picture: {result.output}")
    return EXIT_CODES[result.received]


def _standing_text(standing: Standing) -> str:
    return (
        f"{standing.step} of {standing.steps}  loss {_losses_text(standing.parts)}  "
        f"{clock(standing.seconds_left)} left"
    )


def _losses_text(parts: LossParts) -> str:
    named = "  ".join(
        f"{name.replace('_', ' ')} {float(part):.4g}" for name, part in parts.named().items()
    )
    return f"{float(parts.total):.5g}  {named}"
