"""Options of the loss and of the style that it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastnst.config.fields import check_choices, option, require
from fastnst.errors import ConfigError, nearest

# Bytes of the names of several style images together: folders, logs and results are called so.
LONGEST_NAME = 100
# Shallow to deep, at full and at half size: relu5_1 has too few positions in a crop to have
# statistics, and its covariance would be all noise.
STYLE_LAYERS = (
    "rgb", "relu1_1", "relu2_1", "relu3_1", "relu4_1",
    "rgb/2", "relu1_1/2", "relu2_1/2", "relu3_1/2", "relu4_1/2",
)  # fmt: skip

# Where contours can be detected (fastnst.objective.contours), from fine to coarse.
CONTOUR_LAYERS = tuple(
    layer + size
    for size in ("", "/2", "/4")
    for layer in ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
)


@dataclass(frozen=True)
class LossConfig:
    """What ``Objective`` is made of."""

    loss: Literal[
        "moments",
        "relative",
        "johnson",
        "gatys",
        "tensorflow",
        "keras",
        "eager",
        "eager-sum",
        "pytorch",
    ] = option(
        "moments",
        "form of the loss: 'moments' compares a style's means and covariances, 'relative' its Gram "
        "matrices, and both make every term a ratio, so that weights mean the same for any style "
        "and backbone; 'johnson' and 'gatys' take the papers' literal terms, the others those of "
        "the recipes in configs/optimize",
    )
    content_layers: tuple[str, ...] = option(
        ("relu4_1",),
        "layers whose features the stylized image shares with its content image",
    )
    style_layers: tuple[str, ...] = option(
        STYLE_LAYERS,
        "layers whose statistics the stylized image shares with the style: 'relu3_1', 'conv4_2', "
        "..., 'rgb' for the pixels; with '/2' or '/4' of the picture at half or a quarter of its "
        "size, where the backbone sees strokes two and four times as large",
    )
    style_layer_weights: tuple[float, ...] = option(
        (), "weight of each style layer within the style term (default: equal)"
    )
    pooling: Literal["max", "average"] = option(
        "max",
        "pooling in the backbone: 'max', as it was trained, or 'average', as Gatys et al. prefer",
    )
    padding: Literal["replicate", "zeros"] = option(
        "replicate",
        "what the backbone sees beyond the border: 'replicate', the picture going on, or 'zeros', "
        "as it was trained, an edge to which networks learn to paint a frame",
        before="zeros",
    )
    content_weight: float = option(1.0, "multiplier of the content term")
    style_weight: float = option(
        12.0, "multiplier of the style term: higher is a heavier stylization"
    )
    tv_weight: float = option(
        0.3, "multiplier of total variation: higher is smoother, with less noise and detail"
    )
    structure_weight: float = option(
        4.0,
        "multiplier of the structure term, which keeps what is lighter or darker than its "
        "surroundings so: higher is more legible, faces first, and less painted",
        before=0.0,
    )
    color_weight: float = option(
        0.5,
        "multiplier of the colour term, which keeps what has one colour in one, and what differs "
        "in hue apart, whatever the palette",
        before=0.0,
    )
    contour_weight: float = option(
        0.0,
        "multiplier of the contour term, which asks that the outlines of what is in a photograph "
        "stay: an alternative to structure_weight; a few are enough",
    )
    contour_layers: tuple[str, ...] = option(
        ("relu2_2", "relu3_3", "relu4_3"),
        "where contours are detected: 'relu1_2' the finest, 'relu2_2', 'relu3_3', 'relu4_3' those "
        "of whole objects; with '/2' or '/4' as style_layers",
    )
    contour_layer_weights: tuple[float, ...] = option(
        (), "weight of each contour layer within the contour term (default: equal)"
    )

    def __post_init__(self) -> None:
        # Flags and YAML are checked by their parser, a checkpoint's description here.
        check_choices(self)
        for name in (
            "content_weight",
            "style_weight",
            "tv_weight",
            "structure_weight",
            "color_weight",
            "contour_weight",
        ):
            require(name, getattr(self, name), minimum=0.0)
        for kind in ("content", "style", "contour"):
            self._check_layers(f"{kind}_layers", f"{kind}_layer_weights")
        for name in self.contour_layers:
            if name not in CONTOUR_LAYERS:
                raise ConfigError(
                    f"contour_layers has no layer '{name}': did you mean "
                    f"{nearest(name, CONTOUR_LAYERS)}?"
                )

    def _check_layers(self, layers: str, weights: str) -> None:
        names, factors = getattr(self, layers), getattr(self, weights, ())
        if not all(isinstance(name, str) for name in names):
            raise ConfigError(f"{layers} are names")
        if not names:
            raise ConfigError(f"{layers} needs at least one layer")
        for factor in factors:
            require(weights, factor, minimum=1e-9)
        if len(factors) not in (0, len(names)):
            raise ConfigError(f"{len(factors)} {weights} for {len(names)} {layers}")


def name_of(style: Sequence[Path]) -> str:
    """A name for what is made of style images: theirs joined by '+', or the first one's where all
    of them would be too long for a file's.
    """
    names = "+".join(path.stem for path in style)
    if len(names.encode(errors="surrogateescape")) <= LONGEST_NAME or len(style) < 2:
        return names
    return f"{style[0].stem}+{len(style) - 1}-more"


@dataclass(frozen=True)
class StyleConfig(LossConfig):
    """A loss, the style it is for, and the backbone it looks through."""

    style: tuple[Path, ...] = option((), "the style image; several are pooled into one style")
    style_weights: tuple[float, ...] = option(
        (), "weight of each style image where there are several (default: equal)"
    )
    style_size: int = option(
        384, "short side of the style image in pixels: larger means larger strokes"
    )
    backbone: Literal["auto", "vgg19", "vgg16", "embedded", "vgg19_caffe"] = option(
        "auto",
        "loss network: 'auto' takes VGG19 from the cache or the network, else the embedded trunk",
    )
    backbone_weights: Path | None = option(
        None, "file of the backbone's weights: torchvision's .pth, or a safetensors file"
    )
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps, ...")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.style:
            raise ConfigError("no style image: give one with --style FILE")
        for weight in self.style_weights:
            require("style_weights", weight, minimum=1e-9)
        if len(self.style_weights) not in (0, len(self.style)):
            raise ConfigError(
                f"{len(self.style_weights)} style_weights for {len(self.style)} style images"
            )
        require("style_size", self.style_size, minimum=1, maximum=4096)
