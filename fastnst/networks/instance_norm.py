"""Instance norm whose features stay where they lie in memory, channels last."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fastnst.networks.architecture import EPSILON


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm with a scale and a shift for each channel (Ulyanov et al. 2017).

    PyTorch's own works on a reshaped copy: of features that lie channels last, as the fast
    convolutions want them, it copies whatever goes in and comes out. And for a single picture and
    a gradient that lies channels last its backward pass is wrong on CPUs (PyTorch 2.14).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, EPSILON, affine=True)

    def forward(self, features: Tensor) -> Tensor:
        """Normalize (B, C, H, W), any float type; the same shape and type."""
        result: Tensor = _Normalized.apply(features, self.weight, self.bias, self.eps)
        return result


class _Normalized(torch.autograd.Function):
    """weight (x - mean) / deviation + bias; the statistics are float32 at least."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        batch, channels, height, width = features.shape
        result, mean, inverse = torch.native_group_norm(
            features, weight, bias, batch, channels, height * width, channels, epsilon
        )
        ctx.save_for_backward(features, weight, mean, inverse)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        features, weight, mean, inverse = ctx.saved_tensors
        positions = features.shape[2] * features.shape[3]
        # Gradients of the shift and the scale, picture by picture.
        shift = _sum(gradient)
        scale = (_sum(gradient * features) - mean * shift) * inverse
        # weight / deviation (gradient - its mean - x' mean(gradient x')), x' being the normalized
        # features, as a gradient + b x + c with numbers a, b, c for each channel.
        a = weight * inverse
        b = -a * inverse * scale / positions
        c = -a * shift / positions - b * mean
        a, b, c = (number.to(gradient.dtype)[:, :, None, None] for number in (a, b, c))
        return (gradient * a).addcmul_(features, b).add_(c), scale.sum(0), shift.sum(0), None


def _sum(features: Tensor) -> Tensor:
    """Sum of (B, C, H, W) over the positions, (B, C), at least float32.

    A row's sum is rounded to the features' type, which many rows even out; on CPUs a widened copy
    of all the features takes ten times as long.
    """
    wide = torch.promote_types(features.dtype, torch.float32)
    return features.sum(3).sum(2, dtype=wide)
