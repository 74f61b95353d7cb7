"""While it trains: how many iterations of optimization the network is worth by now, and how much
its pictures look like the painting.
"""

from __future__ import annotations

import time

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from fastnst.image import to_picture
from fastnst.machine.notify import Notify, silent
from fastnst.objective.objective import Objective
from fastnst.optimize.curves import cached_curves, iterations_to, quantile
from fastnst.training.module import StyleTraining
from fastnst.training.watch.held_out import is_panel_step
from fastnst.training.watch.style_callback import StyleCallback
from fastnst.validate.likeness import Signature, signature
from fastnst.validate.likeness import kept as kept_of
from fastnst.validate.likeness import likeness as likeness_of

# A network of some minutes is worth 30 to 40 iterations; one beyond the limit is logged as it.
ITERATIONS = 60
# Share of a run that may go into likeness: four photographs take a second, once before its end.
MAX_SHARE = 0.02


class CheapValidation(StyleCallback):
    """Logs ``validation/k_from_noise`` at the panel's steps: the cheap form of fastnst validate.

    images: (N, 3, S, S), 0..1, held out of training. The curves of their optimization are computed
    when the run begins, once for each style and photograph: they stay in the user's cache.
    """

    def __init__(self, images: Tensor, objective: Objective, notify: Notify = silent) -> None:
        self.images = images
        self.curves = cached_curves(objective, images, ITERATIONS, notify)

    def after_step(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        if is_panel_step(trainer.global_step):
            self._log(trainer, module)

    def at_end(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        self._log(trainer, module)

    def _log(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        if isinstance(trainer.logger, TensorBoardLogger):
            count = min(self.worth(module), ITERATIONS)
            trainer.logger.experiment.add_scalar(
                "validation/k_from_noise", count, trainer.global_step
            )

    @torch.no_grad()
    def worth(self, module: StyleTraining) -> float:
        """The median count of iterations that reach the network's loss; may be infinite."""
        network, objective = module.network, module.objective
        was_training = network.training
        network.eval()
        counts = []
        for image, curve in zip(self.images.split(1), self.curves, strict=True):
            content = image.to(module.device, memory_format=torch.channels_last)
            parts = objective(network(content), objective.see_content(content))
            counts.append(iterations_to(curve, float(parts.total)))
        network.train(was_training)
        return quantile(counts, 0.5)


class CheapLikeness(StyleCallback):
    """Logs ``validation/likeness`` and ``validation/kept`` at the panel's steps and at the end.

    Means over images (N, 3, S, S), 0..1, held out of training. Steps at which it would take more
    than ``MAX_SHARE`` of the run so far, after the first ones, are passed over. What the last
    weights have, the checkpoint's description says too.
    """

    def __init__(self, images: Tensor, painting: Signature) -> None:
        self.images = images
        self.painting = painting
        self.photographs = [to_picture(image) for image in images]
        # The photographs' own, computed once.
        self._signatures: list[Signature] = []
        self._spent = 0.0

    def after_step(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        affordable = self._spent <= MAX_SHARE * module.budget.elapsed()
        if is_panel_step(trainer.global_step) and affordable:
            self._log(trainer, module)

    def at_end(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        self._log(trainer, module)

    def _log(self, trainer: pl.Trainer, module: StyleTraining) -> None:
        started = time.monotonic()
        for name, value in self.describe(module).items():
            if isinstance(trainer.logger, TensorBoardLogger):
                trainer.logger.experiment.add_scalar(
                    f"validation/{name}", value, trainer.global_step
                )
        self._spent += time.monotonic() - started

    def describe(self, module: StyleTraining) -> dict[str, float]:
        """``measure``, and put it into the checkpoint's description."""
        found = self.measure(module)
        module.description["likeness"] = {**found, "photos": len(self.photographs)}
        return found

    @torch.no_grad()
    def measure(self, module: StyleTraining) -> dict[str, float]:
        """The network's mean likeness and kept."""
        if not self._signatures:
            self._signatures = [signature(photograph) for photograph in self.photographs]
        network = module.network
        was_training = network.training
        network.eval()
        likeness, kept = 0.0, 0.0
        for i, image in enumerate(self.images.split(1)):
            content = image.to(module.device, memory_format=torch.channels_last)
            result = to_picture(network(content))
            likeness += likeness_of(signature(result), self.painting, self._signatures[i])
            kept += kept_of(result, self.photographs[i])
        network.train(was_training)
        count = len(self.photographs)
        return {"likeness": round(likeness / count, 6), "kept": round(kept / count, 6)}
