"""Collections of photographs: found, told apart, held out of training, cropped to squares."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastnst.errors import DataError
from fastnst.files import reason
from fastnst.image import READ_SUFFIXES

# Photographs kept out of training at most: enough for the quartiles of a validation.
MAX_HELD_OUT = 20


def pictures_below(folder: Path) -> Iterator[Path]:
    """Files with a picture's suffix in a folder and below it, hidden ones left out."""
    # followlinks stays off: a link to a folder above would never end.
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in READ_SUFFIXES:
                yield Path(base) / name


def find_photos(data: str) -> list[Path]:
    """The photographs that ``--data`` names, sorted: a folder, a picture, a list or a glob.

    A list is a text file with one path a line, relative ones seen from the list's folder; empty
    lines and those starting with # are skipped. Raises DataError, which says what to do.
    """
    path = Path(data)
    if path.is_dir():
        found = sorted(pictures_below(path))
        missing = f"{data}: no pictures in this folder or below it; it should hold .jpg, .png, ..."
    elif path.is_file():
        is_picture = path.suffix.lower() in READ_SUFFIXES
        found = [path] if is_picture else read_list(path)
        missing = f"{data}: lists no pictures; it should hold one path a line"
    elif glob.has_magic(data):
        matches = sorted(Path(match) for match in glob.glob(data, recursive=True))
        found = [match for match in matches if match.is_file()]
        missing = f"{data}: no file matches this pattern"
    else:
        found, missing = [], f"{data}: no such folder or file; --data takes a folder, list or glob"
    if not found:
        raise DataError(missing)
    return found


def read_list(path: Path) -> list[Path]:
    """The paths in a text file, see ``find_photos``. Raises DataError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: neither a picture nor a text file of paths") from error
    except OSError as error:
        raise DataError(f"{path}: can't be read ({reason(error)})") from error
    entries = [line.strip() for line in lines]
    return [path.parent / entry for entry in entries if entry and not entry.startswith("#")]


def fingerprint(files: Sequence[Path]) -> str:
    """SHA-256 over the photographs' names and sizes in bytes: tells collections apart."""
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size if file.is_file() else -1
        digest.update(f"{file.name}\0{size}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def hold_out(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Split into photographs to train on and to measure with, evenly picked from the sorted list.

    A fortieth is held out, but at most 20 and at least 4, and at most a quarter; of fewer than 4
    photographs none, and they are measured with all the same.
    """
    count = min(max(4, min(MAX_HELD_OUT, len(files) // 40)), len(files) // 4)
    if count == 0:
        return list(files), list(files)
    held_out = pick_evenly(files, count)
    kept = set(held_out)
    return [file for file in files if file not in kept], held_out


def pick_evenly(files: Sequence[Path], count: int) -> list[Path]:
    """``count`` of the files, or all where there are fewer, at even distances in their order."""
    if count >= len(files):
        return list(files)
    return [files[int((i + 0.5) * len(files) / count)] for i in range(count)]
