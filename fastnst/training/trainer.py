"""Lightning's Trainer for a run."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy

from fastnst.config import TrainConfig
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
    return pl.Trainer(
        **_accelerator(device, ranks),
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        max_steps=config.steps if config.steps is not None else -1,
        max_epochs=-1,
        logger=logger if logger is not None else False,
        use_distributed_sampler=False,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        gradient_clip_val=config.gradient_clip or None,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


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
