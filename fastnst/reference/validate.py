"""What a checkpoint is worth: the iterations of optimization that reach the network's loss.

Johnson et al. (2016), section 4.1, report that their network equals 50 to 100 iterations of L-BFGS
on held-out images; this is that measurement, for any checkpoint.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastnst.checkpoint import Checkpoint
from fastnst.crops import center_crop
from fastnst.device import describe_machine
from fastnst.errors import CheckpointError, DataError, ImageReadError
from fastnst.image import read_picture
from fastnst.networks import TransferNetwork
from fastnst.perceptual.losses import PerceptualLoss
from fastnst.perceptual.weights import Progress as DownloadProgress
from fastnst.perceptual.weights import load_backbone
from fastnst.photos import find_photos, fingerprint, hold_out, pick_evenly
from fastnst.reference.curves import Curve, descend, iterations_to, noise_like, quantile

STARTS = ("noise", "content")
# Photographs in the contact sheet.
SHOWN = 4
# Johnson et al. compare with this many iterations.
PAPERS_ITERATIONS = 500
FORWARD_RUNS = 5


@dataclass(frozen=True)
class Subject:
    """What is validated: a checkpoint's network against the loss it was trained with."""

    network: TransferNetwork
    loss: PerceptualLoss
    device: torch.device


@dataclass(frozen=True)
class PhotoResult:
    """One photograph: pictures (1, 3, S, S), 0..1; losses; curves and k by the start's name."""

    name: str
    content: Tensor
    stylized: Tensor
    network: dict[str, float]
    unchanged: float
    forward_seconds: float
    curves: dict[str, Curve]
    k: dict[str, float]


@dataclass(frozen=True)
class Photos:
    """The photographs to measure with, and in words whether training has seen them."""

    files: list[Path]
    choice: str


def load_subject(
    checkpoint: Checkpoint,
    weights_file: Path | None,
    device: torch.device,
    on_download: DownloadProgress | None = None,
) -> Subject:
    """The network and its loss, in float32.

    Raises CheckpointError where the checkpoint can't be validated, BackboneError where its
    backbone's weights can't be had.
    """
    config, targets = checkpoint.loss_config(), checkpoint.style_targets()
    described = checkpoint.info["backbone"]
    backbone = load_backbone(str(described.get("name")), weights_file, on_download)
    if backbone.origin != described.get("origin"):
        raise CheckpointError(
            f"{checkpoint.path}: was trained with other weights of {backbone.name} "
            f"({described.get('origin')}) than these ({backbone.origin}); "
            "give the right ones with --backbone-weights FILE"
        )
    loss = PerceptualLoss(backbone, targets, config).to(device)
    return Subject(checkpoint.network().to(device), loss, device)


def choose_photos(data: str, count: int, checkpoint: Checkpoint) -> Photos:
    """``count`` photographs of ``data`` that training never saw, as far as one can tell.

    Where ``data`` is the very collection that the network was trained on (by the photographs' names
    and sizes), those that training held out; else any, evenly picked. Raises DataError.
    """
    files = find_photos(data)
    if fingerprint(files) != checkpoint.info["data"].get("sha256"):
        return Photos(pick_evenly(files, count), "another collection than the trained one")
    for_training, held_out = hold_out(files)
    if len(for_training) == len(files):
        return Photos(
            pick_evenly(files, count), "trained on, since so small a collection holds none out"
        )
    return Photos(pick_evenly(held_out, count), "held out of training")


def measure_photo(
    subject: Subject,
    path: Path,
    size: int,
    seed: int,
    limit: int,
    whole: bool,
    on_iteration: Callable[[str, int], bool],
) -> PhotoResult:
    """Everything about one photograph's middle square of side ``size``.

    Unless ``whole``, curves end where they have reached the network. Raises ImageReadError.
    """
    crop = center_crop(read_picture(path, shrink_to=size), size).unsqueeze(0).float() / 255
    content = crop.to(subject.device).contiguous(memory_format=torch.channels_last)
    stylized, seconds = _timed_pass(subject.network, content)
    with torch.no_grad():
        features = subject.loss.content_features(content)
        parts = subject.loss(stylized, features)
        unchanged = float(subject.loss(content, features).total)
    total = float(parts.total)
    if not math.isfinite(total):
        raise CheckpointError(f"the network's loss on {path} is not a finite number")
    starts = {"noise": noise_like(content, seed), "content": content}
    curves = {
        name: descend(
            subject.loss, content, start, limit, total, whole,
            functools.partial(on_iteration, name),
        )
        for name, start in starts.items()
    }  # fmt: skip
    return PhotoResult(
        path.name, content, stylized,
        {"total": total, **{name: float(part) for name, part in parts.named().items()}},
        unchanged, seconds, curves,
        {name: iterations_to(curve.totals, total) for name, curve in curves.items()},
    )  # fmt: skip


@torch.inference_mode()
def _timed_pass(network: TransferNetwork, content: Tensor) -> tuple[Tensor, float]:
    """The stylized picture, and the median seconds of a pass after a first one."""
    times = []
    for _ in range(FORWARD_RUNS + 1):
        started = time.perf_counter()
        stylized = network(content)
        if content.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return stylized.clone(), statistics.median(times[1:])


def measure_photos(
    subject: Subject,
    photos: Photos,
    size: int,
    seed: int,
    limit: int,
    whole: int,
    on_iteration: Callable[[int, str, int], bool],
    notify: Callable[[str], None],
) -> list[PhotoResult]:
    """``measure_photo`` for each; unreadable ones are told and left out.

    The first ``whole`` have curves to the limit, the others as far as the network's loss.
    ``on_iteration(number, start, step)`` returns whether to end at once; then the photograph under
    way is dropped, and there may be none. Raises DataError where none is readable.
    """
    results: list[PhotoResult] = []
    for number, path in enumerate(photos.files):
        ended = False

        def watch(start: str, step: int, number: int = number) -> bool:
            nonlocal ended
            ended = ended or on_iteration(number, start, step)
            return ended

        to_the_end = len(results) < whole
        try:
            result = measure_photo(subject, path, size, seed + number, limit, to_the_end, watch)
        except ImageReadError as error:
            notify(f"{error}; left out")
            continue
        if ended:
            return results
        results.append(result)
    if not results:
        raise DataError("none of the photographs to measure with can be read")
    return results


def summarize(results: Sequence[PhotoResult], limit: int, device: torch.device) -> dict[str, Any]:
    """The figures of one size as plain data; what exceeds the limit is None, and counted.

    ``k`` is from noise, the paper's protocol; ``k_from_content`` from the photograph. Speed-ups are
    against k iterations (equal loss) and against the paper's 500.
    """
    forward = statistics.median(result.forward_seconds for result in results)
    iteration = statistics.median(
        curve.seconds_per_iteration for result in results for curve in result.curves.values()
    )
    counts = {start: [result.k[start] for result in results] for start in STARTS}
    median = quantile(counts["noise"], 0.5)
    return {
        "photos": len(results),
        "limit": limit,
        "network_loss": _median(result.network["total"] for result in results),
        "unchanged_loss": _median(result.unchanged for result in results),
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
        "machine": describe_machine(device),
    }


def _median(values: Any) -> float:
    return float(statistics.median(values))


def _quartiles(counts: Sequence[float]) -> dict[str, Any]:
    return {
        "median": _finite(quantile(counts, 0.5)),
        "q1": _finite(quantile(counts, 0.25)),
        "q3": _finite(quantile(counts, 0.75)),
        "beyond_limit": sum(math.isinf(count) for count in counts),
    }


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def count_text(value: float | None, limit: int) -> str:
    """An iteration count, or "more than LIMIT"."""
    return f"more than {limit}" if value is None else f"{value:.1f}"


def quartiles_text(counts: dict[str, Any], limit: int) -> str:
    """As in 36.1 (quartiles 30.2 to 41.0)."""
    median, low, high = (count_text(counts[name], limit) for name in ("median", "q1", "q3"))
    return f"{median} (quartiles {low} to {high})"
