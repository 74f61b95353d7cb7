"""Pictures past Pillow's reach, read by libvips in strips: the extra ``large``."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL import Image

from fastnst.image.in_memory import InMemory, PictureFile
from fastnst.image.levels import SAMPLE, Span, span_of

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
    its ICC profile, if any, and whether the strips' colours are to be converted by one. ``spans``
    says what is black and white where pixels are no bytes: of its colours, and of its alpha.
    """

    image: Any
    size: tuple[int, int]
    orientation: int
    pages: int
    by_profile: bool
    profile: bytes | None
    spans: tuple[Span, ...]

    def strips(self) -> Iterator[tuple[Image.Image, tuple[int, int]]]:
        """Each strip upright, with its place (left, top) in the upright picture.

        Of mode L, LA, RGB, RGBA or CMYK, 8 bits, or I;16, in the file's colours. Raises
        pyvips.Error.
        """
        pixels, mode = _in_bytes(self.image, self.spans)
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


def opened(
    file: PictureFile, format: str, lenient: bool, shrink_to: int | None = None, page: int = 0
) -> Opened:
    """Read a file's header by the format's own loader; ``lenient`` takes what is cut short, and
    ``page`` is one of a TIFF's.

    ``shrink_to`` shrinks a JPEG by 2, 4 or 8 while its short side stays that long. Raises
    pyvips.Error, and ValueError where another loader answers.
    """
    name, load = _loader(file, format, lenient, page)
    image = load()
    if LOADERS[format] == "jpegload" and shrink_to is not None:
        short = min(image.width, image.height)
        shrink = max(by for by in (1, 2, 4, 8) if by == 1 or short // by >= shrink_to)
        image = load(shrink=shrink)
    fields = set(image.get_fields())
    if image.get("vips-loader") != name:
        raise ValueError(f"{image.get('vips-loader')} is not for {format}")

    def field(name: str, default: Any) -> Any:
        return image.get(name) if name in fields else default

    profile = field("icc-profile-data", None)
    # Floats are light, as Photoshop has them, where a profile says so, and levels as others'.
    if image.interpretation == "scrgb" and profile is None:
        image = image.copy(interpretation="srgb")
    # HEIF's is undone by its loader, which removes it.
    orientation = int(field("orientation", 1))
    size = (image.width, image.height)
    return Opened(
        image,
        size[::-1] if 4 < orientation < 9 else size,
        orientation if orientation in UPRIGHT else 1,
        int(field("n-pages", 1)),
        # What libvips makes sRGB of needs no profile.
        image.interpretation not in ELSEWHERE,
        profile,
        () if image.format == "uchar" else _spans(load()),
    )


def _loader(
    file: PictureFile, format: str, lenient: bool, page: int
) -> tuple[str, Callable[..., Any]]:
    """The name of a format's loader, and what loads the file by it, with further options."""
    source: Any
    name = LOADERS[format]
    options: dict[str, Any] = {"access": "sequential", "fail_on": "none" if lenient else "error"}
    if page:
        options["page"] = page
    if isinstance(file, InMemory):
        name, source = f"{name}_buffer", file.content
    else:
        # libvips remembers what was in a file of this name before.
        source, options["revalidate"] = os.fspath(file), True
    # Never new_from_file: it takes brackets in a file's name for options.
    load = getattr(_library().Image, name)
    return name, partial(load, source, **options)


def _spans(image: Any) -> tuple[Span, ...]:
    """What is black and white in an image that is read for this alone."""
    step = max(1, math.isqrt(image.width * image.height // SAMPLE))
    colours = min(_colours(image), image.bands)
    few = image.subsample(step, step).numpy().reshape(-1, image.bands)
    return tuple(span_of(part) for part in (few[:, :colours], few[:, colours:]) if part.size)


def _colours(image: Any) -> int:
    """The bands that are colours; one more is alpha, and further ones are anything else."""
    if image.interpretation == "cmyk" and image.bands >= 4:
        return 4
    return 3 if image.bands >= 3 else 1


def _library() -> Any:
    # Read when libvips starts: no loader that isn't hardened against strangers' files runs.
    os.environ["VIPS_BLOCK_UNTRUSTED"] = "1"
    import pyvips

    # The same, where the caller had imported it before.
    pyvips.block_untrusted_set(True)
    return pyvips


def _in_bytes(image: Any, spans: tuple[Span, ...]) -> tuple[Any, str]:
    """Any image in 8 bits, grey of 16 alone as it is, its bands those of a mode of Pillow's, and
    that mode.
    """
    if image.interpretation in ELSEWHERE:
        if image.interpretation == "scrgb" and spans[0] != Span(0, 1):
            image = (image - spans[0].black) / (spans[0].white - spans[0].black)
            image = image.copy(interpretation="scrgb")
        image = image.colourspace("srgb")
    elif (image.format, image.bands) == ("ushort", 1):
        return (image if spans[0].white == 65535 else _scaled(image, spans[0], "ushort")), "I;16"
    colours = _colours(image)
    alpha = image.bands == colours + 1
    parts = [image.extract_band(0, n=colours)]
    parts += [image.extract_band(colours)] if alpha else []
    if image.format != "uchar":
        parts = [_scaled(part, span, "uchar") for part, span in zip(parts, spans, strict=False)]
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[colours] + ("A" if alpha and colours < 4 else "")
    return (parts[0].bandjoin(parts[1]) if alpha and colours < 4 else parts[0]), mode


def _scaled(image: Any, span: Span, format: str) -> Any:
    """Numbers of any kind over the whole range of ``format``, uchar or ushort."""
    top = 255 if format == "uchar" else 65535
    # libvips wraps what is beyond a format's range while it computes with integers.
    shares = (image.cast("double") - span.black) * (top / ((span.white - span.black) or 1.0))
    return shares.rint().cast(format)
