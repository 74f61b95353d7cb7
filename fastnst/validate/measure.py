"""What a checkpoint is worth: the iterations of optimization that reach the network's loss.

Johnson et al. (2016), section 4.1, report that their network equals 50 to 100 iterations of L-BFGS
on held-out images; this is that measurement, for any checkpoint. It says how well the loss is
imitated; how much a result looks like the painting, ``fastnst.validate.likeness`` says beside it.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from fastnst.checkpoint.contents import Checkpoint
from fastnst.errors import CheckpointError, DataError, ImageReadError
from fastnst.image import read_picture, to_picture
from fastnst.machine.download import Progress as DownloadProgress
from fastnst.machine.notify import Notify
from fastnst.networks.modules import TransferNetwork
from fastnst.objective.objective import Objective
from fastnst.objective.weights import load_backbone
from fastnst.optimize.curves import Curve, Extent, descend, iterations_to, noise_like
from fastnst.photos.collection import find_photos, fingerprint, hold_out, pick_evenly
from fastnst.photos.crops import center_crop
from fastnst.validate.paintings import Known, Looks, look

STARTS = ("noise", "content")
# Photographs in the contact sheet.
SHOWN = 4
FORWARD_RUNS = 5


@dataclass(frozen=True)
class Subject:
    """What is validated: a checkpoint's network against the loss it was trained with, and against
    the paintings.
    """

    network: TransferNetwork
    loss: Objective
    device: torch.device
    known: Known = field(default_factory=Known)


@dataclass(frozen=True)
class PhotoResult:
    """One photograph: pictures (1, 3, S, S), 0..1; losses; what it looks like; curves and k by the
    start's name, none where there were no iterations.
    """

    name: str
    content: Tensor
    stylized: Tensor
    network: dict[str, float]
    unchanged: float
    looks: Looks
    forward_seconds: float
    curves: dict[str, Curve]
    k: dict[str, float]


@dataclass(frozen=True)
class Setting:
    """Squares of side ``size``, curves of ``limit`` iterations, none with 0, from noise of ``seed``
    for the first photograph and of one more for each other; the first ``whole`` have curves to the
    limit, the others as far as the network's loss.
    """

    size: int
    seed: int
    limit: int
    whole: int


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
    loss = Objective(backbone, targets, config).to(device)
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
    setting: Setting,
    whole: bool,
    on_iteration: Callable[[str, int], bool],
) -> PhotoResult:
    """Everything about one photograph's middle square.

    Curves are ``whole``, or end where they have reached the network. Raises ImageReadError.
    """
    size, limit = setting.size, setting.limit
    crop = center_crop(read_picture(path, shrink_to=size), size).unsqueeze(0).float() / 255
    content = crop.to(subject.device).contiguous(memory_format=torch.channels_last)
    stylized, seconds = _timed_pass(subject.network, content)
    with torch.no_grad():
        seen = subject.loss.see_content(content)
        parts = subject.loss(stylized, seen)
        unchanged = float(subject.loss(content, seen).total)
    total = float(parts.total)
    if not math.isfinite(total):
        raise CheckpointError(f"the network's loss on {path} is not a finite number")
    looks = look(to_picture(stylized), to_picture(content), subject.known)
    starts = {"noise": noise_like(content, setting.seed), "content": content} if limit else {}
    curves = {
        name: descend(
            subject.loss, content, start, Extent(limit, total, whole),
            functools.partial(on_iteration, name),
        )
        for name, start in starts.items()
    }  # fmt: skip
    return PhotoResult(
        path.name, content, stylized,
        {"total": total, **{name: float(part) for name, part in parts.named().items()}},
        unchanged, looks, seconds, curves,
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
    setting: Setting,
    on_iteration: Callable[[int, str, int], bool],
    notify: Notify,
) -> list[PhotoResult]:
    """``measure_photo`` for each; unreadable ones are told and left out.

    ``on_iteration(number, start, step)``, before a photograph with no start, returns whether to end
    at once; then the photograph under way is dropped, and there may be none. Raises DataError where
    none is readable.
    """
    results: list[PhotoResult] = []
    for number, path in enumerate(photos.files):
        ended = False

        def watch(start: str, step: int, number: int = number) -> bool:
            nonlocal ended
            ended = ended or on_iteration(number, start, step)
            return ended

        if watch("", 0):
            return results
        to_the_end = len(results) < setting.whole
        own = replace(setting, seed=setting.seed + number)
        try:
            result = measure_photo(subject, path, own, to_the_end, watch)
        except ImageReadError as error:
            notify(f"{error}; left out")
            continue
        if ended:
            return results
        results.append(result)
    if not results:
        raise DataError("none of the photographs to measure with can be read")
    return results
