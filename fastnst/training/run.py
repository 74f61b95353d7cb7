"""One training run, from a configuration to a checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from fastnst.checkpoint.contents import Checkpoint, load_checkpoint
from fastnst.checkpoint.description import ancestors
from fastnst.config import TrainConfig
from fastnst.errors import CheckpointError, ConfigError
from fastnst.machine.device import choose_device, has_bfloat16
from fastnst.machine.download import Progress as DownloadProgress
from fastnst.machine.files import make_writable, reason
from fastnst.networks.modules import TransferNetwork
from fastnst.perceptual.build import build_loss
from fastnst.perceptual.losses import PerceptualLoss
from fastnst.photos.collection import find_photos, hold_out, pick_evenly
from fastnst.photos.crops import center_crops
from fastnst.training.budget import Budget, style_ramp
from fastnst.training.data.batches import naming_dead_workers, photo_batches
from fastnst.training.data.cache import choose_cache
from fastnst.training.data.dataset import Batch, PhotoDataset, needed_side
from fastnst.training.module import StyleTraining, saturation
from fastnst.training.plan import IMAGE_SIZE, Plan, make_plan, time_step
from fastnst.training.record.describe import describe_run, refuse_other_settings
from fastnst.training.record.logs import (
    log_configuration,
    log_outcome,
    naming_a_full_disk,
    quiet_lightning,
    run_logger,
)
from fastnst.training.record.saving import KEEP_OTHERS
from fastnst.training.start import JUDGES, find_init, start_network, wear_nearest_style
from fastnst.training.styles import check_crops, read_styles
from fastnst.training.trainer import build_trainer
from fastnst.training.watch.callbacks import (
    BadFiles,
    Interruption,
    Meter,
    PeriodicSave,
    Progress,
)
from fastnst.training.watch.guard import Guard
from fastnst.training.watch.held_out import PANEL_SIZE, BestWeights, HeldOut, Panel
from fastnst.training.watch.worth import CheapLikeness, CheapValidation

# Held-out photographs that are watched while training.
PANEL_PHOTOS = 4


@dataclass(frozen=True)
class TrainResult:
    """How a run ended: the checkpoint it wrote, its run folder, the held-out losses, likeness and
    kept on these photographs (empty where not measured), its steps and seconds, the step of the
    weights that were kept, and the signal that ended it early, if one did.
    """

    checkpoint: Path
    run_folder: Path
    losses: dict[str, float]
    likeness: dict[str, Any]
    steps: int
    seconds: float
    kept_step: int
    received: int | None


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
    check_crops(config)
    photos = find_photos(config.data)
    styles = read_styles(config)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    earlier = load_checkpoint(config.resume) if config.resume else None
    init = None if earlier else find_init(config)
    network = start_network(config, earlier or init)
    loss = build_loss(config, styles.images, precision, on_download, notify)
    for_training, held_out = hold_out(photos)
    tell = notify or (lambda _: None)
    if init is not None:
        judges = center_crops(pick_evenly(for_training, JUDGES), IMAGE_SIZE)
        worn = wear_nearest_style(network, init, loss, judges, precision)
        if worn is not None:
            tell(f"of the styles in {init.path.stem}, '{worn}' is the nearest to begin with")
    plan = _plan(config, earlier, network, loss, precision, device)
    cache = choose_cache(config, for_training, needed_side(plan.image_size))
    description = describe_run(
        config, network, loss.backbone, styles.described, photos,
        len(photos) - len(for_training), precision,
        [*ancestors(init.info), init.path.stem] if init else [], plan,
        cache.side if cache else None,
    )  # fmt: skip
    budget = _budget(config, earlier, description)
    module = StyleTraining(
        network, loss, config, budget, description, plan.batch_size, styles.signature
    )
    batches = photo_batches(
        PhotoDataset(for_training, plan.image_size, config.seed, cache),
        plan.batch_size,
        earlier.step if earlier else 0,
        config.workers,
        tell,
    )
    tell(
        f"training '{network.kind}' for the style {config.run_name} on {len(for_training)} "
        f"photographs, {loss.backbone.name} backbone, {precision} on {device}, {plan}"
    )
    watched = HeldOut(center_crops(pick_evenly(held_out, PANEL_PHOTOS), panel_size(plan)))
    stop_from = None
    # Fewer photographs than these can't tell a plateau, or the best weights, from chance.
    enough = len(held_out) >= PANEL_PHOTOS
    if budget.seconds is not None and enough and not config.no_early_stop:
        stop_from = style_ramp(config, description["training"]["started_from"])
    best = BestWeights(watched, tell, stop_from, choosy=enough)
    guard = Guard(tell, saturation(styles.thumbnail))
    watchers: list[pl.Callback] = [guard, Panel(watched, styles.thumbnail)]
    if config.validation_photos:
        measured = pick_evenly(held_out, config.validation_photos)
        crops = center_crops(measured, plan.image_size).to(device)
        watchers.append(CheapValidation(crops, loss.to(device), notify))
        watchers.append(CheapLikeness(watched.images, styles.signature))
    return _fit(
        config, module, batches, best, watchers, len(for_training), device, precision, on_progress
    )


def _fit(
    config: TrainConfig,
    module: StyleTraining,
    batches: Generator[Batch, None, None],
    best: BestWeights,
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
        *watchers,
        best,
        Meter(on_progress or (lambda _: None), config.log_every),
        PeriodicSave(last, config.save_every),
        interruption,
    ]
    with quiet_lightning(), naming_a_full_disk(logger):
        trainer = build_trainer(config, device, precision, logger, callbacks)
        log_configuration(logger, module.description)
        with contextlib.closing(batches), naming_dead_workers(last):
            trainer.fit(module, batches, ckpt_path=config.resume, weights_only=True)
        finished = interruption.request.received is None
        # All of the run, to go on with; and the network alone, to use.
        trainer.save_checkpoint(last)
        target = config.output_path if finished else last
        kept = best.install(module) if finished else trainer.global_step
        if kept != trainer.global_step:
            for watcher in watchers:
                if isinstance(watcher, CheapLikeness):
                    watcher.describe(module)
        if finished:
            target = _save_result(trainer, config, target, run_folder)
        log_outcome(logger, module.description, finished)
    training, losses = module.description["training"], module.description["losses"]
    return TrainResult(
        target,
        run_folder,
        losses,
        module.description.get("likeness", {}),
        training["steps"],
        training["seconds"],
        kept,
        interruption.request.received,
    )


def _save_result(trainer: pl.Trainer, config: TrainConfig, target: Path, run_folder: Path) -> Path:
    """Write the finished network to ``target``; into the run folder where another run's result has
    come there meanwhile and no ``overwrite`` allows to replace it. Where it is.
    """
    keep = None if config.overwrite else KEEP_OTHERS
    try:
        trainer.save_checkpoint(target, weights_only=True, storage_options=keep)
    except FileExistsError:
        target = run_folder / "finished.ckpt"
        trainer.save_checkpoint(target, weights_only=True)
    return target


def _plan(
    config: TrainConfig,
    earlier: Checkpoint | None,
    network: TransferNetwork,
    loss: PerceptualLoss,
    precision: str,
    device: torch.device,
) -> Plan:
    """The run's plan, which a resumed run has from its first part."""
    if earlier is not None:
        before = earlier.info["training"].get("options") or {}
        config = dataclasses.replace(
            config,
            image_size=config.image_size or before.get("image_size"),
            batch_size=config.batch_size or before.get("batch_size"),
        )
    budget = Budget.of(config)
    return make_plan(config, budget, time_step(network, loss, precision, device))


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
    description["training"]["ancestors"] = ancestors(earlier.info)
    spent = float(training.get("seconds", 0))
    budget = Budget.of(config, spent)
    if budget.progress(earlier.step) >= 1:
        raise ConfigError(
            f"{config.resume}: has its {earlier.step} steps ({spent / 60:.1f} min) behind it "
            "already; give more --steps or --minutes to go on"
        )
    return budget


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


def panel_size(plan: Plan) -> int:
    """Side of the held-out crops."""
    return min(PANEL_SIZE, 2 * plan.image_size)


def choose_precision(name: str, device: torch.device) -> str:
    """float32 or bfloat16; "auto" takes bfloat16 where the hardware has it."""
    if name != "auto":
        return name
    return "bfloat16" if has_bfloat16(device) else "float32"
