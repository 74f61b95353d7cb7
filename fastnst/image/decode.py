"""Files, on the disk or in memory, to Pillow images: the only decoder."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from fastnst.errors import ImageReadError, TooLargeError
from fastnst.image import vips
from fastnst.image.colours import profile_of
from fastnst.image.frames import other_frames
from fastnst.image.in_memory import InMemory, PictureFile
from fastnst.image.kinds import head_of, kind_of
from fastnst.image.levels import (
    INTEGERS,
    Span,
    of_16_bits,
    samples_of,
    settle_colour,
    settle_grey,
)
from fastnst.image.metadata import kept_exif
from fastnst.image.opening import open_image, open_without_texts, pillow_set_to
from fastnst.image.png_texts import has_texts_too_large
from fastnst.machine.files import address_of

# A picture of this many pixels takes 0.8 GB decoded; larger ones are taken for bombs unless the
# caller says otherwise, or libvips is there.
MAX_PIXELS = 200_000_000
# Modes that a colour profile may be for, and what is converted of the others, beside their alpha.
PLAIN_MODES = ("L", "RGB", "CMYK", "I;16", "I;16B")
PLAIN_MODE_OF = {"LA": "L", "La": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBa": "RGB"}
FROM_A_PIPE = (
    "make a file of it, or give fastnst apply '-', which takes a picture from standard input"
)
CUT = "cut short or damaged; a part of it is missing"
# What stands where a file that was cut short holds nothing.
MISSING: dict[str, int | tuple[int, ...]]
MISSING = {"L": 128, "RGB": (128,) * 3, "RGBA": (128, 128, 128, 255)}


@dataclass(frozen=True)
class Decoded:
    """A file's picture: mode RGB, upright, in sRGB, transparency laid over white.

    ``alpha`` is its transparency (mode L, 255 opaque), None where every pixel is opaque; ``exif``
    what a result may take over, the orientation being undone. ``news`` is what is worth telling of
    it: other frames that were left out, a colour profile that can't be used, a missing part.
    """

    picture: Image.Image
    alpha: Image.Image | None
    exif: bytes
    news: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """What is asked of a file; see ``read_decoded``."""

    shrink_to: int | None
    large_to: int | None
    max_pixels: int | None
    truncated: bool = False


def read_picture(
    path: PictureFile, shrink_to: int | None = None, large_to: int | None = None
) -> Image.Image:
    """Decode a file to a Pillow image of mode RGB: ``read_decoded``'s picture alone."""
    return read_decoded(path, shrink_to, large_to=large_to).picture


def read_decoded(
    path: PictureFile,
    shrink_to: int | None = None,
    max_pixels: int | None = None,
    allow_truncated: bool = False,
    large_to: int | None = None,
) -> Decoded:
    """Decode a file: upright (EXIF), in sRGB (ICC), 16-bit grey scaled, not cut, to 8 bits.

    ``shrink_to`` lets the JPEG decoder halve the picture while its short side stays at least that
    many pixels, which is several times as fast; ``large_to`` does so for those alone that are too
    large otherwise. More than ``max_pixels`` (default: ``MAX_PIXELS``, with libvips its own) are
    refused before they are decoded, by a TooLargeError. With ``allow_truncated`` a picture that was
    cut short is grey where its data are missing. Raises ImageReadError with the reason.
    """
    if not isinstance(path, InMemory):
        _check_is_file(path := Path(path))
    wanted = _Wanted(shrink_to, large_to, max_pixels)
    try:
        try:
            return _decode(path, wanted)
        except ImageReadError:
            raise
        except Exception:
            if not allow_truncated:
                raise
        return _decode(path, replace(wanted, truncated=True))
    except ImageReadError:
        raise
    # Pillow lets through far more than OSError: SyntaxError, TypeError, RuntimeError, ...
    except Exception as error:
        described = _describe(path, error)
        raise ImageReadError(f"{path}: not a readable picture ({described})") from error


def _check_is_file(path: Path) -> None:
    # A FIFO or a device would block or never end; nothing but files is opened.
    # (os.path calls a path that is too long absent, pathlib raises.)
    if not os.path.isfile(path):
        raise ImageReadError(_no_file(path))


def _no_file(path: Path) -> str:
    if os.path.isdir(path):
        return f"{path}: is a folder, not a picture"
    if os.path.exists(path):
        return f"{path}: a device or a pipe, which is not opened; {FROM_A_PIPE}"
    if address := address_of(path):
        return f"{address}: an address, and fastnst reads files; fetch it first"
    # What has no suffix may have been meant as either.
    return f"{path}: no such file" + ("" if path.suffix else " or folder")


def _describe(path: PictureFile, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        kind = kind_of(head_of(path))
        if not kind and vips.is_tiff(path):
            kind = "a TIFF of a kind that pip install 'pyvips[binary]' may read"
        return f"unknown format: {kind}" if kind else "unknown format"
    return _told(error)


def _told(error: Exception) -> str:
    """What an error says, in a line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__


def _decode(path: PictureFile, wanted: _Wanted) -> Decoded:
    try:
        return _decode_by_pillow(path, wanted)
    except (ImageReadError, MemoryError):
        raise
    except Exception as error:
        # Text behind the pixels is met after them.
        if has_texts_too_large(path, error):
            return _decode_by_pillow(path, wanted, open_without_texts)
        # TIFF has kinds and compressions that Pillow doesn't know.
        if not vips.is_tiff(path) or not vips.has_loader("TIFF"):
            raise
        return _decode_by_vips(path, None, wanted)


def _decode_by_pillow(
    path: PictureFile, wanted: _Wanted, opener: Callable[[PictureFile], Any] = open_image
) -> Decoded:
    with pillow_set_to(wanted.truncated), opener(path) as image:
        large = image.width * image.height > MAX_PIXELS
        if large:
            wanted = replace(wanted, shrink_to=wanted.shrink_to or wanted.large_to)
        if large and vips.reads(image) and vips.has_loader(image.format):
            return _decode_by_vips(path, image, wanted)
        if wanted.shrink_to is not None and image.width * image.height <= vips.MAX_PIXELS:
            # The decoder keeps each side at least as long as asked.
            image.draft("RGB", (wanted.shrink_to, wanted.shrink_to))
        _check_size(path, image, wanted.max_pixels, MAX_PIXELS)
        news = other_frames(path, image)
        if wanted.truncated:
            # Decoders fill what is there already: where they stop, this is left.
            if image.mode in MISSING:
                image.im = Image.new(image.mode, image.size, MISSING[image.mode]).im
            news.append(CUT)
        deep = of_16_bits(image) and not wanted.truncated
        image.load()
        news += settle_grey(image, samples_of(image))
        news += settle_colour(image, lambda: opener(path)) if deep else []
        return _finished(_upright(image), news)


def _finished(upright: Image.Image, news: list[str]) -> Decoded:
    in_srgb, note = _to_srgb(upright)
    picture, alpha = _flatten(in_srgb)
    return Decoded(picture, alpha, kept_exif(upright), (*news, *note))


def _check_size(path: PictureFile, image: Any, max_pixels: int | None, default: int) -> None:
    limit = default if max_pixels is None else max_pixels
    if image.width * image.height <= limit:
        return
    could_be_read = max_pixels is None and default == MAX_PIXELS and vips.reads(image)
    raise TooLargeError(
        f"{path}: {image.width} x {image.height} pixels are more than fastnst reads "
        f"({limit / 1e6:g} megapixels); make it smaller"
        + (", or pip install 'pyvips[binary]'" if could_be_read else "")
    )


def _decode_by_vips(path: PictureFile, header: Image.Image | None, wanted: _Wanted) -> Decoded:
    """Strip by strip, to hold little but the picture; without ``header`` (Pillow's) it's a TIFF."""
    if header is not None:
        _check_size(path, header, wanted.max_pixels, vips.MAX_PIXELS)
    format = (header and header.format) or "TIFF"
    page = header.tell() if header is not None and format == "TIFF" else 0
    opened = vips.opened(path, format, wanted.truncated, wanted.shrink_to, page)
    if header is not None:
        # Pillow tells damaged profiles, and animated PNGs.
        profile, told = profile_of(header)
        news = [*other_frames(path, header), *told]
    else:
        _check_size(path, opened.image, wanted.max_pixels, vips.MAX_PIXELS)
        news = [f"first of {opened.pages} frames"] if opened.pages > 1 else []
        profile = opened.profile
    news += [span.note for span in opened.spans[:1] if span.note]
    if wanted.truncated:
        news.append(CUT)
    picture = Image.new("RGB", opened.size)
    alpha: Image.Image | None = None
    for strip, place in opened.strips():
        strip.info["icc_profile"] = profile if opened.by_profile else None
        in_srgb, notes = _to_srgb(strip)
        flat, transparency = _flatten(in_srgb)
        picture.paste(flat, place)
        if transparency is not None:
            alpha = alpha or Image.new("L", opened.size, 255)
            alpha.paste(transparency, place)
        news += [note for note in notes if note not in news]
    return Decoded(picture, alpha, b"" if header is None else kept_exif(header), tuple(news))


def _upright(image: Image.Image) -> Image.Image:
    # Broken EXIF says nothing about orientation; the pixels are fine.
    with contextlib.suppress(Exception):
        # In place: a copy of a large picture is hundreds of megabytes.
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _to_srgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Convert by the embedded ICC profile, if it has one that fits its mode, and from LAB.

    Returns what is worth telling with it.
    """
    embedded, told = profile_of(image)
    if image.mode == "LAB":
        return _converted(image, ImageCms.createProfile("LAB")), []
    if not embedded or image.mode not in (*PLAIN_MODES, *PLAIN_MODE_OF):
        return image, told
    plain, alpha = image, None
    if image.mode in PLAIN_MODE_OF or "transparency" in image.info:
        if image.has_transparency_data:
            alpha = image.convert("RGBA").getchannel("A")
        plain = image.convert(PLAIN_MODE_OF.get(image.mode, image.mode))
    try:
        in_srgb = _converted(plain, io.BytesIO(embedded))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image, [*told, "its colour profile is damaged or for another mode; read as sRGB"]
    if alpha is not None:
        in_srgb.putalpha(alpha)
    return in_srgb, told


def _converted(image: Image.Image, profile: Any) -> Image.Image:
    in_srgb = ImageCms.profileToProfile(
        image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    if in_srgb is None:
        raise ValueError("no picture")
    return in_srgb


def _flatten(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Any mode to RGB over white, and its alpha unless all is opaque."""
    if image.mode.startswith("I;16"):
        grey = Image.fromarray(Span(0, INTEGERS[-1]).to_bytes(np.asarray(image)))
        return grey.convert("RGB"), None
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        alpha = rgba.getchannel("A")
        opaque = alpha.getextrema() == (255, 255)
        return Image.alpha_composite(white, rgba).convert("RGB"), None if opaque else alpha
    return image if image.mode == "RGB" else image.convert("RGB"), None
