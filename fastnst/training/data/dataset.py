"""Photographs to train on: decoded, cropped, and in an order that a resumed run repeats.

Which photograph comes n-th, and its crop, follow from (seed, n) alone. So a run resumed after k
batches takes the very batches that an undisturbed one would have taken, whatever the workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from fastnst.errors import DataError, ImageReadError
from fastnst.image import read_picture, resize_part, to_bytes_tensor
from fastnst.training.data.cache import PhotoCache

# A crop's photograph is scaled so that its short side is 1 to this many crop sides.
MAX_ZOOM = 1.6
# Levels of 255 by which some channel of a crop varies at least: a plain one teaches nothing.
PLAIN = 8
# Crops that are drawn of a photograph, whose plain parts may be large, before the next one takes
# its place; and photographs that are looked at, before a plain one will do.
DRAWS, PLACES = 8, 8
# More unreadable files than this share, and the folder is not what the user thinks it is.
MAX_BAD_SHARE = 0.1


@dataclass(frozen=True)
class Batch:
    """images: uint8 (B, 3, S, S), RGB. ``bad`` has a line for each file that was skipped, ``news``
    what else the user should know.
    """

    images: Tensor
    bad: tuple[str, ...]
    news: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        # A tensor would come from its process through shared memory, of which containers have
        # little; where it runs out PyTorch waits for ever. An array comes through the pipe.
        return _unpickled, (self.images.numpy(), self.bad, self.news)


def _unpickled(images: np.ndarray, bad: tuple[str, ...], news: tuple[str, ...]) -> Batch:
    return Batch(torch.from_numpy(images), bad, news)


class PhotoDataset(Dataset[Batch]):
    """Endless random crops of photographs; item n depends on ``seed`` and n alone.

    Each pass takes every photograph once, in a fresh order. Item n is a random scale, crop and flip
    of side ``image_size``. A file that is unreadable or plain is replaced by the next one in the
    order; where none is readable, DataError. ``cache`` has what its photographs look like, None the
    files themselves.
    """

    def __init__(
        self, files: Sequence[Path], image_size: int, seed: int, cache: PhotoCache | None = None
    ) -> None:
        self.files = list(files)
        self.image_size = image_size
        self.seed = seed
        self.cache = cache
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def __getitem__(self, index: int) -> Batch:
        epoch, position = divmod(index, len(self.files))
        order = self._permutation(epoch)
        bad: list[str] = []
        plain: list[Tensor] = []
        news: list[str] = []
        for attempt in range(len(self.files)):
            file = self.files[order[(position + attempt) % len(self.files)]]
            try:
                crop = self._crop(self._read(file), index)
            except ImageReadError as error:
                bad.append(str(error))
                continue
            if self.cache and self.cache.trouble:
                news.append(self.cache.trouble)
            if not is_plain(crop):
                return Batch(crop.unsqueeze(0), tuple(bad), tuple(news))
            plain.append(crop)
            news.append(
                f"{file}: plain, nothing to learn from; the next photograph takes its place"
            )
            if len(plain) == PLACES:
                break
        if plain:
            return Batch(plain[0].unsqueeze(0), tuple(bad), tuple(news))
        raise DataError(f"none of the {len(self.files)} photographs can be read; first: {bad[0]}")

    def _read(self, file: Path) -> Image.Image:
        if self.cache is not None:
            return self.cache.read(file)
        return read_picture(file, shrink_to=needed_side(self.image_size))

    def _permutation(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            rng = np.random.default_rng((self.seed, 0, epoch))
            self._order = (epoch, rng.permutation(len(self.files)))
        return self._order[1]

    def _crop(self, picture: Image.Image, index: int) -> Tensor:
        """A random crop (3, S, S), uint8, that is not plain, if that is easily found."""
        rng = np.random.default_rng((self.seed, 1, index))
        for _ in range(DRAWS):
            crop = self._drawn(picture, rng)
            if not is_plain(crop):
                break
        return crop

    def _drawn(self, picture: Image.Image, rng: np.random.Generator) -> Tensor:
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
        crop = resize_part(picture, (size, size), box)
        return to_bytes_tensor(ImageOps.mirror(crop) if rng.random() < 0.5 else crop)


def is_plain(crop: Tensor) -> bool:
    """Whether no channel of (3, H, W), uint8, varies by ``PLAIN`` levels."""
    values = crop.numpy()
    return bool((np.ptp(values, axis=(1, 2)) < PLAIN).all())


def needed_side(image_size: int) -> int:
    """Short side of a photograph in pixels from which no crop of ``image_size`` is enlarged."""
    return round(image_size * MAX_ZOOM)


class EndlessBatches(Sampler[list[int]]):
    """Item numbers in batches, from batch ``first`` on, without an end.

    Of ``count`` processes the ``rank``-th takes every ``count``-th item: together they take what
    one would in batches ``count`` times as large.
    """

    def __init__(self, batch_size: int, first: int, rank: int = 0, count: int = 1) -> None:
        self.batch_size = batch_size
        self.first = first
        self.rank, self.count = rank, count

    def __iter__(self) -> Iterator[list[int]]:
        batch = self.first
        while True:
            start, end = (n * self.batch_size * self.count for n in (batch, batch + 1))
            yield list(range(start + self.rank, end, self.count))
            batch += 1


def collate(items: Sequence[Batch]) -> Batch:
    """Join items of one picture each."""
    # By NumPy, since this may run beside the training: PyTorch would start threads for it.
    images = torch.from_numpy(np.concatenate([item.images.numpy() for item in items]))
    bad = tuple(line for item in items for line in item.bad)
    return Batch(images, bad, tuple(line for item in items for line in item.news))
