"""Checkpoints: what a file holds, how it is written, and how it is read without trust.

A checkpoint is the dictionary that Lightning saves, with one entry of ours, ``fastnst``: plain data
that describes the network and what made it. It never holds the backbone. Reading one can't run
code: PyTorch's ``weights_only`` loader admits tensors and plain data alone, and everything is
checked against the schema below before it is used.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastnst.checkpoint.description import (
    MAX_OPTION,
    own_weights,
    read_description,
    reading,
    style_name,
)
from fastnst.checkpoint.pytorch_examples import adopted
from fastnst.config import LossConfig
from fastnst.config.fields import values_before
from fastnst.errors import CheckpointError, ConfigError
from fastnst.machine.files import atomic_write, reason
from fastnst.networks.modules import TransferNetwork, build_network

# The style's statistics, so that a checkpoint alone can be validated; optional.
TARGETS_KEY = "fastnst_style_targets"
# What the painting looks like (fastnst.validate.paintings), in float16 by part; optional.
SIGNATURE_KEY = "signature"
# A base's styles: their names, and the scales and shifts of every norm, (styles, C) by name.
BANK_KEY = "fastnst_style_bank"

# The types of numbers that weights may have, as the engine without PyTorch has it.
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and checked: ``info`` is its ``fastnst`` entry."""

    path: Path
    info: dict[str, Any]
    weights: dict[str, Tensor]
    contents: dict[str, Any]

    @property
    def style_name(self) -> str:
        """Names of the style images, joined by '+', fit to be a part of a file name."""
        return style_name(self.info)

    @property
    def step(self) -> int:
        """Optimizer steps behind the weights."""
        return int(self.info["training"].get("steps", 0))

    def style_targets(self) -> dict[str, dict[str, Tensor]]:
        """The style's statistics, float32, by layer. Raises CheckpointError."""
        stored = self.contents.get(TARGETS_KEY)
        if not isinstance(stored, dict):
            raise CheckpointError(
                f"{self.path}: holds no style targets (an older fastnst made it); train it anew"
            )
        try:
            return {layer: unpack_statistics(packed) for layer, packed in stored.items()}
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"{self.path}: its style targets are damaged") from error

    def loss_config(self) -> LossConfig:
        """The loss that the network was trained with. Raises CheckpointError."""
        stored = values_before(LossConfig) | {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self.info["loss"].items()
        }
        try:
            return LossConfig(**stored)
        except (ConfigError, TypeError, ValueError) as error:
            raise CheckpointError(f"{self.path}: its loss can't be used ({error})") from error

    def network(self) -> TransferNetwork:
        """The transfer network, rebuilt, in evaluation mode. Raises CheckpointError."""
        described = self.info["network"]
        network = build_network(described["kind"], described["options"])
        try:
            network.load_state_dict(self.weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.path}: its weights don't fit the network it names "
                f"({described['kind']} {described['options']})"
            ) from error
        return network.eval()


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint from anywhere, trusting nothing in it.

    Raises CheckpointError with the path and the reason: no such file, not a checkpoint, cut short,
    not made by fastnst, made by a newer fastnst, or holding what must not be there.
    """
    path = Path(path)
    contents = adopted(path, load_plain(path))
    info = read_description(path, contents)
    weights = own_weights(contents)
    for name, value in weights.items():
        if not isinstance(value, Tensor) or not _is_whole(value):
            raise CheckpointError(f"{path}: {name} is no tensor of floating-point numbers")
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{path}: {name} holds numbers that are not finite")
    weights = {name: value.detach().float() for name, value in weights.items()}
    return Checkpoint(path, info, weights, contents)


def _is_whole(value: Tensor) -> bool:
    """Whether a tensor fits its storage: one that repeats numbers may be larger than memory."""
    if value.layout is not torch.strided or value.dtype not in FLOATS:
        return False
    return value.numel() * value.itemsize <= value.untyped_storage().nbytes()


def load_plain(path: Path, device: str = "cpu") -> Any:
    """Tensors and plain data of a PyTorch file, with one-line errors; never runs its code."""
    with reading(path):
        return torch.load(path, map_location=device, weights_only=True)


def pack_symmetric(matrix: Tensor) -> dict[str, Any]:
    """A symmetric matrix (C, C) as its lower triangle in float16 and one scale.

    A quarter of float32's size. Rounding errors are relative to the largest entry, independent and
    small: the style loss of a trained network changes by less than one part in 10,000.
    """
    rows, columns = torch.tril_indices(*matrix.shape)
    scale = float(matrix.abs().max()) or 1.0
    triangle = (matrix[rows, columns] / scale).to("cpu", torch.float16)
    return {"size": len(matrix), "scale": scale, "triangle": triangle}


def unpack_symmetric(packed: Mapping[str, Any]) -> Tensor:
    """What ``pack_symmetric`` packed, float32. Raises ValueError and the like for anything else."""
    size, scale = int(packed["size"]), float(packed["scale"])
    triangle = packed["triangle"]
    if not 1 <= size <= MAX_OPTION or triangle.shape != (size * (size + 1) // 2,):
        raise ValueError("not the triangle of a matrix")
    triangle = triangle.float() * scale
    if not bool(torch.isfinite(triangle).all()):
        raise ValueError("not finite")
    rows, columns = torch.tril_indices(size, size)
    matrix = torch.empty(size, size)
    matrix[rows, columns] = triangle
    matrix[columns, rows] = triangle
    return matrix


def pack_statistics(statistics: Mapping[str, Tensor]) -> dict[str, Any]:
    """A layer's statistics by name: matrices (C, C) packed, vectors (C,) as they are."""
    return {
        name: pack_symmetric(values) if values.ndim == 2 else values.detach().to("cpu", copy=True)
        for name, values in statistics.items()
    }


def unpack_statistics(packed: Mapping[str, Any]) -> dict[str, Tensor]:
    """What ``pack_statistics`` packed, or older checkpoints' one Gram matrix.

    Raises ValueError and the like for anything else.
    """
    if "triangle" in packed:
        return {"gram": unpack_symmetric(packed)}
    return {
        str(name): _vector(values) if isinstance(values, Tensor) else unpack_symmetric(values)
        for name, values in packed.items()
    }


def _vector(values: Tensor) -> Tensor:
    if values.ndim != 1 or not _is_whole(values) or not bool(torch.isfinite(values).all()):
        raise ValueError("not a vector of finite numbers")
    return values.float()


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in float16, half the size; those that it can't hold as they are.

    Networks compute in bfloat16 or hardly notice: their rounding is 11 bits, bfloat16's 8.
    """
    half = {name: value.half() for name, value in weights.items()}
    return {
        name: half[name] if bool(torch.isfinite(half[name]).all()) else value
        for name, value in weights.items()
    }


def save_checkpoint(contents: Mapping[str, Any], path: Path, overwrite: bool = True) -> None:
    """Write a checkpoint whole or not at all; an error is raised and the old file stays.

    Raises CheckpointError with the path and the reason; FileExistsError where there is a file
    already that ``overwrite`` does not allow to replace.
    """
    # In memory first: PyTorch's writer says of a full disk only that a position is wrong.
    buffer = io.BytesIO()
    torch.save(dict(contents), buffer)
    try:
        with atomic_write(path, overwrite) as file:
            file.write(buffer.getbuffer())
    except FileExistsError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: can't be written ({reason(error)})") from error


def plain(value: Any) -> Any:
    """``value`` with paths, tuples and tensors of one number as strings, lists and numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Tensor):
        return plain(value.item())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
