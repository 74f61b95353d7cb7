"""From options and style images to the objective: what training and the reference begin with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastnst.config import StyleConfig
from fastnst.machine.download import Progress
from fastnst.machine.notify import Notify, silent
from fastnst.objective.backbone import Backbone
from fastnst.objective.objective import Objective, style_targets
from fastnst.objective.spectrum import Spectrum
from fastnst.objective.weights import load_backbone


def build_objective(
    config: StyleConfig,
    style_images: Sequence[Tensor],
    precision: str = "float32",
    on_download: Progress | None = None,
    notify: Notify = silent,
) -> Objective:
    """The objective of ``config`` for style images (1, 3, H, W), RGB, 0..1, on the CPU.

    The style's targets are computed in float32; the backbone's convolutions then work in
    ``precision``, "float32" or "bfloat16". Raises BackboneError or ConfigError.
    """
    backbone = load_backbone(config.backbone, config.backbone_weights, on_download, notify)
    [objective] = objectives_of([style_images], config, backbone, precision)
    return objective


def objectives_of(
    styles: Sequence[Sequence[Tensor]],
    config: StyleConfig,
    backbone: Backbone,
    precision: str = "float32",
) -> list[Objective]:
    """An objective for each style, of one or more images each; they share the backbone."""
    targets = [style_targets(backbone, images, config, config.style_weights) for images in styles]
    if precision == "bfloat16":
        backbone.convolutions.to(torch.bfloat16)
    return [
        Objective(backbone, target, config, Spectrum(images, config.style_weights))
        for target, images in zip(targets, styles, strict=True)
    ]
