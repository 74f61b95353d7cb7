"""What one step of training descends, whoever takes it: a run of one style, or of a base's many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fastnst.config import TrainConfig
from fastnst.perceptual.losses import LossParts, PerceptualLoss
from fastnst.training.spectrum import Spectrum
from fastnst.training.stability import offset, unsteady


@dataclass(frozen=True)
class Objective:
    """What a network is trained towards: the loss, and the painting's spectrum, against which the
    fine patterns of pictures are held.
    """

    loss: PerceptualLoss
    spectrum: Spectrum


@dataclass(frozen=True)
class StepLosses:
    """The loss of the ``stylized`` pictures (B, 3, H, W), 0..1; how much of it does not move with
    the picture; and how far its spectrum is from the style's.
    """

    stylized: Tensor
    parts: LossParts
    unstable: Tensor
    apart: Tensor

    def total(self, config: TrainConfig) -> Tensor:
        """What is descended: the loss is the picture's, the others are the network's own faults."""
        own = config.stability_weight * self.unstable + config.spectrum_weight * self.apart
        return self.parts.total + own


def step_losses(
    network: Callable[[Tensor], Tensor],
    objective: Objective,
    content: Tensor,
    config: TrainConfig,
    step: int,
    share: float,
) -> StepLosses:
    """The losses of the step after ``step`` steps on content (B, 3, H, W), 0..1.

    ``share`` is the style's present share of its weight (``fastnst.training.budget.style_share``).
    """
    content = content.contiguous(memory_format=torch.channels_last)
    features = objective.loss.content_features(content)
    stylized = network(content)
    parts = objective.loss(stylized, features, share)
    unstable = apart = torch.zeros(())
    if config.stability_weight:
        found = unsteady(network, content, stylized, offset(config.seed, step))
        unstable = found.instability + found.grid
    if config.spectrum_weight:
        apart = objective.spectrum(stylized)
    return StepLosses(stylized, parts, unstable, apart)
