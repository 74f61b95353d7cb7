"""Pictures in whatever form a caller in Python has them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from fastnst.errors import PictureError
from fastnst.image import InMemory, decode_opened, read_decoded

# What is taken, for those who have something else.
TAKEN = (
    "a picture is a path, a PIL image, a file's bytes or an open file, or an array (H, W, 3) or "
    "(H, W) of uint8 or of floats in 0..1, RGB"
)
# What rounding, resampling and sharpening leave outside of 0..1, which is cut off.
BEYOND = 0.25

Picture = str | os.PathLike[str] | Image.Image | np.ndarray | bytes | BinaryIO


def opened(picture: Any) -> tuple[Image.Image, Image.Image | None]:
    """A picture in mode RGB, and its transparency where it has any.

    Raises ImageReadError for a file or a PIL image, PictureError for anything else that is none.
    """
    if isinstance(picture, Image.Image):
        decoded = decode_opened(picture)
    elif isinstance(picture, str | os.PathLike):
        decoded = read_decoded(Path(picture))
    elif isinstance(picture, bytes | bytearray | memoryview):
        decoded = read_decoded(InMemory("the bytes given", bytes(picture)))
    elif hasattr(picture, "read"):
        decoded = read_decoded(_content(picture))
    else:
        return _of_array(as_array(picture))
    return decoded.picture, decoded.alpha


def _content(file: Any) -> InMemory:
    """What is left to read of an open file."""
    try:
        content = file.read()
    except (OSError, ValueError) as error:  # It is closed, or for writing alone.
        raise PictureError(f"an open file that can't be read ({error}); {TAKEN}") from error
    if not isinstance(content, bytes):
        raise PictureError(f"an open file of text; open it with mode 'rb'; {TAKEN}")
    return InMemory(str(getattr(file, "name", "") or "the open file"), content)


def as_array(picture: Any) -> np.ndarray:
    """Arrays, and what can become one: other libraries' tensors. Raises PictureError."""
    if isinstance(picture, np.ndarray):
        return picture
    kind = type(picture).__name__
    if isinstance(picture, list | tuple):
        raise PictureError(f"a {kind}: np.asarray(picture, np.uint8) makes an array; {TAKEN}")
    if not hasattr(picture, "__array__"):
        raise PictureError(f"not a picture but a {kind}; {TAKEN}")
    try:
        return np.asarray(picture)
    # PyTorch refuses those on another device, and those of a computation that is recorded.
    except (TypeError, RuntimeError) as error:
        raise PictureError(
            f"a {kind} that NumPy can't read; picture.detach().cpu() may help; {TAKEN}"
        ) from error


def _of_array(array: np.ndarray) -> tuple[Image.Image, Image.Image | None]:
    image = Image.fromarray(_bytes(array))
    if image.mode != "RGBA":
        return image.convert("RGB"), None
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB"), image.getchannel("A")


def _bytes(array: np.ndarray) -> np.ndarray:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or not array.size:
        raise PictureError(f"an array {array.shape}{_of_shape(array)}; {TAKEN}")
    array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise PictureError(f"an array of {array.dtype}{_of_type(array)}; {TAKEN}")
    low, high = float(array.min()), float(array.max())
    if not -BEYOND <= low <= high <= 1 + BEYOND:  # Nor is what is no number.
        raise PictureError(f"floats from {low:.4g} to {high:.4g}{_of_range(low, high)}; {TAKEN}")
    levels: np.ndarray = np.round(np.clip(array, 0, 1) * 255).astype(np.uint8)
    return levels


def _of_shape(array: np.ndarray) -> str:
    if array.ndim == 4:
        return ": give its pictures one by one, or {'image': array} for (N, H, W, 3)"
    if array.ndim == 3 and array.shape[0] in (1, 3, 4):
        return ": np.moveaxis(array, 0, -1) puts the channels last"
    return ""


def _of_type(array: np.ndarray) -> str:
    if array.dtype == np.uint16:
        return ": array / 65535 makes floats of it, or array >> 8, made uint8, bytes"
    if array.dtype.kind in "iu":
        return ": array.astype(np.uint8) makes bytes of numbers from 0 to 255"
    return ""


def _of_range(low: float, high: float) -> str:
    if 1 < high <= 255.5 and low >= -1:
        return ": array / 255 may be meant"
    if low >= -1 - BEYOND and high <= 1 + BEYOND:
        return ": (array + 1) / 2 may be meant"
    return ""
