"""Runs found again to go on with, and what they were asked to do."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from fastnst.checkpoint.contents import load_checkpoint, plain
from fastnst.config import TrainConfig
from fastnst.errors import ConfigError
from fastnst.machine.files import atomic_write
from fastnst.training.setup import Setup

# The checkpoint of a run folder that can be gone on from, and the options of the run beside it.
LAST, OPTIONS = "last.ckpt", "options.json"
# What stands for the newest run, if there is any.
AUTO = "auto"
# Options that are paths, made whole so that they hold from any folder.
PATHS = ("output", "backbone_weights", "log_dir")


def file_of(resume: Path | None, runs: Path) -> Path | None:
    """The checkpoint that ``resume`` means: a file, the newest of a folder of runs, or, where it is
    "auto", the newest below ``runs``, None where there is none. Raises ConfigError for a folder
    without any.
    """
    if resume is None:
        return None
    if str(resume) == AUTO and not resume.exists():
        return _newest(runs)
    if not resume.is_dir():
        return resume
    found = _newest(resume)
    if found is None:
        raise ConfigError(f"{resume}: no {LAST} in this folder or below it; no run was saved there")
    return found


def _newest(folder: Path) -> Path | None:
    """The checkpoint that was saved last, of a run folder, a folder of these, or one of those."""
    found = [path for below in ("", "*/", "*/*/") for path in folder.glob(f"{below}{LAST}")]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def keep_options(folder: Path, setup: Setup) -> None:
    """Write what a run was asked to do into its folder, for ``options_of``, and what it has chosen
    itself, since a run that goes on has to have it alike. Raises OSError.
    """
    options: dict[str, Any] = plain(dataclasses.asdict(setup.config)) | {
        "precision": setup.precision,
        "image_size": setup.plan.image_size,
        "batch_size": setup.plan.batch_size,
    }
    if options["backbone_weights"] is None:
        options["backbone"] = setup.objective.backbone.name
    del options["resume"]
    for name in PATHS:
        if options[name] is not None:
            options[name] = os.path.abspath(options[name])
    options["style"] = [os.path.abspath(path) for path in options["style"]]
    # A list has an @ before it, and a glob need not exist.
    at = options["data"].startswith("@")
    path = os.path.expanduser(options["data"].removeprefix("@"))
    options["data"] = "@" * at + os.path.abspath(path)
    with atomic_write(folder / OPTIONS) as file:
        file.write(json.dumps(options, indent=1).encode() + b"\n")


def options_of(checkpoint: Path) -> dict[str, Any]:
    """The options of the run that a checkpoint was saved in, by their names: all of them where its
    run folder knows them, else those that it knows itself, which are no paths.

    Raises CheckpointError.
    """
    found: Any = None
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(checkpoint.with_name(OPTIONS).read_bytes())
    if not isinstance(found, dict):
        info = load_checkpoint(checkpoint).info
        training = info["training"]
        found = {
            **(training.get("options") or {}),
            **info["loss"],
            "network": info["network"]["kind"],
            "backbone": info["backbone"].get("name"),
            "precision": training.get("precision"),
        }
    names = {field.name for field in dataclasses.fields(TrainConfig)} - {"resume"}
    return {name: value for name, value in found.items() if name in names and value is not None}
