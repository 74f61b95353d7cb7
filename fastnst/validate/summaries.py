"""The figures of a validation as plain data and as text."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from fastnst.machine.device import describe_machine
from fastnst.optimize.curves import quantile
from fastnst.validate.measure import STARTS, PhotoResult
from fastnst.validate.paintings import Looks

# Johnson et al. compare with this many iterations.
PAPERS_ITERATIONS = 500
NOT_MEASURED = "not measured"
# What a validation without iterations measures anew; the rest a checkpoint keeps from before.
WITHOUT_ITERATIONS = (
    "photos", "network_loss", "unchanged_loss", "likeness", "kept", "rank", "flicker",
)  # fmt: skip


def summarize(results: Sequence[PhotoResult], limit: int, device: torch.device) -> dict[str, Any]:
    """The figures of one size as plain data; what was not measured is absent.

    What exceeds the limit is None, and counted. ``k`` is from noise, the paper's protocol;
    ``k_from_content`` from the photograph. Speed-ups are against k iterations (equal loss) and
    against the paper's 500. ``likeness`` and ``kept`` are means.
    """
    forward = statistics.median(result.forward_seconds for result in results)
    summary = {
        "photos": len(results),
        "network_loss": _median(result.network["total"] for result in results),
        "unchanged_loss": _median(result.unchanged for result in results),
        **summarize_looks([result.looks for result in results]),
        "seconds": {"pass": forward},
        "machine": describe_machine(device),
    }
    return _with_iterations(summary, results, limit, forward) if limit else summary


def _with_iterations(
    summary: dict[str, Any], results: Sequence[PhotoResult], limit: int, forward: float
) -> dict[str, Any]:
    """The summary with what optimization has to do with it."""
    iteration = statistics.median(
        curve.seconds_per_iteration for result in results for curve in result.curves.values()
    )
    counts = {start: [result.k[start] for result in results] for start in STARTS}
    median = quantile(counts["noise"], 0.5)
    return {
        **summary,
        "limit": limit,
        "k": _quartiles(counts["noise"]),
        "k_from_content": _quartiles(counts["content"]),
        "seconds": {
            "pass": forward,
            "iteration": iteration,
            "k_iterations": _finite(median * iteration),
            "500_iterations": PAPERS_ITERATIONS * iteration,
        },
        "speedup": {
            "at_equal_loss": _finite(median * iteration / forward),
            "at_500_iterations": PAPERS_ITERATIONS * iteration / forward,
        },
    }


def summarize_looks(looks: Sequence[Looks]) -> dict[str, Any]:
    """Means of ``likeness`` and ``kept``; of ``rank`` how many are first, of how many, and which
    paintings are nearest on the others, with their counts. What is not known is absent.
    """
    found: dict[str, Any] = {"kept": _mean(one.kept for one in looks)}
    likeness = [one.likeness for one in looks if one.likeness is not None]
    ranks = [one.rank for one in looks if one.rank is not None]
    if likeness:
        found["likeness"] = _mean(likeness)
    if ranks:
        instead = Counter(str(one.nearest) for one in looks if one.rank not in (None, 1))
        found["rank"] = {
            "first": ranks.count(1), "of": len(ranks), "instead": dict(instead.most_common()),
        }  # fmt: skip
    return found


def merged(earlier: Any, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint that has ``earlier`` for a size is to have after ``summary``.

    That is the new one; but where it has no iterations, those of the earlier one stay.
    """
    if "k" in summary or not isinstance(earlier, dict) or not isinstance(earlier.get("k"), dict):
        return dict(summary)
    kept = {name: value for name, value in earlier.items() if name not in WITHOUT_ITERATIONS}
    anew = {name: summary[name] for name in WITHOUT_ITERATIONS if name in summary}
    # Measured on other photographs, and maybe on fewer.
    return {**kept, **anew, "k": {"photos": earlier.get("photos"), **earlier["k"]}}


def _median(values: Iterable[float]) -> float:
    return float(statistics.median(values))


def _mean(values: Iterable[float]) -> float:
    return round(statistics.fmean(values), 6)


def _quartiles(counts: Sequence[float]) -> dict[str, Any]:
    return {
        "median": _finite(quantile(counts, 0.5)),
        "q1": _finite(quantile(counts, 0.25)),
        "q3": _finite(quantile(counts, 0.75)),
        "beyond_limit": sum(math.isinf(count) for count in counts),
        "photos": len(counts),
    }


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def count_text(value: float | None, limit: int) -> str:
    """An iteration count, or "more than LIMIT"."""
    return f"more than {limit}" if value is None else f"{value:.1f}"


def quartiles_text(summary: Mapping[str, Any], name: str) -> str:
    """As in 36.1 (quartiles 30.2 to 41.0), of the ``k`` or ``k_from_content`` of a summary."""
    counts = summary.get(name)
    if counts is None:
        return NOT_MEASURED
    median, low, high = (
        count_text(counts[part], summary["limit"]) for part in ("median", "q1", "q3")
    )
    return f"{median} (quartiles {low} to {high})"


def looks_text(found: Mapping[str, Any]) -> str:
    """As in likeness 0.24, kept 0.80; of a summary or of one photograph's figures."""
    return ", ".join(
        f"{name} {float(found[name]):.2f}" for name in ("likeness", "kept") if name in found
    )


def flicker_text(levels: Mapping[str, Any]) -> str:
    """As in pan 1 11.7, noise 1.9; of a summary's ``flicker``."""
    return ", ".join(f"{case}: {float(level):.1f}" for case, level in levels.items())


def rank_text(rank: Mapping[str, Any]) -> str:
    """As in 11 of 12, else udnie; of a summary's ``rank``."""
    instead = ", ".join(rank["instead"])
    return f"{rank['first']} of {rank['of']}" + (f", else {instead}" if instead else "")
