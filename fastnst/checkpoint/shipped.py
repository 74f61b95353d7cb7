"""The checkpoints that come with fastnst, by name, and where a checkpoint is found again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fastnst.errors import CheckpointError, nearest
from fastnst.machine.files import reason, sha256_file

_PACKAGE = Path(__file__).parents[1]
# Inside a wheel they lie in the package, in a checkout beside it.
FOLDERS = (_PACKAGE / "checkpoints", _PACKAGE.parent / "checkpoints")


def shipped_models() -> dict[str, Path]:
    """The shipped checkpoints by their styles' names, sorted: the gallery."""
    return _first("*.ckpt")


def named_models() -> dict[str, Path]:
    """All shipped checkpoints that have a name: the gallery's, and after them what a gallery or a
    page leaves out: styles calmer in clips, and those on networks that take several times as long.
    """
    return {**shipped_models(), **_first("video/*.ckpt"), **_first("johnson/*.ckpt")}


def _first(pattern: str) -> dict[str, Path]:
    """The checkpoints of the first folder that has any, by their files' names, sorted."""
    for folder in FOLDERS:
        found = {path.stem: path for path in sorted(folder.glob(pattern))}
        if found:
            return found
    return {}


def base_model(kind: str) -> Path | None:
    """The checkpoint that training a network of ``kind`` starts from; None for fresh weights.

    It has seen many styles and is none itself (scripts/train_base).
    """
    found = (folder / "base" / f"base-{kind}.ckpt" for folder in FOLDERS)
    return next((path for path in found if path.exists()), None)


def photograph_model(kind: str) -> Path | None:
    """The checkpoint that paints photographs as they are, a network of ``kind`` from the base."""
    found = (folder / "photograph" / f"photograph-{kind}.ckpt" for folder in FOLDERS)
    return next((path for path in found if path.exists()), None)


def find_model(model: Path) -> Path:
    """The file that ``model`` means: itself, or the shipped checkpoint of that name.

    A file takes precedence. Raises CheckpointError, with the nearest names, where there is neither.
    """
    # A path with a folder or a suffix names a file and nothing else.
    if os.path.exists(model) or model.suffix or model.name != str(model):
        return model
    models = named_models()
    if model.name in models:
        return models[model.name]
    if not models:
        return model
    raise CheckpointError(
        f"{model}: no such file, and no style of that name comes with fastnst: did you mean "
        f"{nearest(model.name, models)}?"
    )


@dataclass(frozen=True)
class Origin:
    """A checkpoint that was read, told so that other processes and machines find the same one.

    ``place`` is the name of one that comes with fastnst (``is_shipped``), wherever that is
    installed, or a whole path; ``digest`` is its SHA-256.
    """

    place: str
    is_shipped: bool
    digest: str

    @classmethod
    def of(cls, path: Path) -> Origin:
        """The origin of a file. Raises CheckpointError where it can't be read."""
        whole = Path(os.path.abspath(path))
        name = next((name for name, file in named_models().items() if file == whole), None)
        return cls(name or str(whole), name is not None, _digest(whole))

    def file(self) -> Path:
        """The file. Raises CheckpointError where it is gone, or another one has its place."""
        path = named_models().get(self.place) if self.is_shipped else Path(self.place)
        if path is None:
            raise CheckpointError(f"{self.place}: no style of that name comes with this fastnst")
        if not os.path.isfile(path):
            raise CheckpointError(
                f"{path}: no such checkpoint any more, or not on this machine; a copied or pickled "
                "filter reads its file again"
            )
        if _digest(path) != self.digest:
            raise CheckpointError(
                f"{path}: has changed since the filter that was copied or pickled was loaded; load "
                "it anew"
            )
        return path


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({reason(error)})") from error
