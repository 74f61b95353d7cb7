"""Checkpoints on disk: Lightning's content, our way of writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO

from fastnst.checkpoint.contents import load_plain, save_checkpoint
from fastnst.errors import CheckpointError, TrainingError

KEEP_OTHERS = {"overwrite": False}


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the target and renames, raises every error as TrainingError, loads nothing but
    plain data.

    Lightning 2.6's own stages in $TMPDIR and keeps silent where it may not write. Given
    ``KEEP_OTHERS`` as storage options, it leaves a file that is there alone: FileExistsError.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        path = Path(path)
        try:
            save_checkpoint(checkpoint, path, overwrite=storage_options != KEEP_OTHERS)
        except CheckpointError as error:
            kept = "; the one before it is kept" if path.exists() else ""
            raise TrainingError(f"{error}{kept}") from error

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        contents: dict[str, Any] = load_plain(Path(path))
        return contents

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
