"""Text files of paths, in the forms that people's programs write them."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from fastnst.errors import DataError
from fastnst.image.kinds import HEAD, kind_of
from fastnst.machine.files import address_of, reason

# What a path begins with that stands for the list in it.
LIST = "@"
# Marks at a text's beginning. UTF-32's first: its own begins with UTF-16's.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
QUOTES = "\"'"
# How files of readable text begin that are no lists.
DOCUMENTS = (b"%PDF", b"%!PS", b"<")


def read_list(path: Path) -> list[Path]:
    """The paths in a text file, one a line, relative ones seen from the file's folder.

    Empty lines and those that start with # are skipped. UTF-8, or what a mark at the beginning
    says; a path may stand in quotes, have backslashes, or begin with ~, where no file has that very
    name. Raises DataError for what is no such file, or has no path in it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({reason(error)})") from error
    lines = _text(path, content).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    entries = [entry for line in lines if (entry := line.strip()) and not entry.startswith("#")]
    if not entries:
        raise DataError(f"{path}: lists no pictures; it should hold one path a line")
    return [_path(path.parent, entry) for entry in entries]


def _text(path: Path, content: bytes) -> str:
    if content.startswith(DOCUMENTS):
        raise DataError(f"{path}: {_wrong(content)}")
    encoding, mark = "utf-8", b""
    for start, name in MARKS:
        if content.startswith(start):
            encoding, mark = name, start
            break
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {_wrong(content)}") from error
    if "\0" in text:
        raise DataError(f"{path}: {_wrong(content)}")
    return text


def _wrong(content: bytes) -> str:
    kind = kind_of(content[:HEAD]) or "neither a picture nor a text file of paths in UTF-8"
    # Of Latin letters every second byte is zero there.
    return f"{kind}; if it is UTF-16, save it as UTF-8" if content[1:16:2] == bytes(8) else kind


def _path(folder: Path, entry: str) -> Path:
    if address_of(Path(entry)):
        return Path(entry)
    written = folder / entry
    # Most entries are plain, and cost no look at the disk.
    if not (set(entry) & {*QUOTES, "\\"} or entry.startswith("~")) or os.path.exists(written):
        return written
    unquoted = entry
    if len(entry) > 1 and entry[0] == entry[-1] and entry[0] in QUOTES:
        unquoted = entry[1:-1]
    for form in (unquoted, unquoted.replace("\\", "/")):
        found = folder / os.path.expanduser(form)
        if os.path.exists(found):
            return found
    # The reader says that it isn't there, by the name that is nearest to what was meant.
    return folder / os.path.expanduser(unquoted)
