"""Photographs to train on: found, decoded, cropped, and in an order that a resumed run repeats.

Which photograph comes n-th, and its crop, follow from (seed, n) alone. So a run resumed after k
batches takes the very batches that an undisturbed one would have taken, whatever the workers.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fastnst.errors import DataError, ImageReadError
from fastnst.files import reason
from fastnst.image import READ_SUFFIXES, read_picture, resize, to_bytes_tensor
from fastnst.stylize import pictures_below

# Photographs kept out of training, to watch and to measure on.
HELD_OUT = 4
# A crop's photograph is scaled so that its short side is 1 to this many crop sides.
MAX_ZOOM = 1.6
# More unreadable files than this share, and the folder is not what the user thinks it is.
MAX_BAD_SHARE = 0.1


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
        found = [path] if is_picture else _read_list(path)
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


def _read_list(path: Path) -> list[Path]:
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


def hold_out(files: Sequence[Path], count: int = HELD_OUT) -> tuple[list[Path], list[Path]]:
    """Split into photographs to train on and to measure with, evenly picked from the sorted list.

    At most a quarter is held out; of fewer than 4 none, and the first are measured with.
    """
    count = min(count, len(files) // 4)
    if count == 0:
        return list(files), list(files[:HELD_OUT])
    picked = {round((i + 0.5) * len(files) / count) for i in range(count)}
    train = [file for i, file in enumerate(files) if i not in picked]
    return train, [files[i] for i in sorted(picked)]


@dataclass(frozen=True)
class Batch:
    """images: uint8 (B, 3, S, S), RGB. ``bad`` has a line for each file that was skipped."""

    images: Tensor
    bad: tuple[str, ...]


class PhotoDataset(Dataset[Batch]):
    """Endless random crops of photographs; item n depends on ``seed`` and n alone.

    Each pass takes every photograph once, in a fresh order. Item n is a random scale, crop and flip
    of side ``image_size``. An unreadable file is replaced by the next one in the order; where none
    is readable, DataError.
    """

    def __init__(self, files: Sequence[Path], image_size: int, seed: int) -> None:
        self.files = list(files)
        self.image_size = image_size
        self.seed = seed
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def __getitem__(self, index: int) -> Batch:
        epoch, position = divmod(index, len(self.files))
        order = self._permutation(epoch)
        bad: list[str] = []
        for attempt in range(len(self.files)):
            file = self.files[order[(position + attempt) % len(self.files)]]
            try:
                picture = read_picture(file, shrink_to=round(self.image_size * MAX_ZOOM))
            except ImageReadError as error:
                bad.append(str(error))
                continue
            return Batch(self._crop(picture, index).unsqueeze(0), tuple(bad))
        raise DataError(f"none of the {len(self.files)} photographs can be read; first: {bad[0]}")

    def _permutation(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            rng = np.random.default_rng((self.seed, 0, epoch))
            self._order = (epoch, rng.permutation(len(self.files)))
        return self._order[1]

    def _crop(self, picture: Image.Image, index: int) -> Tensor:
        """A random crop (3, S, S), uint8."""
        rng = np.random.default_rng((self.seed, 1, index))
        size = self.image_size
        zoom = size / min(picture.size) * rng.uniform(1.0, MAX_ZOOM)
        width = max(size, round(picture.width * zoom))
        height = max(size, round(picture.height * zoom))
        left = int(rng.integers(0, width - size + 1))
        top = int(rng.integers(0, height - size + 1))
        # Only the part that stays is resampled.
        box = (
            left * picture.width / width,
            top * picture.height / height,
            (left + size) * picture.width / width,
            (top + size) * picture.height / height,
        )
        crop = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
        return to_bytes_tensor(ImageOps.mirror(crop) if rng.random() < 0.5 else crop)


class EndlessBatches(Sampler[list[int]]):
    """Item numbers in batches, from batch ``first`` on, without an end."""

    def __init__(self, batch_size: int, first: int) -> None:
        self.batch_size = batch_size
        self.first = first

    def __iter__(self) -> Iterator[list[int]]:
        batch = self.first
        while True:
            start = batch * self.batch_size
            yield list(range(start, start + self.batch_size))
            batch += 1


def collate(items: Sequence[Batch]) -> Batch:
    """Join items of one picture each."""
    images = torch.cat([item.images for item in items])
    return Batch(images, tuple(line for item in items for line in item.bad))


def photo_loader(
    dataset: PhotoDataset, batch_size: int, first_batch: int, workers: int
) -> DataLoader[Batch]:
    """Batches from number ``first_batch`` on, in order, whatever the number of workers."""
    return DataLoader(
        dataset,
        batch_sampler=EndlessBatches(batch_size, first_batch),
        num_workers=workers,
        collate_fn=collate,
        # A worker forked after OpenMP has started may hang; a spawned one can't.
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
    )


def center_crop(picture: Image.Image, size: int) -> Tensor:
    """The middle square of a picture, resized, as uint8 (3, size, size)."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return to_bytes_tensor(resize(picture.crop((left, top, left + side, top + side)), (size, size)))


def held_out_images(files: Sequence[Path], size: int) -> Tensor:
    """The held-out photographs' middle squares (N, 3, size, size), float, 0..1.

    Unreadable ones are left out. Raises DataError where none is readable.
    """
    crops: list[Tensor] = []
    failure: ImageReadError | None = None
    for file in files:
        try:
            crops.append(center_crop(read_picture(file, shrink_to=size), size))
        except ImageReadError as error:
            failure = error
    if not crops:
        raise DataError(f"none of the held-out photographs can be read; last: {failure}")
    return torch.stack(crops).float() / 255
