"""Pictures past Pillow's reach, read by libvips in strips: the extra ``large``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from fastnst.image.in_memory import InMemory, PictureFile

# A picture of this many pixels takes 8 GB decoded.
MAX_PIXELS = 2_000_000_000
# libvips' loaders by Pillow's names of the formats; no other is ever asked, so that SVG, PDF and
# whatever ImageMagick knows are never parsed. It has none of its own for BMP, and counts PNM's
# among those not to be trusted: both are left to Pillow.
LOADERS = {
    "JPEG": "jpegload",
    "MPO": "jpegload",
    "PNG": "pngload",
    "WEBP": "webpload",
    "TIFF": "tiffload",
    "GIF": "gifload",
    "AVIF": "heifload",
}
# How a TIFF begins, of either byte order, large files' form included.
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Pixels of a strip: little beside the picture, many beside what a strip costs.
STRIP = 2**22
# Interpretations that Pillow has no modes for.
ELSEWHERE = ("lab", "labs", "labq", "lch", "xyz", "yxy", "scrgb")
_T = Image.Transpose
# What sets a picture of each EXIF orientation upright.
UPRIGHT = {
    2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM, 5: _T.TRANSPOSE,
    6: _T.ROTATE_270, 7: _T.TRANSVERSE, 8: _T.ROTATE_90,
}  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """A file whose header alone has been read: its upright size in pixels, number of pages, and
    its ICC profile, if any, and whether the strips' colours are to be converted by one.
    """

    image: Any
    size: tuple[int, int]
    orientation: int
    pages: int
    by_profile: bool
    profile: bytes | None

    def strips(self) -> Iterator[tuple[Image.Image, tuple[int, int]]]:
        """Each strip upright, with its place (left, top) in the upright picture.

        Of mode L, LA, RGB, RGBA or CMYK, 8 bits, or I;16, in the file's colours. Raises
        pyvips.Error.
        """
        pixels, mode = _in_bytes(self.image)
        width, height = pixels.width, pixels.height
        region, rows = _library().Region.new(pixels), max(16, STRIP // width)
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            data = region.fetch(0, top, width, bottom - top)
            size = (width, bottom - top)
            strip = Image.frombuffer(mode, size, data, "raw", mode, 0, 1)
            # The last row becomes the first (3, 4) or the rightmost column the first row (6, 7).
            start = height - bottom if self.orientation in (3, 4, 6, 7) else top
            if self.orientation in UPRIGHT:
                strip = strip.transpose(UPRIGHT[self.orientation])
            yield strip, (start, 0) if self.orientation > 4 else (0, start)


def reads(header: Any) -> bool:
    """Whether libvips, where it is, is to read a file that Pillow has opened.

    Greys of 32 bits and floats are scaled by their maximum, which strips don't know.
    """
    return header.format in LOADERS and header.mode not in ("I", "F")


def has_loader(format: str | None) -> bool:
    """Whether libvips is installed and has a loader for the format (Pillow's name)."""
    if format not in LOADERS:
        return False
    try:
        _library()
    # Without libvips pyvips raises what dlopen does.
    except (ImportError, OSError):
        return False
    return True


def is_tiff(file: PictureFile) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) in TIFF_STARTS


def opened(file: PictureFile, format: str, lenient: bool, shrink_to: int | None = None) -> Opened:
    """Read a file's header by the format's own loader; ``lenient`` takes what is cut short.

    ``shrink_to`` shrinks a JPEG by 2, 4 or 8 while its short side stays that long. Raises
    pyvips.Error, and ValueError where another loader answers.
    """
    name = LOADERS[format]
    options: dict[str, Any] = {"access": "sequential", "fail_on": "none" if lenient else "error"}
    source: Any
    if isinstance(file, InMemory):
        name, source = f"{name}_buffer", file.content
    else:
        source = os.fspath(file)
        # libvips remembers what was in a file of this name before.
        options["revalidate"] = True
    # Never new_from_file: it takes brackets in a file's name for options.
    load = getattr(_library().Image, name)
    image = load(source, **options)
    if LOADERS[format] == "jpegload" and shrink_to is not None:
        short = min(image.width, image.height)
        shrink = max(by for by in (1, 2, 4, 8) if by == 1 or short // by >= shrink_to)
        image = load(source, shrink=shrink, **options)
    fields = set(image.get_fields())
    if image.get("vips-loader") != name:
        raise ValueError(f"{image.get('vips-loader')} is not for {format}")

    def field(name: str, default: Any) -> Any:
        return image.get(name) if name in fields else default

    # What libvips makes sRGB of needs no profile.
    without = image.interpretation in ELSEWHERE
    # HEIF's is undone by its loader, which removes it.
    orientation = int(field("orientation", 1))
    size = (image.width, image.height)
    return Opened(
        image,
        size[::-1] if 4 < orientation < 9 else size,
        orientation if orientation in UPRIGHT else 1,
        int(field("n-pages", 1)),
        not without,
        field("icc-profile-data", None),
    )


def _library() -> Any:
    # Read when libvips starts: no loader that isn't hardened against strangers' files runs.
    os.environ["VIPS_BLOCK_UNTRUSTED"] = "1"
    import pyvips

    # The same, where the caller had imported it before.
    pyvips.block_untrusted_set(True)
    return pyvips


def _in_bytes(image: Any) -> tuple[Any, str]:
    """Any image in 8 bits, grey of 16 alone as it is, its bands those of a mode of Pillow's, and
    that mode.
    """
    if image.interpretation in ELSEWHERE:
        image = image.colourspace("srgb")
    if (image.format, image.bands) == ("ushort", 1):
        return image, "I;16"
    if image.format == "ushort":
        image = (image / 257).rint().cast("uchar")
    if image.format != "uchar":
        raise ValueError(f"pixels of the kind {image.format} are not read in files like this")
    if image.interpretation == "cmyk" and image.bands >= 4:
        return image.extract_band(0, n=4), "CMYK"
    colours = 3 if image.bands >= 3 else 1
    # Further bands are anything but transparency.
    alpha = image.bands == colours + 1
    mode = {1: "L", 3: "RGB"}[colours] + ("A" if alpha else "")
    return image.extract_band(0, n=colours + alpha), mode
