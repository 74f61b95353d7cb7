"""Pillow images that callers have, as their files would be decoded."""

from __future__ import annotations

import contextlib

from PIL import Image, ImageOps

from fastnst.errors import ImageReadError
from fastnst.image.decode import Decoded, _finished, _told
from fastnst.image.opening import pillow_set_to


def decode_opened(image: Image.Image) -> Decoded:
    """A Pillow image of any mode as ``read_decoded`` gives its file; itself it stays as it is.

    Of an animation it is the frame that it stands at. Raises ImageReadError with the reason.
    """
    name = getattr(image, "filename", "") or "a PIL image"
    try:
        # Held by one thread at a time: several may have the same image, whose file is read now.
        with pillow_set_to(truncated=False):
            return _finished(_upright_copy(image), [])
    except Exception as error:
        raise ImageReadError(f"{name}: not a readable picture ({_told(error)})") from error


def _upright_copy(image: Image.Image) -> Image.Image:
    # Outside: data that are damaged are an error, broken EXIF is none.
    image.load()
    if image.mode == "La":
        # Pillow makes no other mode of it.
        image = image.convert("LA")
    with contextlib.suppress(Exception):
        return ImageOps.exif_transpose(image)
    return image.copy()
