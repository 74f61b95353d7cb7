"""The LightningModule: one photograph batch in, one step of the transfer network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fastnst.checkpoint.contents import SIGNATURE_KEY, TARGETS_KEY, halved, pack_statistics
from fastnst.checkpoint.description import KEY
from fastnst.config import TrainConfig
from fastnst.objective.consistency import offset
from fastnst.objective.forms import Network
from fastnst.objective.objective import Objective
from fastnst.objective.parts import LossParts
from fastnst.training.budget import Budget, learning_rate, style_ramp, style_share
from fastnst.training.data.dataset import Batch
from fastnst.training.optimizer import build_optimizer, clip_gradients
from fastnst.training.ranks import Clock, Ranks
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
        network: nn.Module,
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
        # The last step's loss, for those who watch.
        self.latest: LossParts | None = None
        # In a tuple, out of PyTorch's sight: the backbone belongs in no checkpoint.
        self._frozen = (objective,)

    @property
    def objective(self) -> Objective:
        """What the network is trained towards; frozen."""
        return self._frozen[0]

    def on_fit_start(self) -> None:
        self.objective.to(self.device)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        config = self.config
        return build_optimizer(config.optimizer, self.network.parameters(), config.learning_rate)

    def on_train_start(self) -> None:
        self.clock.tick()
        self.budget.start()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self.clock.tick()
        self.learning_rate = self.rate() * self.rate_factor
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.learning_rate

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        return Batch(batch.images.to(device, non_blocking=True), batch.bad)

    def rate(self) -> float:
        """The learning rate of the step to come."""
        progress = self.budget.progress(self.global_step)
        return learning_rate(self.config, progress, self.global_step)

    def share(self) -> float:
        """The style's present share of its weight, 0..1."""
        ramp = style_ramp(self.config, self.description["training"].get("started_from"))
        return style_share(ramp, self.budget.progress(self.global_step))

    def subject(self) -> tuple[Network, Objective]:
        """What the step to come trains, a function of content, and towards what."""
        return self.network, self.objective

    def losses(self, content: Tensor) -> LossParts:
        """Those of the ``content`` (B, 3, H, W), 0..1, at the style's present share."""
        network, objective = self.subject()
        move = offset(self.config.seed, self.global_step)
        stylized, parts = objective.of_step(network, content, self.share(), move)
        self.saturation = saturation(stylized.detach(), content)
        return parts

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """The loss to descend; None, which is no step, where it is not a finite number."""
        parts = self.losses(batch.images.float() / 255)
        self.latest = self._of_all(parts.detach())
        return self._no_step() if self.latest.broken_terms() else parts.total

    def _no_step(self) -> Tensor | None:
        """What Lightning takes for no step. It knows none where there are several processes: there
        it is one whose gradient is no number, which is left out as any such step is.
        """
        if self.ranks.count == 1:
            return None
        sums = [parameter.sum() for parameter in self.network.parameters()]
        return torch.stack(sums).sum() * float("nan")

    def _of_all(self, parts: LossParts) -> LossParts:
        """The step's numbers as means over all processes, so that each of them sees the same
        trouble, and none goes on from a step that another one leaves out.
        """
        if self.ranks.count == 1:
            return parts
        numbers = [*parts.numbers(), torch.tensor(self.saturation)]
        *mean, saturated = self.ranks.mean(torch.stack([n.float().cpu() for n in numbers]))
        self.saturation = float(saturated)
        return parts.with_numbers(mean)

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
            layer: pack_statistics(target) for layer, target in self.objective.targets.items()
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
