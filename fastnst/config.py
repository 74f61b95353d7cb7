"""Every hyper-parameter: its type, default, unit, meaning and the reason for its default.

Flags override a YAML file, which overrides the defaults here. Standard library only, so that
``fastnst --help`` costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

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
        5.0, "multiplier of the style term: higher is a heavier stylization"
    )
    tv_weight: float = option(
        0.3, "multiplier of total variation: higher is smoother, with less noise and detail"
    )

    def __post_init__(self) -> None:
        for name in ("content_weight", "style_weight", "tv_weight"):
            require(name, getattr(self, name), minimum=0.0)
        if not self.content_layers or not self.style_layers:
            raise ConfigError("content_layers and style_layers each need at least one layer")
        for weight in self.style_layer_weights:
            require("style_layer_weights", weight, minimum=1e-9)
        if len(self.style_layer_weights) not in (0, len(self.style_layers)):
            raise ConfigError(
                f"{len(self.style_layer_weights)} style_layer_weights for "
                f"{len(self.style_layers)} style_layers"
            )


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
class TrainConfig(LossConfig):
    """Options of ``fastnst train``, the loss's among them."""

    style: tuple[Path, ...] = option((), "the style image; several are pooled into one style")
    style_weights: tuple[float, ...] = option(
        (), "weight of each style image where there are several (default: equal)"
    )
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
    image_size: int = option(
        128,
        "side of the square training crops in pixels; small ones give more steps in the same time",
    )
    style_size: int = option(
        384, "short side of the style image in pixels: larger means larger strokes"
    )
    batch_size: int = option(
        1, "photographs a step; instance norm does not mix them, so one is enough"
    )
    network: Literal["fast", "johnson"] = option(
        "fast", "transfer network: 'fast' (0.24 M parameters) or 'johnson' (1.68 M)"
    )
    backbone: Literal["auto", "vgg19", "vgg16", "embedded", "vgg19_caffe"] = option(
        "auto",
        "loss network: 'auto' takes VGG19 from the cache or the network, else the embedded trunk",
    )
    backbone_weights: Path | None = option(
        None, "file of the backbone's weights: torchvision's .pth, or a safetensors file"
    )
    style_ramp: float = option(
        0.5,
        "share of the run, 0..1, over which the style weight rises from 2 % to its full value; "
        "under the full weight from the start a network learns texture first and the picture last",
    )
    gradient_clip: float = option(
        1.0,
        "largest norm of a step's gradient, 0 for none: one photograph of unusual contrast would "
        "otherwise outweigh hundreds, the style loss being quartic in it",
    )
    learning_rate: float = option(4e-3, "Adam's learning rate at its highest")
    schedule: Literal["cosine", "constant"] = option(
        "cosine", "learning rate over the run: a short warm-up, then a cosine to 0 or constant"
    )
    seed: int = option(0, "seed of the fresh weights and of the order and crops of the photographs")
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "arithmetic: 'auto' takes bfloat16 where the hardware has it"
    )
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps, ...")
    workers: int = option(0, "processes that decode photographs; 0 decodes in the training process")
    init: Path | None = option(None, "checkpoint whose network to start from")
    resume: Path | None = option(
        None, "checkpoint of an interrupted run to go on with; all other options as they were"
    )
    log_dir: Path = option(Path("runs"), "folder of the run folders, for tensorboard --logdir")
    name: str | None = option(None, "the run's name (default: the style's)")
    log_every: int = option(10, "steps between two rows in TensorBoard")
    save_every: float = option(
        1.0, "minutes between two saves of last.ckpt in the run folder, from which to resume"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.style:
            raise ConfigError("no style image: give one with --style FILE")
        if not self.data:
            raise ConfigError("no photographs: give a folder, list or glob with --data PATH")
        if self.steps is not None and self.minutes is not None:
            raise ConfigError("give --steps or --minutes, not both")
        for weight in self.style_weights:
            require("style_weights", weight, minimum=1e-9)
        if len(self.style_weights) not in (0, len(self.style)):
            raise ConfigError(
                f"{len(self.style_weights)} style_weights for {len(self.style)} style images"
            )
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

    @property
    def run_name(self) -> str:
        """The run's name: ``name``, else the style images' names joined by '+'."""
        return self.name or "+".join(path.stem for path in self.style)

    @property
    def output_path(self) -> Path:
        """The checkpoint to write."""
        return self.output or Path(f"{self.run_name}.ckpt")
