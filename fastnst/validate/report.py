"""A validation as files: report.json, and report.html with plots and a contact sheet inside it."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from fastnst.checkpoint.contents import Checkpoint, save_checkpoint
from fastnst.checkpoint.description import KEY
from fastnst.errors import ConfigError, ImageWriteError
from fastnst.image import to_picture
from fastnst.image.contact_sheet import Tile, contact_sheet
from fastnst.machine.files import atomic_write, make_writable, reason
from fastnst.validate.measure import SHOWN, STARTS, PhotoResult
from fastnst.validate.summaries import (
    count_text,
    flicker_text,
    looks_text,
    merged,
    quartiles_text,
    rank_text,
)

WIDTH, HEIGHT = 720, 340
LEFT, BOTTOM, TOP, RIGHT = 56, 40, 12, 12
COLORS = {"noise": "#b3402a", "content": "#1f6f9c"}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; }
img, svg { max-width: 100%; height: auto; } figcaption { color: #555; }
"""

Sized = Mapping[int, Sequence[PhotoResult]]


def write_report(
    folder: Path, head: Mapping[str, Any], summaries: Mapping[str, Any], results: Sized
) -> None:
    """Write report.json and report.html into ``folder``, which exists.

    ``head`` describes the run; ``summaries`` has ``summarize``'s figures by size as text.
    Raises ImageWriteError.
    """
    report = {
        **head,
        "validation": summaries,
        "photographs": {str(size): [_plain(r) for r in found] for size, found in results.items()},
    }
    texts = {
        "report.json": json.dumps(report, indent=1),
        "report.html": _page(head, summaries, results),
    }
    for name, text in texts.items():
        try:
            with atomic_write(folder / name) as file:
                file.write((text + "\n").encode(errors="backslashreplace"))
        except OSError as error:
            raise ImageWriteError(f"{folder / name}: can't be written ({reason(error)})") from error


def check_report(folder: Path, overwrite: bool) -> None:
    """Raises ConfigError, before anything is computed, where a report could not be written."""
    if (folder / "report.json").exists() and not overwrite:
        raise ConfigError(f"{folder}: has a report already; --overwrite replaces it")
    try:
        make_writable(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: can't be written to ({reason(error)})") from error


def store_validation(checkpoint: Checkpoint, summaries: Mapping[str, Any]) -> None:
    """Write the summaries into the checkpoint's file, beside those of other sizes it may have.

    Those without iterations leave k as it was. Raises CheckpointError, the old file being kept.
    """
    stored = checkpoint.info.get("validation")
    earlier = stored if isinstance(stored, dict) else {}
    anew = {size: merged(earlier.get(size), summary) for size, summary in summaries.items()}
    info = {**checkpoint.info, "validation": {**earlier, **anew}}
    save_checkpoint({**checkpoint.contents, KEY: info}, checkpoint.path)


def _plain(result: PhotoResult) -> dict[str, Any]:
    return {
        "photo": result.name,
        "network": result.network,
        "unchanged": result.unchanged,
        **_looks(result),
        "k": {start: None if math.isinf(k) else k for start, k in result.k.items()},
        "curves": {start: list(curve.totals) for start, curve in result.curves.items()},
        "seconds_per_iteration": {
            start: curve.seconds_per_iteration for start, curve in result.curves.items()
        },
        "seconds_per_pass": result.forward_seconds,
    }


def _looks(result: PhotoResult) -> dict[str, Any]:
    """What is known of a result's looks, by name."""
    looks = dataclasses.asdict(result.looks)
    return {name: value for name, value in looks.items() if value is not None}


def _page(head: Mapping[str, Any], summaries: Mapping[str, Any], results: Sized) -> str:
    title = f"Validation of {head['model']}"
    facts = "".join(
        f"<tr><th>{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in head.items()
    )
    sections = "".join(
        _section(size, summaries[str(size)], found) for size, found in results.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1><table>{facts}</table>"
        "<p>k is the number of L-BFGS iterations after which optimizing a picture has the "
        "network's loss (Johnson et al. 2016, section 4.1): the larger, the better the network. "
        "Likeness is the distance to the painting over the photograph's own: 0 has the painting's "
        "colours and strokes, 1 is no nearer than the photograph. Kept is how much of the "
        "photograph's edges is left: 1 is all.</p>"
        f"{sections}</html>"
    )


def _section(size: int, summary: Mapping[str, Any], results: Sequence[PhotoResult]) -> str:
    limit = summary.get("limit", 0)
    table = "".join(
        f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>"
        for name, text in {**_rows(summary), **_rows_of_iterations(summary)}.items()
    )
    return (
        f"<h2>{size} x {size} pixels, {summary['photos']} photographs</h2><table>{table}</table>"
        f"{_figure(results, limit) if limit else ''}"
        f'<figure><img alt="contact sheet" src="{_data_url(sheet(results, limit))}"></figure>'
    )


def _rows(summary: Mapping[str, Any]) -> dict[str, str]:
    rows = {"likeness, kept, means": looks_text(summary)}
    if "rank" in summary:
        rows["its own painting is the nearest on"] = rank_text(summary["rank"])
    if "flicker" in summary:
        rows["flicker, levels of 255"] = flicker_text(summary["flicker"])
    return rows | {
        "k from noise": quartiles_text(summary, "k"),
        "k from the photograph": quartiles_text(summary, "k_from_content"),
        "network's loss, median": f"{summary['network_loss']:.4g}",
        "unchanged photograph's loss, median": f"{summary['unchanged_loss']:.4g}",
        "one pass": f"{summary['seconds']['pass'] * 1000:.1f} ms",
        "machine": summary["machine"],
    }


def _rows_of_iterations(summary: Mapping[str, Any]) -> dict[str, str]:
    if "speedup" not in summary:
        return {}
    equal, papers = summary["speedup"]["at_equal_loss"], summary["speedup"]["at_500_iterations"]
    return {
        "one iteration": f"{summary['seconds']['iteration'] * 1000:.0f} ms",
        "speed-up at equal loss": "beyond the limit" if equal is None else f"{equal:.0f} times",
        "speed-up against 500 iterations": f"{papers:.0f} times",
    }


def _figure(results: Sequence[PhotoResult], limit: int) -> str:
    return (
        f"<figure>{plot(results, limit)}<figcaption>Loss against iterations, from "
        f'<span style="color:{COLORS["noise"]}">noise</span> and from the '
        f'<span style="color:{COLORS["content"]}">photograph</span>; dots are where each curve '
        "reaches its network's loss; the dashed line is the networks' median.</figcaption></figure>"
    )


def sheet(results: Sequence[PhotoResult], limit: int) -> Image.Image:
    """Rows of photograph | network | optimization from noise at k | at the limit, the latter two
    where there were iterations.
    """
    rows = []
    for result in results[:SHOWN]:
        told = f"network: {result.network['total']:.3g}, {looks_text(_looks(result))}"
        row = [
            Tile(to_picture(result.content), f"unchanged: {result.unchanged:.3g}"),
            Tile(to_picture(result.stylized), told),
        ]
        rows.append([*row, *_optimized(result, limit)])
    return contact_sheet(rows)


def _optimized(result: PhotoResult, limit: int) -> Iterable[Tile]:
    if not limit:
        return
    curve = result.curves["noise"]
    if curve.reached is None:
        yield Tile(None, f"L-BFGS: {count_text(None, limit)}")
    else:
        yield Tile(to_picture(curve.reached), f"L-BFGS, k = {count_text(result.k['noise'], limit)}")
    assert curve.last is not None
    yield Tile(to_picture(curve.last), f"{len(curve.totals) - 1}: {min(curve.totals):.3g}")


def _data_url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def plot(results: Sequence[PhotoResult], limit: int) -> str:
    """The curves as SVG: iterations across, loss up on a logarithmic scale."""
    totals = [
        total for result in results for curve in result.curves.values() for total in curve.totals
    ]
    networks = sorted(result.network["total"] for result in results)
    low, high = min([*totals, *networks]), max(totals)
    low = max(low, high * 1e-6, 1e-30)

    def x(step: float) -> float:
        return LEFT + step / limit * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        share = math.log(max(value, low) / low) / (math.log(high / low) or 1)
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)

    parts = [*_axes(x, y, low, high, limit)]
    for start in STARTS:
        for result in results:
            points = " ".join(
                f"{x(i):.1f},{y(total):.1f}"
                for i, total in enumerate(result.curves[start].running_minimum())
            )
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{COLORS[start]}" '
                'stroke-opacity="0.45"/>'
            )
            if math.isfinite(result.k[start]):
                place = f'cx="{x(result.k[start]):.1f}" cy="{y(result.network["total"]):.1f}"'
                parts.append(f'<circle {place} r="3" fill="{COLORS[start]}"/>')
    middle = y(networks[len(networks) // 2])
    parts.append(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{middle:.1f}" y2="{middle:.1f}" '
        'stroke="#222" stroke-dasharray="5 4"/>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" font-size="12" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _axes(x: Any, y: Any, low: float, high: float, limit: int) -> Iterable[str]:
    base = HEIGHT - BOTTOM
    yield f'<path d="M{LEFT} {TOP}V{base}H{WIDTH - RIGHT}" fill="none" stroke="#222"/>'
    for i in range(6):
        step = limit * i / 5
        yield f'<text x="{x(step):.0f}" y="{base + 18}" text-anchor="middle">{step:g}</text>'
    for value in _ticks(low, high):
        yield f'<text x="{LEFT - 6}" y="{y(value) + 4:.0f}" text-anchor="end">{value:g}</text>'
        yield (
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            'stroke="#ddd"/>'
        )
    middle = (LEFT + WIDTH) / 2
    yield f'<text x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">iterations</text>'


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between the limits."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first < 4 else (1,)
    ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]
