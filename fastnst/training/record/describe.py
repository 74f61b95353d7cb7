"""What a checkpoint says of the run that made it, and whether a run may go on from it."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

import fastnst
from fastnst.checkpoint.contents import Checkpoint, plain
from fastnst.checkpoint.description import FORMAT_VERSION, ancestors
from fastnst.config import LossConfig, TrainConfig
from fastnst.config.fields import values_before
from fastnst.errors import CheckpointError
from fastnst.photos.collection import fingerprint
from fastnst.training.setup import Setup

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


def describe_run(setup: Setup) -> dict[str, Any]:
    """The ``fastnst`` entry of a new run's checkpoints; see ``checkpoint.contents.SCHEMA``."""
    config, network, plan = setup.config, setup.network, setup.plan
    loss = loss_options(config)
    options = {
        name: plain(value)
        for name, value in dataclasses.asdict(config).items()
        if name not in _PRIVATE and name not in loss
    }
    options |= {"image_size": plan.image_size, "batch_size": plan.batch_size}
    # Photographs that went through the cache have other pixels; from when there was none, none did.
    options["photo_side"] = setup.cache.side if setup.cache else None
    if setup.ranks.count > 1:
        options["processes"] = setup.ranks.count
    init, photos = setup.init, setup.photos
    backbone = setup.objective.backbone
    return {
        "format_version": FORMAT_VERSION,
        "network": {"kind": network.kind, "options": plain(network.options)},
        "style": list(setup.styles.described),
        "loss": loss,
        "backbone": {"name": backbone.name, "origin": backbone.origin},
        "data": {
            "photos": len(photos), "sha256": fingerprint(photos), "held_out": len(setup.held_out),
        },
        "training": {
            "steps": 0,
            "images": 0,
            "seconds": 0.0,
            "precision": setup.precision,
            "started_from": init.path.stem if init else None,
            "ancestors": [*ancestors(init.info), init.path.stem] if init else [],
            "options": options,
        },
        "losses": {},
        "versions": versions(),
    }  # fmt: skip


def refuse_other_settings(checkpoint: Checkpoint, now: dict[str, Any]) -> None:
    """Raises CheckpointError, listing the differences, unless the run described by ``now`` is the
    one that the checkpoint was saved in.
    """
    before, absent = checkpoint.info, plain(values_before(TrainConfig))
    pairs: list[tuple[str, Any, Any]] = [
        ("network", before["network"], now["network"]),
        ("backbone", _backbone(before["backbone"]), _backbone(now["backbone"])),
        ("style", *_styles(before, now)),
        ("data", *_photographs(before, now)),
        ("processes", _processes(before), _processes(now)),
        ("precision", before["training"].get("precision"), now["training"]["precision"]),
    ]
    for entry_before, entry_now in (
        (before["loss"], now["loss"]),
        (before["training"].get("options") or {}, now["training"]["options"]),
    ):
        for name in entry_now:
            if name not in (*_MAY_DIFFER, "processes"):
                pairs.append((name, entry_before.get(name, absent.get(name)), entry_now[name]))
    differences = [f"{name} was {was}, is {new}" for name, was, new in pairs if was != new]
    if differences:
        raise CheckpointError(
            f"{checkpoint.path}: can't resume with other settings: {'; '.join(differences)} "
            "(--init starts a new run from this network)"
        )


def _style(style: Mapping[str, Any]) -> str:
    return f"{style.get('width')} x {style.get('height')} of {str(style.get('sha256'))[:12]}"


def _styles(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, str]:
    """What tells the style images of two runs apart, in words: never their names alone."""
    runs = [
        [(_style(style), style.get("weight"), style.get("name")) for style in run["style"]]
        for run in (before, now)
    ]
    if [style[:2] for style in runs[0]] == [style[:2] for style in runs[1]]:
        return "", ""
    one, other = (
        " and ".join(f"'{name}' ({what}, weight {weight})" for what, weight, name in run)
        for run in runs
    )
    return one, other


def _backbone(backbone: Mapping[str, Any]) -> str:
    return f"{backbone.get('name')} ({str(backbone.get('origin'))[:20]})"


def _photographs(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, str]:
    """What tells the photographs of two runs apart, in words."""
    one, other = before["data"], now["data"]
    if one == other:
        return "", ""
    as_many = one.get("photos") == other.get("photos")
    return f"{one.get('photos')} photographs", "others" if as_many else str(other.get("photos"))


def _processes(description: dict[str, Any]) -> int:
    """How many processes take photographs in turn, a batch of which is theirs together."""
    return int((description["training"].get("options") or {}).get("processes", 1))
