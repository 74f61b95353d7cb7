"""Collections of photographs: found, told apart, held out of training, cropped to squares."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from fastnst.errors import DataError
from fastnst.image import is_read
from fastnst.machine.files import address_of
from fastnst.machine.notify import Notify, silent
from fastnst.photos.folders import look_below, matching, pictures_below
from fastnst.photos.lists import LIST, read_list

__all__ = ["find_photos", "fingerprint", "hold_out", "pick_evenly", "pictures_below"]

# Photographs kept out of training at most: enough for the quartiles of a validation.
MAX_HELD_OUT = 20


def find_photos(data: str, notify: Notify = silent) -> list[Path]:
    """The photographs that ``--data`` names, sorted: a folder, a picture, a list or a glob.

    A list is a text file of paths (``fastnst.photos.lists.read_list``), with or without an @ before
    its name. ``notify`` gets a line on what was passed over. Raises DataError, which says what
    to do.
    """
    path, told = Path(os.path.expanduser(data)), ""
    if data.startswith(LIST) and not path.exists() and Path(data.removeprefix(LIST)).is_file():
        path = Path(data.removeprefix(LIST))
    if path.is_dir():
        below = look_below(path)
        found, told = below.pictures, below.told()
        missing = f"{data}: no pictures in this folder or below it; " + (
            told or "it should hold .jpg, .png, ..."
        )
    elif path.is_file():
        found = [path] if is_read(path.suffix) else read_list(path)
        missing = ""
    elif glob.has_magic(data):
        found = [match for match in matching(str(path)) if match.is_file()]
        missing = f"{data}: no file matches this pattern"
    elif address := address_of(path):
        found, missing = [], f"{address}: an address, and fastnst reads files; fetch it first"
    elif path.exists():
        found, missing = (
            [],
            f"{data}: a device or a pipe; make a file of the list of paths",
        )
    else:
        found, missing = [], f"{data}: no such folder or file; --data takes a folder, list or glob"
    if not found:
        raise DataError(missing)
    if told:
        notify(f"{data}: {told}")
    return found


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
