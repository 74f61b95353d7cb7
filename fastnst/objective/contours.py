"""Contours of what is in a picture: the side outputs of HED on the embedded trunk, its own.

Xie and Tu 2015, "Holistically-Nested Edge Detection", section 2: a 1 x 1 convolution of what a
VGG16 has before each pooling, whose sigmoid is the probability of a contour at that scale.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from fastnst.config import LossConfig
from fastnst.objective.backbone import Backbone, Features, at_full_size
from fastnst.objective.weights import embedded_origin, load_backbone, read_safetensors

HEADS = Path(__file__).with_name("contours.safetensors")


class ContourDetector(nn.Module):
    """Probabilities of contours, at layers of ``fastnst.config.loss.CONTOUR_LAYERS``.

    It sees through the embedded trunk whatever the style's ``backbone`` is: through that one where
    it is the same, else through a trunk of its own. Raises BackboneError where a file is damaged.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        shared = backbone.name == "embedded" and backbone.origin == embedded_origin()
        self.trunk = None if shared else load_backbone("embedded")
        if self.trunk is not None:
            self.trunk.convolutions.to(backbone.dtype)
        tensors = read_safetensors(HEADS)[0]
        for name, values in tensors.items():
            self.register_buffer(name.replace(".", "_"), values)

    def shared(self, layers: Collection[str]) -> Collection[str]:
        """Those of ``layers`` that the style's backbone has to give: all or none."""
        return layers if self.trunk is None else ()

    def forward(
        self, picture: Tensor, layers: Collection[str], features: Features, config: LossConfig
    ) -> Features:
        """Maps (B, 1, h, w), float32, 0..1, by layer, of a picture (B, 3, H, W), RGB, 0..1.

        ``features`` are the style's backbone's, at the layers of ``shared``.
        """
        if self.trunk is not None:
            features = self.trunk(picture, layers, config.pooling, config.padding)
        return {layer: self._map(layer, features[layer]) for layer in layers}

    def _map(self, layer: str, features: Tensor) -> Tensor:
        head = at_full_size(layer)
        weight, bias = (getattr(self, f"{head}_{part}") for part in ("weight", "bias"))
        logits = F.conv2d(features, weight.to(features.dtype), bias.to(features.dtype))
        return logits.float().sigmoid()
