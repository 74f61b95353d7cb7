"""What of a clip's frames its container says is to be seen: the rest is never shown.

Encoders leave blocks, and digitized film its edges, beyond what is meant to be seen. Codecs' own
cropping is the decoder's; what the container says (a clean aperture in MP4 and QuickTime, ISO/IEC
14496-12, 12.1.4; PixelCrop in Matroska, RFC 9559, 5.1.4.1.28) FFmpeg's library leaves to its user.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

# Pixels to leave out on the left, top, right and bottom, of frames as they are coded.
Margins = tuple[int, int, int, int]
NONE: Margins = (0, 0, 0, 0)
# Boxes of MP4 that hold others, on the way to a track's sample entries.
ON_THE_WAY = (b"mdia", b"minf", b"stbl")
# Bytes of a visual sample entry before its boxes, and the place of its width and height in them.
ENTRY, SIZE = 78, 24
# Elements of Matroska, by their numbers.
SEGMENT, CLUSTER, TRACKS, TRACK = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
TRACK_TYPE, VIDEO, OF_PICTURES = 0x83, 0xE0, 1
CROPS = (0x54CC, 0x54BB, 0x54DD, 0x54AA)
# Boxes, and elements, of one level that are looked at: a file may have any number.
MANY = 100_000


def margins(path: Path, number: int) -> Margins:
    """What is not to be seen of the ``number``-th track of pictures in a file, from 0 on.

    A file that is damaged, or of another kind, says nothing. Raises OSError.
    """
    found: list[Margins] = []
    with open(path, "rb") as file, contextlib.suppress(struct.error, ValueError, ArithmeticError):
        end = os.fstat(file.fileno()).st_size
        if file.read(4) == b"\x1aE\xdf\xa3":
            found += _of_matroska(file, end)
        else:
            found += _of_mp4(file, end)
    return found[number] if number < len(found) else NONE


def _of_mp4(file: BinaryIO, end: int) -> Iterator[Margins]:
    for kind, begin, stop in _boxes(file, 0, end):
        if kind == b"moov":
            for inner, start, last in _boxes(file, begin, stop):
                if inner == b"trak":
                    yield from _of_track(file, start, last)


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes in a part of a file: what they are, and where their contents begin and end."""
    for _ in range(MANY):
        if begin + 8 > end:
            return
        file.seek(begin)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,), head = struct.unpack(">Q", file.read(8)), 16
        stop = end if size == 0 else begin + size
        if size and size < head:
            return
        yield kind, begin + head, min(stop, end)
        begin = stop


def _of_track(file: BinaryIO, begin: int, end: int) -> Iterator[Margins]:
    """The margins of a track, if it is one of pictures."""
    parts = [(begin, end)]
    handler, entries = b"", (0, 0)
    while parts:
        for kind, start, stop in _boxes(file, *parts.pop()):
            if kind in ON_THE_WAY:
                parts.append((start, stop))
            elif kind == b"hdlr" and not handler:
                file.seek(start + 8)
                handler = file.read(4)
            elif kind == b"stsd":
                entries = start + 8, stop
    # QuickTime has a handler for data too, which comes after the track's own.
    if handler == b"vide":
        yield next(
            (_of_entry(file, start, stop) for _, start, stop in _boxes(file, *entries)), NONE
        )


def _of_entry(file: BinaryIO, begin: int, end: int) -> Margins:
    file.seek(begin + SIZE)
    size = struct.unpack(">2H", file.read(4))
    for kind, start, _ in _boxes(file, begin + ENTRY, end):
        if kind == b"clap":
            file.seek(start)
            width, height, right, down = _fractions(file.read(32))
            across, along = (size[0] - width) / 2 + right, (size[1] - height) / 2 + down
            left, top = round(across), round(along)
            rest = size[0] - left - round(width), size[1] - top - round(height)
            return _checked((left, top, *rest), size)
    return NONE


def _fractions(data: bytes) -> list[Fraction]:
    numbers = struct.unpack(">IIIIiIiI", data)
    return [Fraction(numbers[place], numbers[place + 1]) for place in range(0, 8, 2)]


def _checked(found: Margins, size: tuple[int, ...]) -> Margins:
    """Margins that leave something, and are within the frame; else none."""
    left, top, right, bottom = found
    fits = min(found) >= 0 and left + right < size[0] and top + bottom < size[1]
    return found if fits else NONE


def _of_matroska(file: BinaryIO, end: int) -> Iterator[Margins]:
    for number, begin, stop in _elements(file, 0, end):
        if number == SEGMENT:
            for inner, start, last in _elements(file, begin, stop):
                if inner == CLUSTER:
                    return
                if inner == TRACKS:
                    for track, first, until in _elements(file, start, last):
                        yield from _of_matroska_track(file, first, until) if track == TRACK else ()


def _of_matroska_track(file: BinaryIO, begin: int, end: int) -> Iterator[Margins]:
    kind, found = 0, dict.fromkeys(CROPS, 0)
    for number, start, stop in _elements(file, begin, end):
        if number == TRACK_TYPE:
            kind = _integer(file, start, stop)
        elif number == VIDEO:
            for inner, first, until in _elements(file, start, stop):
                if inner in found:
                    found[inner] = _integer(file, first, until)
    if kind == OF_PICTURES:
        left, top, right, bottom = found.values()
        yield left, top, right, bottom


def _integer(file: BinaryIO, begin: int, end: int) -> int:
    file.seek(begin)
    return int.from_bytes(file.read(min(8, end - begin)), "big")


def _elements(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The elements in a part of a file: their numbers, and where their contents begin and end."""
    for _ in range(MANY):
        if begin >= end:
            return
        file.seek(begin)
        number, length = _number(file, marked=True), _number(file, marked=False)
        start = file.tell()
        # Of a stream that was not known to end.
        stop = end if length is None else min(end, start + length)
        yield number or 0, start, stop
        begin = stop


def _number(file: BinaryIO, marked: bool) -> int | None:
    """A number of as many bytes as its first says (RFC 8794, 4); None where all bits are set."""
    first = file.read(1)
    length = 9 - first[0].bit_length() if first else 9
    rest = file.read(length - 1)
    if length > 8 or len(rest) < length - 1:
        raise ValueError("no number")
    value = int.from_bytes(first + rest, "big")
    if marked:
        return value
    mask = (1 << (7 * length)) - 1
    return None if value & mask == mask else value & mask
