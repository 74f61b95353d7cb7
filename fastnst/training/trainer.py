"""Lightning's Trainer for a run."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from fastnst.config import TrainConfig
from fastnst.training.record.saving import AtomicCheckpointIO


def build_trainer(
    config: TrainConfig,
    device: torch.device,
    precision: str,
    logger: TensorBoardLogger,
    callbacks: list[pl.Callback],
) -> pl.Trainer:
    """A Trainer that does what is asked of it and nothing besides."""
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


def _accelerator(device: torch.device) -> dict[str, Any]:
    if device.type == "cuda":
        return {"accelerator": "gpu", "devices": [device.index or 0]}
    return {"accelerator": device.type, "devices": 1}
