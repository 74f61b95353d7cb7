"""Lightning's Trainer for a run."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import ClusterEnvironment
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy

from fastnst.config import TrainConfig
from fastnst.machine.foreign import hidden
from fastnst.training.ranks import Ranks
from fastnst.training.record.saving import AtomicCheckpointIO


def build_trainer(
    config: TrainConfig,
    device: torch.device,
    precision: str,
    logger: TensorBoardLogger | None,
    callbacks: list[pl.Callback],
    ranks: Ranks,
) -> pl.Trainer:
    """A Trainer that does what is asked of it and nothing besides."""
    rank_zero_only.rank = ranks.rank  # type: ignore[attr-defined]
    # Lightning's own way to set what isn't asked for: another program's, as fast_dev_run.
    with hidden("PL_TRAINER_"):
        return _trainer(config, device, precision, logger, callbacks, ranks)


def _trainer(
    config: TrainConfig,
    device: torch.device,
    precision: str,
    logger: TensorBoardLogger | None,
    callbacks: list[pl.Callback],
    ranks: Ranks,
) -> pl.Trainer:
    return pl.Trainer(
        **_accelerator(device, ranks),
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        max_steps=config.steps if config.steps is not None else -1,
        max_epochs=-1,
        logger=logger if logger is not None else False,
        use_distributed_sampler=False,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO(), Known(ranks)],
        gradient_clip_val=config.gradient_clip or None,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


class Known(ClusterEnvironment):
    """The processes of a run as fastnst has found them, so that Lightning looks for none itself.

    They have met already (``fastnst.training.launch``), so nobody asks for their address.
    """

    creates_processes_externally = True
    main_address, main_port = "", 0

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    @staticmethod
    def detect() -> bool:
        """Nothing is looked for."""
        return False

    def world_size(self) -> int:
        return self.ranks.count

    def set_world_size(self, size: int) -> None:
        assert size == self.ranks.count

    def global_rank(self) -> int:
        return self.ranks.rank

    def set_global_rank(self, rank: int) -> None:
        assert rank == self.ranks.rank

    def local_rank(self) -> int:
        return self.ranks.local

    def node_rank(self) -> int:
        return (self.ranks.rank - self.ranks.local) // self.ranks.local_count


def _accelerator(device: torch.device, ranks: Ranks) -> dict[str, Any]:
    if ranks.count > 1:
        # The processes know each other already (fastnst.training.launch). Buffers are constants.
        return {
            "accelerator": "gpu" if device.type == "cuda" else "cpu",
            "strategy": DDPStrategy(broadcast_buffers=False),
            "devices": ranks.local_count,
            "num_nodes": ranks.nodes,
        }
    if device.type == "cuda":
        return {"accelerator": "gpu", "devices": [device.index or 0]}
    return {"accelerator": device.type, "devices": 1}
