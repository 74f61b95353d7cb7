"""Files of pictures that lie in memory: they come and go by streams, and touch no disk."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass
class InMemory:
    """What stands where a path does, for a file's ``content``: read from it, or written to it.

    ``name`` is what messages call it; ``suffix``, such as ".png", sets the format that is written.

    >>> sent = InMemory("standard input", sys.stdin.buffer.read())
    >>> result = InMemory("standard output", suffix=".png")
    >>> write_picture(read_picture(sent), result)
    >>> sys.stdout.buffer.write(result.content)
    """

    name: str
    content: bytes | memoryview = b""
    suffix: str = ""

    def __str__(self) -> str:
        return self.name

    def open(self, mode: str = "rb") -> BinaryIO:
        """Its content, to be read."""
        assert mode == "rb"
        return io.BytesIO(self.content)


# What is read and written as a picture.
PictureFile = Path | InMemory


def for_pillow(file: PictureFile) -> Path | BinaryIO:
    """What Pillow opens: a path as it is, which it may map into memory."""
    return file.open("rb") if isinstance(file, InMemory) else file
