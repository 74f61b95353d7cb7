"""One training run, from a configuration to a checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from fastnst.checkpoint.contents import Checkpoint
from fastnst.checkpoint.description import ancestors
from fastnst.config import TrainConfig
from fastnst.errors import CheckpointError, ConfigError, TrainingError
from fastnst.machine.download import Progress as DownloadProgress
from fastnst.machine.files import is_stream, is_taken, make_writable, reason
from fastnst.machine.notify import Notify, silent
from fastnst.photos.collection import pick_evenly
from fastnst.photos.crops import center_crops
from fastnst.training.budget import Budget, style_ramp
from fastnst.training.data.batches import naming_dead_workers, photo_batches
from fastnst.training.data.dataset import Batch, PhotoDataset
from fastnst.training.launch import joined, naming_lost_ranks
from fastnst.training.module import Record, StyleTraining, saturation
from fastnst.training.plan import Plan
from fastnst.training.ranks import Ranks
from fastnst.training.record.describe import describe_run, refuse_other_settings
from fastnst.training.record.logs import (
    log_configuration,
    log_outcome,
    naming_a_full_disk,
    quiet_lightning,
    run_logger,
)
from fastnst.training.record.resume import file_of, keep_options
from fastnst.training.record.saving import KEEP_OTHERS
from fastnst.training.setup import Setup, set_up
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
    weights that were kept, and the signal that ended it early, if one did. Of several processes
    the one of ``rank`` 0 has written it all.
    """

    checkpoint: Path
    run_folder: Path
    losses: dict[str, float]
    likeness: dict[str, Any]
    steps: int
    seconds: float
    kept_step: int
    received: int | None
    rank: int = 0


@dataclass(frozen=True)
class Prepared:
    """All that a run goes with from its first step on."""

    module: StyleTraining
    batches: Generator[Batch, None, None]
    best: BestWeights
    watchers: list[pl.Callback]


def train(
    config: TrainConfig,
    notify: Notify = silent,
    on_progress: Callable[[Progress], None] | None = None,
    on_download: DownloadProgress | None = None,
) -> TrainResult:
    """Train a transfer network as ``config`` says and write its checkpoint.

    ``notify`` gets single lines worth telling, ``on_progress`` the standing after each step. A run
    ended by SIGINT or SIGTERM leaves its checkpoint in the run folder, not at ``output``.
    Of several processes that train together (``fastnst.training.launch``) the first tells and
    writes everything. Raises a FastnstError for anything that the user can mend.
    """
    resume = file_of(config.resume, config.log_dir / config.run_name)
    config = dataclasses.replace(config, resume=resume)
    with joined(config, notify) as ranks, naming_lost_ranks(ranks):
        told = (notify, on_progress, on_download) if ranks.first else (silent, None, None)
        with ranks.as_one():
            ranks.decided(lambda: check_output(config))
            setup = set_up(config, ranks, told[0], told[2])
            prepared = _prepared(setup, told[0])
        return _fit(setup, prepared, told[1])


def _prepared(setup: Setup, notify: Notify) -> Prepared:
    """What ``setup`` trains with. Raises CheckpointError, ConfigError where a run can't go on."""
    config, ranks, plan, earlier = setup.config, setup.ranks, setup.plan, setup.earlier
    description = describe_run(setup)
    ranks.same({name: value for name, value in description.items() if name != "versions"})
    budget = _budget(config, earlier, description)
    record = Record(description, plan.batch_size, setup.styles.signature)
    module = StyleTraining(setup.network, setup.objective, config, budget, record, ranks)
    batches = photo_batches(
        PhotoDataset(setup.for_training, plan.image_size, config.seed, setup.cache),
        plan.batch_size,
        earlier.step if earlier else 0,
        config.workers,
        notify,
        (ranks.rank, ranks.count),
    )
    notify(
        f"training '{setup.network.kind}' for the style {config.run_name} on "
        f"{len(setup.for_training)} photographs, {setup.objective.backbone.name} backbone, "
        f"{setup.precision} on {setup.device}, {plan}"
        + (f", in each of {ranks.count} processes" if ranks.count > 1 else "")
    )
    shown = pick_evenly(setup.held_out, PANEL_PHOTOS)
    watched = HeldOut(center_crops(shown, panel_size(plan)))
    stop_from = None
    # Fewer photographs than these can't tell a plateau, or the best weights, from chance.
    enough = len(setup.held_out) >= PANEL_PHOTOS
    if budget.seconds is not None and enough and not config.no_early_stop:
        stop_from = style_ramp(config, description["training"]["started_from"])
    best = BestWeights(watched, notify, stop_from, choosy=enough)
    return Prepared(module, batches, best, _watchers(setup, watched, notify))


def _watchers(setup: Setup, watched: HeldOut, notify: Notify) -> list[pl.Callback]:
    """What looks at the run beside ``BestWeights``."""
    thumbnail, photos = setup.styles.thumbnail, setup.config.validation_photos
    guard = Guard(notify, saturation(thumbnail))
    watchers: list[pl.Callback] = [guard, Panel(watched, thumbnail)]
    if photos and setup.ranks.first:
        crops = center_crops(pick_evenly(setup.held_out, photos), setup.plan.image_size)
        crops, objective = crops.to(setup.device), setup.objective.to(setup.device)
        watchers.append(CheapValidation(crops, objective, notify))
        watchers.append(CheapLikeness(watched.images, setup.styles.signature))
    return watchers


def _fit(
    setup: Setup, prepared: Prepared, on_progress: Callable[[Progress], None] | None
) -> TrainResult:
    config, ranks = setup.config, setup.ranks
    module = prepared.module
    with ranks.as_one():
        logger = run_logger(config) if ranks.first else None
    run_folder = ranks.decided(lambda: Path(logger.log_dir if logger else ""))
    last = run_folder / "last.ckpt"
    interruption = Interruption(ranks)
    callbacks: list[pl.Callback] = [
        BadFiles(run_folder / "bad_files.txt", len(setup.for_training)),
        *prepared.watchers,
        prepared.best,
        Meter(on_progress or (lambda _: None), config.log_every),
        PeriodicSave(last, config.save_every),
        interruption,
    ]
    with contextlib.ExitStack() as around:
        if ranks.count > 1:
            around.enter_context(interruption.request)
        around.enter_context(quiet_lightning())
        around.enter_context(naming_a_full_disk(run_folder))
        trainer = build_trainer(config, setup.device, setup.precision, logger, callbacks, ranks)
        around.enter_context(naming_lost_ranks(ranks, partial(_rescued, trainer, ranks, last)))
        if logger is not None:
            log_configuration(logger, module.description)
            keep_options(run_folder, setup)
        with contextlib.closing(prepared.batches), naming_dead_workers(last):
            trainer.fit(module, prepared.batches, ckpt_path=config.resume, weights_only=True)
        finished = interruption.request.received is None
        # All of the run, to go on with; and the network alone, to use.
        trainer.save_checkpoint(last)
        target = config.output_path if finished else last
        kept = _installed(prepared) if finished else trainer.global_step
        if finished:
            target = _save_result(trainer, config, target, run_folder)
        if logger is not None:
            log_outcome(logger, module.description, finished)
    description, training = module.description, module.description["training"]
    return TrainResult(
        target, run_folder, description["losses"], description.get("likeness", {}),
        training["steps"], training["seconds"], kept, interruption.request.received, ranks.rank,
    )  # fmt: skip


def _installed(prepared: Prepared) -> int:
    """Give the network its best weights, and have them described; the step that they are of."""
    module = prepared.module
    kept = prepared.best.install(module)
    if kept != module.global_step:
        for watcher in prepared.watchers:
            if isinstance(watcher, CheapLikeness):
                watcher.describe(module)
    return kept


def _rescued(trainer: pl.Trainer, ranks: Ranks, last: Path) -> str:
    """Save what the first process has, and say how to go on, where another one is gone."""
    if ranks.first and trainer.global_step:
        # It is written before the others are waited for, who won't come.
        with contextlib.suppress(RuntimeError, TrainingError):
            trainer.save_checkpoint(last)
    return f"; go on with --resume {last}" if last.exists() else "; nothing was saved yet"


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
    if is_taken(target) and not config.overwrite:
        raise ConfigError(f"{target}: exists already; --overwrite replaces it")
    for folder in (config.log_dir if is_stream(target) else target.parent, config.log_dir):
        try:
            make_writable(folder)
        except OSError as error:
            raise ConfigError(f"{folder}: can't be written to ({reason(error)})") from error


def panel_size(plan: Plan) -> int:
    """Side of the held-out crops."""
    return min(PANEL_SIZE, 2 * plan.image_size)
