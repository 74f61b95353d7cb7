"""Which colours a picture's numbers stand for, where no ICC profile says it."""

from __future__ import annotations

import struct
from typing import Any

from PIL import ExifTags, Image

SRGB, ADOBE_RGB, UNCALIBRATED = 1, 2, 0xFFFF
# Modes of RGB, in which alone a camera's colours come.
OF_CAMERAS = frozenset(("RGB", "RGBA", "RGBX"))
UNKNOWN = "its EXIF data say that its colours are not sRGB, but not which; read as sRGB"
# Adobe RGB (1998), 4.3.5: the primaries adapted to D50, and the exponent of its curve.
ADOBE_PRIMARIES = (
    (0.60974, 0.31111, 0.01947),
    (0.20528, 0.62567, 0.06087),
    (0.14919, 0.06322, 0.74457),
)
ADOBE_GAMMA = 563 / 256
D50 = (0.9642, 1.0, 0.8249)


def profile_of(image: Image.Image) -> tuple[bytes | None, list[str]]:
    """The ICC profile to convert a picture by, if any, and what is worth telling of its colours.

    Cameras tell Adobe RGB without one (Exif 2.32, 4.6.6 and DCF 2.0): by the index "R03".
    """
    embedded = image.info.get("icc_profile")
    if embedded or image.mode not in OF_CAMERAS:
        return embedded, []
    space, index = _told_by_exif(image)
    if space == ADOBE_RGB or (space != SRGB and index == "R03"):
        return rgb_profile(ADOBE_PRIMARIES, ADOBE_GAMMA), []
    return None, [UNKNOWN] if space == UNCALIBRATED else []


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


def rgb_profile(primaries: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    """An ICC profile (ICC.1:2001-04) of RGB: primaries in XYZ under D50, and their exponent."""
    tags: dict[bytes, bytes] = {b"wtpt": _xyz(D50)}
    for name, primary in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        tags[name] = _xyz(primary)
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
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
