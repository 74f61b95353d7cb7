"""The LightningModule: one photograph batch in, one step of the transfer network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from fastnst.checkpoint.contents import SIGNATURE_KEY, TARGETS_KEY, halved, pack_statistics
from fastnst.checkpoint.description import KEY
from fastnst.config import TrainConfig
from fastnst.networks.modules import TransferNetwork
from fastnst.perceptual.losses import LossParts, PerceptualLoss
from fastnst.training.budget import Budget, learning_rate, style_ramp, style_share
from fastnst.training.data.dataset import Batch
from fastnst.training.optimizer import build_optimizer, clip_gradients
from fastnst.training.ranks import Clock, Ranks
from fastnst.training.step import Objective, StepLosses, step_losses
from fastnst.validate.likeness import Signature
from fastnst.validate.paintings import pack_signature


@dataclass(frozen=True)
class Record:
    """What is saved beside the network: ``description``, the checkpoint's ``fastnst`` entry, kept
    up to date by ``on_save_checkpoint``, and ``signature``, what the painting looks like. A step is
    of ``batch_size`` photographs in each process.
    """

    description: dict[str, Any]
    batch_size: int = 1
    signature: Signature | None = None


class StyleTraining(pl.LightningModule):
    """Trains ``network`` towards the frozen ``objective``.

    Only the network is a submodule, so that it alone is saved and optimized.
    """

    def __init__(
        self,
        network: TransferNetwork,
        objective: Objective,
        config: TrainConfig,
        budget: Budget,
        record: Record,
        ranks: Ranks | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.budget = budget
        self.record, self.description = record, record.description
        self.ranks = ranks or Ranks()
        self.clock = Clock(self.ranks)
        budget.clock = self.clock
        self.learning_rate = 0.0
        # What the guard lowers after a rollback, and what it looks at.
        self.rate_factor = 1.0
        self.saturation = 0.0
        # Whether the last step was taken: not without a gradient, or by one that is no number.
        self.moved = True
        # The last step's loss, instability and distance of spectra, for those who watch.
        self.latest: LossParts | None = None
        self.instability = self.apart = torch.zeros(())
        # In a tuple, out of PyTorch's sight: the backbone belongs in no checkpoint.
        self._frozen = (objective,)

    @property
    def perceptual_loss(self) -> PerceptualLoss:
        """The frozen loss."""
        return self._frozen[0].loss

    def on_fit_start(self) -> None:
        self.perceptual_loss.to(self.device)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        config = self.config
        return build_optimizer(config.optimizer, self.network.parameters(), config.learning_rate)

    def on_train_start(self) -> None:
        self.clock.tick()
        self.budget.start()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self.clock.tick()
        progress = self.budget.progress(self.global_step)
        rate = learning_rate(self.config, progress, self.global_step)
        self.learning_rate = rate * self.rate_factor
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.learning_rate

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        return Batch(batch.images.to(device, non_blocking=True), batch.bad)

    def losses(self, content: Tensor) -> StepLosses:
        """Those of the ``content`` (B, 3, H, W), 0..1, at the style's present share."""
        ramp = style_ramp(self.config, self.description["training"].get("started_from"))
        share = style_share(ramp, self.budget.progress(self.global_step))
        losses = step_losses(
            self.network, self._frozen[0], content, self.config, self.global_step, share
        )
        self.saturation = saturation(losses.stylized.detach(), content)
        return losses

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """The loss to descend; None, which is no step, where it is not a finite number."""
        losses = self.losses(batch.images.float() / 255)
        self._look_at(losses.parts.detach(), losses.unstable.detach(), losses.apart.detach())
        assert self.latest is not None
        return self._no_step() if self.latest.broken_terms() else losses.total(self.config)

    def _no_step(self) -> Tensor | None:
        """What Lightning takes for no step. It knows none where there are several processes: there
        it is one whose gradient is no number, which is left out as any such step is.
        """
        if self.ranks.count == 1:
            return None
        sums = [parameter.sum() for parameter in self.network.parameters()]
        return torch.stack(sums).sum() * float("nan")

    def _look_at(self, parts: LossParts, unstable: Tensor, apart: Tensor) -> None:
        """Keep the step's numbers for those who watch: means over all processes, so that each of
        them sees the same trouble, and none goes on from a step that another one leaves out.
        """
        if self.ranks.count > 1:
            numbers = [*parts.numbers(), unstable, apart, torch.tensor(self.saturation)]
            mean = self.ranks.mean(torch.stack([n.float().cpu() for n in numbers]))
            *of_parts, unstable, apart, saturated = mean
            parts, self.saturation = parts.with_numbers(of_parts), float(saturated)
        self.latest, self.instability, self.apart = parts, unstable, apart

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        self.moved = clip_gradients(self.network.parameters(), gradient_clip_val or 0)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.budget.progress(self.global_step) >= 1:
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        training = self.description["training"]
        training["steps"] = self.global_step
        training["images"] = self.global_step * self.record.batch_size * self.ranks.count
        training["seconds"] = round(self.budget.elapsed(), 1)
        if "optimizer_states" not in checkpoint:
            # A finished network, to be used: nothing goes on from its exact weights.
            checkpoint["state_dict"] = halved(checkpoint["state_dict"])
        checkpoint[KEY] = self.description
        checkpoint[TARGETS_KEY] = {
            layer: pack_statistics(target) for layer, target in self.perceptual_loss.targets.items()
        }
        if self.record.signature is not None:
            checkpoint[SIGNATURE_KEY] = pack_signature(self.record.signature)


def saturation(images: Tensor, content: Tensor | None = None) -> float:
    """Share, 0..1, of the values of pictures (B, 3, H, W) at the ends of 0..1 or beyond; of those
    alone that are not there in their ``content``, if that is given: white paper may stay white.
    """
    ends = _ends(images)
    if content is None:
        return float(ends.float().mean())
    within = ~_ends(content)
    return float((ends & within).sum() / within.sum().clamp_min(1))


def _ends(images: Tensor) -> Tensor:
    half_a_level = 0.5 / 255
    return (images <= half_a_level) | (images >= 1 - half_a_level)
