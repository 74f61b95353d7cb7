"""Strips of the transfer networks in PyTorch: what ``fastnst.strips.network`` asks of a backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fastnst.networks.architecture import (
    BINOMIAL,
    GAIN,
    RANGE,
    Blur,
    Bounded,
    Conv,
    FromLevels,
    Layer,
    Norm,
    Relu,
    Residual,
    Shuffle,
    Skip,
    ToLevels,
    Unshuffle,
    Upsample,
)
from fastnst.strips.cuts import Cut
from fastnst.strips.network import Part, Scales, Segment, Strip

# A norm's scale and shift, (1, C, 1, 1), by its name.
Norms = Mapping[str, Sequence[Tensor]]


class TorchSegments:
    """Segments of the network whose ``weights`` these are, on the CPU."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.weights = weights

    def prepare(
        self, segment: Segment, scales: Scales, sources: Sequence[np.ndarray]
    ) -> Callable[[Sequence[np.ndarray]], Strip]:
        """See ``fastnst.strips.network.Backend``."""
        norms = {
            name: [torch.from_numpy(value).view(1, -1, 1, 1) for value in values]
            for name, values in scales.items()
        }

        @torch.inference_mode()
        def run(sources: Sequence[np.ndarray]) -> Strip:
            x = self._part(_inward(sources[0]), segment.parts[0], norms)
            for source, part in zip(sources[1:], segment.parts[1:], strict=True):
                x = x + self._part(_inward(source), part, norms)
            x = self._part(x, segment.after, norms)
            mean = variance = features = None
            if segment.measured:
                mean, variance = (value.numpy() for value in _moments(x))
            if segment.kept is not None:
                dtype = getattr(torch, segment.kept)
                features = x[0].permute(1, 2, 0).to(dtype).numpy()
            return Strip(features, mean, variance)

        return run

    def _part(self, x: Tensor, part: Part, norms: Norms) -> Tensor:
        return self._run(x, part.layers, part.cuts, norms)

    def _run(self, x: Tensor, layers: Sequence[Layer], cuts: Sequence[Cut], norms: Norms) -> Tensor:
        for layer, cut in zip(layers, cuts, strict=True):
            x = self._layer(x, layer, cut, norms)
        return x

    def _layer(  # noqa: C901
        self, x: Tensor, layer: Layer, cut: Cut, norms: Norms
    ) -> Tensor:
        match layer:
            case Conv():
                return self._conv(x, layer, cut)
            case Norm():
                scale, shift = norms[layer.name]
                return torch.addcmul(shift, x, scale)
            case Relu():
                return F.relu(x)
            case Residual():
                return _part(x, cut) + self._run(x, layer.body, cut.body, norms)
            case Skip():
                beside = self._conv(_part(x, cut), layer.conv, Cut())
                return self._run(x, layer.body, cut.body, norms) + beside
            case Upsample():
                return _part(F.interpolate(x, scale_factor=2, mode="nearest"), cut)
            case Unshuffle():
                return F.pixel_unshuffle(x, 2)
            case Shuffle():
                return _part(F.pixel_shuffle(x, 2), cut)
            case Blur():
                binomial = torch.tensor(BINOMIAL)
                kernel = torch.outer(binomial, binomial).expand(3, 1, -1, -1)
                return F.conv2d(_mirrored(x, 1, cut), kernel, groups=3)
            case Bounded():
                return 0.5 + RANGE * torch.tanh(GAIN * x)
            case FromLevels():
                return x / 255
            case ToLevels():
                return (x.clamp(0, 1) * 255).round()
        raise TypeError(f"no strips for {layer}")

    def _conv(self, x: Tensor, layer: Conv, cut: Cut) -> Tensor:
        weight, bias = (self.weights[f"{layer.name}.{n}"] for n in ("weight", "bias"))
        x = _mirrored(x, layer.reach, cut)
        return F.conv2d(x, weight, bias, layer.stride, dilation=layer.dilation)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, added up in float64."""
    mean = x.mean(dim=(0, 2, 3), keepdim=True, dtype=torch.float64)
    apart = (x - mean.float()).square_()
    return mean.view(-1), apart.mean(dim=(0, 2, 3), dtype=torch.float64)


def _inward(features: np.ndarray) -> Tensor:
    """(rows, W, C) of any type as float32 (1, C, rows, W)."""
    return torch.from_numpy(features).permute(2, 0, 1)[None].float()


def _mirrored(x: Tensor, pad: int, cut: Cut) -> Tensor:
    return _part(F.pad(x, (pad, pad, cut.above, cut.below), mode="reflect"), cut)


def _part(x: Tensor, cut: Cut) -> Tensor:
    return x if cut.rows is None else x[:, :, cut.first : cut.first + cut.rows]
