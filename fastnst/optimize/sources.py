"""The pictures that an optimization begins with: content, styles and start, in their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from fastnst.config import OptimizeConfig
from fastnst.errors import ConfigError
from fastnst.image import (
    limit_long_side,
    read_picture,
    resize,
    resize_height,
    resize_long_side,
    resize_short_side,
    to_tensor,
)
from fastnst.machine.notify import Notify, silent
from fastnst.objective.backbone import coarsest, smallest_side
from fastnst.objective.forms import layers_of
from fastnst.photos.paintings import read_painting

FITS = {"long": resize_long_side, "at-most": limit_long_side, "height": resize_height}


@dataclass(frozen=True)
class Sources:
    """Content, styles and, where ``init`` names a file, the start, in the result's full size."""

    content: Image.Image
    styles: tuple[Image.Image, ...]
    start: Image.Image | None

    def at_scale(self, divisor: int) -> Sources:
        """All of them smaller by ``divisor``."""
        return Sources(
            _shrink(self.content, divisor),
            tuple(_shrink(style, divisor) for style in self.styles),
            self.start,
        )

    def first_picture(self, init: str, seed: int) -> Tensor:
        """The picture (1, 3, H, W), 0..1, to start from: content, style, noise or the file's."""
        if init == "noise":
            shape = (1, 3, self.content.height, self.content.width)
            return torch.rand(shape, generator=torch.Generator().manual_seed(seed))
        if init == "content":
            return to_tensor(self.content)
        return to_tensor(resize(self.start or self.styles[0], self.content.size))


def _shrink(picture: Image.Image, divisor: int) -> Image.Image:
    return resize(picture, (round(picture.width / divisor), round(picture.height / divisor)))


def read_sources(config: OptimizeConfig, notify: Notify = silent) -> Sources:
    """Read what ``config`` names, sized as it says; ``notify`` gets what to say of paintings.

    Raises ImageReadError; ConfigError where a picture is too small for the deepest layer, at the
    coarsest scale, and says what would do.
    """
    assert config.content is not None
    content = FITS[config.fit](read_picture(config.content, large_to=config.size), config.size)
    least = max(config.style_size, config.size)
    paintings = [read_painting(path, least, notify) for path in config.style]
    styles = tuple(_fit_style(config, painting, content) for painting in paintings)
    named = config.init in ("content", "style", "noise")
    start = None if named else read_picture(Path(config.init), large_to=config.size)
    for path, picture in zip((config.content, *config.style), (content, *styles), strict=True):
        check_size(picture, path, layers_of(config), 2 ** (config.scales - 1))
    return Sources(content, styles, start)


def _fit_style(config: OptimizeConfig, style: Image.Image, content: Image.Image) -> Image.Image:
    if config.style_fit == "content-shape":
        return resize(style, content.size)
    if config.style_fit == "as-content":
        return FITS[config.fit](style, config.size)
    return resize_short_side(style, config.style_size)


def check_size(picture: Image.Image, path: Path, layers: Sequence[str], divisor: int = 1) -> None:
    """Raises ConfigError where a side of ``picture`` over ``divisor`` is too small for a layer."""
    least = smallest_side(layers) * divisor
    if min(picture.size) < least:
        scales = f" at {divisor.bit_length()} scales" if divisor > 1 else ""
        raise ConfigError(
            f"{path}: {picture.width} x {picture.height} pixels are too few for "
            f"{coarsest(layers)}{scales}, which needs {least} a side at the least; raise --size or "
            "--style-size"
        )


def enlarge(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture (1, 3, H, W), 0..1, at ``size`` (width, height), bicubic."""
    width, height = size
    larger = F.interpolate(picture, (height, width), mode="bicubic", align_corners=False)
    return larger.clamp(0, 1)
