"""The terms of a perceptual loss as plain functions of features, statistics and pictures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Keeps a ratio finite where its denominator is 0 (features that are 0 everywhere).
EPSILON = 1e-30
# What a style that hardly varies is taken to vary by all the same, as a share of its features' mean
# square, and the least mean square: a ratio to nothing would outweigh all else.
LEAST_VARIATION, LEAST_SQUARE = 1e-3, 1e-2
# Least mean square of contours that a distance is a ratio to. Photographs have 0.05 to 0.35;
# strokes on a clear sky, where there are none, would outweigh all else.
LEAST_CONTOURS = 0.1
# What a content image's features are taken to be at least, as a share of a white picture's mean
# square. Photographs have 0.2 and more; a plain area of the backbone's own mean colour has nothing.
LEAST_CONTENT = 0.1


def content_loss(
    features: Tensor, target: Tensor, relative: bool = True, least: float = 0.0
) -> Tensor:
    """Distance of features (B, C, H, W) from the content image's at the same layer.

    Mean over positions and channels of (F - Fc)^2 (Johnson et al. 2016, eq. 2), which the
    relative form divides by the mean of Fc^2, ``least`` at least, image by image, so that it is
    dimensionless and 1 stands for "as far away as nothing at all". Returns a scalar, the mean over
    the batch.
    """
    per_image = _squares(features - target)
    count = target[0].numel()
    if relative:
        return (per_image / _squares(target).clamp_min(max(least * count, EPSILON))).mean()
    return (per_image / count).mean()


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


def moments_loss(
    mean: Tensor, covariance: Tensor, target_mean: Tensor, target_covariance: Tensor
) -> Tensor:
    """Distance of means (B, C) and covariances (B, C, C) from the style's, (C,) and (C, C).

    |m - ms|^2 / |ms|^2 + |C - Cs|^2 / |Cs|^2 with Frobenius norms: each is 1 for features that are
    nothing at all. Where a style's features hardly vary, or are nothing themselves, the
    denominators have a floor. Returns a scalar, the mean over the batch.
    """
    square = target_mean.square().sum()
    least = LEAST_VARIATION * (square + target_covariance.diagonal().sum()).clamp_min(LEAST_SQUARE)
    of_means = (mean - target_mean).square().sum(1) / torch.maximum(square, least)
    squares = (covariance - target_covariance).square().sum(dim=(1, 2))
    of_covariances = squares / torch.maximum(target_covariance.square().sum(), least.square())
    return (of_means + of_covariances).mean()


def contour_loss(contours: Tensor, target: Tensor) -> Tensor:
    """Distance of contours' probabilities (B, 1, h, w) from the content image's at the same layer.

    mean (q - p)^2 / mean p^2, image by image: 1 is as far as a picture without any contour. Where a
    photograph has hardly any, the denominator has a floor. Returns a scalar, the mean over the
    batch.
    """
    squares, target_squares = (
        (x.square().mean(dim=(1, 2, 3))) for x in (contours - target, target)
    )
    return (squares / target_squares.clamp_min(LEAST_CONTOURS)).mean()


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
