"""The transfer networks in PyTorch: a picture goes in, the stylized one of its size comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastnst.networks.architecture import (
    BINOMIAL,
    GAIN,
    MULTIPLE,
    NETWORKS,
    NEW,
    RANGE,
    SMALLEST,
    Bounded,
    Conv,
    Layer,
    Norm,
    Relu,
    Residual,
    Skip,
    Subpixel,
    Unshuffle,
    Upsample,
    without_skips,
)
from fastnst.networks.instance_norm import InstanceNorm


class ReflectConv(nn.Sequential):
    """A convolution whose border sees the mirrored picture: zeros there would leave a frame."""

    def __init__(self, layer: Conv) -> None:
        super().__init__(
            nn.ReflectionPad2d(layer.reach),
            nn.Conv2d(
                layer.width, layer.channels, layer.kernel, layer.stride, dilation=layer.dilation
            ),
        )


class ResidualBlock(nn.Module):
    """Layers beside the identity."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.body = nn.Sequential(*map(module, layers))

    def forward(self, x: Tensor) -> Tensor:
        body: Tensor = self.body(x)
        return x + body


class Chain(nn.Sequential):
    """Layers one after the other, some of them inside a ``skip`` that begins at zero.

    The layers are named by their places as they are without it, so that the weights of a network
    without one fit.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__(*map(module, without_skips(layers)))
        # The places that the skip passes by.
        self.passed = range(0)
        for place, layer in enumerate(layers):
            if isinstance(layer, Skip):
                self.passed = range(place, place + len(layer.body))
                # Last: what random numbers the others get doesn't depend on it.
                self.skip = nn.Conv2d(layer.conv.width, layer.conv.channels, layer.conv.kernel)
                for parameter in self.skip.parameters():
                    nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        layers = [layer for name, layer in self.named_children() if name != "skip"]
        start, end = self.passed.start, self.passed.stop
        x = _through(layers[:start], x)
        if self.passed:
            x = _through(layers[start:end], x) + self.skip(x)
        return _through(layers[end:], x)


def _through(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


class TransferNetwork(nn.Module):
    """A transfer network of any kind: call it with (B, 3, H, W), RGB, sRGB, 0..1.

    Returns the stylized images in the same shape. H and W are free from 1 up: the picture is padded
    to a multiple of ``multiple`` by reflection and the result cropped back. While training, values
    may leave 0..1; in evaluation they are clamped. ``kind`` and ``options`` rebuild it.
    """

    multiple = MULTIPLE
    smallest = SMALLEST

    def __init__(self, kind: str, body: nn.Module, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.kind = kind
        self.options = dict(options)
        self.body = body

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        stylized: Tensor = self.body(pad_to_multiple(image, self.multiple, self.smallest))
        stylized = stylized[..., :height, :width]
        return stylized if self.training else stylized.clamp(0, 1)


def pad_to_multiple(image: Tensor, multiple: int, smallest: int) -> Tensor:
    """Mirror (B, 3, H, W) to the right and below until both sides are multiples, >= smallest.

    One reflection adds at most side - 1 pixels; a side too short for that is reflected again, a
    single pixel repeated.
    """
    for axis in (2, 3):
        size = image.shape[axis]
        target = max(smallest, -(-size // multiple) * multiple)
        while size < target:
            step = min(target - size, max(size - 1, 1))
            pad = (0, step, 0, 0) if axis == 3 else (0, 0, 0, step)
            image = F.pad(image, pad, mode="reflect" if size > 1 else "replicate")
            size += step
    return image


class SubpixelOutput(nn.Module):
    """Channels to the pixels of twice the size, without the grid that pixel shuffle can leave.

    A convolution makes each pixel of a 2 x 2 block by weights of its own (Shi et al. 2016). They
    start out equal (ICNR, Aitken et al. 2017), and a binomial blur, whose response is 0 at the
    highest frequency, removes exactly the pattern by which they may come to differ.
    """

    kernel: Tensor

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = ReflectConv(Conv(width, 12, kernel))
        convolution = self.conv[1]
        with torch.no_grad():
            for parameter in convolution.parameters():
                parameter.copy_(parameter[::4].repeat_interleave(4, dim=0))
        binomial = torch.tensor(BINOMIAL)
        blur = torch.outer(binomial, binomial).expand(3, 1, 3, 3).clone()
        self.register_buffer("kernel", blur, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        pixels = F.pixel_shuffle(self.conv(x), 2)
        return F.conv2d(F.pad(pixels, (1, 1, 1, 1), mode="reflect"), self.kernel, groups=3)


class BoundedOutput(nn.Module):
    """0.5 + RANGE tanh(GAIN x): Johnson et al.'s scaled tanh, for pictures in 0..1.

    Bounded, so that an unlucky step can't drive a picture far out of range, where the style loss
    grows with the fourth power. ``GAIN`` slows the last layer down: it alone has no norm after it,
    and at Adam's full rate its bias would cross the whole range in some hundred steps.
    """

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 + RANGE * torch.tanh(GAIN * x)


def module(layer: Layer) -> nn.Module:
    """A layer of ``fastnst.networks.architecture`` as a module with fresh weights."""
    match layer:
        case Conv():
            return ReflectConv(layer)
        case Norm():
            return InstanceNorm(layer.channels)
        case Residual():
            return ResidualBlock(layer.body)
        case Subpixel():
            return SubpixelOutput(layer.width, layer.kernel)
        case Relu():
            return nn.ReLU(inplace=True)
        case Upsample():
            return nn.Upsample(scale_factor=2, mode="nearest")
        case Unshuffle():
            return nn.PixelUnshuffle(2)
        case Bounded():
            return BoundedOutput()
    raise TypeError(f"no module for {layer}")


def build_network(kind: str, options: Mapping[str, Any] | None = None) -> TransferNetwork:
    """A transfer network with fresh weights; ``kind`` is a key of ``NETWORKS``."""
    chosen = dict(options or {})
    network = TransferNetwork(kind, Chain(NETWORKS[kind](**chosen)), chosen)
    return network.to(memory_format=torch.channels_last)


def new_network(kind: str) -> TransferNetwork:
    """A transfer network as trainings begin with, where they have none to start from."""
    return build_network(kind, NEW.get(kind))


def with_skip(network: TransferNetwork) -> TransferNetwork:
    """The network with the skip that new ones of its kind have, which adds nothing yet.

    ``network`` itself where it has one, or its kind has none.
    """
    skip = NEW.get(network.kind, {}).get("skip", 0)
    if not skip or network.options.get("skip"):
        return network
    grown = build_network(network.kind, network.options | {"skip": skip})
    grown.load_state_dict(network.state_dict(), strict=False)
    return grown.train(network.training)
