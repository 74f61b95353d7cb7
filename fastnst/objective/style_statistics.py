"""What sums up features where a style is compared: Gram matrices, or means and covariances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# By name: "gram" (B, C, C), or "mean" (B, C) and "covariance" (B, C, C); of a style without the B.
Statistics = Mapping[str, Tensor]


@dataclass(frozen=True)
class Summary:
    """``of`` features (B, C, H, W) makes statistics; ``pooled`` makes those of several styles from
    each one's (without B) and shares that sum to 1.
    """

    of: Callable[[Tensor], Statistics]
    pooled: Callable[[Sequence[Statistics], Sequence[float]], Statistics]


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
        return _products(positions).mul_(scale)

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


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, C) and covariance (B, C, C) of the channels over all positions, float32.

    features: (B, C, H, W), any float type. The covariance is the Gram matrix about the mean, over
    H W; so a Gram matrix, whose largest entries are products of means, is told apart into what the
    channels are on average and how they vary together. Products are accumulated as in
    ``gram_matrix``. Of features 1 and 3 at two positions the mean is 2 and the covariance 1.
    """
    batch, channels, height, width = features.shape
    with torch.autocast(features.device.type, enabled=False):
        positions = features.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        positions = positions.float() if positions.dtype == torch.float16 else positions
        mean, covariance = _Moments.apply(positions)
        return mean, covariance


class _Moments(torch.autograd.Function):
    """Mean and covariance of P (B, M, N): P^T P / M less the mean's own products.

    The gradient is one product of P and a row that is the same at all positions: no centred copy of
    the features is made, forward or backward.
    """

    @staticmethod
    def forward(ctx: Any, positions: Tensor) -> tuple[Tensor, Tensor]:
        count = positions.shape[1]
        wide = torch.promote_types(positions.dtype, torch.float32)
        mean = positions.sum(1, dtype=wide).div_(count)
        covariance = _products(positions).div_(count)
        covariance.baddbmm_(mean[:, :, None], mean[:, None, :], alpha=-1)
        ctx.save_for_backward(positions, mean)
        return mean, covariance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, mean_gradient: Tensor, gradient: Tensor) -> Tensor:
        positions, mean = ctx.saved_tensors
        count = positions.shape[1]
        both = (gradient + gradient.transpose(1, 2)).div_(count)
        row = mean_gradient[:, None] / count - torch.bmm(mean[:, None], both)
        return torch.baddbmm(row.to(positions.dtype), positions, both.to(positions.dtype))


def _products(positions: Tensor) -> Tensor:
    """P^T P of P (B, M, N), in float32 at least, by parts."""
    batch, count, width = positions.shape
    parts = _parts(positions)
    split = positions.reshape(batch * parts, count // parts, width)
    products = torch.bmm(split.transpose(1, 2), split)
    if parts == 1 and products.dtype != torch.bfloat16:
        return products
    wide = torch.promote_types(products.dtype, torch.float32)
    return products.view(batch, parts, width, width).sum(1, dtype=wide)


def gram_summary(normalization: str) -> Summary:
    """Gram matrices, see ``gram_matrix``; of several styles their mean."""
    return Summary(lambda features: {"gram": gram_matrix(features, normalization)}, _mean_of)


def _mean_of(found: Sequence[Statistics], shares: Sequence[float]) -> Statistics:
    return {
        name: torch.stack([s[name] * share for s, share in zip(found, shares, strict=True)]).sum(0)
        for name in found[0]
    }


def _named_moments(features: Tensor) -> Statistics:
    mean, covariance = moments(features)
    return {"mean": mean, "covariance": covariance}


def _mixed_moments(found: Sequence[Statistics], shares: Sequence[float]) -> Statistics:
    """Mean and covariance of all positions of all styles together, each style with its share."""
    second = [
        {**s, "covariance": s["covariance"] + torch.outer(s["mean"], s["mean"])} for s in found
    ]
    mixed = _mean_of(second, shares)
    mean = mixed["mean"]
    return {"mean": mean, "covariance": mixed["covariance"] - torch.outer(mean, mean)}


MOMENTS = Summary(_named_moments, _mixed_moments)
