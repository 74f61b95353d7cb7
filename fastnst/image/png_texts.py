"""PNG files with more text beside the picture than Pillow takes, which is nothing of the picture.

Programs that make pictures store how they made them: megabytes of it, packed (PNG, third edition,
11.3.3). Packed, it may also be made to fill the memory.
"""

from __future__ import annotations

import struct
import zlib

from fastnst.image.in_memory import InMemory, PictureFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXTS = frozenset((b"tEXt", b"zTXt", b"iTXt"))
# Unpacked bytes of a chunk: many times a monitor's colour profile, and little memory.
MOST = 1 << 24
# Texts that may say how the picture is turned, and packed bytes of one that can't fill the memory.
OF_TURNS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
FEW = MOST // 1032
# What tells that a file's own profile was left out.
UNREAD_PROFILE = "unread profile"


def has_texts_too_large(file: PictureFile, error: Exception) -> bool:
    """Whether Pillow's ``error`` is about text, or a colour profile, of a PNG."""
    if not isinstance(error, ValueError) or "text" not in str(error).lower():
        return False
    with file.open("rb") as opened:
        return opened.read(len(SIGNATURE)) == SIGNATURE


def without_texts(file: PictureFile) -> tuple[InMemory, bool]:
    """A PNG without its texts, but for small ones that may say how it is turned, and without a
    colour profile of more than ``MOST`` bytes; whether there was such a one.
    """
    with file.open("rb") as opened:
        content = opened.read()
    kept: list[bytes | memoryview] = [SIGNATURE]
    place, unread = len(SIGNATURE), False
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        chunk = memoryview(content)[place : place + length + 12]
        place += length + 12
        is_profile = kind == b"iCCP" and _is_too_large(chunk[8:-4])
        unread |= is_profile
        is_text = kind in TEXTS and not (bytes(chunk[8:40]).startswith(OF_TURNS) and length <= FEW)
        if not is_text and not is_profile:
            kept.append(chunk)
    return InMemory(str(file), b"".join(kept)), unread


def _is_too_large(profile: memoryview) -> bool:
    # Behind a name of up to 79 letters, a zero and the method's number.
    start = bytes(profile[:80]).find(b"\0") + 2
    unpacked = zlib.decompressobj()
    try:
        unpacked.decompress(profile[start:], MOST)
    except zlib.error:  # Pillow leaves it out.
        return False
    return bool(unpacked.unconsumed_tail)
