"""What a checkpoint says of the run that made it, and whether a run may go on from it."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import fastnst
from fastnst.checkpoint.contents import Checkpoint, plain
from fastnst.checkpoint.description import FORMAT_VERSION
from fastnst.config import LossConfig, TrainConfig
from fastnst.errors import CheckpointError
from fastnst.machine.files import sha256_file
from fastnst.networks.modules import TransferNetwork
from fastnst.perceptual.backbone import Backbone
from fastnst.photos.collection import fingerprint
from fastnst.training.plan import Plan

# Places and conveniences: they say nothing about the result, and paths are nobody's business.
_PRIVATE = {
    "style", "data", "output", "overwrite", "backbone", "backbone_weights", "device", "workers",
    "init", "resume", "log_dir", "name", "log_every", "save_every", "precision",
    "validation_photos", "photo_cache", "devices", "nodes", "strategy",
}  # fmt: skip
# A resumed run may be longer or shorter than it was planned.
_MAY_DIFFER = {"steps", "minutes", "no_early_stop"}


def loss_options(config: LossConfig) -> dict[str, Any]:
    """The fields of LossConfig as plain data."""
    fields = dataclasses.fields(LossConfig)
    return {field.name: plain(getattr(config, field.name)) for field in fields}


def versions() -> dict[str, str]:
    """Versions of what computes."""
    return {
        "fastnst": fastnst.__version__,
        "torch": str(torch.__version__),
        "pytorch_lightning": version("pytorch-lightning"),
        "python": platform.python_version(),
    }


def describe_style(path: Path, picture: Image.Image, weight: float) -> dict[str, Any]:
    """A style image by name, hash, size as used, and weight."""
    return {
        "name": path.stem,
        "sha256": sha256_file(path),
        "width": picture.width,
        "height": picture.height,
        "weight": weight,
    }


def describe_run(
    config: TrainConfig,
    network: TransferNetwork,
    backbone: Backbone,
    styles: Sequence[dict[str, Any]],
    photos: Sequence[Path],
    held_out: int,
    precision: str,
    ancestors: Sequence[str],
    plan: Plan,
    photo_side: int | None,
    processes: int = 1,
) -> dict[str, Any]:
    """The ``fastnst`` entry of a new run's checkpoints; see ``checkpoint.contents.SCHEMA``."""
    loss = loss_options(config)
    options = {
        name: plain(value)
        for name, value in dataclasses.asdict(config).items()
        if name not in _PRIVATE and name not in loss
    }
    options |= {"image_size": plan.image_size, "batch_size": plan.batch_size}
    # Photographs that went through the cache have other pixels; from when there was none, none did.
    options["photo_side"] = photo_side
    if processes > 1:
        options["processes"] = processes
    return {
        "format_version": FORMAT_VERSION,
        "network": {"kind": network.kind, "options": plain(network.options)},
        "style": list(styles),
        "loss": loss,
        "backbone": {"name": backbone.name, "origin": backbone.origin},
        "data": {"photos": len(photos), "sha256": fingerprint(photos), "held_out": held_out},
        "training": {
            "steps": 0,
            "images": 0,
            "seconds": 0.0,
            "precision": precision,
            "started_from": ancestors[-1] if ancestors else None,
            "ancestors": list(ancestors),
            "options": options,
        },
        "losses": {},
        "versions": versions(),
    }


def refuse_other_settings(checkpoint: Checkpoint, now: dict[str, Any]) -> None:
    """Raises CheckpointError, listing the differences, unless the run described by ``now`` is the
    one that the checkpoint was saved in.
    """
    before = checkpoint.info
    pairs: list[tuple[str, Any, Any]] = [
        ("network", before["network"], now["network"]),
        ("backbone", before["backbone"], now["backbone"]),
        ("style", before["style"], now["style"]),
        ("data", before["data"], now["data"]),
        ("processes", _processes(before), _processes(now)),
        ("precision", before["training"].get("precision"), now["training"]["precision"]),
    ]
    for entry_before, entry_now in (
        (before["loss"], now["loss"]),
        (before["training"].get("options") or {}, now["training"]["options"]),
    ):
        for name in entry_now:
            if name not in (*_MAY_DIFFER, "processes"):
                pairs.append((name, entry_before.get(name), entry_now[name]))
    differences = [f"{name} was {was}, is {new}" for name, was, new in pairs if was != new]
    if differences:
        raise CheckpointError(
            f"{checkpoint.path}: can't resume with other settings: {'; '.join(differences)} "
            "(--init starts a new run from this network)"
        )


def _processes(description: dict[str, Any]) -> int:
    """How many processes take photographs in turn, a batch of which is theirs together."""
    return int((description["training"].get("options") or {}).get("processes", 1))
