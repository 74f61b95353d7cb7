"""The transfer networks: a picture goes in, the stylized picture of the same size comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastnst.norms import InstanceNorm


class ReflectConv(nn.Sequential):
    """A convolution whose border sees the mirrored picture: zeros there would leave a frame."""

    def __init__(self, width: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReflectionPad2d(kernel // 2),
            nn.Conv2d(width, channels, kernel, stride),
        )


def conv_norm(width: int, channels: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution and instance norm (Ulyanov et al. 2017)."""
    return [
        ReflectConv(width, channels, kernel, stride),
        InstanceNorm(channels),
    ]


class Residual(nn.Module):
    """Two convolutions beside the identity, no ReLU after the sum (Gross and Wilber 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_norm(channels, channels, 3),
            nn.ReLU(inplace=True),
            *conv_norm(channels, channels, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        body: Tensor = self.body(x)
        return x + body


def upsample() -> nn.Module:
    """Nearest neighbour by 2: with a convolution after it, free of a transposed one's grid."""
    return nn.Upsample(scale_factor=2, mode="nearest")


class TransferNetwork(nn.Module):
    """A transfer network of any kind: call it with (B, 3, H, W), RGB, sRGB, 0..1.

    Returns the stylized images in the same shape. H and W are free from 1 up: the picture is padded
    to a multiple of ``multiple`` by reflection and the result cropped back. While training, values
    may leave 0..1; in evaluation they are clamped. ``kind`` and ``options`` rebuild it.
    """

    multiple = 4
    # Instance norm needs more than one position at the coarsest scale, mirrors need two.
    smallest = 16

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
        self.conv = ReflectConv(width, 12, kernel)
        convolution = self.conv[1]
        with torch.no_grad():
            for parameter in convolution.parameters():
                parameter.copy_(parameter[::4].repeat_interleave(4, dim=0))
        binomial = torch.tensor([0.25, 0.5, 0.25])
        blur = torch.outer(binomial, binomial).expand(3, 1, 3, 3).clone()
        self.register_buffer("kernel", blur, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        pixels = F.pixel_shuffle(self.conv(x), 2)
        return F.conv2d(F.pad(pixels, (1, 1, 1, 1), mode="reflect"), self.kernel, groups=3)


class BoundedOutput(nn.Module):
    """0.5 + (150 / 255) tanh(gain x): Johnson et al.'s scaled tanh, for pictures in 0..1.

    Bounded, so that an unlucky step can't drive a picture far out of range, where the style loss
    grows with the fourth power. ``GAIN`` slows the last layer down: it alone has no norm after it,
    and at Adam's full rate its bias would cross the whole range in some hundred steps.
    """

    GAIN = 0.05

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 + (150 / 255) * torch.tanh(self.GAIN * x)


def johnson(width: int = 32, blocks: int = 5) -> nn.Module:
    """Johnson et al. (2016) with instance norm, reflect padding and upsample + convolution.

    9-3-3 encoder of ``width``, 2 x and 4 x ``width`` channels, ``blocks`` residual blocks at a
    quarter of the size, mirrored decoder; 1.68 million parameters.
    """
    relu = nn.ReLU(inplace=True)
    return nn.Sequential(
        *conv_norm(3, width, 9),
        relu,
        *conv_norm(width, 2 * width, 3, stride=2),
        relu,
        *conv_norm(2 * width, 4 * width, 3, stride=2),
        relu,
        *(Residual(4 * width) for _ in range(blocks)),
        upsample(),
        *conv_norm(4 * width, 2 * width, 3),
        relu,
        upsample(),
        *conv_norm(2 * width, width, 3),
        relu,
        ReflectConv(width, 3, 9),
        BoundedOutput(),
    )


def fast(width: int = 24, blocks: int = 5) -> nn.Module:
    """A small network that never computes at full size: 0.24 million parameters.

    The picture's 2 x 2 pixels become channels, ``width`` channels at half the size, 2 x ``width``
    and ``blocks`` residual blocks at a quarter, and back by nearest upsampling and pixel shuffle.
    """
    relu = nn.ReLU(inplace=True)
    return nn.Sequential(
        nn.PixelUnshuffle(2),
        *conv_norm(12, width, 5),
        relu,
        *conv_norm(width, 2 * width, 3, stride=2),
        relu,
        *(Residual(2 * width) for _ in range(blocks)),
        upsample(),
        *conv_norm(2 * width, width, 3),
        relu,
        SubpixelOutput(width, 5),
        BoundedOutput(),
    )


NETWORKS: Mapping[str, Callable[..., nn.Module]] = {"fast": fast, "johnson": johnson}


def build_network(kind: str, options: Mapping[str, Any] | None = None) -> TransferNetwork:
    """A transfer network with fresh weights; ``kind`` is a key of ``NETWORKS``."""
    chosen = dict(options or {})
    network = TransferNetwork(kind, NETWORKS[kind](**chosen), chosen)
    return network.to(memory_format=torch.channels_last)
