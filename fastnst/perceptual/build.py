"""From options and style images to the loss: what training and the reference both begin with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastnst.config import StyleConfig
from fastnst.machine.download import Progress
from fastnst.machine.notify import Notify, silent
from fastnst.perceptual.losses import PerceptualLoss, style_targets
from fastnst.perceptual.weights import load_backbone


def build_loss(
    config: StyleConfig,
    style_images: Sequence[Tensor],
    precision: str = "float32",
    on_download: Progress | None = None,
    notify: Notify = silent,
) -> PerceptualLoss:
    """The loss of ``config`` for style images (1, 3, H, W), RGB, 0..1, on the CPU.

    The style's targets are computed in float32; the backbone's convolutions then work in
    ``precision``, "float32" or "bfloat16". Raises BackboneError or ConfigError.
    """
    backbone = load_backbone(config.backbone, config.backbone_weights, on_download, notify)
    targets = style_targets(backbone, style_images, config, config.style_weights)
    loss = PerceptualLoss(backbone, targets, config)
    if precision == "bfloat16":
        backbone.convolutions.to(torch.bfloat16)
    return loss
