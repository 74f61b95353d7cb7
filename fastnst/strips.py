"""A transfer network on a picture larger than memory, exactly: in strips, norms over the whole.

Instance norm couples all pixels, so tiles that are normalized by themselves differ from each other.
Here every norm's mean and variance are gathered over the whole picture first, in passes over strips
of full width; the features at the coarsest scale are kept, and each strip is computed with as many
rows around it as its convolutions see. The result is the network's own, but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastnst.networks import BoundedOutput, Residual, SubpixelOutput, TransferNetwork

# Rows of the finest scale in a strip, where the caller doesn't say.
STRIP = 256


class Rows(Protocol):
    """Features (1, C, ``height``, ``width``) of which any rows can be had, computed when asked."""

    height: int
    width: int

    def rows(self, start: int, end: int) -> Tensor:
        """Rows ``start`` to ``end`` (not included), float32 (1, C, end - start, width)."""


@dataclass
class ImageRows:
    """A picture, uint8 (H, W, 3), mirrored to the right and below to multiples of ``multiple``."""

    pixels: np.ndarray
    multiple: int

    def __post_init__(self) -> None:
        self.height, self.width = (
            -(-side // self.multiple) * self.multiple for side in self.pixels.shape[:2]
        )

    def rows(self, start: int, end: int) -> Tensor:
        height, width = self.pixels.shape[:2]
        inside = np.arange(start, end)
        # Mirrored as F.pad does: the last row is not repeated.
        mirrored = np.where(inside < height, inside, 2 * (height - 1) - inside)
        strip = torch.from_numpy(self.pixels[mirrored]).permute(2, 0, 1).unsqueeze(0)
        strip = strip.float().div_(255).contiguous(memory_format=torch.channels_last)
        return F.pad(strip, (0, self.width - width, 0, 0), mode="reflect")


class KeptRows:
    """Features kept in memory, in ``dtype``; ``write`` replaces rows while later ones are read.

    Reads after a write still see the ``halo`` rows above the written ones as they were before.
    """

    def __init__(self, channels: int, height: int, width: int, dtype: torch.dtype) -> None:
        self.height, self.width = height, width
        self.values = torch.empty(1, height, width, channels, dtype=dtype)
        self._old: tuple[int, Tensor] | None = None

    def rows(self, start: int, end: int) -> Tensor:
        # A copy: what reads it may work in place.
        found = self.values[:, start:end].to(torch.float32, copy=True)
        if self._old is not None:
            first, old = self._old
            low, high = max(start, first), min(end, first + old.shape[1])
            if low < high:
                found[:, low - start : high - start] = old[:, low - first : high - first].float()
        return found.permute(0, 3, 1, 2)

    def write(self, start: int, features: Tensor, halo: int = 0) -> None:
        """Replace the rows from ``start`` on by ``features`` (1, C, rows, W)."""
        end = start + features.shape[2]
        keep_from = max(start, end - halo)
        old = self.values[:, keep_from:end].clone()
        self.values[:, start:end] = features.permute(0, 2, 3, 1).to(self.values.dtype)
        self._old = (keep_from, old) if halo else None

    def settle(self) -> None:
        """Forget what was there before."""
        self._old = None


class MappedRows:
    """Features with a function applied that looks at each position alone."""

    def __init__(self, source: Rows, function: Callable[[Tensor], Tensor]) -> None:
        self.source, self.function = source, function
        self.height, self.width = source.height, source.width

    def rows(self, start: int, end: int) -> Tensor:
        return self.function(self.source.rows(start, end))


class ConvolvedRows:
    """A convolution whose border sees the mirrored features."""

    def __init__(
        self, source: Rows, kernel: int, stride: int, convolve: Callable[[Tensor], Tensor]
    ) -> None:
        self.source, self.kernel, self.stride, self.convolve = source, kernel, stride, convolve
        self.pad = kernel // 2
        self.height, self.width = -(-source.height // stride), -(-source.width // stride)

    def rows(self, start: int, end: int) -> Tensor:
        first = start * self.stride - self.pad
        last = (end - 1) * self.stride + self.kernel - self.pad
        height = self.source.height
        above, below = max(0, -first), max(0, last - height)
        # A mirror at the border shows rows on this side of it: they are read as well.
        low = max(0, min(first, height - 1 - below)) if below else max(0, first)
        high = min(height, max(last, above + 1))
        found = self.source.rows(low, high)
        padded = F.pad(found, (self.pad, self.pad, above, below), mode="reflect")
        offset = first - (low - above)
        return self.convolve(padded[:, :, offset : offset + last - first])


class ResizedRows:
    """Features at another scale: pixels to channels, channels to pixels, nearest neighbour."""

    def __init__(self, source: Rows, up: int, down: int, function: Callable[[Tensor], Tensor]):
        self.source, self.up, self.down, self.function = source, up, down, function
        self.height = source.height * up // down
        self.width = source.width * up // down

    def rows(self, start: int, end: int) -> Tensor:
        low = start * self.down // self.up
        high = -(-end * self.down // self.up)
        offset = start - low * self.up // self.down
        return self.function(self.source.rows(low, high))[:, :, offset : offset + end - start]


def strips(source: Rows, rows: int) -> Iterator[tuple[int, int]]:
    """Where each strip of at most ``rows`` rows begins and ends."""
    for start in range(0, source.height, rows):
        yield start, min(source.height, start + rows)


def normalize(source: Rows, norm: nn.InstanceNorm2d, rows: int) -> MappedRows:
    """Instance norm over all of ``source``, whose mean and variance are gathered now."""
    return MappedRows(source, normalizer(norm, *moments(source, rows)))


def moments(
    source: Rows, rows: int, also: Callable[[int, Tensor], None] | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, in float64; ``also`` gets each strip with its start."""
    total = squares = torch.zeros(1, dtype=torch.float64)
    for start, end in strips(source, rows):
        strip = source.rows(start, end)
        total = total + strip.sum(dim=(0, 2, 3), dtype=torch.float64)
        squares = squares + strip.square().sum(dim=(0, 2, 3), dtype=torch.float64)
        if also is not None:
            also(start, strip)
    count = source.height * source.width
    mean = total / count
    return mean, (squares / count - mean.square()).clamp_min(0)


def normalizer(
    norm: nn.InstanceNorm2d, mean: Tensor, variance: Tensor
) -> Callable[[Tensor], Tensor]:
    """The norm as the scale and shift that it comes to with these moments."""
    assert norm.weight is not None
    assert norm.bias is not None
    scale = norm.weight.double() / (variance + norm.eps).sqrt()
    shift = norm.bias.double() - mean * scale
    scale, shift = (value.float().view(1, -1, 1, 1) for value in (scale, shift))
    return lambda features: features * scale + shift


class StripNetwork:
    """A transfer network on the CPU that works through a picture in strips of ``rows`` rows.

    Between the passes the features at the coarsest scale are kept in ``dtype``: float32, or float16
    for half the memory. With ``spare`` they are kept twice, and a residual block's convolutions are
    computed 3 times in all instead of 5.
    """

    def __init__(
        self,
        network: TransferNetwork,
        rows: int = STRIP,
        dtype: str = "float32",
        spare: bool = True,
    ) -> None:
        self.multiple = network.multiple
        self.smallest = network.smallest
        self.rows = max(rows, 4 * network.multiple)
        self._height = 0
        self.dtype: torch.dtype = getattr(torch, dtype)
        self.spare = spare
        modules = list(_flat(network.body))
        inner = [i for i, module in enumerate(modules) if isinstance(module, Residual)]
        self.encoder = modules[: inner[0]]
        self.residuals = [module for module in modules if isinstance(module, Residual)]
        self.decoder = modules[inner[-1] + 1 :]

    @torch.inference_mode()
    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Stylize a picture, uint8 (H, W, 3), in place: its own memory takes the result.

        Both sides are at least ``smallest`` pixels. At the coarsest scale a strip has as many rows
        as at the finest: features are small there, and fewer halos are computed twice.
        """
        image = ImageRows(pixels, self.multiple)
        self._height = image.height
        kept = self._encode(image)
        for residual in self.residuals:
            self._apply_residual(kept, residual)
        result = self._chain(kept, self.decoder)
        height, width = pixels.shape[:2]
        for start, end in strips(result, self.rows):
            if start >= height:
                break
            strip = result.rows(start, end)[0, :, :, :width].clamp(0, 1)
            levels = (strip * 255).round().to(torch.uint8).permute(1, 2, 0)
            pixels[start:end] = levels[: height - start].numpy()
        return pixels

    def _encode(self, image: ImageRows) -> KeptRows:
        """The features before the first residual block."""
        # The last norm and what follows it can be done in place on what its statistics' pass kept.
        last = max(i for i, m in enumerate(self.encoder) if isinstance(m, nn.InstanceNorm2d))
        before = self._chain(image, self.encoder[:last])
        norm = self.encoder[last]
        assert isinstance(norm, nn.InstanceNorm2d)
        kept = KeptRows(norm.num_features, before.height, before.width, self.dtype)
        apply = normalizer(norm, *moments(before, self.rows // self.multiple, kept.write))
        after = self._chain(MappedRows(kept, apply), self.encoder[last + 1 :])
        for start, end in strips(kept, self.rows):
            kept.write(start, after.rows(start, end))
        return kept

    def _apply_residual(self, kept: KeptRows, residual: Residual) -> None:
        modules = list(_flat(residual.body))
        norm = modules[-1]
        assert isinstance(norm, nn.InstanceNorm2d)
        before = self._chain(kept, modules[:-1])
        if self.spare:
            beside = KeptRows(norm.num_features, kept.height, kept.width, self.dtype)
            apply = normalizer(norm, *moments(before, self.rows, beside.write))
            body: Rows = MappedRows(beside, apply)
        else:
            body = MappedRows(before, normalizer(norm, *moments(before, self.rows)))
        halo = sum(m.kernel_size[0] // 2 for m in modules if isinstance(m, nn.Conv2d))
        for start, end in strips(kept, self.rows):
            kept.write(start, kept.rows(start, end) + body.rows(start, end), halo)
        kept.settle()

    def _chain(self, source: Rows, modules: Sequence[nn.Module]) -> Rows:
        """``source`` through ``modules``; each norm's statistics are gathered on the way."""
        for module in modules:
            source = self._step(source, module)
        return source

    def _step(self, source: Rows, module: nn.Module) -> Rows:
        if isinstance(module, nn.InstanceNorm2d):
            return normalize(source, module, self.rows * source.height // self._height)
        if isinstance(module, nn.Conv2d):
            return ConvolvedRows(source, module.kernel_size[0], module.stride[0], module)
        if isinstance(module, nn.PixelUnshuffle):
            return ResizedRows(source, 1, 2, module)
        if isinstance(module, nn.Upsample):
            return ResizedRows(source, 2, 1, module)
        if isinstance(module, SubpixelOutput):
            convolved = self._chain(source, list(_flat(module.conv)))
            shuffled = ResizedRows(convolved, 2, 1, lambda x: F.pixel_shuffle(x, 2))
            blur = module.kernel
            return ConvolvedRows(shuffled, 3, 1, lambda x: F.conv2d(x, blur, groups=3))
        if isinstance(module, (nn.ReLU, BoundedOutput)):
            return MappedRows(source, module)
        raise TypeError(f"no strips for {type(module).__name__}")


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    """The modules of nested sequences in order; padding is left to ``ConvolvedRows``."""
    assert isinstance(module, nn.Sequential)
    # Iterated as a sequence: children() would leave out a ReLU that stands in several places.
    for child in module:
        if isinstance(child, nn.Sequential):
            yield from _flat(child)
        elif not isinstance(child, nn.ReflectionPad2d):
            yield child
