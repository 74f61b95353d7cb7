"""The frozen loss network: a VGG trunk whose layers are asked for by name.

``convN_M`` is the output of a convolution before its ReLU, ``reluN_M`` after it, ``rgb`` the
picture itself. ``relu3_1/2`` is the layer for the picture at half its size, ``/4`` at a quarter:
there the trunk sees strokes two and four times as large, for a quarter of the work and less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from fastnst.errors import BackboneError, ConfigError, nearest

Features = dict[str, Tensor]
# Blocks whose input is padded for all their convolutions at once: a copy of the smallest tensor of
# the block. In deeper ones, of few positions, the additional ones would cost more than copies.
PADDED_AT_ONCE = 2
# The layer that is the picture, and the sizes that layers can be asked for at.
PIXELS = "rgb"
DIVISORS = (1, 2, 4)


@dataclass(frozen=True)
class Trunk:
    """Shape of a VGG trunk and the preprocessing its weights were trained with.

    ``blocks`` counts the convolutions of each block (a 2x2 max pooling stands between
    blocks). A picture in 0..1 becomes ``(picture * scale - mean) / std`` with its
    channels in ``channel_order``.
    """

    blocks: tuple[int, ...]
    channel_order: tuple[int, int, int]
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def convolutions(self) -> list[str]:
        """The convolutions' names in order: conv1_1, conv1_2, conv2_1, ..."""
        return [
            f"conv{block}_{i}"
            for block, count in enumerate(self.blocks, 1)
            for i in range(1, count + 1)
        ]

    def layers(self) -> list[str]:
        """Every layer that can be asked for, from shallow to deep, at full size."""
        return [PIXELS] + [
            kind + name.removeprefix("conv")
            for name in self.convolutions()
            for kind in ("conv", "relu")
        ]

    def check_layers(self, names: Iterable[str], what: str) -> None:
        """Raises ConfigError, with the nearest valid names, for a layer that isn't there; ``what``
        has none of it.
        """
        valid = self.layers()
        for name in names:
            layer, divisor = _parts(name)
            if layer in valid and divisor in DIVISORS:
                continue
            size = divisor if divisor in DIVISORS else 1
            known = [_joined(layer, size) for layer in valid]
            raise ConfigError(
                f"{what} no layer '{name}': did you mean {nearest(_joined(layer, size), known)}?"
            )


def _parts(name: str) -> tuple[str, int]:
    """A layer's name as the layer and what the picture is divided by: relu3_1/2 as relu3_1, 2."""
    layer, slash, divisor = name.partition("/")
    return layer, int(divisor) if divisor.isdecimal() else 0 if slash else 1


def at_full_size(name: str) -> str:
    """A layer's name for the picture at its own size: relu3_1 of relu3_1/2."""
    return _parts(name)[0]


def _joined(layer: str, divisor: int) -> str:
    return layer if divisor == 1 else f"{layer}/{divisor}"


CHANNELS = (64, 128, 256, 512, 512)
_IMAGENET = ((0, 1, 2), 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Caffe's: BGR in 0..255, mean subtracted, not divided (Simonyan and Zisserman's own weights).
_CAFFE = ((2, 1, 0), 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))

TRUNKS: Mapping[str, Trunk] = {
    "vgg19": Trunk((2, 2, 4, 4, 4), *_IMAGENET),
    "vgg16": Trunk((2, 2, 3, 3, 3), *_IMAGENET),
    "embedded": Trunk((2, 2, 3, 3, 2), *_CAFFE),
    # VGG19 as Simonyan and Zisserman published it, which the early recipes' weights belong to.
    "vgg19_caffe": Trunk((2, 2, 4, 4, 4), *_CAFFE),
}


class Backbone(nn.Module):
    """A frozen VGG trunk, ``name`` being a key of ``TRUNKS``.

    ``weights`` maps ``conv1_1.weight`` (out, in, 3, 3), ``conv1_1.bias`` (out,), ... to tensors
    of any float type; ``origin`` is a text that says where they come from (their SHA-256).
    Raises BackboneError where a tensor is missing or has another shape.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, weights: Mapping[str, Tensor], origin: str = "") -> None:
        super().__init__()
        self.name = name
        self.origin = origin
        self.trunk = TRUNKS[name]
        self.convolutions = nn.ModuleDict()
        width = 3
        for conv in self.trunk.convolutions():
            channels = CHANNELS[int(conv[4]) - 1]
            self.convolutions[conv] = _frozen_convolution(name, conv, width, channels, weights)
            width = channels
        shape = (1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor(self.trunk.mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(self.trunk.std).view(shape), persistent=False)
        self.requires_grad_(False)
        self.eval()
        # Channels-last convolutions are the faster ones on CPUs and on tensor cores alike.
        self.to(memory_format=torch.channels_last)

    @property
    def dtype(self) -> torch.dtype:
        """The type that its convolutions compute in."""
        return next(self.convolutions.parameters()).dtype

    def check_layers(self, layers: Iterable[str]) -> None:
        """Raises ConfigError, with the nearest valid names, for a layer that isn't there."""
        self.trunk.check_layers(layers, f"the backbone {self.name} has")

    def normalize(self, image: Tensor) -> Tensor:
        """A picture (B, 3, H, W), RGB, 0..1, as the trunk's weights want it."""
        ordered = image[:, list(self.trunk.channel_order)]
        return (ordered * self.trunk.scale - self.mean) / self.std

    def channels(self, layer: str) -> int:
        """Number of a layer's feature maps."""
        return 3 if _parts(layer)[0] == PIXELS else CHANNELS[int(layer[4]) - 1]

    def forward(
        self,
        image: Tensor,
        layers: Iterable[str],
        pooling: str = "max",
        padding: str = "zeros",
    ) -> Features:
        """Features of a picture at the named layers.

        image: (B, 3, H, W), RGB, sRGB, 0..1, at least ``smallest_side`` pixels a side.
        ``pooling`` between the blocks is "max", as trained, or "average" (Gatys et al. 2016).
        ``padding`` is what convolutions see beyond the border: "zeros", as trained, which is an
        edge to them, or "replicate": what a picture is at its border goes on beyond it.
        Returns each layer's (B, C, H / 2^(block - 1), W / 2^(block - 1)), of the picture's size or
        what its name divides that by. Evaluation stops at the deepest layer asked for. Raises
        ConfigError for a name that isn't there.
        """
        wanted = set(layers)
        self.check_layers(wanted)
        found: Features = {}
        picture, size = image.float(), 1
        for divisor in DIVISORS:
            names = {layer for layer, other in map(_parts, wanted) if other == divisor}
            if not names:
                continue
            if divisor > size:
                picture, size = F.avg_pool2d(picture, divisor // size), divisor
            at_size = self._of_size(picture, names, pooling, padding)
            found |= {_joined(layer, divisor): values for layer, values in at_size.items()}
        return found

    def _of_size(self, picture: Tensor, wanted: set[str], pooling: str, padding: str) -> Features:
        """Features of a picture at layers of its own size."""
        features: Features = {PIXELS: picture} if PIXELS in wanted else {}
        if wanted <= features.keys():
            return features
        x = self.normalize(picture).to(self.dtype).contiguous(memory_format=torch.channels_last)
        pool = F.max_pool2d if pooling == "max" else F.avg_pool2d
        for block in range(1, len(self.trunk.blocks) + 1):
            if wanted <= features.keys():
                break
            x = self._block(block, pool(x, 2) if block > 1 else x, wanted, features, padding)
        return features

    def _block(
        self, block: int, x: Tensor, wanted: set[str], features: Features, padding: str
    ) -> Tensor:
        """What a block makes of its input, up to the last layer asked for, which it adds."""
        count, replicate = self.trunk.blocks[block - 1], padding == "replicate"
        at_once = count if replicate and block <= PADDED_AT_ONCE else 0
        if at_once:
            x = _replicated(x, at_once)
        for i in range(1, count + 1):
            if wanted <= features.keys():
                break
            conv, relu = f"conv{block}_{i}", f"relu{block}_{i}"
            module = self.convolutions[conv]
            assert isinstance(module, nn.Conv2d)
            if replicate and not at_once:
                x = _replicated(x, 1)
            x = F.conv2d(x, module.weight, module.bias, padding=0 if replicate else 1)
            left = at_once - i if at_once else 0
            if conv in wanted:
                features[conv] = _within(x, left)
            # In place unless the value before it is kept: a quarter of the memory traffic.
            x = F.relu(x, inplace=conv not in wanted)
            if relu in wanted:
                features[relu] = _within(x, left)
        return x


def _replicated(x: Tensor, edge: int) -> Tensor:
    """(B, C, H, W) with its outermost rows and columns so many times more."""
    return F.pad(x, (edge,) * 4, mode="replicate")


def _within(x: Tensor, edge: int) -> Tensor:
    """(B, C, H, W) without so many rows and columns at its borders."""
    return x[:, :, edge:-edge, edge:-edge] if edge else x


def smallest_side(layers: Iterable[str]) -> int:
    """Pixels that a picture's side needs at least for all of the layers to have any.

    Raises ConfigError for a name that no trunk has.
    """
    layers = list(layers)
    TRUNKS["vgg19"].check_layers(layers, "there is")
    return max(map(_reduction, layers))


def coarsest(layers: Iterable[str]) -> str:
    """The layer whose features are the smallest part of the picture."""
    return max(layers, key=_reduction)


def _reduction(name: str) -> int:
    """What a layer divides the picture's sides by."""
    layer, divisor = _parts(name)
    return divisor if layer == PIXELS else divisor << (int(layer[4]) - 1)


def _frozen_convolution(
    name: str, conv: str, width: int, channels: int, weights: Mapping[str, Tensor]
) -> nn.Conv2d:
    # Without random weights, which take longer to draw than the real ones to read.
    module: nn.Conv2d = skip_init(nn.Conv2d, width, channels, 3, padding=1)
    for part, parameter in (("weight", module.weight), ("bias", module.bias)):
        assert parameter is not None
        tensor = weights.get(f"{conv}.{part}")
        if tensor is None or tensor.shape != parameter.shape:
            found = "nothing" if tensor is None else f"shape {tuple(tensor.shape)}"
            raise BackboneError(
                f"the weights for {name} don't fit: {conv}.{part} should have shape "
                f"{tuple(parameter.shape)}, found {found}"
            )
        with torch.no_grad():
            parameter.copy_(tensor)
    return module
