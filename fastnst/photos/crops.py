"""Photographs as square crops, for measuring with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from fastnst.errors import DataError, ImageReadError
from fastnst.image import read_picture, resize, to_bytes_tensor


def center_crop(picture: Image.Image, size: int) -> Tensor:
    """The middle square of a picture, resized, as uint8 (3, size, size)."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return to_bytes_tensor(resize(picture.crop((left, top, left + side, top + side)), (size, size)))


def center_crops(files: Sequence[Path], size: int) -> Tensor:
    """The photographs' middle squares (N, 3, size, size), float, 0..1.

    Unreadable ones are left out. Raises DataError where none is readable.
    """
    crops: list[Tensor] = []
    failure: ImageReadError | None = None
    for file in files:
        try:
            crops.append(center_crop(read_picture(file, shrink_to=size), size))
        except ImageReadError as error:
            failure = error
    if not crops:
        raise DataError(f"none of the photographs to measure with can be read; last: {failure}")
    return torch.stack(crops).float() / 255
