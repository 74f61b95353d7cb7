"""Checkpoints read with NumPy alone: importing PyTorch takes longer than stylizing a picture.

The file is the ZIP archive that ``torch.save`` writes: a pickle, and the bytes of each storage. The
unpickler here knows no more than tensors and plain data, so that reading can't run code.
"""

from __future__ import annotations

import contextlib
import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastnst.checkpoint.description import own_weights, read_description, reading
from fastnst.checkpoint.mixing import Part
from fastnst.checkpoint.pytorch_examples import adopted
from fastnst.errors import CheckpointError
from fastnst.machine.parts import has_torch, without

# More than any checkpoint of a transfer network with its optimizer.
MAX_BYTES = 2_000_000_000
# The first bytes of its older files: a pickle of the number 0x1950a86a20f9469cfc6c.
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# Where names come from that PyTorch's own loader, which runs no code either, may know what to do
# with: counters, sets, devices, types, tensors of other kinds.
PLAIN_MODULES = ("torch", "collections", "builtins", "_codecs")
# PyTorch's storages that NumPy has the numbers of.
STORAGES: Mapping[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("<i1"),
    "ByteStorage": np.dtype("<u1"),
    "BoolStorage": np.dtype("?"),
    # The upper halves of float32's.
    "BFloat16Storage": np.dtype("<u2"),
}


@dataclass(frozen=True)
class _Storage:
    """A storage's type, until its bytes are read."""

    name: str


class _BeyondNumpyError(Exception):
    """Something of PyTorch's that is no plain tensor."""


def read_arrays(path: Path) -> Part:
    """A checkpoint's description and weights without PyTorch. Raises CheckpointError."""
    contents = adopted(path, load_arrays(path))
    info = read_description(path, contents)
    weights = own_weights(contents)
    for name, value in weights.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            raise CheckpointError(f"{path}: {name} is no tensor of floating-point numbers")
        if not bool(np.isfinite(value).all()):
            raise CheckpointError(f"{path}: {name} holds numbers that are not finite")
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    return Part(path, info, weights)


def load_arrays(path: Path) -> Any:
    """What a PyTorch file holds, its tensors as arrays; never runs its code.

    Raises CheckpointError with the path and the reason.
    """
    if _is_legacy(path):
        return _load_by_torch(path)
    with reading(path), zipfile.ZipFile(path) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        folder = name.removesuffix("data.pkl")
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise CheckpointError(f"{path}: too large for a checkpoint")
        with contextlib.suppress(_BeyondNumpyError):
            return _Unpickler(archive, folder, archive.read(name)).load()
    return _load_by_torch(path)


def _is_legacy(path: Path) -> bool:
    """Whether a file begins as PyTorch's did before 1.6 (2020)."""
    with reading(path), open(path, "rb") as file:
        return file.read(len(LEGACY)) == LEGACY


def _load_by_torch(path: Path) -> Any:
    """A file by PyTorch, which takes its time to start and knows all that it ever saved."""
    if not has_torch():
        raise without(f"{path}: a file of this kind")
    with reading(path):
        import torch

        return _as_arrays(torch.load(path, map_location="cpu", weights_only=True), {})


def _as_arrays(value: Any, done: dict[int, Any]) -> Any:
    """Tensors in dictionaries, however deep, as arrays where NumPy has their type.

    ``done`` are those that were met, by their ids: one that is named twice stays one.
    """
    if isinstance(value, Mapping):
        if id(value) not in done:
            done[id(value)] = found = {}
            found.update({name: _as_arrays(item, done) for name, item in value.items()})
        return done[id(value)]
    if not hasattr(value, "untyped_storage") or str(value.layout) != "torch.strided":
        return value
    if value.numel() * value.itemsize > value.untyped_storage().nbytes():
        raise ValueError("a tensor beyond its storage")
    is_short = str(value.dtype) == "torch.bfloat16"
    try:
        return (value.float() if is_short else value).detach().numpy()
    except (TypeError, RuntimeError):
        return value


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, folder: str, pickled: bytes) -> None:
        # Python's unpickler makes room for as many memories as the largest number of one.
        for opcode, number, _ in pickletools.genops(pickled):
            if opcode.name in ("PUT", "LONG_BINPUT") and (number or 0) > len(pickled):
                raise ValueError("a memory beyond the pickle")
        super().__init__(io.BytesIO(pickled))
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            return _array
        if module == "torch._utils" and name.startswith("_rebuild_parameter"):
            return _parameter
        if module == "torch" and name in STORAGES:
            return _Storage(name)
        if module.partition(".")[0] in PLAIN_MODULES:
            raise _BeyondNumpyError
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, storage, key, _, count = pid
        if kind != "storage" or not isinstance(storage, _Storage) or not str(key).isalnum():
            raise pickle.UnpicklingError("no storage")
        raw = self.archive.read(f"{self.folder}data/{key}")
        numbers = np.frombuffer(raw, STORAGES[storage.name], int(count))
        if storage.name == "BFloat16Storage":
            return (numbers.astype("<u4") << 16).view("<f4")
        return numbers


def _parameter(values: np.ndarray, *_: Any) -> np.ndarray:
    """What ``torch._utils._rebuild_parameter`` rebuilds, as the array that it holds."""
    return values


def _array(
    storage: np.ndarray, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any
) -> np.ndarray:
    """What ``torch._utils._rebuild_tensor_v2`` rebuilds, as a copy of its own."""
    if min(size, default=1) < 0 or min(stride, default=0) < 0 or offset < 0:
        raise ValueError("no such tensor")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # as_strided checks nothing itself.
    if (math.prod(size) and last >= len(storage)) or math.prod(size) > len(storage):
        raise ValueError("a tensor beyond its storage")
    steps = [step * storage.itemsize for step in stride]
    view = np.lib.stride_tricks.as_strided(storage[offset:], size, steps, writeable=False)
    return np.array(view, order="C")
