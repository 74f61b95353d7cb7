"""Options of ``fastnst optimize`` and ``fastnst preview``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastnst.config.fields import option, require
from fastnst.config.loss import StyleConfig, name_of
from fastnst.errors import ConfigError


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
        return self.output or Path(f"{self.content.stem}-{name_of(self.style)}.png")


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
