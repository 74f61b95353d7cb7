"""While it trains: how many iterations of optimization the network is worth by now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from fastnst.perceptual.losses import PerceptualLoss
from fastnst.reference.curves import cached_curves, iterations_to, quantile
from fastnst.training.held_out import is_panel_step
from fastnst.training.module import StyleTraining

# A network of some minutes is worth 30 to 40 iterations; one beyond the limit is logged as it.
ITERATIONS = 60


class CheapValidation(pl.Callback):
    """Logs ``validation/k_from_noise`` at the panel's steps: the cheap form of fastnst validate.

    images: (N, 3, S, S), 0..1, held out of training. The curves of their optimization are computed
    when the run begins, once for each style and photograph: they stay in the user's cache.
    """

    def __init__(
        self, images: Tensor, loss: PerceptualLoss, notify: Callable[[str], None] | None = None
    ) -> None:
        self.images = images
        self.curves = cached_curves(loss, images, ITERATIONS, notify)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if is_panel_step(trainer.global_step):
            self._log(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._log(trainer, pl_module)

    def _log(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, StyleTraining)
        if isinstance(trainer.logger, TensorBoardLogger):
            count = min(self.worth(pl_module), ITERATIONS)
            trainer.logger.experiment.add_scalar(
                "validation/k_from_noise", count, trainer.global_step
            )

    @torch.no_grad()
    def worth(self, pl_module: StyleTraining) -> float:
        """The median count of iterations that reach the network's loss; may be infinite."""
        network, loss = pl_module.network, pl_module.perceptual_loss
        was_training = network.training
        network.eval()
        counts = []
        for image, curve in zip(self.images.split(1), self.curves, strict=True):
            content = image.to(pl_module.device, memory_format=torch.channels_last)
            parts = loss(network(content), loss.content_features(content))
            counts.append(iterations_to(curve, float(parts.total)))
        network.train(was_training)
        return quantile(counts, 0.5)
