"""Photographs that training never sees: the panel in TensorBoard, the best weights, a plateau."""

from __future__ import annotations

import copy
import math
import time
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor
from torchvision.utils import make_grid

from fastnst.machine.notify import Notify
from fastnst.objective.consistency import offset
from fastnst.objective.forms import Seen
from fastnst.training.module import StyleTraining
from fastnst.training.watch.style_callback import StyleCallback

# Side of the held-out crops at most: a size at which pictures are looked at. Twice the training
# crops' side where that is less, so that tiny runs stay quick.
PANEL_SIZE = 256
# What TensorBoard calls it.
PANEL = "photograph, painted, style"
# Checks of the held-out loss along a run, unless they would take more than this share of it.
CHECKS = 20
MAX_SHARE = 0.03
# A run is at a plateau once so many checks in a row have not lowered the loss by this share.
PATIENCE = 6
LEAST_GAIN = 0.002
# Share of the run in which the learning rate falls from where it is to its end after a plateau:
# half of what the schedule gains, it gains there.
COOL_DOWN = 0.15
# Weights are kept from here on: before, the rate is high and a low loss may be chance.
SETTLED = 0.8
# What a share of the run may be off by.
ROUNDING = 1e-9


class HeldOut:
    """Evaluates the network on photographs (N, 3, S, S), 0..1, once a step at most.

    Of several processes the first one does; the others have its losses, and no pictures.
    """

    def __init__(self, images: Tensor) -> None:
        self.images = images
        self.seconds = 0.0
        self._step = -1
        self._stylized = images
        self._latest: tuple[dict[str, float], Tensor] = ({}, images)
        # The photographs themselves, looked at once.
        self._seen: list[Seen] = []

    def evaluate(self, module: StyleTraining) -> tuple[dict[str, float], Tensor]:
        """Mean losses over the photographs, and their stylized images (N, 3, S, S)."""
        if module.global_step != self._step:
            losses, self.seconds = module.ranks.decided(lambda: self._timed(module))
            self._latest = losses, self._stylized
            self._step = module.global_step
        return self._latest

    def _timed(self, module: StyleTraining) -> tuple[dict[str, float], float]:
        """The losses, and the seconds that they took."""
        started = time.monotonic()
        losses, self._stylized = self._evaluated(module)
        return losses, time.monotonic() - started

    @torch.no_grad()
    def _evaluated(self, module: StyleTraining) -> tuple[dict[str, float], Tensor]:
        network = module.network
        was_training = network.training
        network.eval()
        stylized: list[Tensor] = []
        sums: dict[str, float] = {}
        images = self.images.to(module.device, memory_format=torch.channels_last).split(1)
        if not self._seen:
            self._seen = [module.objective.see_content(image) for image in images]
        for number, (image, seen) in enumerate(zip(images, self._seen, strict=True)):
            stylized.append(network(image))
            # Each photograph is moved alike in every check.
            parts = module.objective(stylized[-1], seen, network=network, move=offset(0, number))
            for name, part in {"total": parts.total, **parts.named()}.items():
                sums[name] = sums.get(name, 0.0) + float(part) / len(self.images)
        network.train(was_training)
        losses = {name: round(value, 6) for name, value in sums.items()}
        return losses, torch.cat(stylized).cpu()


class Panel(StyleCallback):
    """Logs the panel photograph | painted | style, after 0, 10, 20, 50, 100, 200, 500, ... steps.

    style: (1, 3, H, W), 0..1.
    """

    def __init__(self, held_out: HeldOut, style: Tensor) -> None:
        self.held_out = held_out
        self.style = F.interpolate(style, held_out.images.shape[-2:], mode="area")

    def at_start(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        self._log(trainer, module)

    def after_step(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        if is_panel_step(trainer.global_step):
            self._log(trainer, module)

    def at_end(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        if not is_panel_step(trainer.global_step):
            self._log(trainer, module)

    def _log(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        _, stylized = self.held_out.evaluate(module)
        if not isinstance(trainer.logger, TensorBoardLogger):
            return
        rows = [
            image for pair in zip(self.held_out.images, stylized, strict=True)
            for image in (*pair, self.style[0])
        ]  # fmt: skip
        trainer.logger.experiment.add_image(PANEL, make_grid(rows, nrow=3), trainer.global_step)
        trainer.logger.experiment.flush()


def is_panel_step(step: int) -> bool:
    """Whether the panel is drawn after ``step`` steps: 1, 2 or 5 times a power of ten from 10."""
    if step < 10:
        return False
    power = 10 ** int(math.log10(step) + 1e-9)
    return step in (power, 2 * power, 5 * power)


class BestWeights(StyleCallback):
    """Keeps the weights of the lowest held-out loss, and ends a run that gets no better.

    Of the last fifth, that is, and the last ones where ``choosy`` is False: where too few
    photographs are held out to choose by.
    The mean losses are logged as ``held_out/...`` about ``CHECKS`` times along the run, at its
    beginning and its end. With ``stop_from``, a share of the run, a plateau after it brings the
    end of the schedule forward; None lets every run have its full length.
    """

    def __init__(
        self,
        held_out: HeldOut,
        notify: Notify,
        stop_from: float | None,
        choosy: bool = True,
    ) -> None:
        self.held_out = held_out
        self.notify = notify
        self.stop_from = stop_from
        self.choosy = choosy
        self._best: dict[str, Any] | None = None
        self._due = 0.0
        self._lowest = math.inf
        self._idle = 0
        self._cut: tuple[float, float] | None = None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know."""
        return {
            "best": self._best, "due": self._due, "lowest": self._lowest, "idle": self._idle,
            "cut": self._cut,
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best, self._due = state_dict["best"], state_dict["due"]
        self._lowest, self._idle = state_dict["lowest"], state_dict["idle"]
        self._cut = state_dict["cut"]

    def at_start(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        if self._best is None:
            self._check(trainer, module)
        # A run that is made longer after a plateau has its end where it was asked for.
        elif self._cut is not None and module.budget.progress(trainer.global_step) < 1:
            module.budget.cut = self._cut

    def after_step(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        progress = module.budget.progress(trainer.global_step)
        if progress >= 1 or progress + ROUNDING < self._due:
            return
        loss = self._check(trainer, module)
        every = self._interval(module)
        self._due = every * (math.floor(progress / every + ROUNDING) + 1)
        if self.stop_from is not None and progress > self.stop_from:
            self._watch(module, trainer.global_step, loss)

    def at_end(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        self._check(trainer, module)

    def install(self, module: StyleTraining) -> int:
        """Give the network its best weights; the number of steps behind them."""
        assert self._best is not None
        module.network.load_state_dict(self._best["weights"])
        module.description["losses"] = dict(self._best["losses"])
        module.description["training"]["kept_step"] = self._best["step"]
        return int(self._best["step"])

    def _interval(self, module: StyleTraining) -> float:
        # By the steps alone where the run is a number of steps: such a run is repeatable.
        seconds = module.budget.seconds
        least = 0.0 if seconds is None else self.held_out.seconds / (MAX_SHARE * seconds)
        return min(0.5, max(1 / CHECKS, least))

    def _check(self, trainer: pl.Trainer, module: StyleTraining) -> float:
        losses, _ = self.held_out.evaluate(module)
        module.description["losses"] = losses
        total = losses["total"]
        settled = module.budget.progress(trainer.global_step) >= SETTLED
        best = self._best
        if best is not None and best["losses"].keys() != losses.keys():
            # A run of an earlier version, whose total was the sum of other terms.
            best, self._lowest = None, math.inf
        # What was there before the last fifth only stands in for it.
        if best is None or (
            settled and (not self.choosy or not best["settled"] or total < best["losses"]["total"])
        ):
            self._best = {
                "settled": settled,
                "step": trainer.global_step,
                "losses": losses,
                "weights": copy.deepcopy(module.network.state_dict()),
            }
        if isinstance(trainer.logger, TensorBoardLogger):
            for name, value in losses.items():
                trainer.logger.experiment.add_scalar(f"held_out/{name}", value, trainer.global_step)
        return total

    def _watch(self, module: StyleTraining, step: int, loss: float) -> None:
        """Count the checks that gained nothing; at a plateau, bring the end forward."""
        if loss < self._lowest * (1 - LEAST_GAIN):
            self._lowest, self._idle = loss, 0
            return
        self._idle += 1
        if self._idle == PATIENCE and module.budget.shorten(step, COOL_DOWN):
            self._cut = module.budget.cut
            self.notify(
                f"step {step}: no better on photographs held out in {PATIENCE} checks; the run "
                "comes to its end early (--no-early-stop: to its full length)"
            )
