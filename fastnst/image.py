"""Files to pictures and back: the only decoder, encoder and resizer.

A picture in memory is a float tensor (B, 3, H, W), RGB, sRGB, 0..1. Between the file and the
tensor it is a Pillow image of mode RGB, upright and in sRGB.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from fastnst.errors import ImageReadError, ImageWriteError
from fastnst.files import atomic_write, make_writable, reason

# Decoders by allow-list: parsers for EPS, PDF, PSD and the like are never reached.
# Phones' MPO opens as the JPEG that it begins with.
READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM")
READ_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .tif .tiff .bmp .gif .avif .ppm .pgm .pnm".split()  # noqa: SIM905
)
# Suffix -> Pillow's format and options. PNG level 1: four times as fast, a tenth larger.
WRITE_FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".png": ("PNG", {"compress_level": 1}),
    ".webp": ("WEBP", {"quality": 95}),
    ".tif": ("TIFF", {"compression": "tiff_lzw"}),
    ".tiff": ("TIFF", {"compression": "tiff_lzw"}),
    ".bmp": ("BMP", {}),
    ".avif": ("AVIF", {"quality": 90}),
    ".ppm": ("PPM", {}),
}
# A picture of this many pixels takes 1.2 GB as a tensor; larger ones are taken for bombs.
MAX_PIXELS = 100_000_000


def read_picture(path: Path, shrink_to: int | None = None) -> Image.Image:
    """Decode a file to a Pillow image of mode RGB: upright (EXIF), in sRGB (ICC), no alpha.

    Transparency is laid over white; 16-bit grey is scaled, not cut, to 8 bits; the first frame of
    an animation is taken. ``shrink_to`` lets the JPEG decoder halve the picture while its short
    side stays at least that many pixels, which is several times as fast.
    Raises ImageReadError with the path and the reason.
    """
    path = Path(path)
    # A FIFO or a device would block or never end; nothing but files is opened.
    if not path.is_file():
        missing = "is a folder, not a picture" if path.is_dir() else "no such file"
        raise ImageReadError(f"{path}: {missing}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(path, shrink_to)
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


def _decode(path: Path, shrink_to: int | None) -> Image.Image:
    with Image.open(path, formats=READ_FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageReadError(
                f"{path}: {width} x {height} pixels are more than fastnst reads "
                f"({MAX_PIXELS // 1_000_000} megapixels); make it smaller"
            )
        if shrink_to is not None:
            # The decoder keeps each side at least as long as asked; the short one decides.
            image.draft("RGB", (shrink_to, shrink_to))
        image.load()
        return _flatten(_to_srgb(_upright(image)))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Broken EXIF says nothing about orientation; the pixels are fine.
        return image


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert by the embedded ICC profile, if it has one that fits its mode, and from LAB."""
    profile: object = None
    if image.mode == "LAB":
        profile = ImageCms.createProfile("LAB")
    elif image.mode in ("RGB", "CMYK", "L") and image.info.get("icc_profile"):
        profile = io.BytesIO(image.info["icc_profile"])
    if profile is None:
        return image
    try:
        converted = ImageCms.profileToProfile(
            image,
            profile,  # type: ignore[arg-type]
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        if image.mode == "LAB":
            raise
        return image  # A broken profile, or one for another mode: read as sRGB.
    return converted if converted is not None else image


def _flatten(image: Image.Image) -> Image.Image:
    """Any mode to RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_grey_to_bytes(np.asarray(image))).convert("RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


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


def check_writable_format(path: Path) -> None:
    """Raises ImageWriteError unless ``write_picture`` knows the path's suffix."""
    if Path(path).suffix.lower() not in WRITE_FORMATS:
        known = " ".join(sorted(WRITE_FORMATS))
        raise ImageWriteError(f"{path}: pictures are written as {known}")


def check_output(output: Path, overwrite: bool, *folders: Path) -> None:
    """Raises ImageWriteError, before anything is computed, where the picture ``output`` can't be
    written: its format, itself existing, its folder or one of ``folders``.
    """
    check_writable_format(output)
    if output.is_dir():
        raise ImageWriteError(f"{output}: is a folder; --output names the picture file")
    if output.exists() and not overwrite:
        raise ImageWriteError(f"{output}: exists already; --overwrite replaces it")
    for folder in (output.parent, *folders):
        try:
            make_writable(folder)
        except OSError as error:
            raise ImageWriteError(f"{folder}: can't be written to ({reason(error)})") from error


def write_picture(image: Image.Image, path: Path) -> None:
    """Write a Pillow image in the format of the path's suffix, whole or not at all.

    No metadata goes along: sRGB is what a file without a profile means.
    Raises ImageWriteError with the path and the reason.
    """
    path = Path(path)
    check_writable_format(path)
    format, options = WRITE_FORMATS[path.suffix.lower()]
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=format, **options)
        with atomic_write(path) as file:
            file.write(buffer.getbuffer())
    except OSError as error:
        raise ImageWriteError(f"{path}: can't be written ({reason(error)})") from error


def write_image(image: Tensor, path: Path) -> None:
    """Write a tensor (1, 3, H, W), RGB, 0..1; see ``write_picture``."""
    write_picture(to_picture(image), path)
