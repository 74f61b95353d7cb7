"""Pillow images to tensors and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastnst.image.decode import read_picture
from fastnst.image.encode import write_picture
from fastnst.image.resize import limit_long_side


def to_bytes_tensor(image: Image.Image) -> Tensor:
    """A Pillow image of mode RGB as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def to_tensor(image: Image.Image) -> Tensor:
    """A Pillow image of mode RGB as float32 (1, 3, H, W), 0..1."""
    return to_bytes_tensor(image).unsqueeze(0).float() / 255


def to_picture(image: Tensor) -> Image.Image:
    """A tensor (1, 3, H, W) or (3, H, W), RGB, 0..1, as a Pillow image; values are clamped."""
    pixels = image.detach().reshape(image.shape[-3:]).float().clamp(0, 1)
    array = (pixels * 255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(array.cpu().contiguous().numpy())


def read_image(path: Path, max_size: int | None = None) -> Tensor:
    """A file as a tensor (1, 3, H, W), RGB, sRGB, 0..1, its long side at most ``max_size``."""
    picture = read_picture(path)
    return to_tensor(picture if max_size is None else limit_long_side(picture, max_size))


def write_image(image: Tensor, path: Path) -> None:
    """Write a tensor (1, 3, H, W), RGB, 0..1; see ``write_picture``."""
    write_picture(to_picture(image), path)
