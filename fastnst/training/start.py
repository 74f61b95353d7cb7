"""The network that a run starts from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from fastnst.checkpoint.contents import BANK_KEY, Checkpoint, load_checkpoint
from fastnst.checkpoint.shipped import base_model, find_model
from fastnst.config import TrainConfig
from fastnst.errors import CheckpointError
from fastnst.networks.modules import TransferNetwork, new_network
from fastnst.objective.objective import Objective

# Photographs that a base's styles are compared on, the side of the part that all of them are looked
# at on, in pixels, and how many are looked at in full: 84 styles in a quarter of the time.
PROBE_PHOTOS, FIRST_LOOK, FINALISTS = 2, 80, 8


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
        return new_network(config.network).train()


def _of_kind(checkpoint: Checkpoint, kind: str) -> TransferNetwork:
    network = checkpoint.network()
    if network.kind != kind:
        raise CheckpointError(
            f"{checkpoint.path}: its network is '{network.kind}'; add --network {network.kind}"
        )
    return network


def load_nearest_style(
    network: TransferNetwork,
    start: Checkpoint,
    objective: Objective,
    content: Tensor,
    precision: str,
) -> str | None:
    """Load the instance norms of that style of a base which has the lowest loss; returns its name.

    content: a few photographs (N, 3, H, W), 0..1. The styles of a base share its convolutions, each
    has its own scales and shifts in the norms (scripts/train_base): a new style is learned soonest
    from the one most like it. All are looked at on a part of the first photograph, the best
    ``FINALISTS`` on all. None, and the network as it was, where ``start`` has no such styles or
    their mean, which the network begins with, is better. Raises CheckpointError where they are
    damaged.
    """
    candidates = _norms_by_style(network, start)
    if len(candidates) == 1:
        return None
    side = min(FIRST_LOOK, *content.shape[-2:])
    for looked_at, count in ((content[:1, :, :side, :side], FINALISTS), (content, 1)):
        totals = _totals(network, candidates, objective, looked_at, precision)
        best = sorted(candidates, key=lambda name: totals[name])[:count]
        candidates = {name: candidates[name] for name in best}
    network.load_state_dict(candidates[best[0]], strict=False)
    return best[0]


def _norms_by_style(
    network: TransferNetwork, start: Checkpoint
) -> dict[str | None, dict[str, Tensor]]:
    """Scales and shifts of each of a base's styles by name, and the network's own as None."""
    bank = start.contents.get(BANK_KEY)
    state = network.state_dict()
    if bank is None:
        return {None: {}}
    try:
        names, norms = list(bank["styles"]), dict(bank["norms"])
        fitting = all(norms[n].shape == (len(names), *state[n].shape) for n in norms)
    except (TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{start.path}: its styles are damaged") from error
    if not fitting:
        raise CheckpointError(f"{start.path}: its styles don't fit its network")
    found: dict[str | None, dict[str, Tensor]] = {
        None: {name: state[name].clone() for name in norms}
    }
    for place, name in enumerate(names):
        found[str(name)] = {part: values[place].float() for part, values in norms.items()}
    return found


@torch.no_grad()
def _totals(
    network: TransferNetwork,
    candidates: Mapping[str | None, Mapping[str, Tensor]],
    objective: Objective,
    content: Tensor,
    precision: str,
) -> dict[str | None, float]:
    """The loss on content (N, 3, H, W), 0..1, with each of the candidates' norms."""
    content = content.contiguous(memory_format=torch.channels_last)
    seen = objective.see_content(content)
    totals = {}
    for name, values in candidates.items():
        network.load_state_dict(values, strict=False)
        with torch.autocast(content.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            total = float(objective(network(content), seen).total)
        # What is no number is not the nearest.
        totals[name] = total if math.isfinite(total) else math.inf
    return totals
