"""What happens beside the steps of a run: progress, saves, bad files, signals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from fastnst.errors import DataError
from fastnst.machine.signals import EndRequest
from fastnst.objective.parts import LossParts
from fastnst.training.data.dataset import MAX_BAD_SHARE, Batch
from fastnst.training.module import StyleTraining
from fastnst.training.ranks import Ranks
from fastnst.training.watch.style_callback import StyleCallback

# Seconds in which a signal that comes again is the same one.
ECHO = 5.0


@dataclass(frozen=True)
class Progress:
    """Where a run stands: ``fraction`` is 0..1, ``seconds_left`` an estimate.

    ``losses`` are scalar tensors; reading one waits for the device.
    """

    step: int
    fraction: float
    images_per_second: float
    seconds_left: float
    losses: Mapping[str, Tensor]


class Meter(StyleCallback):
    """Measures speed, hands the standing to ``report`` after each step, and logs every scalar.

    Lightning's own ``self.log`` would gather some 15 scalars at each step; here they are looked at
    every ``log_every`` steps.
    """

    def __init__(self, report: Callable[[Progress], None], log_every: int) -> None:
        self.report = report
        self.log_every = log_every
        self._ended = 0.0
        self._waited = 0.0
        self._seconds = 0.0
        self._counted = 0

    def at_start(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        self._ended = time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._waited = time.monotonic() - self._ended

    def after_step(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        assert module.latest is not None
        now = time.monotonic()
        self._seconds = self._mean_seconds(max(now - self._ended, 1e-9))
        self._ended = now
        step, budget, latest = trainer.global_step, module.budget, module.latest
        rate = 1 / self._seconds
        speed = rate * module.record.batch_size * module.ranks.count
        if trainer.logger is not None and (step == 1 or step % self.log_every == 0):
            scalars = {
                **scalars_of(latest),
                "loss/total_at_full_weight": at_full_weight(latest, module.config.style_weight),
                "learning_rate": module.learning_rate,
                "speed/images_per_second": speed,
                "speed/data_wait_seconds": self._waited,
            }
            trainer.logger.log_metrics(scalars, step)
        losses = {"total": latest.total, **latest.named()}
        left = budget.remaining(step, rate)
        self.report(Progress(step, budget.progress(step), speed, left, losses))

    def _mean_seconds(self, seconds: float) -> float:
        """A step's mean duration over about the last 20: steady to read, quick to be true."""
        self._counted += 1
        # The first step prepares kernels and memory; it stands in only until there is another.
        share = 1.0 if self._counted <= 2 else max(0.05, 1 / (self._counted - 1))
        return self._seconds + (seconds - self._seconds) * share


def at_full_weight(parts: LossParts, style_weight: float) -> float:
    """A step's loss with the style's whole weight, of which a run begins with a part: a curve that
    falls while the weight rises, and can be held against the losses on held-out photographs.
    """
    missing = style_weight - parts.weights["style"]
    return float(parts.total) + missing * float(parts.terms["style"])


def scalars_of(parts: LossParts) -> dict[str, float]:
    """Every number of a loss by the name that TensorBoard shows."""
    groups = {
        "loss": {"total": parts.total, **parts.named()},
        "style_layers": parts.layers["style"],
        "shares": parts.shares(),
    }
    return {
        f"{group}/{name}": float(value)
        for group, members in groups.items()
        for name, value in members.items()
    }


class PeriodicSave(StyleCallback):
    """Saves ``path`` every ``minutes``, so that a killed run loses no more than that."""

    def __init__(self, path: Path, minutes: float) -> None:
        self.path = path
        self.seconds = minutes * 60
        self._saved: float | None = None

    def after_step(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        # The budget's clock, by which all processes save at the same step.
        now = module.budget.clock()
        self._saved = module.budget.begun if self._saved is None else self._saved
        if now - self._saved >= self.seconds:
            trainer.save_checkpoint(self.path)
            self._saved = module.budget.clock()


class BadFiles(StyleCallback):
    """Lists skipped photographs in ``path``; DataError once they are more than a tenth of all."""

    def __init__(self, path: Path, photos: int) -> None:
        self.path = path
        self.photos = photos
        self.seen: dict[str, None] = {}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, StyleTraining)
        ranks = pl_module.ranks
        fresh = [line for line in batch.bad if line not in self.seen]
        if not ranks.total(len(fresh)):
            return
        fresh = [line for lines in ranks.gathered(fresh) for line in lines]
        self.seen.update(dict.fromkeys(fresh))
        if ranks.first:
            self._write()
        if len(self.seen) > MAX_BAD_SHARE * self.photos:
            error = DataError(
                f"{len(self.seen)} of {self.photos} photographs can't be read, more than "
                f"{MAX_BAD_SHARE:.0%}; they are listed in {self.path}; first: {fresh[0]}"
            )
            raise ranks.common(error)

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(self.seen) + "\n", encoding="utf-8", errors="replace")


class Interruption(StyleCallback):
    """Ends the run in good order, after the step, once ``request`` has received a signal, or that
    of another process has.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        # torchrun passes on a Ctrl-C that its processes had from the terminal already, and ends by
        # a signal those that are left where one has ended. They still have to save and to tell, so
        # that there ``fastnst.training.run`` holds the request for longer than the run itself.
        self.request = EndRequest(ECHO if ranks.count > 1 else 0.0)

    def at_start(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        # Set here, after Lightning's own handlers, one of which would swallow SIGTERM.
        self.request.__enter__()

    def after_step(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        self.request.received = int(self.ranks.highest(self.request.received or 0)) or None
        if self.request.received is not None:
            trainer.should_stop = True

    def at_end(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        self._release()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._release()

    def _release(self) -> None:
        if self.ranks.count == 1:
            self.request.__exit__(None, None, None)
