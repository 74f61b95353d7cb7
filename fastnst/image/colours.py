"""Which colours a picture's numbers stand for, where no ICC profile says it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from PIL import ExifTags, Image

from fastnst.image.cicp import PRIMARIES, high_range_told, told_by_numbers
from fastnst.image.png_texts import MOST, UNREAD_PROFILE

SRGB, ADOBE_RGB, UNCALIBRATED = 1, 2, 0xFFFF
# Modes of RGB, in which alone a camera's colours come.
OF_CAMERAS = frozenset(("RGB", "RGBA", "RGBX"))
# sRGB's own as PNG says them (PNG, third edition, 11.3.2): white, red, green, blue, in x and y, and
# the exponent that undoes its curve; both as far from it as rounding and habit go.
PNG_CHROMATICITIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
PNG_GAMMA, NEAR = 1 / 2.2, 0.02
OTHER_PNG = "its PNG data (gAMA, cHRM) say that its colours are not sRGB; read as sRGB"
UNKNOWN = "its EXIF data say that its colours are not sRGB, but not which; read as sRGB"
TOO_LARGE = f"its colour profile is larger than {MOST >> 20} MB; read as sRGB"
# Adobe RGB (1998), 4.3.5: the primaries adapted to D50, and the exponent of its curve.
ADOBE_PRIMARIES = (
    (0.60974, 0.31111, 0.01947),
    (0.20528, 0.62567, 0.06087),
    (0.14919, 0.06322, 0.74457),
)
D50 = (0.9642, 1.0, 0.8249)


def _curve(values: Sequence[int]) -> bytes:
    """A curve of so many samples, or of one, an exponent times 256."""
    body = b"curv\0\0\0\0" + struct.pack(f">I{len(values)}H", len(values), *values)
    return body + bytes(-len(body) % 4)


def _of_srgb(level: float) -> float:
    """Light of a level 0..1 (IEC 61966-2-1)."""
    return level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4


ADOBE_CURVE = _curve([563])
SRGB_CURVE = _curve([round(65535 * _of_srgb(sample / 1023)) for sample in range(1024)])


def profile_of(image: Image.Image) -> tuple[bytes | None, list[str]]:
    """The ICC profile to convert a picture by, if any, and what is worth telling of its colours.

    AVIF, HEIC and PNG may tell by numbers instead (``fastnst.image.cicp``). Cameras tell Adobe RGB
    without one (Exif 2.32, 4.6.6 and DCF 2.0): by the index "R03".
    """
    embedded = image.info.get("icc_profile")
    if UNREAD_PROFILE in image.info:
        return None, [TOO_LARGE]
    if embedded or image.mode not in OF_CAMERAS:
        return embedded, []
    numbers = told_by_numbers(image)
    if numbers is not None:
        primaries = PRIMARIES.get(numbers[0])
        profile = None if primaries is None else rgb_profile(primaries, SRGB_CURVE)
        return profile, high_range_told(numbers[1])
    space, index = _told_by_exif(image)
    if space == ADOBE_RGB or (space != SRGB and index == "R03"):
        return rgb_profile(ADOBE_PRIMARIES, ADOBE_CURVE), []
    if space == UNCALIBRATED:
        return None, [UNKNOWN]
    return None, [OTHER_PNG] if _is_other_png(image) else []


def _told_by_exif(image: Image.Image) -> tuple[int | None, str]:
    if "exif" not in image.info and image.format != "TIFF":
        return None, ""
    try:
        exif = image.getexif()
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        index = exif.get_ifd(ExifTags.IFD.Interop).get(1, "")
    except Exception:  # Broken EXIF says nothing of colours.
        return None, ""
    return space, index.strip("\0 ") if isinstance(index, str) else ""


def _is_other_png(image: Image.Image) -> bool:
    """Whether a PNG's own numbers name other colours than sRGB's, and no chunk sRGB stands above
    them.
    """
    if "srgb" in image.info:
        return False
    named = image.info.get("chromaticity", PNG_CHROMATICITIES)
    gamma = image.info.get("gamma", PNG_GAMMA)
    far = (abs(one - other) for one, other in zip(named, PNG_CHROMATICITIES, strict=True))
    return abs(gamma - PNG_GAMMA) > NEAR or any(distance > NEAR for distance in far)


def rgb_profile(primaries: tuple[tuple[float, ...], ...], curve: bytes) -> bytes:
    """An ICC profile (ICC.1:2001-04) of RGB: primaries in XYZ under D50, and their curve."""
    tags: dict[bytes, bytes] = {b"wtpt": _xyz(D50)}
    for name, primary in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        tags[name] = _xyz(primary)
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    place = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        table += name + struct.pack(">II", place + len(data), len(body))
        data += body
    size = struct.pack(">I", place + len(data))
    head = size + b"\0\0\0\0\2\x10\0\0mntrRGB XYZ " + bytes(12) + b"acsp"
    head = head.ljust(68, b"\0") + _fixed(D50)
    return head.ljust(128, b"\0") + table + data


def _xyz(values: Any) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _fixed(values: Any) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)
