"""The network that a run starts from."""

from __future__ import annotations

from pathlib import Path

import torch

from fastnst.checkpoint import Checkpoint, load_checkpoint
from fastnst.config import TrainConfig
from fastnst.errors import CheckpointError
from fastnst.networks import TransferNetwork, build_network
from fastnst.shipped import base_model, find_model


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
