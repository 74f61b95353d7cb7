"""What a result takes over of its photograph's EXIF data: never what describes the pixels."""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import ExifTags, Image

# By name, since the number of tags that say how a file's own pixels lie has no end: a TIFF holds
# its sizes, strips, palette and compression among them, and a result with these can't be opened.
KEPT = frozenset((
    0x010D, 0x010E, 0x010F, 0x0110, 0x011D,  # document, description, make, model, page
    0x0131, 0x0132, 0x013B, 0x013C,  # software, date and time, artist, computer
    0x011A, 0x011B, 0x0128,  # resolution
    0x02BC, 0x83BB,  # XMP, IPTC
    0x4746, 0x4749, 0x8298, 0x882A,  # rating, rating in per cent, copyright, time zone
    0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F,  # title, comment, author, keywords, subject (Windows)
    0xA430, 0xA431, 0xA433, 0xA434,  # owner, serial number, lens
))  # fmt: skip
# Of the camera's own data all but these: components, bits, sizes, gamma, Interop.
DROPPED = frozenset((0x9101, 0x9102, 0xA002, 0xA003, 0xA500, 0xA005))
# A JPEG has one segment for it, of at most 64 KB.
MAX_JPEG_EXIF = 65_533
SRGB = 1


def kept_exif(upright: Image.Image) -> bytes:
    """The EXIF data of an upright picture that is sRGB now, or nothing where they are broken."""
    try:
        found, kept = upright.getexif(), Image.Exif()
        for tag, value in found.items():
            if tag in KEPT:
                kept[tag] = value
        of_camera = {
            tag: value
            for tag, value in found.get_ifd(ExifTags.IFD.Exif).items()
            if tag not in DROPPED
        }
        if ExifTags.Base.ColorSpace in of_camera:
            of_camera[ExifTags.Base.ColorSpace] = SRGB
        _add(kept, ExifTags.IFD.Exif, of_camera)
        _add(kept, ExifTags.IFD.GPSInfo, found.get_ifd(ExifTags.IFD.GPSInfo))
        return kept.tobytes() if len(kept) else b""
    except Exception:  # Broken EXIF is not taken over.
        return b""


def _add(exif: Image.Exif, part: int, tags: dict[int, Any]) -> None:
    if tags:
        exif[part] = dict(tags)


def add_to_tiff(tiff: io.BytesIO, exif: bytes) -> None:
    """Put EXIF data into a TIFF without any. Raises ValueError where it's larger than 4 GB.

    Pillow leaves the camera's own data to libtiff, which can't write them in one go.
    """
    content = tiff.getbuffer()
    order = {b"II": "<", b"MM": ">"}[bytes(content[:2])]
    (old,) = struct.unpack_from(order + "I", content, 4)
    entries = _entries(content, order, old)
    end = len(content) + len(content) % 2
    del content
    tags = Image.Exif()
    tags.load(exif)
    tags.endian = order
    # Behind the picture stand the tags and all that they point to, and behind these the new first
    # directory, that has the entries of both.
    block = tags.tobytes(end)[len(b"Exif\0\0") + 8 :]
    block += bytes(len(block) % 2)
    added = _entries(block, order, 0)
    merged = {**added, **entries}
    if end + len(block) >= 2**32:
        raise ValueError("a TIFF holds 4 GB")
    directory = b"".join(entry for _, entry in sorted(merged.items()))
    tiff.seek(end)
    tiff.write(block + struct.pack(order + "H", len(merged)) + directory + bytes(4))
    tiff.seek(4)
    tiff.write(struct.pack(order + "I", end + len(block)))


def _entries(content: bytes | memoryview, order: str, place: int) -> dict[int, bytes]:
    """The entries, of 12 bytes each, of the directory at ``place``, by their tags."""
    (count,) = struct.unpack_from(order + "H", content, place)
    entries = [bytes(content[place + 2 + 12 * i :][:12]) for i in range(count)]
    return {struct.unpack(order + "H", entry[:2])[0]: entry for entry in entries}
