"""Files opened, their headers read: the only place that chooses a decoder."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from PIL import ExifTags, Image, ImageFile, PngImagePlugin

from fastnst.errors import ImageReadError
from fastnst.image import heif
from fastnst.image.cicp import numbers_of
from fastnst.image.encode import is_marked
from fastnst.image.frames import seek_picture
from fastnst.image.in_memory import PictureFile, for_pillow
from fastnst.image.kinds import head_of, is_heif
from fastnst.image.png_texts import MOST, UNREAD_PROFILE, has_texts_too_large, without_texts
from fastnst.image.raw import is_raw

# Decoders by allow-list: parsers for EPS, PDF, PSD and the like are never reached.
# Phones' MPO opens as the JPEG that it begins with.
READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM")
READ_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .jif .jfi .mpo .png .apng .webp .tif .tiff .bmp .gif .avif .ppm .pgm .pnm".split()  # noqa: E501, SIM905
)
# Pillow's own limits, which are for the whole process, are set aside while fastnst decodes.
_pillow_limits = threading.Lock()


def is_read(suffix: str) -> bool:
    """Whether files of this suffix are read here, as far as a suffix tells."""
    suffix = suffix.lower()
    return suffix in READ_SUFFIXES or (suffix in heif.SUFFIXES and heif.is_there())


def open_image(file: PictureFile) -> Any:
    """A file as a Pillow image whose pixels are decoded later, by what it holds, not by its name.

    Raises ImageReadError for what looks like a picture and can't be read as one: raw photographs,
    and HEIC without the extra; else what Pillow raises.
    """
    head = head_of(file)
    if is_heif(head):
        image = heif.opened(file)
    else:
        refuse_raw(file, head)
        image = _opened(file)
        if image.format == "TIFF":
            seek_picture(image)
    image.info.update(numbers_of(image, file))
    return image


def _opened(file: PictureFile) -> Any:
    try:
        return Image.open(for_pillow(file), formats=READ_FORMATS)
    except ValueError as error:
        if not has_texts_too_large(file, error):
            raise
        return open_without_texts(file)


def open_without_texts(file: PictureFile) -> Any:
    """A PNG whose texts, or colour profile, are larger than Pillow takes; else what it raises."""
    bare, unread = without_texts(file)
    image = Image.open(for_pillow(bare), formats=("PNG",))
    image.info.update(numbers_of(image, file))
    if unread:
        image.info[UNREAD_PROFILE] = True
    return image


def refuse_raw(file: PictureFile, head: bytes) -> None:
    """Raises ImageReadError for a raw photograph: a decoder for TIFF would give its thumbnail."""
    if is_raw(file, head):
        raise ImageReadError(
            f"{file}: a raw photograph, which fastnst doesn't read; develop it into a TIFF or JPEG"
        )


@contextlib.contextmanager
def pillow_set_to(truncated: bool) -> Iterator[None]:
    """Pillow without its limit of pixels, with room for long texts and large profiles in PNG, and
    with or without its care for missing data.
    """
    with _pillow_limits:
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        most = PngImagePlugin.MAX_TEXT_CHUNK
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, truncated
        PngImagePlugin.MAX_TEXT_CHUNK = MOST
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before
            PngImagePlugin.MAX_TEXT_CHUNK = most


def upright_size(file: PictureFile) -> tuple[int, int] | None:
    """A picture's (width, height) by its header, upright; None where that can't be told."""
    try:
        with pillow_set_to(False), open_image(file) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            width, height = image.size
            # Of a TIFF Pillow gives the size upright.
            return (height, width) if turned and image.format != "TIFF" else (width, height)
    except Exception:  # The decoder says what is wrong with it.
        return None


def picture_format(file: PictureFile) -> str:
    """What Pillow calls the format of a file that is a picture; nothing of another one."""
    try:
        with pillow_set_to(False), open_image(file) as image:
            return str(image.format or "")
    except Exception:  # As above.
        return ""


def is_own(file: PictureFile) -> bool:
    """Whether fastnst has written a picture, as far as its colour profile tells."""
    try:
        with pillow_set_to(False), open_image(file) as image:
            return is_marked(image.info.get("icc_profile"))
    except Exception:  # As above.
        return False
