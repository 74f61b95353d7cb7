"""``fastnst info``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastnst.checkpoint.description import ancestors
from fastnst.checkpoint.shipped import find_model
from fastnst.cli.console import OneLineParser, add_model, clock, give, printable
from fastnst.errors import EXIT_DONE, CheckpointError


def run(argv: Sequence[str]) -> int:
    """Print what a checkpoint knows about itself."""
    parser = OneLineParser(
        "fastnst info", description="Print the details of a checkpoint.",
        example="fastnst info wave",
    )  # fmt: skip
    add_model(parser)
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")
    arguments = parser.parse_args(argv)
    from fastnst.checkpoint.contents import load_checkpoint

    model = find_model(arguments.model)
    checkpoint = load_checkpoint(model)
    network = checkpoint.network()
    info = {
        "file": str(model),
        "bytes": model.stat().st_size,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        **checkpoint.info,
    }
    try:
        told = json.dumps(info, indent=2) if arguments.json else "\n".join(_lines(info))
    # What is not needed to rebuild the network is not checked before.
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
        raise CheckpointError(f"{model}: damaged description ({error})") from error
    give(told)
    return EXIT_DONE


def _lines(info: Mapping[str, Any]) -> list[str]:
    training = info["training"]
    styles = ", ".join(
        f"{style['name']} ({style.get('width')} x {style.get('height')}, "
        f"sha256 {str(style.get('sha256'))[:12]})"
        for style in info["style"]
    )
    rows = {
        "file": f"{info['file']} ({info['bytes'] / 1e6:.2f} MB)",
        "style": styles,
        "network": f"{info['network']['kind']} ({info['parameters']:,} parameters)",
        "training": f"{training.get('steps')} steps, {training.get('images')} images, "
        f"{clock(float(training.get('seconds', 0)))}, {training.get('precision')}",
        "started from": ", then ".join(ancestors(info)) or "fresh weights",
        "loss": _pairs(info["loss"]),
        "backbone": f"{info['backbone'].get('name')} ({info['backbone'].get('origin')})",
        "data": f"{info['data'].get('photos')} photographs, "
        f"sha256 {str(info['data'].get('sha256'))[:12]}",
        "options": _pairs(training.get("options") or {}),
        "held-out losses": _pairs(info["losses"]),
        **_likeness(info.get("likeness")),
        **_validation(info.get("validation")),
        "made with": _pairs(info["versions"]),
    }
    return [printable(f"{name:<16}{text}") for name, text in rows.items()]


def _likeness(measured: Any) -> dict[str, str]:
    """A row of what training measured at its end."""
    if not isinstance(measured, dict):
        return {}
    from fastnst.validate.summaries import looks_text

    photos = measured.get("photos")
    return {"looks": f"{looks_text(measured)} on {photos} held-out photographs"}


def _validation(validation: Any) -> dict[str, str]:
    """Rows for each size that fastnst validate --store has measured."""
    if not isinstance(validation, dict):
        return {}
    rows: dict[str, str] = {}
    for size, summary in validation.items():
        if not isinstance(summary, dict):
            continue
        rows |= _looks(size, summary) | _flicker(summary)
        counts = summary.get("k")
        if isinstance(counts, dict):
            low, median, high = (
                f"{float(counts[name]):.1f}"
                if isinstance(counts.get(name), (int, float))
                else f"more than {summary.get('limit')}"
                for name in ("q1", "median", "q3")
            )
            rows[f"worth at {size}"] = (
                f"{median} iterations of L-BFGS from noise (quartiles {low} to {high}) on "
                f"{counts.get('photos', summary.get('photos'))} photographs"
            )
    return rows


def _looks(size: str, summary: Mapping[str, Any]) -> dict[str, str]:
    """A row of likeness, kept and rank, where they were measured."""
    if "kept" not in summary:
        return {}
    from fastnst.validate.summaries import looks_text, rank_text

    text = f"{looks_text(summary)} on {summary.get('photos')} photographs"
    if "rank" in summary:
        text += f"; its own painting is the nearest on {rank_text(summary['rank'])}"
    return {f"looks at {size}": text}


def _flicker(summary: Mapping[str, Any]) -> dict[str, str]:
    """A row of flicker, where it was measured."""
    levels = summary.get("flicker")
    if not isinstance(levels, dict) or not levels:
        return {}
    from fastnst.validate.summaries import flicker_text

    return {"flicker": f"{flicker_text(levels)} (levels of 255)"}


def _pairs(entries: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {'+'.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in entries.items()
        if value is not None and value != []
    )
