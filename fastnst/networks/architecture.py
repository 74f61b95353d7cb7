"""What the transfer networks are, said once for PyTorch's modules, OpenVINO's graphs and strips.

A network is a chain of layers. Its weights are named as ``fastnst.networks.modules`` names them, by
the layers' places in the chain: ``body.7`` and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

# Sides are padded to a multiple, and up to the smallest: instance norm needs more than one position
# at the coarsest scale, mirrors need two.
MULTIPLE = 4
SMALLEST = 16
# The most that blocks may look apart: so many positions can be mirrored in the smallest picture.
WIDEST = SMALLEST // MULTIPLE - 1
RANGE, GAIN = 150 / 255, 0.05  # Bounded's: 0.5 + RANGE tanh(GAIN x)
EPSILON = 1e-5  # torch.nn.InstanceNorm2d's
BINOMIAL = (0.25, 0.5, 0.25)


class Geometry:
    """What a layer does to sides and channels; here, of one that leaves them.

    ``reach`` is how many of its input's positions on either side a result depends on, ``shrink``
    and ``grow`` by how much sides become smaller or larger.
    """

    reach = 0
    shrink = 1
    grow = 1

    def side_after(self, side: int) -> int:
        """The result's side."""
        return -(-side // self.shrink) * self.grow

    def channels_after(self, channels: int) -> int:
        """The result's channels."""
        return channels


@dataclass(frozen=True)
class Conv(Geometry):
    """A convolution from ``width`` to ``channels``, its border mirrored; weights and bias. Its
    kernel looks ``dilation`` positions apart.
    """

    width: int
    channels: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    name: str = ""

    @property
    def reach(self) -> int:  # type: ignore[override]
        return self.kernel // 2 * self.dilation

    @property
    def shrink(self) -> int:  # type: ignore[override]
        return self.stride

    def channels_after(self, channels: int) -> int:
        return self.channels


@dataclass(frozen=True)
class Norm(Geometry):
    """Instance norm with a weight and a bias (Ulyanov et al. 2017)."""

    channels: int
    name: str = ""


@dataclass(frozen=True)
class Relu(Geometry):
    """max(x, 0)."""


@dataclass(frozen=True)
class Bypassed(Geometry):
    """``body`` beside another way, with the same channels and sides at both ends."""

    body: tuple[Layer, ...]

    @property
    def reach(self) -> int:  # type: ignore[override]
        found, scale = 0, 1
        for layer in self.body:
            found += layer.reach * scale
            scale = scale * layer.shrink // layer.grow
        return found


@dataclass(frozen=True)
class Residual(Bypassed):
    """``body`` beside the identity, no ReLU after the sum (Gross and Wilber 2016)."""


@dataclass(frozen=True)
class Skip(Bypassed):
    """``body`` beside a pointwise ``conv``: details need not pass the coarse scale."""

    conv: Conv


@dataclass(frozen=True)
class Upsample(Geometry):
    """Nearest neighbour by 2: with a convolution after it, free of a transposed one's grid."""

    grow = 2


@dataclass(frozen=True)
class Unshuffle(Geometry):
    """2 x 2 pixels to channels."""

    shrink = 2

    def channels_after(self, channels: int) -> int:
        return 4 * channels


@dataclass(frozen=True)
class Subpixel(Geometry):
    """``width`` channels to pixels of twice the size: Conv, Shuffle, Blur."""

    width: int
    kernel: int


@dataclass(frozen=True)
class Shuffle(Geometry):
    """Channels to 2 x 2 pixels (Shi et al. 2016)."""

    grow = 2

    def channels_after(self, channels: int) -> int:
        return channels // 4


@dataclass(frozen=True)
class Blur(Geometry):
    """Each channel by itself with ``BINOMIAL`` both ways, the border mirrored."""

    reach = len(BINOMIAL) // 2


@dataclass(frozen=True)
class Bounded(Geometry):
    """0.5 + RANGE tanh(GAIN x)."""


@dataclass(frozen=True)
class FromLevels(Geometry):
    """Levels 0..255 (H, W, 3) to a picture 0..1."""


@dataclass(frozen=True)
class ToLevels(Geometry):
    """A picture to levels, clamped and rounded."""


Layer = (
    Conv | Norm | Relu | Residual | Skip | Upsample | Unshuffle | Subpixel | Shuffle | Blur
    | Bounded | FromLevels | ToLevels
)  # fmt: skip


def conv_norm(
    width: int, channels: int, kernel: int, stride: int = 1, dilation: int = 1
) -> tuple[Layer, ...]:
    """Convolution and instance norm."""
    return Conv(width, channels, kernel, stride, dilation), Norm(channels)


def residual(channels: int, dilation: int = 1) -> Residual:
    """A residual block of two convolutions."""
    inner = conv_norm(channels, channels, 3, dilation=dilation)
    return Residual((*inner, Relu(), *inner))


def johnson(width: int = 32, blocks: int = 5) -> tuple[Layer, ...]:
    """Johnson et al. (2016) with instance norm, reflect padding and upsample + convolution.

    9-3-3 encoder of ``width``, 2 x and 4 x ``width`` channels, ``blocks`` residual blocks at a
    quarter of the size, mirrored decoder; 1.68 million parameters.
    """
    return (
        *conv_norm(3, width, 9),
        Relu(),
        *conv_norm(width, 2 * width, 3, stride=2),
        Relu(),
        *conv_norm(2 * width, 4 * width, 3, stride=2),
        Relu(),
        *(residual(4 * width) for _ in range(blocks)),
        Upsample(),
        *conv_norm(4 * width, 2 * width, 3),
        Relu(),
        Upsample(),
        *conv_norm(2 * width, width, 3),
        Relu(),
        Conv(width, 3, 9),
        Bounded(),
    )


def fast(width: int = 24, blocks: int = 5, spread: int = 1, skip: int = 0) -> tuple[Layer, ...]:
    """A small network that never computes at full size: 0.24 million parameters.

    The picture's 2 x 2 pixels become channels, ``width`` channels at half the size, 2 x ``width``
    and ``blocks`` residual blocks at a quarter, and back by nearest upsampling and pixel shuffle.
    The blocks' dilation rises by one from either end up to ``spread``, 1 to ``WIDEST`` (3: 1, 2, 3,
    2, 1): strokes reach further in the same time. With ``skip``, 0 or 1, the first features at half
    the size are added to the last ones (Ronneberger et al. 2015).
    """
    dilations = (1 + min(place, blocks - 1 - place, spread - 1) for place in range(blocks))
    body = (
        *conv_norm(width, 2 * width, 3, stride=2),
        Relu(),
        *(residual(2 * width, dilation) for dilation in dilations),
        Upsample(),
        *conv_norm(2 * width, width, 3),
    )
    return (
        Unshuffle(),
        *conv_norm(12, width, 5),
        Relu(),
        *((Skip(body, Conv(width, width, 1)),) if skip else body),
        Relu(),
        Subpixel(width, 5),
        Bounded(),
    )


def examples(width: int = 32, blocks: int = 5) -> tuple[Layer, ...]:
    """The network of pytorch/examples, see ``fastnst.checkpoint.pytorch_examples``."""
    return johnson(width, blocks)[:-1]


NETWORKS: Mapping[str, Callable[..., tuple[Layer, ...]]] = {
    "fast": fast,
    "johnson": johnson,
    "examples": examples,
}

# What new networks of a kind are built with, beside the defaults that earlier checkpoints rely on.
NEW: Mapping[str, Mapping[str, int]] = {"fast": {"spread": 3, "skip": 1}}


def chain(kind: str, options: Mapping[str, Any] | None = None) -> tuple[Layer, ...]:
    """The network from levels to levels: named layers, Subpixel as what it consists of."""
    return (FromLevels(), *_named(NETWORKS[kind](**(options or {})), "body"), ToLevels())


def weight_shapes(layers: Sequence[Layer]) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of ``chain``'s layers, by its name."""
    found: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        if isinstance(layer, Bypassed):
            found |= weight_shapes(layer.body)
        if isinstance(layer, Skip):
            found |= weight_shapes([layer.conv])
        if isinstance(layer, Conv):
            kernel = (layer.channels, layer.width, layer.kernel, layer.kernel)
            found |= {f"{layer.name}.weight": kernel, f"{layer.name}.bias": (layer.channels,)}
        if isinstance(layer, Norm):
            found |= {f"{layer.name}.{kind}": (layer.channels,) for kind in ("weight", "bias")}
    return found


def without_skips(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The chain as it is without its ``Skip``s: their bodies are a part of it."""
    return tuple(one for at in layers for one in (at.body if isinstance(at, Skip) else (at,)))


def _named(layers: tuple[Layer, ...], name: str, first: int = 0) -> tuple[Layer, ...]:
    found: list[Layer] = []
    for place, layer in enumerate(layers, first):
        here = f"{name}.{place}"
        if isinstance(layer, Conv):
            found.append(replace(layer, name=f"{here}.1"))  # Behind its padding.
        elif isinstance(layer, Norm):
            found.append(replace(layer, name=here))
        elif isinstance(layer, Residual):
            found.append(Residual(_named(layer.body, f"{here}.body")))
        elif isinstance(layer, Skip):
            # All else is named as it is without: the weights of one network fit the other.
            after = _named(layers[place - first + 1 :], name, place + len(layer.body))
            conv = replace(layer.conv, name=f"{name}.skip")
            return (*found, Skip(_named(layer.body, name, place), conv), *after)
        elif isinstance(layer, Subpixel):
            conv = Conv(layer.width, 12, layer.kernel, name=f"{here}.conv.1")
            found += [conv, Shuffle(), Blur()]
        else:
            found.append(layer)
    return tuple(found)
