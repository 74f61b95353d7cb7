"""The terms of a perceptual loss as plain functions, and the forms that the literature gives them.

``FORMS`` names every form; "relative" is fastnst's own, the others are literal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Keeps a ratio finite where its denominator is 0 (features that are 0 everywhere).
EPSILON = 1e-30


def gram_matrix(features: Tensor, normalization: str = "positions") -> Tensor:
    """Channel products summed over all positions (Gatys et al. 2016, eq. 3).

    features: (B, C, H, W), any float type. ``normalization`` is "none" (the sum itself),
    "positions" (divided by H W) or "elements" (by C H W; Johnson et al. 2016, eq. 3).
    Returns (B, C, C), float32 whatever the input: products of bfloat16 features are accumulated in
    float32, and rounded only at the end of each of several parts that are summed in float32.
    """
    batch, channels, height, width = features.shape
    divisor = {
        "none": 1,
        "positions": height * width,
        "elements": channels * height * width,
    }[normalization]
    with torch.autocast(features.device.type, enabled=False):
        # (B, H W, C) is how channels-last features lie in memory: nothing is copied.
        positions = features.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        # Its squares leave the range of float16.
        positions = positions.float() if positions.dtype == torch.float16 else positions
        gram: Tensor = _ScaledProducts.apply(positions, 1 / divisor)
        return gram


class _ScaledProducts(torch.autograd.Function):
    """scale P^T P for P (B, M, N), with one product of that size for its gradient.

    Autograd, which doesn't know that both factors are the same, would take two, scale both and add
    them: a fifth of a whole training step on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, positions: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(positions)
        ctx.scale = scale
        batch, count, width = positions.shape
        parts = _parts(positions)
        split = positions.reshape(batch * parts, count // parts, width)
        products = torch.bmm(split.transpose(1, 2), split)
        if parts > 1 or products.dtype != torch.float32:
            wide = torch.promote_types(products.dtype, torch.float32)
            products = products.view(batch, parts, width, width).sum(1, dtype=wide)
        return products.mul_(scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        [positions] = ctx.saved_tensors
        both = (gradient + gradient.transpose(1, 2)).mul_(ctx.scale)
        return torch.bmm(positions, both.to(positions.dtype)), None


def _parts(positions: Tensor) -> int:
    """Into how many parts of equal length the positions (B, M, N) are split for their products.

    In float32 it is one. In bfloat16, where each part's result is rounded to 8 bits, up to 16 as
    long as the products themselves, of N^2 values each, stay small beside the M N features.
    """
    if positions.dtype != torch.bfloat16:
        return 1
    _, count, width = positions.shape
    return max(n for n in (1, 2, 4, 8, 16) if count % n == 0 and (n == 1 or n * width <= count))


def content_loss(features: Tensor, target: Tensor, relative: bool = True) -> Tensor:
    """Distance of features (B, C, H, W) from the content image's at the same layer.

    Mean over positions and channels of (F - Fc)^2 (Johnson et al. 2016, eq. 2), which the
    relative form divides by the mean of Fc^2, image by image, so that it is dimensionless and 1
    stands for "as far away as nothing at all". Returns a scalar, the mean over the batch.
    """
    per_image = _squares(features - target)
    per_image = per_image / (_squares(target) + EPSILON if relative else target[0].numel())
    return per_image.mean()


def content_loss_sum(features: Tensor, target: Tensor) -> Tensor:
    """Sum over positions and channels of (F - Fc)^2; a scalar, the mean over the batch."""
    return _squares(features - target).mean()


def _squares(features: Tensor) -> Tensor:
    """Sum of the squares of (B, C, H, W), picture by picture, (B,), accumulated in float32."""
    sums: Tensor = _SquaredNorms.apply(features)
    return sums


class _SquaredNorms(torch.autograd.Function):
    """|x|^2 of each picture: no float32 copy of bfloat16 features forward, none backward."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        wide = torch.promote_types(features.dtype, torch.float32)
        norms: Tensor = torch.linalg.vector_norm(features, dim=(1, 2, 3), dtype=wide)
        return norms.square()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        [features] = ctx.saved_tensors
        result: Tensor = features * (2 * gradient).to(features.dtype).view(-1, 1, 1, 1)
        return result


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


def total_variation_sum(image: Tensor) -> Tensor:
    """Sum of the absolute differences of neighbours, across and down (TensorFlow's form).

    image: (B, 3, H, W), 0..1; a scalar, the mean over the batch.
    """
    return (image.diff(dim=2).abs().sum() + image.diff(dim=3).abs().sum()) / len(image)


def total_variation_power(image: Tensor) -> Tensor:
    """Sum of (dx^2 + dy^2)^1.25 over all pixels but the last row and column, on 0..255 (Keras).

    image: (B, 3, H, W), 0..1; a scalar, the mean over the batch.
    """
    pixels = image * 255
    corner = pixels[..., :-1, :-1]
    down, across = pixels[..., 1:, :-1] - corner, pixels[..., :-1, 1:] - corner
    # A flat spot's square is 0, where the gradient of a power below 2 is fine: 1.25 u^0.25.
    return (down.square() + across.square()).pow(1.25).sum() / len(image)


@dataclass(frozen=True)
class Extent:
    """How large things are where a style term divides by it: counts of positions.

    ``positions`` of the layer's feature maps, ``pixels`` of the picture.
    """

    positions: int
    pixels: int


@dataclass(frozen=True)
class LossForm:
    """How one text writes its loss; weights come on top.

    ``gram`` is ``gram_matrix``'s normalization. ``style`` takes the Gram matrices (B, C, C), their
    target (C, C) and the extent. Several layers are averaged if ``mean_of_layers``, else summed.
    """

    gram: str
    content: Callable[[Tensor, Tensor], Tensor]
    style: Callable[[Tensor, Tensor, Extent], Tensor]
    total_variation: Callable[[Tensor], Tensor]
    mean_of_layers: bool


def _content_mean(features: Tensor, target: Tensor) -> Tensor:
    return content_loss(features, target, relative=False)


def _content_half_sum(features: Tensor, target: Tensor) -> Tensor:
    return content_loss_sum(features, target) / 2


def _style_relative(gram: Tensor, target: Tensor, _: Extent) -> Tensor:
    return style_loss(gram, target)


def _style_mean(gram: Tensor, target: Tensor, _: Extent) -> Tensor:
    return style_loss(gram, target, relative=False)


def _style_gatys(gram: Tensor, target: Tensor, extent: Extent) -> Tensor:
    # Sum of squares / (4 N^2 M^2), of which the mean over the matrix has the N^2 already.
    return style_loss(gram, target, relative=False) / (4 * extent.positions**2)


def _style_keras(gram: Tensor, target: Tensor, extent: Extent) -> Tensor:
    # N is the picture's 3 channels and M its pixels, whatever the layer.
    entries = gram.shape[1] ** 2
    return style_loss(gram, target, relative=False) * entries / (4 * 3**2 * extent.pixels**2)


def _style_pytorch(gram: Tensor, target: Tensor, extent: Extent) -> Tensor:
    return style_loss(gram, target, relative=False) / (gram.shape[1] * extent.positions)


FORMS: Mapping[str, LossForm] = {
    # Every term a ratio: see content_loss and style_loss.
    "relative": LossForm(
        "positions", content_loss, _style_relative, total_variation_loss, mean_of_layers=True
    ),
    # Johnson et al. (2016), eq. 2 to 4.
    "johnson": LossForm(
        "elements", _content_mean, _style_mean, total_variation_loss, mean_of_layers=False
    ),
    # Gatys et al. (2016), eq. 1 to 5.
    "gatys": LossForm(
        "none", _content_half_sum, _style_gatys, total_variation_loss, mean_of_layers=True
    ),
    # The recipes of configs/optimize, named after what they are written in.
    "tensorflow": LossForm(
        "positions", _content_mean, _style_mean, total_variation_sum, mean_of_layers=True
    ),
    "keras": LossForm(
        "none", content_loss_sum, _style_keras, total_variation_power, mean_of_layers=True
    ),
    "eager": LossForm(
        "none", _content_mean, _style_gatys, total_variation_loss, mean_of_layers=True
    ),
    "eager-sum": LossForm(
        "none", content_loss_sum, _style_gatys, total_variation_loss, mean_of_layers=True
    ),
    "pytorch": LossForm(
        "none", _content_mean, _style_pytorch, total_variation_loss, mean_of_layers=False
    ),
}
