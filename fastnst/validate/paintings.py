"""The paintings that are known, and what a stylized picture is to them and to its photograph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fastnst.checkpoint.contents import SIGNATURE_KEY, Checkpoint, load_checkpoint
from fastnst.checkpoint.description import style_name
from fastnst.checkpoint.shipped import shipped_models
from fastnst.errors import CheckpointError, DataError, ImageReadError
from fastnst.machine.files import sha256_file
from fastnst.machine.notify import Notify
from fastnst.photos.collection import pictures_below
from fastnst.photos.paintings import read_painting
from fastnst.validate.likeness import (
    Signature,
    distance,
    kept,
    likeness,
    signature,
    signature_shapes,
)

# Beyond whatever a patch's colours come to along one direction.
LARGEST = 100.0


def pack_signature(found: Signature) -> dict[str, Tensor]:
    """A signature as a checkpoint holds it: float16, 28 KB; likeness changes by some 0.0001."""
    return {name: torch.from_numpy(part).half() for name, part in found.items()}


def stored_signature(checkpoint: Checkpoint) -> Signature | None:
    """The painting's signature in a checkpoint; None in those of before there was one.

    Raises CheckpointError unless it is what ``pack_signature`` makes.
    """
    stored = checkpoint.contents.get(SIGNATURE_KEY)
    if stored is None:
        return None
    shapes = signature_shapes()
    try:
        if stored.keys() != shapes.keys():
            raise ValueError("other parts")
        found = {}
        for name, shape in shapes.items():
            if tuple(stored[name].shape) != shape or not stored[name].is_floating_point():
                raise ValueError("no quantiles")
            part = stored[name].detach().float().contiguous()
            if not bool((part.abs() <= LARGEST).all()):
                raise ValueError("no such colours")
            found[name] = part.numpy()
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{checkpoint.path}: its signature of the painting is damaged"
        ) from error
    return found


@dataclass(frozen=True)
class Painting:
    """A painting, or several as one: its name, its files' SHA-256, empty where not known."""

    name: str
    sha256: str
    signature: Signature | None

    def is_same(self, other: Painting) -> bool:
        """Whether both are one painting, by name or file."""
        return self.name == other.name or self.is_same_file(other)

    def is_same_file(self, other: Painting) -> bool:
        """Whether both were read from one file."""
        return self.sha256 != "" and self.sha256 == other.sha256


@dataclass(frozen=True)
class Known:
    """A network's own painting, None where nothing says what it looks like, and others by name."""

    own: Signature | None = None
    name: str = ""
    others: Mapping[str, Signature] = field(default_factory=dict)


@dataclass(frozen=True)
class Looks:
    """What a stylized picture is to its photograph and to the paintings (``fastnst validate``).

    ``rank`` is 1 where of all known paintings its own is the nearest, whose name ``nearest`` is.
    What can't be known is None.
    """

    kept: float
    likeness: float | None = None
    rank: int | None = None
    nearest: str | None = None


def look(result: Image.Image, photograph: Image.Image, known: Known) -> Looks:
    """Likeness, kept and rank of a stylized picture."""
    left = kept(result, photograph)
    if known.own is None:
        return Looks(left)
    seen = signature(result)
    near = likeness(seen, known.own, signature(photograph))
    if not known.others:
        return Looks(left, near)
    own = distance(seen, known.own)
    apart = {name: distance(seen, other) for name, other in known.others.items()}
    apart = {known.name: own, **apart}
    rank = 1 + sum(other < own for other in apart.values())
    return Looks(left, near, rank, min(apart, key=lambda name: apart[name]))


def known_paintings(
    checkpoint: Checkpoint,
    folder: Path | None,
    notify: Notify,
    on_picture: Callable[[int, int], None],
) -> Known:
    """The paintings of a checkpoint, of the shipped ones, and the pictures of ``folder``.

    A painting that several have is one. A checkpoint without its painting's signature has that of
    a shipped one from the same file, or of the folder's picture of its style's name. What can't be
    read is told and left out; ``on_picture(done, count)`` is told how far the folder is.
    Raises CheckpointError where the checkpoint's own signature is damaged, DataError where no
    picture of ``folder`` can be used.
    """
    own = _of_checkpoint(checkpoint)
    others: list[Painting] = []
    mine = own.signature
    for painting in _shipped(notify):
        if not own.is_same(painting):
            _add(others, painting)
        elif mine is None and own.is_same_file(painting):
            mine = painting.signature
    for painting in [] if folder is None else _pictures(folder, notify, on_picture):
        if not own.is_same(painting):
            _add(others, painting)
        elif mine is None:
            mine = painting.signature
    named = {one.name: one.signature for one in others if one.signature is not None}
    return Known(mine, own.name, named)


def _add(paintings: list[Painting], another: Painting) -> None:
    if not any(another.is_same(one) for one in paintings):
        paintings.append(another)


def _of_checkpoint(checkpoint: Checkpoint) -> Painting:
    """Its painting. Raises CheckpointError where its signature is damaged."""
    files = [_sha256(style) for style in checkpoint.info["style"]]
    digest = "+".join(files) if all(files) else ""
    return Painting(checkpoint.style_name, digest, stored_signature(checkpoint))


def _sha256(style: Mapping[str, Any]) -> str:
    """A style image's SHA-256 as its checkpoint says, empty where it says none."""
    said = str(style.get("sha256"))
    return said if re.fullmatch("[0-9a-f]{64}", said) else ""


def _shipped(notify: Notify) -> Iterator[Painting]:
    for path in shipped_models().values():
        try:
            painting = _of_checkpoint(load_checkpoint(path))
        except CheckpointError as error:
            notify(f"{error}; left out")
            continue
        if painting.signature is not None:
            yield painting


def _pictures(
    folder: Path, notify: Notify, on_picture: Callable[[int, int], None]
) -> list[Painting]:
    """A folder's pictures, each by the name that a network of it would have."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; --paintings takes a folder of pictures")
    paths = sorted(pictures_below(folder))
    if not paths:
        raise DataError(f"{folder}: no pictures in this folder or below it, to rank among")
    found: list[Painting] = []
    for number, path in enumerate(paths):
        on_picture(number, len(paths))
        name = style_name({"style": [{"name": path.stem}]})
        try:
            picture = read_painting(path)
        except ImageReadError as error:
            notify(f"{error}; left out")
            continue
        if any(name == one.name for one in found):
            notify(f"{path}: another picture of the name '{name}' was there before; left out")
            continue
        found.append(Painting(name, sha256_file(path), signature(picture)))
    if not found:
        raise DataError(f"{folder}: none of its {len(paths)} pictures can be read")
    return found
