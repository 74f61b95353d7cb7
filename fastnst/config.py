"""Every hyper-parameter: its type, default, unit, meaning and the reason for its default.

Flags override a YAML file, which overrides the defaults here. Standard library only, so that
``fastnst --help`` costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fastnst.errors import ConfigError


def option(default: Any, help: str) -> Any:
    """A dataclass field with its help text."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class LossConfig:
    """What ``PerceptualLoss`` is made of."""

    loss: Literal[
        "relative", "johnson", "gatys", "tensorflow", "keras", "eager", "eager-sum", "pytorch"
    ] = option(
        "relative",
        "form of the loss: 'relative' makes every term a ratio, so that weights mean the same for "
        "any style and backbone; 'johnson' and 'gatys' take the papers' literal terms, the others "
        "those of the recipes in configs/optimize",
    )
    content_layers: tuple[str, ...] = option(
        ("relu2_2",),
        "layers whose features the stylized image shares with its content image",
    )
    style_layers: tuple[str, ...] = option(
        ("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
        "layers whose Gram matrices the stylized image shares with the style",
    )
    style_layer_weights: tuple[float, ...] = option(
        (), "weight of each style layer within the style term (default: equal)"
    )
    pooling: Literal["max", "average"] = option(
        "max",
        "pooling in the backbone: 'max', as it was trained, or 'average', as Gatys et al. prefer",
    )
    content_weight: float = option(1.0, "multiplier of the content term")
    style_weight: float = option(
        10.0, "multiplier of the style term: higher is a heavier stylization"
    )
    tv_weight: float = option(
        0.3, "multiplier of total variation: higher is smoother, with less noise and detail"
    )

    def __post_init__(self) -> None:
        # Flags and YAML are checked by their parser, a checkpoint's description here.
        check_choices(self)
        for name in ("content_weight", "style_weight", "tv_weight"):
            require(name, getattr(self, name), minimum=0.0)
        if not all(isinstance(name, str) for name in (*self.content_layers, *self.style_layers)):
            raise ConfigError("content_layers and style_layers are names")
        if not self.content_layers or not self.style_layers:
            raise ConfigError("content_layers and style_layers each need at least one layer")
        for weight in self.style_layer_weights:
            require("style_layer_weights", weight, minimum=1e-9)
        if len(self.style_layer_weights) not in (0, len(self.style_layers)):
            raise ConfigError(
                f"{len(self.style_layer_weights)} style_layer_weights for "
                f"{len(self.style_layers)} style_layers"
            )


def check_choices(config: Any) -> None:
    """Raises ConfigError where a field of ``config`` is none of its Literal's values."""
    for name, hint in get_type_hints(type(config)).items():
        if get_origin(hint) is Literal and getattr(config, name) not in get_args(hint):
            known = ", ".join(get_args(hint))
            raise ConfigError(f"{name} must be one of {known}, not {getattr(config, name)!r}")


def require(name: str, value: float | None, *, minimum: float, maximum: float = math.inf) -> None:
    """Raises ConfigError unless ``value`` is None or a finite number within the limits."""
    if value is None:
        return
    if not math.isfinite(value) or not minimum <= value <= maximum:
        bounds = f"at least {minimum:g}"
        if math.isfinite(maximum):
            bounds = f"from {minimum:g} to {maximum:g}"
        raise ConfigError(f"{name} must be a number {bounds}, not {value}")


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


@dataclass(frozen=True)
class TrainConfig(StyleConfig):
    """Options of ``fastnst train``, the loss's among them."""

    data: str = option(
        "", "photographs: a folder (flat or nested), a text file of paths, or a glob in quotes"
    )
    output: Path | None = option(
        None, "the checkpoint to write (default: the style's name .ckpt in the current folder)"
    )
    overwrite: bool = option(False, "replace an existing --output")
    steps: int | None = option(None, "optimizer steps to train for")
    minutes: float | None = option(
        None, "minutes to train for, the schedule fitting itself to them (default: 10)"
    )
    image_size: int | None = option(
        None,
        "side of the square training crops in pixels (default: 128 with --steps; with --minutes, "
        "as large as leaves steps enough on this machine)",
    )
    batch_size: int | None = option(
        None,
        "photographs a step; instance norm does not mix them, so one is enough (default: 1, and "
        "more where --minutes leaves steps in plenty)",
    )
    network: Literal["fast", "johnson"] = option(
        "fast", "transfer network: 'fast' (0.24 M parameters) or 'johnson' (1.68 M)"
    )
    style_ramp: float | None = option(
        None,
        "share of the run, 0..1, over which the style weight rises from a fiftieth to its full "
        "value: a fresh network under the full weight learns texture first and the picture last "
        "(default: 0.5, and 0.1 from a network that knows pictures already)",
    )
    gradient_clip: float = option(
        1.0,
        "largest norm of a step's gradient, 0 for none: one photograph of unusual contrast would "
        "otherwise outweigh hundreds, the style loss being quartic in it",
    )
    optimizer: Literal["muon", "adam"] = option(
        "muon", "'muon', which makes the most of every step, or 'adam', as in the papers"
    )
    learning_rate: float = option(
        1e-2, "learning rate at its highest; 'adam' wants a lower one, such as 4e-3"
    )
    no_early_stop: bool = option(
        False, "use up all --minutes, even where photographs held out say that nothing is gained"
    )
    schedule: Literal["cosine", "constant"] = option(
        "cosine", "learning rate over the run: a short warm-up, then a cosine to 0 or constant"
    )
    seed: int = option(0, "seed of the fresh weights and of the order and crops of the photographs")
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "arithmetic: 'auto' takes bfloat16 where the hardware has it"
    )
    workers: int = option(0, "processes that decode photographs; 0 decodes in the training process")
    init: str = option(
        "base",
        "network to start from: 'base', one that has learned many styles and learns another "
        "sooner; 'none', fresh weights; or a checkpoint, or the name of a shipped style",
    )
    resume: Path | None = option(
        None, "checkpoint of an interrupted run to go on with; all other options as they were"
    )
    log_dir: Path = option(Path("runs"), "folder of the run folders, for tensorboard --logdir")
    name: str | None = option(None, "the run's name (default: the style's)")
    log_every: int = option(10, "steps between two rows in TensorBoard")
    validation_photos: int = option(
        2,
        "held-out photographs for which the iterations of optimization that the network is worth "
        "are logged while it trains; their optima take seconds each, once for a style; 0 for none",
    )
    save_every: float = option(
        1.0, "minutes between two saves of last.ckpt in the run folder, from which to resume"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data:
            raise ConfigError("no photographs: give a folder, list or glob with --data PATH")
        if self.steps is not None and self.minutes is not None:
            raise ConfigError("give --steps or --minutes, not both")
        require("steps", self.steps, minimum=1)
        require("minutes", self.minutes, minimum=0.01)
        # Below 32 pixels the deepest default layer sees too few positions to have statistics.
        for name in ("image_size", "style_size"):
            require(name, getattr(self, name), minimum=32, maximum=4096)
        for name in ("batch_size", "log_every"):
            require(name, getattr(self, name), minimum=1, maximum=100_000)
        require("workers", self.workers, minimum=0, maximum=64)
        require("seed", self.seed, minimum=0, maximum=2**32 - 1)
        require("learning_rate", self.learning_rate, minimum=1e-9, maximum=10)
        require("style_ramp", self.style_ramp, minimum=0, maximum=1)
        require("gradient_clip", self.gradient_clip, minimum=0)
        require("save_every", self.save_every, minimum=0)
        require("validation_photos", self.validation_photos, minimum=0, maximum=20)

    @property
    def run_name(self) -> str:
        """The run's name: ``name``, else the style images' names joined by '+'."""
        return self.name or "+".join(path.stem for path in self.style)

    @property
    def output_path(self) -> Path:
        """The checkpoint to write."""
        return self.output or Path(f"{self.run_name}.ckpt")


@dataclass(frozen=True)
class OptimizeConfig(StyleConfig):
    """Options of ``fastnst optimize``, the loss's among them."""

    content: Path | None = option(None, "the content image")
    output: Path | None = option(
        None, "the picture to write (default: CONTENT-STYLE.png in the current folder)"
    )
    overwrite: bool = option(False, "replace an existing --output")
    steps: int = option(200, "iterations at each scale")
    optimizer: Literal["lbfgs", "adam"] = option(
        "lbfgs", "'lbfgs' reaches a low loss in the fewest iterations, 'adam' needs less memory"
    )
    init: str = option("content", "picture to start from: content, style, noise, or a file")
    size: int = option(512, "size of the result in pixels, as --fit says")
    fit: Literal["long", "at-most", "height"] = option(
        "long", "whether size is the long side, its limit (smaller pictures stay), or the height"
    )
    style_fit: Literal["short", "as-content", "content-shape"] = option(
        "short",
        "size of the style image: 'short', its short side is style_size; 'as-content', by size and "
        "fit; 'content-shape', stretched to the content image's very shape",
    )
    scales: int = option(
        1, "coarse to fine: start at 1/2^(scales - 1) of the size and double; for large pictures"
    )
    learning_rate: float = option(0.02, "Adam's, in units of pixel values 0..1")
    beta1: float = option(0.9, "Adam's decay of the mean gradient")
    beta2: float = option(0.999, "Adam's decay of the mean squared gradient")
    epsilon: float = option(1e-8, "Adam's least denominator")
    seed: int = option(0, "seed of the noise to start from")
    save_every: int = option(0, "iterations between pictures OUTPUT.stepN; 0 for none")
    statistics: bool = option(
        False,
        "also write OUTPUT.statistics.json (shape, minimum, maximum and mean of every feature and "
        "Gram matrix) and OUTPUT.edges.png (high-pass and Sobel edges before and after)",
    )
    precision: Literal["float32", "bfloat16"] = option(
        "float32", "arithmetic of the backbone; 'bfloat16' is faster where the hardware has it"
    )
    log_dir: Path = option(Path("runs"), "folder of the run folders, for tensorboard --logdir")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.content is None:
            raise ConfigError("no content image: give one with --content FILE")
        require("steps", self.steps, minimum=1, maximum=1_000_000)
        require("size", self.size, minimum=1, maximum=16384)
        require("scales", self.scales, minimum=1, maximum=8)
        require("seed", self.seed, minimum=0, maximum=2**32 - 1)
        require("save_every", self.save_every, minimum=0)
        require("learning_rate", self.learning_rate, minimum=1e-9, maximum=10)
        require("epsilon", self.epsilon, minimum=0)
        for name in ("beta1", "beta2"):
            require(name, getattr(self, name), minimum=0, maximum=0.999999)

    @property
    def output_path(self) -> Path:
        """The picture to write."""
        assert self.content is not None
        styles = "+".join(path.stem for path in self.style)
        return self.output or Path(f"{self.content.stem}-{styles}.png")


@dataclass(frozen=True)
class PreviewConfig(StyleConfig):
    """Options of ``fastnst preview``, the loss's among them."""

    content: Path | None = option(None, "a photograph to try the style on")
    output: Path = option(Path("preview.png"), "the contact sheet to write")
    overwrite: bool = option(False, "replace an existing --output")
    size: int = option(192, "long side of each tile in pixels")
    steps: int = option(60, "L-BFGS iterations for each tile")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.content is None:
            raise ConfigError("no content image: give one with --content FILE")
        require("size", self.size, minimum=32, maximum=2048)
        require("steps", self.steps, minimum=1, maximum=10_000)
