"""A sitting of a base's training: it goes on from the last one, and ends with a checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from fastnst.checkpoint.contents import (
    BANK_KEY,
    halved,
    load_checkpoint,
    load_plain,
    save_checkpoint,
)
from fastnst.checkpoint.description import FORMAT_VERSION, KEY
from fastnst.config import TrainConfig
from fastnst.errors import CheckpointError
from fastnst.machine.notify import Notify, silent
from fastnst.networks.modules import new_network, with_skip
from fastnst.objective.build import objectives_of
from fastnst.objective.weights import load_backbone
from fastnst.photos.collection import find_photos, fingerprint, hold_out
from fastnst.training.base.bank import Bank
from fastnst.training.base.module import BaseTraining, MeanLoss
from fastnst.training.base.styles import style_pictures
from fastnst.training.budget import Budget
from fastnst.training.data.batches import photo_batches
from fastnst.training.data.dataset import PhotoDataset
from fastnst.training.plan import IMAGE_SIZE
from fastnst.training.record.describe import loss_options, versions
from fastnst.training.record.logs import quiet_lightning
from fastnst.training.setup import choose_precision
from fastnst.training.trainer import build_trainer
from fastnst.training.watch.callbacks import Interruption, PeriodicSave
from fastnst.training.watch.guard import Guard

LEARNING_RATE = 1e-2
# Steps over which the style's share rises, as in training: from fresh weights and from a base.
FRESH_RAMP, RAMP = 1000, 300


@dataclass(frozen=True)
class BaseConfig:
    """A sitting: photographs as ``--data`` names them, the checkpoint to write, folders of styles;
    its length in minutes, or in steps where they are given; names of styles to leave out, and an
    earlier base that a first sitting starts from.
    """

    photos: str
    output: Path
    styles: Sequence[Path]
    minutes: float = 30
    steps: int | None = None
    leave_out: Sequence[str] = ()
    network: str = "fast"
    image_size: int = IMAGE_SIZE
    init: Path | None = None

    @property
    def state(self) -> Path:
        """The file that keeps everything between two sittings."""
        return self.output.with_suffix(".state")


def train_base(config: BaseConfig, notify: Notify = silent) -> int | None:
    """Train a base and write its checkpoint; the signal that ended the sitting early, if one did.

    ``config.state`` keeps everything, so that the next sitting goes on from there, after a signal
    too. Raises a FastnstError for photographs, styles or an earlier base that can't be read.
    """
    settings = TrainConfig(
        style=(Path("many"),), data=config.photos, learning_rate=LEARNING_RATE, device="cpu"
    )
    photos = find_photos(config.photos)
    precision = choose_precision(settings.precision, torch.device("cpu"))
    names, module = _prepared(config, settings, precision)
    dataset = PhotoDataset(hold_out(photos)[0], config.image_size, seed=1)
    first = module.budget.first
    notify(f"{len(names)} styles, {len(dataset.files)} photographs, from step {first}")
    received = _sit(module, dataset, config, precision, notify)
    save_checkpoint(_contents(module, names, photos), config.output)
    return received


def _prepared(
    config: BaseConfig, settings: TrainConfig, precision: str
) -> tuple[list[str], BaseTraining]:
    """The styles' names, and what is trained, from its first step on."""
    torch.manual_seed(0)
    start = load_checkpoint(config.init) if config.init else None
    network = start.network() if start else new_network(config.network)
    styles = list(style_pictures(config.styles, set(config.leave_out), settings.style_size))
    names = [name for name, _ in styles]
    bank = Bank(with_skip(network).train(), len(names))
    if start:
        bank.adopt(start, names)
    images = [[image] for _, image in styles]
    objectives = objectives_of(images, settings, load_backbone("embedded"), precision)
    seconds = None if config.steps else 60 * config.minutes
    budget = Budget(config.steps, seconds, first=_steps_before(config.state, bank))
    ramp = RAMP if start else FRESH_RAMP
    return names, BaseTraining(bank, objectives, settings, budget, ramp)


def _steps_before(state: Path, bank: Bank) -> int:
    """How many steps earlier sittings have taken.

    Raises CheckpointError where they were of other styles, or of an earlier version.
    """
    if not state.exists():
        return 0
    kept = load_plain(state)
    expected = {f"network.{name}" for name in bank.state_dict()}
    if not isinstance(kept, dict) or {*kept.get("state_dict", {})} != expected:
        raise CheckpointError(
            f"{state}: of other styles, another network or an earlier version; remove it, and "
            "start from its checkpoint with --init"
        )
    return int(kept["global_step"])


def _sit(
    module: BaseTraining, dataset: PhotoDataset, config: BaseConfig, precision: str, notify: Notify
) -> int | None:
    """Take steps until the sitting is over; the signal that ended it early, if one did."""
    ranks, settings, first = module.ranks, module.config, module.budget.first
    interruption = Interruption(ranks)
    callbacks: list[pl.Callback] = [
        Guard(notify), MeanLoss(notify), PeriodicSave(config.state, settings.save_every),
        interruption,
    ]  # fmt: skip
    device = torch.device("cpu")
    batches = photo_batches(dataset, 1, first, settings.workers, notify)
    with quiet_lightning(), contextlib.closing(batches):
        trainer = build_trainer(settings, device, precision, None, callbacks, ranks)
        before = config.state if first else None
        trainer.fit(module, batches, ckpt_path=before, weights_only=True)
        trainer.save_checkpoint(config.state)
    return interruption.request.received


def _contents(module: BaseTraining, names: list[str], photos: Sequence[Path]) -> dict[str, Any]:
    """The base as a checkpoint."""
    bank, network, steps = module.bank, module.bank.network, module.global_step
    norms = {name: values.half() for name, values in bank.norms().items()}
    return {
        "state_dict": {f"network.{n}": value for n, value in halved(bank.base()).items()},
        BANK_KEY: {"styles": names, "norms": norms},
        KEY: {
            "format_version": FORMAT_VERSION,
            "network": {"kind": network.kind, "options": network.options},
            "style": [{"name": f"base of {len(names)} styles"}],
            "loss": loss_options(module.config),
            "backbone": {"name": "embedded", "origin": ""},
            "data": {"photos": len(photos), "sha256": fingerprint(photos)},
            "training": {
                "steps": steps, "images": steps, "seconds": round(module.seconds(), 1),
            },
            "losses": {},
            "versions": versions(),
        },
    }  # fmt: skip
