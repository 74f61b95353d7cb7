"""Instance norm whose features stay where they lie in memory, channels last."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fastnst.networks.architecture import EPSILON

# Units in the last place, of the largest channel's mean, by which sums of equal numbers may differ.
SUMMED = 16
# A variance after the norm above which its statistics are wrong: it is 1 at the most.
WRONG = 4


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
        ctx.epsilon = epsilon
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        features, weight, mean, inverse = ctx.saved_tensors
        positions = features.shape[2] * features.shape[3]
        near = mean.to(features.dtype)
        centred = features - near[:, :, None, None]
        inverse = _passing(centred, mean, inverse, ctx.epsilon)
        if features.dtype in (torch.bfloat16, torch.float16):
            # b x + c would be the small difference of two large numbers, rounded to 8 or 11 bits.
            features, mean = centred, mean - near
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


def _passing(centred: Tensor, mean: Tensor, inverse: Tensor, epsilon: float) -> Tensor:
    """1 / deviation, (B, C), for the gradient: 0 for channels that vary by no more than rounding.

    centred: the features (B, C, H, W) less their ``mean`` (B, C); ``inverse`` is the forward
    pass's. A plain picture's channels are constant, and a norm multiplies what is left of their
    gradient, which should be 0 and is rounding, by up to epsilon^-1/2; a dozen norms make 1e30 of
    it. What a channel without any variation would do with some is nothing to learn from.
    """
    positions = centred.shape[2] * centred.shape[3]
    offset = _sum(centred) / positions
    variance = _sum(centred.square()) / positions - offset.square()
    size = mean.abs()
    # The type's rounding of the channel itself, and that of the sums that a convolution makes it
    # of, which is no smaller where they cancel.
    unit = torch.finfo(mean.dtype).eps
    rounding = torch.finfo(centred.dtype).eps * size + SUMMED * unit * size.amax(1, keepdim=True)
    # On CPUs the forward pass has the variance as the mean square less the squared mean, of which
    # nothing is left where the mean is some thousand deviations.
    wrong = inverse.square() * variance > WRONG
    inverse = torch.where(wrong, (variance + epsilon).rsqrt(), inverse)
    return inverse * (variance > rounding.square())


def _sum(features: Tensor) -> Tensor:
    """Sum of (B, C, H, W) over the positions, (B, C), at least float32.

    A row's sum is rounded to the features' type, which many rows even out; on CPUs a widened copy
    of all the features takes ten times as long.
    """
    wide = torch.promote_types(features.dtype, torch.float32)
    return features.sum(3).sum(2, dtype=wide)
