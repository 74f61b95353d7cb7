"""Pillow images to tensors and back, and the only resizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastnst.image.decode import read_picture
from fastnst.image.encode import write_picture


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize to (width, height) with antialiasing, at least one pixel a side."""
    width, height = (max(1, side) for side in size)
    if image.size == (width, height):
        return image
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)


def resize_short_side(image: Image.Image, side: int) -> Image.Image:
    """Resize so that the short side has ``side`` pixels."""
    factor = side / min(image.size)
    return resize(image, (round(image.width * factor), round(image.height * factor)))


def resize_long_side(image: Image.Image, side: int) -> Image.Image:
    """Resize so that the long side has ``side`` pixels."""
    factor = side / max(image.size)
    return resize(image, (round(image.width * factor), round(image.height * factor)))


def resize_height(image: Image.Image, height: int) -> Image.Image:
    """Resize to ``height`` pixels, the width in proportion."""
    return resize(image, (round(image.width * height / image.height), height))


def limit_long_side(image: Image.Image, side: int) -> Image.Image:
    """Resize so that the long side has at most ``side`` pixels; smaller pictures stay."""
    return image if max(image.size) <= side else resize_long_side(image, side)


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
