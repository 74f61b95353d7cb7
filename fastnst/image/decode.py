"""Files to Pillow images: the only decoder."""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from fastnst.errors import ImageReadError

# Decoders by allow-list: parsers for EPS, PDF, PSD and the like are never reached.
# Phones' MPO opens as the JPEG that it begins with.
READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM")
READ_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .tif .tiff .bmp .gif .avif .ppm .pgm .pnm".split()  # noqa: SIM905
)
# A picture of this many pixels takes 0.8 GB decoded; larger ones are taken for bombs unless the
# caller says otherwise.
MAX_PIXELS = 200_000_000
# Pillow's own limit, which is for the whole process as the filters of warnings are, is out of the
# way while fastnst decodes: in one thread at a time, which leaves both as they were.
_pillow_limit = threading.Lock()


@dataclass(frozen=True)
class Decoded:
    """A file's picture: mode RGB, upright, in sRGB, transparency laid over white.

    ``alpha`` is its transparency (mode L, 255 opaque), None where every pixel is opaque; ``exif``
    what a result may take over, the orientation being undone; ``frames`` more than 1 for an
    animation, whose first frame this is.
    """

    picture: Image.Image
    alpha: Image.Image | None
    exif: bytes
    frames: int


def read_picture(path: Path, shrink_to: int | None = None) -> Image.Image:
    """Decode a file to a Pillow image of mode RGB: ``read_decoded``'s picture alone."""
    return read_decoded(path, shrink_to).picture


@contextlib.contextmanager
def _no_pillow_limit() -> Iterator[None]:
    with _pillow_limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def read_decoded(
    path: Path, shrink_to: int | None = None, max_pixels: int | None = None
) -> Decoded:
    """Decode a file: upright (EXIF), in sRGB (ICC), 16-bit grey scaled, not cut, to 8 bits.

    ``shrink_to`` lets the JPEG decoder halve the picture while its short side stays at least that
    many pixels, which is several times as fast. More than ``max_pixels`` (default: ``MAX_PIXELS``)
    are refused before they are decoded. Raises ImageReadError with the path and the reason.
    """
    path = Path(path)
    # A FIFO or a device would block or never end; nothing but files is opened.
    if not path.is_file():
        missing = "is a folder, not a picture" if path.is_dir() else "no such file"
        raise ImageReadError(f"{path}: {missing}")
    try:
        with _no_pillow_limit(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(path, shrink_to, MAX_PIXELS if max_pixels is None else max_pixels)
    except ImageReadError:
        raise
    # Pillow lets through far more than OSError: SyntaxError, TypeError, RuntimeError, ...
    except Exception as error:
        raise ImageReadError(f"{path}: not a readable picture ({_describe(error)})") from error


def _describe(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "unknown format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__


def _decode(path: Path, shrink_to: int | None, max_pixels: int) -> Decoded:
    with Image.open(path, formats=READ_FORMATS) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ImageReadError(
                f"{path}: {width} x {height} pixels are more than fastnst reads "
                f"({max_pixels / 1e6:g} megapixels); make it smaller, or raise --max-pixels"
            )
        if shrink_to is not None:
            # The decoder keeps each side at least as long as asked; the short one decides.
            image.draft("RGB", (shrink_to, shrink_to))
        frames = int(getattr(image, "n_frames", 1))
        image.load()
        upright = _upright(image)
        picture, alpha = _flatten(_to_srgb(upright))
        return Decoded(picture, alpha, _exif(upright), frames)


def _exif(upright: Image.Image) -> bytes:
    try:
        exif = upright.getexif()
        # Transposing has removed it from most; a second viewer must not turn the picture again.
        exif.pop(ExifTags.Base.Orientation, None)
        return exif.tobytes() if len(exif) else b""
    except Exception:  # Broken EXIF is not taken over.
        return b""


def _upright(image: Image.Image) -> Image.Image:
    # Broken EXIF says nothing about orientation; the pixels are fine.
    with contextlib.suppress(Exception):
        # In place: a copy of a large picture is hundreds of megabytes.
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert by the embedded ICC profile, if it has one that fits its mode, and from LAB."""
    profile: object = None
    if image.mode == "RGBA" and image.info.get("icc_profile"):
        opaque = image.convert("RGB")
        opaque.info["icc_profile"] = image.info["icc_profile"]
        converted = _to_srgb(opaque).copy()
        converted.putalpha(image.getchannel("A"))
        return converted
    if image.mode == "LAB":
        profile = ImageCms.createProfile("LAB")
    elif image.mode in ("RGB", "CMYK", "L") and image.info.get("icc_profile"):
        profile = io.BytesIO(image.info["icc_profile"])
    if profile is None:
        return image
    try:
        in_srgb = ImageCms.profileToProfile(
            image,
            profile,  # type: ignore[arg-type]
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        if image.mode == "LAB":
            raise
        return image  # A broken profile, or one for another mode: read as sRGB.
    return in_srgb if in_srgb is not None else image


def _flatten(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Any mode to RGB over white, and its alpha unless all is opaque."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_grey_to_bytes(np.asarray(image))).convert("RGB"), None
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
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
