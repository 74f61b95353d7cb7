"""How optimization goes down the loss, and how many of its iterations a network is worth."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fastnst.config import LossConfig
from fastnst.machine.cache import cache_folder
from fastnst.machine.files import atomic_write
from fastnst.machine.notify import Notify, silent
from fastnst.objective.objective import Objective
from fastnst.optimize.iterates import lbfgs_iterates


@dataclass(frozen=True)
class Extent:
    """How far a curve goes: ``limit`` iterations; or, unless ``whole``, until its loss is no higher
    than ``target``, where that comes first.
    """

    limit: int
    target: float = -math.inf
    whole: bool = True


@dataclass(frozen=True)
class Curve:
    """The loss after 0, 1, 2, ... iterations of projected L-BFGS; ``reached`` is the picture
    (1, 3, H, W) at which it first was no higher than the loss looked for, ``last`` the best one.
    """

    totals: tuple[float, ...]
    seconds_per_iteration: float
    reached: Tensor | None = None
    last: Tensor | None = None

    def running_minimum(self) -> list[float]:
        """The least loss after at most so many iterations."""
        return list(itertools.accumulate(self.totals, min))


def iterations_to(totals: Sequence[float], loss: float) -> float:
    """After how many iterations the running minimum of ``totals`` is ``loss``, interpolated.

    0 where the start is no higher already, infinity where the curve never gets there.
    """
    best = math.inf
    for i, total in enumerate(totals):
        if total <= loss:
            if i == 0 or best == total:
                return float(i)
            return i - 1 + (best - loss) / (best - total)
        best = min(best, total)
    return math.inf


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile ``share``, 0..1, by linear interpolation; infinity counts as larger than all."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    # Infinity minus infinity is no number.
    return below if below == above else below + (above - below) * (place - math.floor(place))


def descend(
    loss: Objective,
    content: Tensor,
    start: Tensor,
    extent: Extent,
    on_iteration: Callable[[int], bool] | None = None,
) -> Curve:
    """The curve for a content image (1, 3, H, W), 0..1, from ``start``.

    It ends early where ``on_iteration(step)`` returns True.
    """
    seen = loss.see_content(content)
    totals: list[float] = []
    reached = last = None
    started = time.monotonic()
    iterates = lbfgs_iterates(lambda picture: loss(picture, seen), start)
    for iterate in itertools.islice(iterates, extent.limit + 1):
        totals.append(iterate.total)
        if iterate.total <= min(totals):
            last = iterate.picture
        if reached is None and iterate.total <= extent.target:
            reached = iterate.picture
        if on_iteration is not None and on_iteration(iterate.step):
            break
        if reached is not None and not extent.whole:
            break
    seconds = (time.monotonic() - started) / len(totals)
    return Curve(tuple(totals), seconds, reached, last)


def noise_like(content: Tensor, seed: int) -> Tensor:
    """White noise, uniform in 0..1, in the shape of ``content``, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(content.shape, generator=generator).to(content.device)


def cached_curves(
    loss: Objective,
    contents: Tensor,
    limit: int,
    notify: Notify = silent,
) -> list[list[float]]:
    """Totals of the curves from noise for content images (N, 3, H, W), 0..1.

    Kept in the user's cache under everything that they depend on: a second run for the same style
    and photographs has them at once. A cache that can't be written is done without. ``notify`` is
    told before a computation.
    """
    path = cache_folder() / "curves" / f"{_key(loss, contents, limit)}.json"
    # Absent or damaged: computed anew.
    with contextlib.suppress(OSError, ValueError, TypeError):
        stored = json.loads(path.read_text())
        if len(stored) == len(contents):
            return [[float(total) for total in totals] for totals in stored]
    notify(
        f"optimizing {len(contents)} held-out photographs to compare with, once for this style "
        "(--validation-photos 0 does without)"
    )
    curves = [
        list(descend(loss, content, noise_like(content, i), Extent(limit)).totals)
        for i, content in enumerate(contents.split(1))
    ]
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(json.dumps(curves).encode())
    return curves


def _key(loss: Objective, contents: Tensor, limit: int) -> str:
    config = loss.config
    options = (
        [(field.name, getattr(config, field.name)) for field in dataclasses.fields(LossConfig)],
        loss.backbone.origin, str(loss.backbone.dtype), tuple(contents.shape), limit,
        "projected L-BFGS 1",
    )  # fmt: skip
    digest = hashlib.sha256(repr(options).encode())
    targets = (values for layer in loss.targets.values() for values in layer.values())
    for tensor in (contents, *targets):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
