"""Pillow images that callers have, as their files would be decoded."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from fastnst.errors import ImageReadError
from fastnst.image.cicp import FORMATS, numbers_of
from fastnst.image.decode import Decoded, _finished, _told
from fastnst.image.in_memory import InMemory, PictureFile
from fastnst.image.kinds import head_of
from fastnst.image.levels import samples_of, settle_grey
from fastnst.image.opening import pillow_set_to, refuse_raw


def decode_opened(image: Image.Image) -> Decoded:
    """A Pillow image of any mode as ``read_decoded`` gives its file; itself it stays as it is.

    Of an animation it is the frame that it stands at. What Pillow doesn't keep of a file (colours
    by number, what makes it a raw photograph) is looked up there while the image still knows it:
    not in a copy. Raises ImageReadError with the reason.
    """
    name = getattr(image, "filename", "") or "a PIL image"
    try:
        # Held by one thread at a time: several may have the same image, whose file is read now.
        with pillow_set_to(truncated=False):
            numbers = _numbers(image, name)
            upright = _upright_copy(image)
            upright.info.update(numbers)
            return _finished(upright, settle_grey(upright, samples_of(image)))
    except ImageReadError:
        raise
    except Exception as error:
        raise ImageReadError(f"{name}: not a readable picture ({_told(error)})") from error


def _numbers(image: Image.Image, name: str) -> dict[str, Any]:
    """Colours told by number in the image's file. Raises ImageReadError for a raw photograph."""
    if image.format not in {*FORMATS, "TIFF"}:
        return {}
    file = _file_of(image, name)
    if file is None:
        return {}
    if image.format == "TIFF":
        refuse_raw(file, head_of(file))
    return numbers_of(image, file)


def _file_of(image: Any, name: str) -> PictureFile | None:
    """What an image was opened from: a file, or a stream that can still be read from its start."""
    if os.path.isfile(name):
        return Path(name)
    stream: Any = getattr(image, "fp", None)
    try:
        place = stream.tell()
        stream.seek(0)
        content = stream.read()
        stream.seek(place)
    except (AttributeError, OSError, ValueError):  # None, or closed.
        return None
    return InMemory(name, content)


def _upright_copy(image: Image.Image) -> Image.Image:
    # Outside: data that are damaged are an error, broken EXIF is none.
    image.load()
    if image.mode == "La":
        # Pillow makes no other mode of it.
        image = image.convert("LA")
    upright = None
    with contextlib.suppress(Exception):
        upright = ImageOps.exif_transpose(image)
    return upright or image.copy()
