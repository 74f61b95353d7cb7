"""Training of many styles at once: a step is for one of them, by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch

from fastnst.config import TrainConfig
from fastnst.machine.notify import Notify
from fastnst.objective.forms import Network
from fastnst.objective.objective import Objective
from fastnst.training.base.bank import Bank
from fastnst.training.budget import WARMUP_STEPS, Budget, style_share
from fastnst.training.module import Record, StyleTraining
from fastnst.training.watch.style_callback import StyleCallback

# Share of a sitting in which the learning rate falls to nothing: the trunk settles between styles.
COOL_DOWN = 0.4
# Steps between two lines on the loss, which is a mean over about as many.
TELL_EVERY = 200


class BaseTraining(StyleTraining):
    """Trains a ``bank`` towards the frozen ``objectives``, one of each style.

    The style's share of its weight rises over the first ``ramp`` steps. ``budget`` is a sitting's.
    """

    def __init__(
        self,
        bank: Bank,
        objectives: Sequence[Objective],
        config: TrainConfig,
        budget: Budget,
        ramp: int,
    ) -> None:
        super().__init__(bank, objectives[0], config, budget, Record({"training": {}}))
        self.ramp = ramp
        # In a tuple, out of PyTorch's sight, as the first one is.
        self._of_styles = tuple(objectives)
        # Of the sittings before.
        self.spent = 0.0

    @property
    def bank(self) -> Bank:
        """The network of all styles."""
        assert isinstance(self.network, Bank)
        return self.network

    def rate(self) -> float:
        """As any run it warms up, and it cools down over the end of the sitting."""
        step = self.global_step
        left = 1 - self.budget.progress(step)
        factor = min(1.0, (step + 1) / WARMUP_STEPS, max(0.0, left / COOL_DOWN))
        return self.config.learning_rate * factor

    def share(self) -> float:
        return style_share(1.0, self.global_step / self.ramp)

    def subject(self) -> tuple[Network, Objective]:
        style = style_of(self.global_step, len(self._of_styles))
        return self.bank.of_style(style), self._of_styles[style]

    def seconds(self) -> float:
        """Of all sittings."""
        return self.spent + self.budget.elapsed()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seconds"] = self.seconds()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.spent = float(checkpoint["seconds"])


class MeanLoss(StyleCallback):
    """Tells the mean loss every ``TELL_EVERY`` steps: single ones are of other styles each."""

    def __init__(self, notify: Notify) -> None:
        self.notify = notify
        self._mean = 0.0

    def after_step(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        assert isinstance(module, BaseTraining)
        assert module.latest is not None
        step = trainer.global_step
        taken = step - module.budget.first
        self._mean += (float(module.latest.total) - self._mean) / min(taken, TELL_EVERY)
        if step % TELL_EVERY == 0:
            minutes = module.seconds() / 60
            self.notify(f"step {step}: mean loss {self._mean:.3f}, {minutes:.1f} min")


def style_of(step: int, styles: int) -> int:
    """Which style a step is for: the same in any sitting."""
    return int(torch.randint(styles, (1,), generator=torch.Generator().manual_seed(step)))
