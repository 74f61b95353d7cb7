"""The one perceptual loss: content, style and total variation.

Training, the reference optimization and validation all call ``PerceptualLoss``, so their numbers
can be compared. The losses are plain functions; the module only holds targets and weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fastnst.config import LossConfig
from fastnst.errors import ConfigError
from fastnst.perceptual.backbone import Backbone, Features

# Keeps a ratio finite where its denominator is 0 (features that are 0 everywhere).
EPSILON = 1e-30


def gram_matrix(features: Tensor, normalization: str = "positions") -> Tensor:
    """Channel products summed over all positions (Gatys et al. 2016, eq. 3).

    features: (B, C, H, W), any float type. ``normalization`` is "none" (the sum itself),
    "positions" (divided by H W) or "elements" (by C H W; Johnson et al. 2016, eq. 3).
    Returns (B, C, C), float32 whatever the input: features are widened first, since a product of
    bfloat16 matrices is rounded to 8 bits, and no sum of their squares overflows float32.
    """
    batch, channels, height, width = features.shape
    divisor = {
        "none": 1,
        "positions": height * width,
        "elements": channels * height * width,
    }[normalization]
    with torch.autocast(features.device.type, enabled=False):
        # (B, H W, C) is how channels-last features lie in memory: nothing is copied.
        positions = features.permute(0, 2, 3, 1).reshape(batch, height * width, channels).float()
        unused = positions.new_zeros(1)
        return torch.baddbmm(
            unused, positions.transpose(1, 2), positions, beta=0, alpha=1 / divisor
        )


def content_loss(features: Tensor, target: Tensor, relative: bool = True) -> Tensor:
    """Distance of features (B, C, H, W) from the content image's at the same layer.

    Mean over positions and channels of (F - Fc)^2 (Johnson et al. 2016, eq. 2), which the
    relative form divides by the mean of Fc^2, image by image, so that it is dimensionless and 1
    stands for "as far away as nothing at all". Returns a scalar, the mean over the batch.
    """
    target = target.float()
    per_image = (features.float() - target).square().mean(dim=(1, 2, 3))
    if relative:
        per_image = per_image / (target.square().mean(dim=(1, 2, 3)) + EPSILON)
    return per_image.mean()


def style_loss(gram: Tensor, target: Tensor, relative: bool = True) -> Tensor:
    """Distance of Gram matrices (B, C, C) from the style's (C, C) at the same layer.

    The relative form is |G - Gs|^2 / |Gs|^2 with Frobenius norms; otherwise the mean over the
    C^2 entries of (G - Gs)^2. Returns a scalar, the mean over the batch.
    """
    squared = (gram - target).square()
    if relative:
        return squared.sum(dim=(1, 2)).mean() / (target.square().sum() + EPSILON)
    return squared.mean()


def total_variation_loss(image: Tensor) -> Tensor:
    """Mean absolute difference of neighbours, across plus down, of a picture (B, 3, H, W), 0..1.

    0 for a constant picture and for a single pixel, 2 for a checkerboard of black and white.
    """
    loss = image.new_zeros(())
    for axis in (2, 3):
        if image.shape[axis] > 1:
            loss = loss + image.diff(dim=axis).abs().mean()
    return loss


def style_targets(
    backbone: Backbone,
    images: Sequence[Tensor],
    layers: Sequence[str],
    weights: Sequence[float] = (),
    normalization: str = "positions",
) -> dict[str, Tensor]:
    """The style's Gram matrix (C, C), float32, at each layer.

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
            for layer, features in backbone(image, layers).items():
                gram = gram_matrix(features, normalization)[0] * share
                pooled[layer] = pooled[layer] + gram if layer in pooled else gram
    return {layer: pooled[layer] for layer in layers}


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

    def shares(self) -> dict[str, Tensor]:
        """Each weighted part as a share, 0..1, of ``total``."""
        total = self.total + EPSILON
        return {name: part / total for name, part in self.weighted().items()}


class PerceptualLoss(nn.Module):
    """Perceptual loss of Johnson et al. (2016) for one style, in the form that ``config`` names.

    "relative" (the default): every term is a ratio, see ``content_loss`` and ``style_loss``, and
    layers are averaged, so that a weight means the same whatever the style and the backbone.
    "johnson": the literal terms, Gram matrices divided by C H W, layers summed.
    """

    def __init__(
        self,
        backbone: Backbone,
        style_images: Sequence[Tensor],
        config: LossConfig,
        style_weights: Sequence[float] = (),
    ) -> None:
        super().__init__()
        backbone.check_layers((*config.content_layers, *config.style_layers))
        self.backbone = backbone
        self.config = config
        self.relative = config.loss == "relative"
        self.normalization = "positions" if self.relative else "elements"
        self.weights = {
            "content": config.content_weight,
            "style": config.style_weight,
            "total_variation": config.tv_weight,
        }
        targets = style_targets(
            backbone, style_images, config.style_layers, style_weights, self.normalization
        )
        for layer, target in targets.items():
            self.register_buffer(f"target_{layer}", target, persistent=False)

    def content_features(self, content: Tensor) -> Features:
        """What ``forward`` needs of a content image (B, 3, H, W), RGB, 0..1; no gradient."""
        with torch.no_grad():
            features: Features = self.backbone(content, self.config.content_layers)
            return features

    def forward(
        self, stylized: Tensor, content_features: Features, style_share: float = 1.0
    ) -> LossParts:
        """Loss of stylized images (B, 3, H, W), RGB, 0..1, against their content's features.

        ``style_share`` multiplies the style weight: training lets it rise to 1.
        """
        config = self.config
        features = self.backbone(stylized, (*config.content_layers, *config.style_layers))
        content = torch.stack(
            [
                content_loss(features[layer], content_features[layer], self.relative)
                for layer in config.content_layers
            ]
        )
        style_layers = {
            layer: style_loss(
                gram_matrix(features[layer], self.normalization),
                getattr(self, f"target_{layer}"),
                self.relative,
            )
            for layer in config.style_layers
        }
        style = torch.stack(list(style_layers.values()))
        parts = {
            "content": content.mean() if self.relative else content.sum(),
            "style": style.mean() if self.relative else style.sum(),
            "total_variation": total_variation_loss(stylized.float()),
        }
        weights = {**self.weights, "style": self.weights["style"] * style_share}
        total = torch.stack([parts[name] * weights[name] for name in parts]).sum()
        return LossParts(total, **parts, style_layers=style_layers, weights=weights)
