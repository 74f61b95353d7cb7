"""One picture by optimization (Gatys et al. 2016): slow, exact, the measure of every network."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from fastnst.config import OptimizeConfig
from fastnst.errors import OptimizationError
from fastnst.image import check_output, to_tensor, write_image
from fastnst.machine.device import choose_device
from fastnst.machine.download import Progress as DownloadProgress
from fastnst.machine.notify import Notify, silent
from fastnst.machine.signals import EndRequest
from fastnst.objective.build import build_objective
from fastnst.objective.objective import Objective, style_targets
from fastnst.objective.parts import LossParts
from fastnst.optimize.iterates import (
    AdamSettings,
    Iterate,
    PictureLoss,
    adam_iterates,
    lbfgs_iterates,
)
from fastnst.optimize.records import Records
from fastnst.optimize.sources import Sources, enlarge, read_sources
from fastnst.optimize.statistics import write_statistics


@dataclass(frozen=True)
class Standing:
    """Where an optimization stands: ``step`` of ``steps`` over all scales, and its loss."""

    step: int
    steps: int
    parts: LossParts
    seconds_left: float


@dataclass(frozen=True)
class OptimizeResult:
    """What an optimization made: the picture's file, its iterate (the lowest loss at full size),
    the loss before any change, and the signal that ended it early, if one did.
    """

    output: Path
    best: Iterate
    first_total: float
    seconds: float
    received: int | None


def optimize(
    config: OptimizeConfig,
    notify: Notify = silent,
    on_step: Callable[[Standing], None] | None = None,
    on_download: DownloadProgress | None = None,
) -> OptimizeResult:
    """Optimize a picture as ``config`` says and write it.

    SIGINT and SIGTERM end it after the iteration; the best picture so far is written then, and also
    where a loss is no finite number, which raises OptimizationError.
    """
    output = config.output_path
    check_output(output, config.overwrite, config.log_dir)
    device = choose_device(config.device)
    sources = read_sources(config, notify)
    styles = [to_tensor(style) for style in sources.styles]
    loss = build_objective(config, styles, config.precision, on_download, notify).to(device)
    with Records(output, _run_folder(config), config.save_every, tuple(loss.weights)) as records:
        run = _Run(config, sources, loss, records, on_step or (lambda _: None))
        try:
            run.descend()
        except OptimizationError as error:
            raise OptimizationError(f"{error}; {run.rescue()}") from error
        write_image(run.picture(), output)
    if config.statistics:
        write_statistics(loss, to_tensor(sources.content), run.picture(), styles, output)
    assert run.best is not None
    return OptimizeResult(output, run.best, run.first_total, run.elapsed(), run.request.received)


class _Run:
    """The state of one optimization over all its scales."""

    def __init__(
        self,
        config: OptimizeConfig,
        sources: Sources,
        loss: Objective,
        records: Records,
        on_step: Callable[[Standing], None],
    ) -> None:
        self.config = config
        self.sources = sources
        self.loss = loss
        self.records = records
        self.on_step = on_step
        self.request = EndRequest()
        self.best: Iterate | None = None
        self.first_total = math.nan
        self._started = time.monotonic()
        # Numbers the iterates over all scales; an iterate's work is its area, 1 at full size.
        self._step = 0
        self._work = 0.0
        areas = [4.0**-exponent for exponent in range(config.scales)]
        self._all_work = (config.steps + 1) * sum(areas)

    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def descend(self) -> None:
        """From coarse to fine; ``best`` is the best iterate of the last scale that was reached."""
        with self.request:
            for exponent in reversed(range(self.config.scales)):
                self._descend_at(2**exponent)
                if self.request.received is not None:
                    break

    def picture(self) -> Tensor:
        """The best iterate's picture (1, 3, H, W), 0..1, on the CPU, in full size."""
        assert self.best is not None
        picture, full = self.best.picture.cpu(), self.sources.content
        if picture.shape[-2:] == (full.height, full.width):
            return picture
        return enlarge(picture, full.size)

    def _descend_at(self, divisor: int) -> None:
        sources = self.sources.at_scale(divisor)
        device = self.loss.backbone.mean.device
        if self.best is None:
            start = sources.first_picture(self.config.init, self.config.seed)
        else:
            start = enlarge(self.best.picture.cpu(), sources.content.size)
        loss = self.loss if divisor == 1 else self._loss_for(sources)
        content = loss.see_content(to_tensor(sources.content).to(device))
        iterates = descent(self.config, lambda picture: loss(picture, content), start.to(device))
        best = math.inf
        for iterate in itertools.islice(iterates, self.config.steps + 1):
            if iterate.total < best:
                self.best, best = iterate, iterate.total
            self._note(iterate, 1 / divisor**2)
            if self.request.received is not None:
                break

    def _loss_for(self, sources: Sources) -> Objective:
        """The loss whose style is as small as ``sources``: strokes scale with the picture."""
        config, backbone = self.config, self.loss.backbone
        images = [to_tensor(style).to(backbone.mean.device) for style in sources.styles]
        targets = style_targets(backbone, images, config, config.style_weights)
        return Objective(backbone, targets, config)

    def _note(self, iterate: Iterate, area: float) -> None:
        if math.isnan(self.first_total):
            self.first_total = iterate.total
        seconds = self.elapsed()
        self._work += area
        self.records.add(dataclasses.replace(iterate, step=self._step), seconds)
        steps = self.config.scales * (self.config.steps + 1) - 1
        left = seconds * (self._all_work - self._work) / self._work
        self.on_step(Standing(self._step, steps, iterate.parts, left))
        self._step += 1

    def rescue(self) -> str:
        """Write the best picture so far, after a breakdown; says what was done."""
        if self.best is None:
            return "nothing is written, since the start itself has that loss"
        write_image(self.picture(), self.records.output)
        return f"the best picture so far is kept as {self.records.output}"


def descent(config: OptimizeConfig, loss: PictureLoss, start: Tensor) -> Iterator[Iterate]:
    """The endless iterates that ``config`` asks for."""
    if config.optimizer == "lbfgs":
        return lbfgs_iterates(loss, start)
    settings = AdamSettings(config.learning_rate, config.beta1, config.beta2, config.epsilon)
    return adam_iterates(loss, start, settings)


def _run_folder(config: OptimizeConfig) -> Path:
    """A new folder log_dir/optimize-NAME/version_N, as Lightning names those of training."""
    base = config.log_dir / f"optimize-{config.output_path.stem}"
    for number in itertools.count():
        folder = base / f"version_{number}"
        if not folder.exists():
            return folder
    raise AssertionError("endless")
