"""Collections of photographs: found, told apart, held out of training, cropped to squares."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fastnst.errors import DataError
from fastnst.image import is_read
from fastnst.machine.files import address_of
from fastnst.machine.notify import Notify, silent
from fastnst.photos.folders import look_below, matching, pictures_below
from fastnst.photos.lists import LIST, read_list
from fastnst.photos.results import Place, results_among, told_of
from fastnst.video.options import is_clip

__all__ = ["find_photos", "fingerprint", "hold_out", "pick_evenly", "pictures_below"]

FRAMES = "take the frames as pictures first, as in ffmpeg -i CLIP -r 1 FOLDER/%05d.jpg"
# Photographs kept out of training at most: enough for the quartiles of a validation.
MAX_HELD_OUT = 20


def find_photos(data: str, notify: Notify = silent) -> list[Path]:
    """The photographs that ``--data`` names, sorted: a folder, a picture, a list or a glob.

    A list is a text file of paths (``fastnst.photos.lists.read_list``), with or without an @ before
    its name. Of a folder or a glob those are left out that fastnst has made of others of it.
    ``notify`` gets a line on what was passed over. Raises DataError, which says what to do.
    """
    path = Path(os.path.expanduser(data))
    if data.startswith(LIST) and not path.exists() and Path(data.removeprefix(LIST)).is_file():
        path = Path(data.removeprefix(LIST))
    if path.is_dir():
        return _of_folder(data, path, notify)
    if is_clip(path) and path.is_file():
        raise DataError(f"{data}: a clip, not a picture; {FRAMES}")
    if path.is_file():
        return [path] if is_read(path.suffix) else read_list(path)
    if not glob.has_magic(data):
        raise DataError(_no_collection(data, path))
    found = [match for match in matching(str(path)) if match.is_file()]
    if not found:
        raise DataError(f"{data}: no file matches this pattern")
    return _photographs(data, [(file.parent, Path(file.name)) for file in found], notify)


def _of_folder(data: str, folder: Path, notify: Notify) -> list[Path]:
    below = look_below(folder)
    below.passed += Counter({f"clip: {FRAMES}": len(below.clips)})
    told = below.told()
    if not below.pictures:
        why = told or "it should hold .jpg, .png, ..."
        raise DataError(f"{data}: no pictures in this folder or below it; {why}")
    places = [(folder, file.relative_to(folder)) for file in below.pictures]
    found = _photographs(data, places, notify)
    if told:
        notify(f"{data}: {told}")
    return found


def _photographs(data: str, places: Sequence[Place], notify: Notify) -> list[Path]:
    """The files without results of earlier runs, unless that leaves none."""
    results, files = results_among(places), [folder / below for folder, below in places]
    if not results or len(results) == len(files):
        return files
    notify(f"{data}: {told_of(sorted(results))}")
    return [file for file in files if file not in results]


def _no_collection(data: str, path: Path) -> str:
    if address := address_of(path):
        return f"{address}: an address, and fastnst reads files; fetch it first"
    if path.exists():
        return f"{data}: a device or a pipe; make a file of the list of paths"
    return f"{data}: no such folder or file; --data takes a folder, list or glob"


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
