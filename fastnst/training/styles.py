"""The style images of a run: as tensors, in words, and what they look like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from fastnst.config import TrainConfig
from fastnst.errors import ConfigError
from fastnst.image import resize_short_side, to_tensor
from fastnst.machine.files import sha256_file
from fastnst.machine.notify import Notify, silent
from fastnst.objective.backbone import coarsest, smallest_side
from fastnst.objective.forms import layers_of
from fastnst.optimize.sources import check_size
from fastnst.photos.crops import center_crop
from fastnst.photos.paintings import read_painting
from fastnst.training.watch.held_out import PANEL_SIZE
from fastnst.validate.likeness import Signature, pooled, signature


@dataclass(frozen=True)
class Styles:
    """Style images as (1, 3, H, W) tensors, with what the checkpoint says of them, and what they
    look like as one.
    """

    images: list[Tensor]
    described: list[dict[str, Any]]
    signature: Signature
    thumbnail: Tensor


def check_crops(config: TrainConfig) -> None:
    """Raises ConfigError where crops of the size asked for are too small for the loss's layers.

    Crops that are planned are large enough for any.
    """
    layers = layers_of(config)
    if config.image_size is not None and config.image_size < smallest_side(layers):
        raise ConfigError(
            f"crops of {config.image_size} pixels are too small for {coarsest(layers)}, which "
            f"needs {smallest_side(layers)}; raise --image-size"
        )


def read_styles(config: TrainConfig, notify: Notify = silent) -> Styles:
    """The style images, their short sides scaled to ``style_size``; ``notify`` gets what to say of
    their files.

    Raises ImageReadError; ConfigError where that is too small for the layers of the loss.
    """
    originals = [read_painting(path, config.style_size, notify) for path in config.style]
    pictures = [resize_short_side(picture, config.style_size) for picture in originals]
    for path, picture in zip(config.style, pictures, strict=True):
        check_size(picture, path, layers_of(config))
    weights = config.style_weights or (1.0,) * len(pictures)
    described = [
        _described(path, picture, weight)
        for path, picture, weight in zip(config.style, pictures, weights, strict=True)
    ]
    thumbnail = center_crop(pictures[0], PANEL_SIZE).unsqueeze(0).float() / 255
    looks = pooled([signature(picture) for picture in originals], weights)
    return Styles([to_tensor(picture) for picture in pictures], described, looks, thumbnail)


def _described(path: Path, picture: Image.Image, weight: float) -> dict[str, Any]:
    """A style image by name, hash, size as used, and weight."""
    return {
        "name": path.stem,
        "sha256": sha256_file(path),
        "width": picture.width,
        "height": picture.height,
        "weight": weight,
    }
