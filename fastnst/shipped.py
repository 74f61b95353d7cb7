"""The checkpoints that come with fastnst, by name."""

from __future__ import annotations

import os
from pathlib import Path

from fastnst.errors import CheckpointError, nearest

_PACKAGE = Path(__file__).parent
# Inside a wheel they lie in the package, in a checkout beside it.
_FOLDERS = (_PACKAGE / "checkpoints", _PACKAGE.parent / "checkpoints")


def shipped_models() -> dict[str, Path]:
    """The shipped checkpoints by their styles' names, sorted."""
    for folder in _FOLDERS:
        found = {path.stem: path for path in sorted(folder.glob("*.ckpt"))}
        if found:
            return found
    return {}


def base_model(kind: str) -> Path | None:
    """The checkpoint that training a network of ``kind`` starts from; None for fresh weights.

    It has seen many styles and is none itself (scripts/train_base).
    """
    found = (folder / "base" / f"base-{kind}.ckpt" for folder in _FOLDERS)
    return next((path for path in found if path.exists()), None)


def find_model(model: Path) -> Path:
    """The file that ``model`` means: itself, or the shipped checkpoint of that name.

    A file takes precedence. Raises CheckpointError, with the nearest names, where there is neither.
    """
    # A path with a folder or a suffix names a file and nothing else.
    if os.path.exists(model) or model.suffix or model.name != str(model):
        return model
    models = shipped_models()
    if model.name in models:
        return models[model.name]
    if not models:
        return model
    raise CheckpointError(
        f"{model}: no such file, and no style of that name comes with fastnst: did you mean "
        f"{nearest(model.name, models)}?"
    )
