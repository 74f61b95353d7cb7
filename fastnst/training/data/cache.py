"""Photographs kept small on the disk, so that only the first pass decodes the large files.

A file for each photograph, named by its path: no index that could be out of step, nothing that two
runs have to agree on, and a photograph that changes replaces its own entry. An entry is a checksum
and a compact picture. The checksum is over the picture and all that it depends on, so an entry that
is damaged, half-written, of an earlier version of the photograph or by another Pillow doesn't
match, and is made anew. Hence entries are written in place: whoever is killed leaves nothing that
could be taken for a picture, and no temporary files.

What is trained on is always the compact picture read back, also where it has just been made: a run
takes the same pixels whether its photographs were in the cache, could not be written to it, or
became so in the middle.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import PIL
from PIL import Image

from fastnst.config import TrainConfig
from fastnst.image import read_picture, resize_short_side
from fastnst.image.compact import MAX_SIDE, QUALITY, from_compact, to_compact
from fastnst.machine.cache import cache_folder
from fastnst.machine.files import reason
from fastnst.photos.collection import pick_evenly

# Short sides of entries. Few, so that runs with crops of other sizes share them: the first is
# enough for crops of up to 130 pixels, the second for 260.
SIDES = (208, 416)
# An item of photographs of 50 KB takes 1.5 ms, from the cache 0.7, and a step hides either. At
# 140 KB (640 x 480) it is 2.1 ms and eleven times the bytes, at 2.3 MB (12 megapixels) 21 ms. To
# make an entry takes 3 ms more in the first pass.
WORTH_BYTES = 100_000
SAMPLE = 200
# The rest of the disk is left to others, and however many photographs there are, they take no more:
# what comes later is decoded each time. COCO takes 2 GB with the first side, 5 with the second.
MIN_FREE_BYTES = 1_000_000_000
MAX_BYTES = 2_000_000_000
# Entries lie in so many folders by the first digits of their names. Names are random, so that each
# folder has its share of all, and one tells without an index how much there is.
FOLDERS = 256
CHECKSUM_BYTES = 16


class PhotoCache:
    """Photographs shrunk to a short side of ``side``, kept in ``folder``.

    ``trouble`` is why entries can't be written, once that has happened; then each is made anew when
    it is wanted. Several processes and runs may use a folder at once.
    """

    def __init__(self, folder: Path, side: int) -> None:
        self.folder = folder
        self.side = side
        self.trouble: str | None = None

    def read(self, file: Path) -> Image.Image:
        """The photograph, mode RGB, its short side at most ``side``. Raises ImageReadError."""
        try:
            status = os.stat(file)
        except OSError:
            return read_picture(file)  # It knows what to say.
        path = os.path.abspath(file)
        name = _digest(f"{path}\0{self.side}".encode(errors="surrogateescape")).hex()
        entry = self.folder / name[:2] / name
        made_of = (path, status.st_size, status.st_mtime_ns, self.side, *_MAKER)
        key = "\0".join(map(str, made_of)).encode(errors="surrogateescape")
        stored = _stored(entry, key)
        if stored is not None:
            return stored
        picture = read_picture(file, shrink_to=self.side)
        if min(picture.size) > self.side:
            picture = resize_short_side(picture, self.side)
        if max(picture.size) > MAX_SIDE:
            return picture
        data = to_compact(picture)
        self._store(entry, _digest(key + data) + data)
        return from_compact(data)

    def _store(self, entry: Path, content: bytes) -> None:
        if self.trouble is not None:
            return
        try:
            # The photographs may be for nobody else's eyes.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            entry.parent.mkdir(exist_ok=True)
            if shutil.disk_usage(entry.parent).free < MIN_FREE_BYTES:
                raise OSError(errno.ENOSPC, "the disk is nearly full")
            if not entry.exists() and _is_full(entry.parent):
                return
            entry.write_bytes(content)
        except OSError as error:
            with contextlib.suppress(OSError):
                entry.unlink()
            self.trouble = (
                f"the cache of photographs in {self.folder} can't be written ({reason(error)}); "
                "training goes on without it"
            )


# Another Pillow may decode, shrink or pack otherwise, by a level here and there.
_MAKER = (PIL.__version__, QUALITY)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=CHECKSUM_BYTES).digest()


def _is_full(folder: Path) -> bool:
    """Whether a folder of entries has its share of ``MAX_BYTES``."""
    with os.scandir(folder) as found:
        return sum(item.stat().st_size for item in found) * FOLDERS >= MAX_BYTES


def _stored(entry: Path, key: bytes) -> Image.Image | None:
    """The picture of an entry; None unless it is there, whole and made of what ``key`` says."""
    try:
        content = entry.read_bytes()
        checksum, data = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
        return from_compact(data) if checksum == _digest(key + data) else None
    except OSError:
        return None


def choose_cache(config: TrainConfig, files: Sequence[Path], needed: int) -> PhotoCache | None:
    """The cache that ``photo_cache`` means for photographs used with short sides of ``needed``.

    "auto" takes the user's cache where the photographs are large, by the mean size of a sample, and
    none where they are small: by the files alone, so that a resumed run decides alike.
    """
    choice = config.photo_cache
    if choice == "off" or (choice == "auto" and not _worth_it(files)):
        return None
    folder = cache_folder() / "photos" if choice == "auto" else Path(choice)
    return PhotoCache(folder, next((side for side in SIDES if side >= needed), needed))


def _worth_it(files: Sequence[Path]) -> bool:
    sizes = [file.stat().st_size for file in pick_evenly(files, SAMPLE) if file.is_file()]
    return sum(sizes) > WORTH_BYTES * len(sizes)
