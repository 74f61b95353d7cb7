"""A run that goes astray is taken back to where it was good, at a lower rate."""

from __future__ import annotations

import copy
import statistics
from collections import deque
from typing import Any

import pytorch_lightning as pl
import torch

from fastnst.errors import TrainingError
from fastnst.machine.notify import Notify
from fastnst.training.module import StyleTraining
from fastnst.training.watch.style_callback import StyleCallback

MAX_ROLLBACKS = 3
# Steps between two snapshots. The older of the last two is gone back to: what broke the run may
# have begun just before it shows.
SNAPSHOT_EVERY = 20
# How much lower the learning rate is after each rollback.
BACKOFF = 0.5
# A loss this many times the median of the last steps is a spike: single photographs reach 5.
SPIKE = 10.0
# Share of a picture's values at the ends of 0..1 that makes it black or posterized, unless the
# style is nearly so itself, as drawings on white paper are.
SATURATED = 0.95
# Steps in a row with a spike, a saturated picture, or no finite numbers: one photograph alone may
# have any of these, and comes again.
PATIENCE = 3


class Guard(StyleCallback):
    """Watches for losses and gradients that are no numbers, spikes, black or saturated pictures.

    Goes back to the last good weights and optimizer state, at a lower rate, and says so; the fourth
    time it stops the run with TrainingError, which names the step and the term. A step that was
    left out, since its numbers were not finite, has done nothing that could be taken back: the
    first is told.
    """

    def __init__(self, notify: Notify, style_saturation: float = 0.0) -> None:
        self.notify = notify
        self.saturated = max(SATURATED, (1 + style_saturation) / 2)
        self.rollbacks = 0
        self._totals: deque[float] = deque(maxlen=50)
        self._snapshots: deque[tuple[int, dict[str, Any], dict[str, Any]]] = deque(maxlen=2)
        self._strikes = 0
        self._told = False

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know."""
        return {"rollbacks": self.rollbacks}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rollbacks = int(state_dict["rollbacks"])

    def at_start(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        module.rate_factor = BACKOFF**self.rollbacks
        self._take_snapshot(trainer, module)

    def after_step(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        broken = self._broken(module)
        trouble = broken or self._unusual(module)
        self._strikes = self._strikes + 1 if trouble else 0
        # Lightning counts a step that was left out as well, though it changes nothing.
        step = trainer.global_step
        if trouble is None:
            if step % SNAPSHOT_EVERY == 0:
                self._take_snapshot(trainer, module)
        elif self._strikes >= PATIENCE or not _finite(module):
            self._go_back(trainer, module, f"step {step}: {trouble}")
        elif broken and not self._told:
            self._told = True
            self.notify(f"step {step}: {broken}; such steps are left out")

    def _broken(self, module: StyleTraining) -> str | None:
        """What kept the last step from being taken, in words."""
        assert module.latest is not None
        broken = module.latest.broken_terms()
        if broken:
            return f"the {' and '.join(broken)} loss is not a finite number"
        return None if module.moved else "the gradient is not a finite number"

    def _unusual(self, module: StyleTraining) -> str | None:
        """What is wrong with the step just taken, in words, where it is no single photograph's."""
        parts = module.latest
        assert parts is not None
        total = float(parts.total)
        usual = statistics.median(self._totals) if self._totals else total
        if total > SPIKE * usual and len(self._totals) >= 10:
            terms = parts.weighted()
            worst = max(terms, key=lambda name: float(terms[name]))
            return f"the loss is {total:.3g}, usually {usual:.3g}, most of it the {worst} term"
        if module.saturation > self.saturated:
            return f"{module.saturation:.0%} of the picture is black or white"
        self._totals.append(total)
        return None

    def _go_back(self, trainer: pl.Trainer, module: StyleTraining, why: str) -> None:
        """Raises TrainingError where that has not helped often enough."""
        if self.rollbacks < MAX_ROLLBACKS:
            self._roll_back(trainer, module, why)
            return
        error = TrainingError(
            f"{why}, after {MAX_ROLLBACKS} rollbacks; the last checkpoint is "
            "kept; try a lower --learning-rate or --style-weight"
        )
        raise module.ranks.common(error)

    def _take_snapshot(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        if not _finite(module):
            return
        self._snapshots.append(
            (
                trainer.global_step,
                copy.deepcopy(module.network.state_dict()),
                copy.deepcopy(trainer.optimizers[0].state_dict()),
            )
        )

    def _roll_back(self, trainer: pl.Trainer, module: StyleTraining, why: str) -> None:
        step, weights, optimizer = self._snapshots[0]
        self._snapshots = deque([self._snapshots[0]], maxlen=2)
        module.network.load_state_dict(weights)
        trainer.optimizers[0].load_state_dict(copy.deepcopy(optimizer))
        self.rollbacks += 1
        self._strikes = 0
        module.rate_factor = BACKOFF**self.rollbacks
        self.notify(
            f"{why}; going back to the weights of step {step} at {module.rate_factor:g} times "
            f"the learning rate ({self.rollbacks} of {MAX_ROLLBACKS})"
        )


def _finite(module: StyleTraining) -> bool:
    return all(bool(torch.isfinite(p).all()) for p in module.network.parameters())
