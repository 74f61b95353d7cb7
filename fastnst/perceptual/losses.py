"""The one perceptual loss: content, style and total variation.

Training, the reference optimization and validation all call ``PerceptualLoss``, so their numbers
can be compared. Its terms are the plain functions of ``terms``; it only holds targets and weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fastnst.config import LossConfig
from fastnst.errors import BackboneError, ConfigError
from fastnst.perceptual.backbone import Backbone, Features
from fastnst.perceptual.terms import EPSILON, FORMS, Extent, gram_matrix


def style_targets(
    backbone: Backbone,
    images: Sequence[Tensor],
    config: LossConfig,
    weights: Sequence[float] = (),
) -> dict[str, Tensor]:
    """The style's Gram matrix (C, C), float32, at each style layer of ``config``, in its form.

    images: one or more style images (1, 3, H, W), RGB, 0..1, of any sizes. Several are pooled: the
    mean of their matrices with ``weights`` (positive; equal where there are none).
    Raises ConfigError where the numbers of weights and images differ.
    """
    if weights and len(weights) != len(images):
        raise ConfigError(f"{len(weights)} style weights for {len(images)} style images")
    shares = torch.tensor(list(weights) or [1.0] * len(images), dtype=torch.float64)
    shares = shares / shares.sum()
    pooled: dict[str, Tensor] = {}
    with torch.no_grad():
        for share, image in zip(shares.tolist(), images, strict=True):
            found = backbone(image, config.style_layers, config.pooling, config.padding)
            for layer, features in found.items():
                gram = gram_matrix(features, FORMS[config.loss].gram)[0] * share
                pooled[layer] = pooled[layer] + gram if layer in pooled else gram
    return {layer: pooled[layer] for layer in config.style_layers}


@dataclass(frozen=True)
class LossParts:
    """What ``PerceptualLoss`` returns: unweighted parts, and their weighted sum ``total``.

    Every value is a scalar tensor; ``style_layers`` has each style layer's own term, of which
    ``style`` is the mean (relative form) or the sum (literal forms).
    """

    total: Tensor
    content: Tensor
    style: Tensor
    total_variation: Tensor
    style_layers: Mapping[str, Tensor]
    weights: Mapping[str, float]

    def named(self) -> dict[str, Tensor]:
        """The unweighted parts by name."""
        return {
            "content": self.content,
            "style": self.style,
            "total_variation": self.total_variation,
        }

    def weighted(self) -> dict[str, Tensor]:
        """Each part times its weight; these sum to ``total``."""
        return {name: part * self.weights[name] for name, part in self.named().items()}

    def detach(self) -> LossParts:
        """The same values without their graph."""
        return LossParts(
            self.total.detach(),
            **{name: part.detach() for name, part in self.named().items()},
            style_layers={name: term.detach() for name, term in self.style_layers.items()},
            weights=self.weights,
        )

    def broken_terms(self) -> list[str]:
        """Names of the parts that are no finite numbers: none, where ``total`` is finite."""
        if bool(torch.isfinite(self.total)):
            return []
        names = [name for name, part in self.named().items() if not bool(torch.isfinite(part))]
        return names or ["total"]

    def shares(self) -> dict[str, Tensor]:
        """Each weighted part as a share, 0..1, of ``total``."""
        total = self.total + EPSILON
        return {name: part / total for name, part in self.weighted().items()}


class PerceptualLoss(nn.Module):
    """Perceptual loss of Johnson et al. (2016) for one style, in the form that ``config`` names.

    ``targets`` are the style's, see ``style_targets``. In the form "relative" (the default) every
    term is a ratio and layers are averaged, so that a weight means the same whatever the style and
    the backbone; the other forms of ``FORMS`` are literal.
    Raises ConfigError for layers that the backbone hasn't, BackboneError for targets that are not
    the backbone's.
    """

    def __init__(
        self, backbone: Backbone, targets: Mapping[str, Tensor], config: LossConfig
    ) -> None:
        super().__init__()
        backbone.check_layers((*config.content_layers, *config.style_layers))
        self.backbone = backbone
        self.config = config
        self.form = FORMS[config.loss]
        self.weights = {
            "content": config.content_weight,
            "style": config.style_weight,
            "total_variation": config.tv_weight,
        }
        for layer in config.style_layers:
            width = backbone.channels(layer)
            if layer not in targets or targets[layer].shape != (width, width):
                raise BackboneError(f"the style's target at {layer} is not this backbone's")
            self.register_buffer(f"target_{layer}", targets[layer], persistent=False)

    @property
    def targets(self) -> dict[str, Tensor]:
        """The style's Gram matrix (C, C) at each style layer."""
        return {layer: getattr(self, f"target_{layer}") for layer in self.config.style_layers}

    def content_features(self, content: Tensor) -> Features:
        """What ``forward`` needs of a content image (B, 3, H, W), RGB, 0..1; no gradient."""
        with torch.no_grad():
            features: Features = self.backbone(
                content, self.config.content_layers, self.config.pooling, self.config.padding
            )
            return features

    def forward(
        self, stylized: Tensor, content_features: Features, style_share: float = 1.0
    ) -> LossParts:
        """Loss of stylized images (B, 3, H, W), RGB, 0..1, against their content's features.

        ``style_share`` multiplies the style weight: training lets it rise to 1.
        """
        config = self.config
        layers = (*config.content_layers, *config.style_layers)
        features = self.backbone(stylized, layers, config.pooling, config.padding)
        content = [
            self.form.content(features[layer], content_features[layer])
            for layer in config.content_layers
        ]
        pixels = stylized.shape[-2] * stylized.shape[-1]
        style_layers = {
            layer: self._style_term(layer, features[layer], pixels) for layer in config.style_layers
        }
        parts = {
            "content": self._reduced(content, [1.0] * len(content)),
            "style": self._reduced(list(style_layers.values()), self._layer_weights()),
            "total_variation": self.form.total_variation(stylized.float()),
        }
        weights = {**self.weights, "style": self.weights["style"] * style_share}
        total = torch.stack([parts[name] * weights[name] for name in parts]).sum()
        return LossParts(total, **parts, style_layers=style_layers, weights=weights)

    def _style_term(self, layer: str, features: Tensor, pixels: int) -> Tensor:
        extent = Extent(features.shape[-2] * features.shape[-1], pixels)
        gram = gram_matrix(features, self.form.gram)
        return self.form.style(gram, getattr(self, f"target_{layer}"), extent)

    def _layer_weights(self) -> Sequence[float]:
        return self.config.style_layer_weights or [1.0] * len(self.config.style_layers)

    def _reduced(self, terms: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        """The layers' terms with their weights: the mean or the sum, as the form has it."""
        stacked = torch.stack(list(terms))
        factors = stacked.new_tensor(weights)
        total = (stacked * factors).sum()
        return total / factors.sum() if self.form.mean_of_layers else total
