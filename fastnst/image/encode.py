"""Pillow images to files, on the disk or in memory: the only encoder."""

from __future__ import annotations

import functools
import io
import struct
from pathlib import Path

from PIL import Image, ImageCms

from fastnst.errors import ImageWriteError
from fastnst.image.in_memory import InMemory, PictureFile
from fastnst.image.metadata import MAX_JPEG_EXIF, add_to_tiff
from fastnst.machine.files import atomic_write, is_stream, is_taken, make_writable, reason

# Suffix -> Pillow's format and options. PNG level 1: four times as fast, a tenth larger.
_JPEG: tuple[str, dict[str, object]] = ("JPEG", {"quality": 95, "subsampling": 0})
_TIFF: tuple[str, dict[str, object]] = ("TIFF", {"compression": "tiff_lzw"})
WRITE_FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi"), _JPEG),
    ".png": ("PNG", {"compress_level": 1}),
    ".webp": ("WEBP", {"quality": 95}),
    **dict.fromkeys((".tif", ".tiff"), _TIFF),
    ".bmp": ("BMP", {}),
    ".avif": ("AVIF", {"quality": 90}),
    ".ppm": ("PPM", {}),
}
# What a result is called whose photograph's format is read, but not written under its name.
WRITTEN_AS = {".mpo": ".jpg", ".heic": ".jpg", ".heif": ".jpg", ".hif": ".jpg"}
ALPHA_FORMATS = frozenset(("PNG", "WEBP", "TIFF", "AVIF"))
METADATA_FORMATS = frozenset(("JPEG", "PNG", "WEBP", "TIFF", "AVIF"))
# Longest side in pixels, by format and what it is called. JPEG has room for 65535, libjpeg for
# less; AV1 for 65536, but nothing opens such a file: neither Pillow nor browsers.
MAX_SIDES = {"WEBP": ("WebP", 16383), "JPEG": ("JPEG", 65500), "AVIF": ("AVIF", 32768)}
MAX_AVIF_PIXELS = 16384**2
# The date of the profile in results: year, month, day, hour, minute, second. Nobody else's has it.
DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


def check_writable_format(path: PictureFile) -> None:
    """Raises ImageWriteError unless ``write_picture`` knows the path's suffix."""
    if path.suffix.lower() not in WRITE_FORMATS:
        known = " ".join(sorted(WRITE_FORMATS))
        raise ImageWriteError(f"{path}: pictures are written as {known}")


def written_suffix(source: Path) -> str:
    """The suffix of the result of a file: its own where pictures are written so, else .png."""
    suffix = source.suffix.lower()
    return source.suffix if suffix in WRITE_FORMATS else WRITTEN_AS.get(suffix, ".png")


def has_limit(path: PictureFile) -> bool:
    """Whether the format of the path's suffix can't hold pictures of every size."""
    return WRITE_FORMATS.get(path.suffix.lower(), ("",))[0] in MAX_SIDES


def check_fits(size: tuple[int, int], path: PictureFile) -> None:
    """Raises ImageWriteError where a picture of ``size`` is too large for the path's format."""
    format = WRITE_FORMATS[path.suffix.lower()][0]
    if format not in MAX_SIDES:
        return
    name, limit = MAX_SIDES[format]
    if max(size) > limit:
        reason = f"{limit} pixels a side"
    elif format == "AVIF" and size[0] * size[1] > MAX_AVIF_PIXELS:
        reason = f"{MAX_AVIF_PIXELS / 1e6:.0f} megapixels"
    else:
        return
    raise ImageWriteError(
        f"{path}: {size[0]} x {size[1]} pixels are more than {name} can hold ({reason}); "
        "write a .png or .tif, or make it smaller with --max-size"
    )


def check_output(output: Path, overwrite: bool, *folders: Path) -> None:
    """Raises ImageWriteError, before anything is computed, where the picture ``output`` can't be
    written: its format, itself existing, its folder or one of ``folders``.
    """
    check_writable_format(output)
    if output.is_dir():
        raise ImageWriteError(f"{output}: is a folder; --output names the picture file")
    if is_taken(output) and not overwrite:
        raise ImageWriteError(f"{output}: exists already; --overwrite replaces it")
    for folder in ([] if is_stream(output) else [output.parent]) + list(folders):
        try:
            make_writable(folder)
        except OSError as error:
            raise ImageWriteError(f"{folder}: can't be written to ({reason(error)})") from error


@functools.cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB, the same at any time."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # LittleCMS dates it to the second; results would differ from run to run.
    return profile[:24] + DATE + profile[36:]


def is_marked(profile: bytes | None) -> bool:
    """Whether an ICC profile is ``srgb_profile`` of whatever version of LittleCMS."""
    return profile is not None and profile[4:8] == b"lcms" and profile[24:36] == DATE


def write_picture(
    image: Image.Image,
    path: PictureFile,
    alpha: Image.Image | None = None,
    exif: bytes = b"",
    profile: bytes = b"",
    overwrite: bool = True,
) -> None:
    """Write a Pillow image of mode RGB in the format of the path's suffix, whole or not at all.

    ``alpha`` (mode L) becomes its transparency, or is laid over white where the format has none.
    ``exif`` (of ``kept_exif``) and the ICC ``profile`` go along where they are given and the format
    takes them. Raises ImageWriteError with the path and the reason; FileExistsError where there is
    a file already that ``overwrite`` does not allow to replace.
    """
    if not isinstance(path, InMemory):
        path = Path(path)
    check_writable_format(path)
    check_fits(image.size, path)
    format, options = WRITE_FORMATS[path.suffix.lower()]
    image = _with_alpha(_bare(image), alpha, format)
    if format == "JPEG" and len(exif) > MAX_JPEG_EXIF:
        raise ImageWriteError(
            f"{path}: {len(exif)} bytes of EXIF data are more than a JPEG can hold; "
            "write a .png or .tif, or leave them out with --metadata icc"
        )
    if format in METADATA_FORMATS:
        options = {
            **options,
            **({"exif": exif} if exif and format != "TIFF" else {}),
            **({"icc_profile": profile} if profile else {}),
        }
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=format, **options)
        if exif and format == "TIFF":
            add_to_tiff(buffer, exif)
        _put(buffer.getbuffer(), path, overwrite)
    except FileExistsError:
        raise
    except OSError as error:
        raise ImageWriteError(f"{path}: can't be written ({reason(error)})") from error
    except (ValueError, RuntimeError) as error:  # What encoders say of what they can't hold.
        raise ImageWriteError(f"{path}: can't be written ({error})") from error


def _with_alpha(image: Image.Image, alpha: Image.Image | None, format: str) -> Image.Image:
    if alpha is None:
        return image
    if format in ALPHA_FORMATS:
        image = image.copy()
        image.putalpha(alpha)
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)


def _put(content: memoryview, target: PictureFile, overwrite: bool) -> None:
    if isinstance(target, InMemory):
        target.content = content
        return
    with atomic_write(target, overwrite) as file:
        file.write(content)


def _bare(image: Image.Image) -> Image.Image:
    """A picture that says nothing of the file it came from: Pillow would write that along."""
    if type(image) is Image.Image and not image.info:
        return image
    copy = image.copy()
    copy.info = {}
    return copy
