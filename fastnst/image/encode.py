"""Pillow images to files: the only encoder."""

from __future__ import annotations

import functools
import io
import struct
from pathlib import Path

from PIL import Image, ImageCms

from fastnst.errors import ImageWriteError
from fastnst.files import atomic_write, make_writable, reason

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
ALPHA_FORMATS = frozenset(("PNG", "WEBP", "TIFF", "AVIF"))
METADATA_FORMATS = frozenset(("JPEG", "PNG", "WEBP", "TIFF", "AVIF"))


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


@functools.cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB, the same at any time."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # LittleCMS dates it to the second, in year, month, day, hour, minute, second; results would
    # differ from run to run.
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]


def write_picture(
    image: Image.Image,
    path: Path,
    alpha: Image.Image | None = None,
    exif: bytes = b"",
    profile: bytes = b"",
) -> None:
    """Write a Pillow image of mode RGB in the format of the path's suffix, whole or not at all.

    ``alpha`` (mode L) becomes its transparency, or is laid over white where the format has none.
    ``exif`` and the ICC ``profile`` go along where they are given and the format takes them.
    Raises ImageWriteError with the path and the reason.
    """
    path = Path(path)
    check_writable_format(path)
    format, options = WRITE_FORMATS[path.suffix.lower()]
    if alpha is not None and format in ALPHA_FORMATS:
        image = image.copy()
        image.putalpha(alpha)
    elif alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
    if format in METADATA_FORMATS:
        options = {
            **options,
            **({"exif": exif} if exif else {}),
            **({"icc_profile": profile} if profile else {}),
        }
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=format, **options)
        with atomic_write(path) as file:
            file.write(buffer.getbuffer())
    except OSError as error:
        raise ImageWriteError(f"{path}: can't be written ({reason(error)})") from error
