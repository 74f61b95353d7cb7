"""One training run, from a configuration to a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from fastnst.checkpoint import Checkpoint, load_checkpoint
from fastnst.config import TrainConfig
from fastnst.crops import center_crop, center_crops
from fastnst.device import choose_device, has_bfloat16
from fastnst.errors import CheckpointError, ConfigError
from fastnst.files import make_writable, reason
from fastnst.image import read_picture, resize_short_side, to_tensor
from fastnst.networks import TransferNetwork, build_network
from fastnst.perceptual.build import build_loss
from fastnst.perceptual.weights import Progress as DownloadProgress
from fastnst.photos import find_photos, hold_out, pick_evenly
from fastnst.shipped import base_model, find_model
from fastnst.training.budget import Budget
from fastnst.training.callbacks import (
    BadFiles,
    HeldOutPanel,
    Interruption,
    Meter,
    PeriodicSave,
    Progress,
)
from fastnst.training.data import PhotoDataset, photo_loader
from fastnst.training.describe import describe_run, describe_style, refuse_other_settings
from fastnst.training.guard import Guard
from fastnst.training.logs import (
    log_configuration,
    log_outcome,
    quiet_lightning,
    run_logger,
)
from fastnst.training.module import StyleTraining, saturation
from fastnst.training.saving import AtomicCheckpointIO
from fastnst.training.validation import CheapValidation

# Side of the held-out crops at most: a size at which pictures are looked at. Twice the training
# crops' side where that is less, so that tiny runs stay quick.
PANEL_SIZE = 256
# Held-out photographs that are watched while training.
PANEL_PHOTOS = 4


@dataclass(frozen=True)
class TrainResult:
    """How a run ended: the checkpoint it wrote, its run folder, the held-out losses, its steps
    and seconds, and the signal that ended it early, if one did.
    """

    checkpoint: Path
    run_folder: Path
    losses: dict[str, float]
    steps: int
    seconds: float
    received: int | None


@dataclass(frozen=True)
class Styles:
    """Style images as (1, 3, H, W) tensors, with what the checkpoint says of them."""

    images: list[Tensor]
    described: list[dict[str, Any]]
    thumbnail: Tensor


def train(
    config: TrainConfig,
    notify: Callable[[str], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_download: DownloadProgress | None = None,
) -> TrainResult:
    """Train a transfer network as ``config`` says and write its checkpoint.

    ``notify`` gets single lines worth telling, ``on_progress`` the standing after each step. A run
    ended by SIGINT or SIGTERM leaves its checkpoint in the run folder, not at ``output``.
    Raises a FastnstError for anything that the user can mend.
    """
    check_output(config)
    photos = find_photos(config.data)
    styles = read_styles(config)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    earlier = load_checkpoint(config.resume) if config.resume else None
    init = None if earlier else find_init(config)
    network = start_network(config, earlier or init)
    loss = build_loss(config, styles.images, precision, on_download, notify)
    for_training, held_out = hold_out(photos)
    description = describe_run(
        config, network, loss.backbone, styles.described, photos,
        len(photos) - len(for_training), precision, init.path.stem if init else None,
    )  # fmt: skip
    budget = _budget(config, earlier, description)
    module = StyleTraining(network, loss, config, budget, description)
    loader = photo_loader(
        PhotoDataset(for_training, config.image_size, config.seed),
        config.batch_size,
        earlier.step if earlier else 0,
        config.workers,
    )
    if notify is not None:
        notify(
            f"training '{network.kind}' for the style {config.run_name} on {len(for_training)} "
            f"photographs, {loss.backbone.name} backbone, {precision} on {device}"
        )
    watched = center_crops(pick_evenly(held_out, PANEL_PHOTOS), panel_size(config))
    watchers: list[pl.Callback] = [HeldOutPanel(watched, styles.thumbnail)]
    if config.validation_photos:
        measured = pick_evenly(held_out, config.validation_photos)
        crops = center_crops(measured, config.image_size).to(device)
        watchers.append(CheapValidation(crops, loss.to(device), notify))
    guard = Guard(notify or (lambda _: None), saturation(styles.thumbnail))
    return _fit(
        config, module, loader, guard, watchers, len(for_training), device, precision, on_progress
    )


def _fit(
    config: TrainConfig,
    module: StyleTraining,
    loader: Any,
    guard: Guard,
    watchers: list[pl.Callback],
    photos: int,
    device: torch.device,
    precision: str,
    on_progress: Callable[[Progress], None] | None,
) -> TrainResult:
    logger = run_logger(config)
    run_folder = Path(logger.log_dir)
    last = run_folder / "last.ckpt"
    interruption = Interruption()
    callbacks: list[pl.Callback] = [
        BadFiles(run_folder / "bad_files.txt", photos),
        guard,
        Meter(on_progress or (lambda _: None), config.log_every),
        *watchers,
        PeriodicSave(last, config.save_every),
        interruption,
    ]
    with quiet_lightning():
        trainer = _trainer(config, device, precision, logger, callbacks)
        log_configuration(logger, module.description)
        trainer.fit(module, loader, ckpt_path=config.resume, weights_only=True)
        finished = interruption.request.received is None
        # All of the run, to go on with; and the network alone, to use.
        trainer.save_checkpoint(last)
        target = config.output_path if finished else last
        if finished:
            trainer.save_checkpoint(target, weights_only=True)
    training, losses = module.description["training"], module.description["losses"]
    log_outcome(logger, module.description, finished)
    return TrainResult(
        target,
        run_folder,
        losses,
        training["steps"],
        training["seconds"],
        interruption.request.received,
    )


def _budget(config: TrainConfig, earlier: Checkpoint | None, description: dict[str, Any]) -> Budget:
    """The run's budget, of which a resumed run has spent a part.

    Raises CheckpointError where ``earlier`` is of another run, ConfigError where nothing is left.
    """
    if earlier is None:
        return Budget.of(config)
    refuse_other_settings(earlier, description)
    if "optimizer_states" not in earlier.contents:
        raise CheckpointError(
            f"{config.resume}: a finished model without its optimizer's state; go on with "
            "last.ckpt in its run folder, or start from this network with --init"
        )
    training = earlier.info["training"]
    description["training"]["started_from"] = training.get("started_from")
    spent = float(training.get("seconds", 0))
    budget = Budget.of(config, spent)
    if budget.progress(earlier.step) >= 1:
        raise ConfigError(
            f"{config.resume}: has its {earlier.step} steps ({spent / 60:.1f} min) behind it "
            "already; give more --steps or --minutes to go on"
        )
    return budget


def _trainer(
    config: TrainConfig,
    device: torch.device,
    precision: str,
    logger: TensorBoardLogger,
    callbacks: list[pl.Callback],
) -> pl.Trainer:
    return pl.Trainer(
        **_accelerator(device),
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        max_steps=config.steps if config.steps is not None else -1,
        max_epochs=-1,
        logger=logger,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        gradient_clip_val=config.gradient_clip or None,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def check_output(config: TrainConfig) -> None:
    """Raises ConfigError, before anything is computed, where the result could not be written."""
    target = config.output_path
    if target.is_dir():
        raise ConfigError(f"{target}: is a folder; --output names the checkpoint file")
    if target.exists() and not config.overwrite:
        raise ConfigError(f"{target}: exists already; --overwrite replaces it")
    for folder in (target.parent, config.log_dir):
        try:
            make_writable(folder)
        except OSError as error:
            raise ConfigError(f"{folder}: can't be written to ({reason(error)})") from error


def read_styles(config: TrainConfig) -> Styles:
    """The style images, their short sides scaled to ``style_size``. Raises ImageReadError."""
    pictures = [resize_short_side(read_picture(path), config.style_size) for path in config.style]
    weights = config.style_weights or (1.0,) * len(pictures)
    described = [
        describe_style(path, picture, weight)
        for path, picture, weight in zip(config.style, pictures, weights, strict=True)
    ]
    thumbnail = center_crop(pictures[0], panel_size(config)).unsqueeze(0).float() / 255
    return Styles([to_tensor(picture) for picture in pictures], described, thumbnail)


def panel_size(config: TrainConfig) -> int:
    """Side of the held-out crops."""
    return min(PANEL_SIZE, 2 * config.image_size)


def choose_precision(name: str, device: torch.device) -> str:
    """float32 or bfloat16; "auto" takes bfloat16 where the hardware has it."""
    if name != "auto":
        return name
    return "bfloat16" if has_bfloat16(device) else "float32"


def find_init(config: TrainConfig) -> Checkpoint | None:
    """The checkpoint that ``init`` means; None for fresh weights. Raises CheckpointError."""
    if config.init == "none":
        return None
    if config.init == "base":
        base = base_model(config.network)
        return None if base is None else load_checkpoint(base)
    return load_checkpoint(find_model(Path(config.init)))


def start_network(config: TrainConfig, start: Checkpoint | None) -> TransferNetwork:
    """The network to train: ``start``'s, or fresh weights from ``seed``."""
    if start is not None:
        return _of_kind(start, config.network).train()
    # The caller's random numbers stay as they were.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return build_network(config.network).train()


def _of_kind(checkpoint: Checkpoint, kind: str) -> TransferNetwork:
    network = checkpoint.network()
    if network.kind != kind:
        raise CheckpointError(
            f"{checkpoint.path}: its network is '{network.kind}'; add --network {network.kind}"
        )
    return network


def _accelerator(device: torch.device) -> dict[str, Any]:
    if device.type == "cuda":
        return {"accelerator": "gpu", "devices": [device.index or 0]}
    return {"accelerator": device.type, "devices": 1}
