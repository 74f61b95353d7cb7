"""Lightning's hooks as a run of fastnst has them: the only place that spells them out."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from fastnst.training.module import StyleTraining


class StyleCallback(pl.Callback):
    """What looks at a run: override what is of use."""

    def at_start(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        """Before the first step."""

    def after_step(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        """After each step; its numbers are the module's ``latest``."""

    def at_end(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        """After the last step."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, StyleTraining)
        self.at_start(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, StyleTraining)
        self.after_step(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, StyleTraining)
        self.at_end(trainer, pl_module)
