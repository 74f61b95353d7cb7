"""The network that a run starts from."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from fastnst.checkpoint.contents import BANK_KEY, Checkpoint, load_checkpoint
from fastnst.checkpoint.shipped import base_model, find_model
from fastnst.config import TrainConfig
from fastnst.errors import CheckpointError
from fastnst.networks.modules import TransferNetwork, new_network
from fastnst.objective.objective import Objective

# Photographs by which the base's styles are compared.
JUDGES = 2


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


@torch.no_grad()
def wear_nearest_style(
    network: TransferNetwork,
    start: Checkpoint,
    objective: Objective,
    content: Tensor,
    precision: str,
) -> str | None:
    """Give the network the norms of that style of a base which has the lowest loss; its name.

    content: a few photographs (N, 3, H, W), 0..1. A base's trunk knows many styles, each by its own
    scales and shifts in the norms (scripts/train_base): a new style is learned soonest from the
    one most like it. None, and the network as it was, where ``start`` has no such styles or their
    mean, which it wears already, is better. Raises CheckpointError where they are damaged.
    """
    bank = start.contents.get(BANK_KEY)
    if bank is None:
        return None
    state = network.state_dict()
    try:
        names, norms = list(bank["styles"]), dict(bank["norms"])
        fitting = all(norms[n].shape == (len(names), *state[n].shape) for n in norms)
    except (TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{start.path}: its styles are damaged") from error
    if not fitting:
        raise CheckpointError(f"{start.path}: its styles don't fit its network")
    worn = {name: state[name].clone() for name in norms}
    candidates: dict[str | None, dict[str, Tensor]] = {None: worn}
    for place, name in enumerate(names):
        candidates[str(name)] = {part: values[place].float() for part, values in norms.items()}
    content = content.contiguous(memory_format=torch.channels_last)
    seen = objective.see_content(content)
    best, lowest = None, math.inf
    for name, values in candidates.items():
        network.load_state_dict(values, strict=False)
        with torch.autocast(content.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            total = float(objective(network(content), seen).total)
        if total < lowest:
            best, lowest = name, total
    network.load_state_dict(candidates[best], strict=False)
    return best
