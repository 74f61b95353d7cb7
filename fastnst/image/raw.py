"""Raw photographs: what a sensor saw, to be developed; most of them look like a TIFF at first."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from fastnst.image.in_memory import PictureFile
from fastnst.image.kinds import RAW_BRAND, brands

SUFFIXES = frozenset(
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf "  # noqa: SIM905
    ".pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f".split()
)
# How raw files begin that are no TIFFs, or only nearly: Olympus, Panasonic, Fujifilm, Minolta,
# Sigma, and Canon before its CR2.
STARTS = (
    b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"\0MRM", b"FOVb",
    b"II\x1a\0\0\0HEAPCCDR",
)  # fmt: skip
# Photometric interpretations of a sensor's mosaic and of what was made of one, and the tags that
# hold it, those of pictures below and Adobe's mark (TIFF/EP; DNG 1.7).
OF_SENSORS = frozenset((32803, 34892))
PHOTOMETRIC, SUB_PICTURES, DNG_VERSION = 262, 330, 50706
# Directories and entries that are looked at: a file may claim any number.
MAX_DIRECTORIES, MAX_ENTRIES = 16, 512
SIZES = {3: ("H", 2), 4: ("I", 4), 13: ("I", 4)}


def is_raw(path: PictureFile, head: bytes) -> bool:
    """Whether a file is a raw photograph, ``head`` being its first bytes."""
    if head.startswith(STARTS) or RAW_BRAND in brands(head):
        return True
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return False
    # Canon marks it behind the header; some makers say it nowhere but in tags of their own.
    if head[8:10] == b"CR" or path.suffix.lower() in SUFFIXES:
        return True
    try:
        return _tells(path)
    except (struct.error, OverflowError):  # A broken TIFF is the decoder's to refuse.
        return False


def _tells(path: PictureFile) -> bool:
    """Whether the tags of a TIFF, those of the pictures below its first included, say it."""
    with path.open("rb") as file:
        order = "<" if file.read(2) == b"II" else ">"
        file.seek(4)
        places, seen = list(struct.unpack(order + "I", file.read(4))), 0
        while places and seen < MAX_DIRECTORIES:
            seen += 1
            for tag, values in _directory(file, order, places.pop(0)):
                if tag == DNG_VERSION or (tag == PHOTOMETRIC and OF_SENSORS & set(values)):
                    return True
                if tag == SUB_PICTURES:
                    places += values
    return False


def _directory(file: BinaryIO, order: str, place: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The tags of a directory that matter here, with their values."""
    file.seek(place)
    count = int.from_bytes(file.read(2), "little" if order == "<" else "big")
    entries = file.read(12 * min(count, MAX_ENTRIES))
    for start in range(0, len(entries) - 11, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", entries, start)
        if tag == DNG_VERSION:
            yield tag, ()
        if tag not in (PHOTOMETRIC, SUB_PICTURES) or kind not in SIZES:
            continue
        letter, size = SIZES[kind]
        value, length = entries[start + 8 : start + 12], min(length, MAX_DIRECTORIES)
        if size * length > len(value):
            file.seek(struct.unpack(order + "I", value)[0])
            value = file.read(size * length)
        length = min(length, len(value) // size)
        yield tag, struct.unpack_from(f"{order}{length}{letter}", value)
