"""What a run is made of: its photographs, style, network, objective and plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fastnst.checkpoint.contents import Checkpoint, load_checkpoint
from fastnst.config import TrainConfig
from fastnst.machine.device import choose_device, has_bfloat16
from fastnst.machine.download import Progress as DownloadProgress
from fastnst.machine.notify import Notify
from fastnst.networks.modules import TransferNetwork, with_skip
from fastnst.objective.build import build_objective
from fastnst.objective.objective import Objective
from fastnst.photos.collection import find_photos, hold_out, pick_evenly
from fastnst.photos.crops import center_crops
from fastnst.training.budget import Budget
from fastnst.training.data.cache import PhotoCache, choose_cache
from fastnst.training.data.dataset import needed_side
from fastnst.training.launch import device_of
from fastnst.training.plan import IMAGE_SIZE, Plan, make_plan, time_step
from fastnst.training.ranks import Ranks
from fastnst.training.start import PROBE_PHOTOS, find_init, load_nearest_style, start_network
from fastnst.training.styles import Styles, check_crops, read_styles


@dataclass(frozen=True)
class Setup:
    """A run before it begins. ``photos`` are ``for_training`` and ``held_out``; ``earlier`` is the
    run's own checkpoint that it goes on from, ``init`` another's that it starts from, if any;
    ``cache`` keeps photographs small on the disk, where one is used.
    """

    config: TrainConfig
    ranks: Ranks
    styles: Styles
    photos: Sequence[Path]
    for_training: Sequence[Path]
    held_out: Sequence[Path]
    device: torch.device
    precision: str
    earlier: Checkpoint | None
    init: Checkpoint | None
    network: TransferNetwork
    objective: Objective
    plan: Plan
    cache: PhotoCache | None


def set_up(
    config: TrainConfig,
    ranks: Ranks,
    notify: Notify,
    on_download: DownloadProgress | None,
) -> Setup:
    """Read and choose all that ``config`` names. Raises a FastnstError where that can't be."""
    earlier = load_checkpoint(config.resume) if config.resume else None
    if earlier is not None:
        config = _as_before(config, earlier, notify)
    check_crops(config)
    photos = find_photos(config.data, notify)
    styles = read_styles(config, notify)
    device = device_of(ranks, choose_device(config.device))
    precision = choose_precision(config.precision, device)
    init = None if earlier else find_init(config)
    network = start_network(config, earlier or init)
    if earlier is None:
        network = with_skip(network)
    objective = ranks.in_turn(
        lambda: build_objective(config, styles.images, precision, on_download, notify)
    )
    for_training, held_out = hold_out(photos)
    if init is not None:
        probes = center_crops(pick_evenly(for_training, PROBE_PHOTOS), IMAGE_SIZE)
        nearest = load_nearest_style(network, init, objective, probes, precision)
        if nearest is not None:
            notify(f"of the styles in {init.path.stem}, '{nearest}' is the nearest to begin with")
    timed = time_step(network, objective, precision, device)
    # All at once, since they may share the processors; the slowest holds up the others.
    plan = _plan(config, earlier, lambda size, batch: max(ranks.gathered(timed(size, batch))))
    cache = choose_cache(config, for_training, needed_side(plan.image_size))
    return Setup(
        config, ranks, styles, photos, for_training, held_out, device, precision, earlier, init,
        network, objective, plan, cache,
    )  # fmt: skip


def _as_before(config: TrainConfig, earlier: Checkpoint, notify: Notify) -> TrainConfig:
    """``config`` for a run that an earlier version began: options that it didn't have are as they
    were before there were any, unless the user has set them.
    """
    known = {*earlier.info["loss"], *(earlier.info["training"].get("options") or {})}
    changes = {
        field.name: field.metadata["before"]
        for field in dataclasses.fields(config)
        if "before" in field.metadata and field.name not in known
        and getattr(config, field.name) == field.default
    }  # fmt: skip
    if changes:
        values = ", ".join(f"{name} {value}" for name, value in changes.items())
        notify(f"{earlier.path}: an earlier version began this run; it goes on with {values}")
    return dataclasses.replace(config, **changes)


def _plan(
    config: TrainConfig,
    earlier: Checkpoint | None,
    step_seconds: Callable[[int, int], float],
) -> Plan:
    """The run's plan, which a resumed run has from its first part."""
    if earlier is not None:
        before = earlier.info["training"].get("options") or {}
        config = dataclasses.replace(
            config,
            image_size=config.image_size or before.get("image_size"),
            batch_size=config.batch_size or before.get("batch_size"),
        )
    return make_plan(config, Budget.of(config), step_seconds)


def choose_precision(name: str, device: torch.device) -> str:
    """float32 or bfloat16; "auto" takes bfloat16 where the hardware has it."""
    if name != "auto":
        return name
    return "bfloat16" if has_bfloat16(device) else "float32"
