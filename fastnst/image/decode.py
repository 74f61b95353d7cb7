"""Files, on the disk or in memory, to Pillow images: the only decoder."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from fastnst.errors import ImageReadError
from fastnst.image import vips
from fastnst.image.colours import profile_of
from fastnst.image.frames import other_frames
from fastnst.image.in_memory import InMemory, PictureFile
from fastnst.image.kinds import address_of, head_of, kind_of
from fastnst.image.metadata import kept_exif
from fastnst.image.opening import open_image, pillow_set_to

# A picture of this many pixels takes 0.8 GB decoded; larger ones are taken for bombs unless the
# caller says otherwise, or libvips is there.
MAX_PIXELS = 200_000_000
# Modes that a colour profile may be for, and what is converted of the others, beside their alpha.
PLAIN_MODES = ("L", "RGB", "CMYK", "I;16", "I;16B")
PLAIN_MODE_OF = {"LA": "L", "La": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBa": "RGB"}
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


def read_picture(path: PictureFile, shrink_to: int | None = None) -> Image.Image:
    """Decode a file to a Pillow image of mode RGB: ``read_decoded``'s picture alone."""
    return read_decoded(path, shrink_to).picture


def read_decoded(
    path: PictureFile,
    shrink_to: int | None = None,
    max_pixels: int | None = None,
    allow_truncated: bool = False,
) -> Decoded:
    """Decode a file: upright (EXIF), in sRGB (ICC), 16-bit grey scaled, not cut, to 8 bits.

    ``shrink_to`` lets the JPEG decoder halve the picture while its short side stays at least that
    many pixels, which is several times as fast. More than ``max_pixels`` (default: ``MAX_PIXELS``,
    with libvips its own) are refused before they are decoded. With ``allow_truncated`` a picture
    that was cut short is grey where its data are missing. Raises ImageReadError with the reason.
    """
    if not isinstance(path, InMemory):
        _check_is_file(path := Path(path))
    try:
        try:
            return _decode(path, shrink_to, max_pixels, False)
        except ImageReadError:
            raise
        except Exception:
            if not allow_truncated:
                raise
        return _decode(path, shrink_to, max_pixels, True)
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
        return f"{path}: is no file, but a device or a pipe"
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


def _decode(
    path: PictureFile, shrink_to: int | None, max_pixels: int | None, truncated: bool
) -> Decoded:
    try:
        return _decode_by_pillow(path, shrink_to, max_pixels, truncated)
    except (ImageReadError, MemoryError):
        raise
    except Exception:
        # TIFF has kinds and compressions that Pillow doesn't know.
        if not vips.is_tiff(path) or not vips.has_loader("TIFF"):
            raise
        return _decode_by_vips(path, None, None, max_pixels, truncated)


def _decode_by_pillow(
    path: PictureFile, shrink_to: int | None, max_pixels: int | None, truncated: bool
) -> Decoded:
    with pillow_set_to(truncated), open_image(path) as image:
        large = image.width * image.height > MAX_PIXELS
        if large and vips.reads(image) and vips.has_loader(image.format):
            return _decode_by_vips(path, image, shrink_to, max_pixels, truncated)
        _check_size(path, image, max_pixels, MAX_PIXELS)
        if shrink_to is not None:
            # The decoder keeps each side at least as long as asked.
            image.draft("RGB", (shrink_to, shrink_to))
        news = other_frames(path, image)
        if truncated:
            # Decoders fill what is there already: where they stop, this is left.
            if image.mode in MISSING:
                image.im = Image.new(image.mode, image.size, MISSING[image.mode]).im
            news.append(CUT)
        image.load()
        if is_inverted(image):
            invert_grey16(image)
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
    raise ImageReadError(
        f"{path}: {image.width} x {image.height} pixels are more than fastnst reads "
        f"({limit / 1e6:g} megapixels); make it smaller, "
        + ("pip install 'pyvips[binary]', " if could_be_read else "")
        + "or raise --max-pixels"
    )


def _decode_by_vips(
    path: PictureFile,
    header: Image.Image | None,
    shrink_to: int | None,
    max_pixels: int | None,
    truncated: bool,
) -> Decoded:
    """Strip by strip, to hold little but the picture; without ``header`` (Pillow's) it's a TIFF."""
    if header is not None:
        _check_size(path, header, max_pixels, vips.MAX_PIXELS)
    opened = vips.opened(path, (header and header.format) or "TIFF", truncated, shrink_to)
    if header is not None:
        # Pillow tells damaged profiles, and animated PNGs.
        profile, told = profile_of(header)
        news = [*other_frames(path, header), *told]
    else:
        _check_size(path, opened.image, max_pixels, vips.MAX_PIXELS)
        news = [f"first of {opened.pages} frames"] if opened.pages > 1 else []
        profile = opened.profile
    if truncated:
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


def is_inverted(image: Any) -> bool:
    """Whether a TIFF's grey of 16 bits has white as 0, which Pillow leaves as it is."""
    if image.format != "TIFF" or not image.mode.startswith("I;16"):
        return False
    return bool(image.tag_v2.get(262) == 0)


def invert_grey16(image: Image.Image) -> None:
    image.im = Image.fromarray(65535 - np.asarray(image).astype(np.uint16)).im
    image._mode = "I;16"


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
    # Grey of 32 bits and floats keep their levels instead: their ranges are nobody's.
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
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_grey_to_bytes(np.asarray(image))).convert("RGB"), None
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        alpha = rgba.getchannel("A")
        opaque = alpha.getextrema() == (255, 255)
        return Image.alpha_composite(white, rgba).convert("RGB"), None if opaque else alpha
    return image if image.mode == "RGB" else image.convert("RGB"), None


def _grey_to_bytes(values: np.ndarray) -> np.ndarray:
    """Grey of 16 bits, 32 bits or floats to 8 bits over its nominal range."""
    grey = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    if values.dtype.kind == "f":
        grey = grey * 255 if grey.max(initial=0) <= 1 else grey
    else:
        # 16-bit files come as int32 in some modes; a wider range is scaled by its maximum.
        top = grey.max(initial=0)
        grey = grey / 257 if top <= 65535 else grey / top * 255
    return np.round(np.clip(grey, 0, 255)).astype(np.uint8)
