"""A run's logger, and what Lightning says unasked."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger

from fastnst.config import TrainConfig


def run_logger(config: TrainConfig) -> TensorBoardLogger:
    """The logger of a new run folder, ``log_dir/NAME/version_N``."""
    return TensorBoardLogger(save_dir=config.log_dir, name=config.run_name, default_hp_metric=False)


def log_configuration(logger: TensorBoardLogger, description: dict[str, Any]) -> None:
    """The run's options, as a table in TensorBoard's text tab."""
    rows = [f"| {name} | {value} |" for name, value in _flat(description).items()]
    logger.experiment.add_text("configuration", "\n".join(["| option | value |", "|-|-|", *rows]))


def log_outcome(logger: TensorBoardLogger, description: dict[str, Any], finished: bool) -> None:
    """The hyper-parameters beside the held-out losses they led to; closes the logger."""
    losses = {f"held_out/{name}": value for name, value in description["losses"].items()}
    logger.log_hyperparams(_flat(description), losses)
    logger.finalize("success" if finished else "aborted")


def _flat(description: dict[str, Any]) -> dict[str, Any]:
    """The description's loss, training options and style as one level of plain values."""
    training = description["training"]
    flat = {
        **description["loss"],
        **training["options"],
        "network": description["network"]["kind"],
        "backbone": description["backbone"]["name"],
        "photos": description["data"]["photos"],
        "precision": training["precision"],
        "style": "+".join(style["name"] for style in description["style"]),
    }
    simple = (str, int, float, bool)
    return {
        name: value if isinstance(value, simple) else str(value) for name, value in flat.items()
    }


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's hints about its own options from users who never see those options."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
