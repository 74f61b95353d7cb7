"""A run's logger, and what Lightning says unasked."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger

from fastnst.config import TrainConfig
from fastnst.errors import TrainingError
from fastnst.machine.files import reason


def run_logger(config: TrainConfig) -> TensorBoardLogger:
    """The logger of a new run folder, ``log_dir/NAME/version_N``, that no other run has.

    Lightning's own choice of N and the making of the folder are two steps: of two runs that start
    at once, both would write into one. Raises TrainingError where it can't be made.
    """
    runs = config.log_dir / config.run_name
    version = _next_version(runs)
    while True:
        try:
            (runs / f"version_{version}").mkdir(parents=True)
            break
        except FileExistsError:
            version += 1
        except OSError as error:
            raise TrainingError(f"{runs}: can't be written to ({reason(error)})") from error
    return TensorBoardLogger(
        save_dir=config.log_dir, name=config.run_name, version=version, default_hp_metric=False
    )


def _next_version(runs: Path) -> int:
    """One more than the highest N of the folders version_N."""
    taken = [path.name.removeprefix("version_") for path in runs.glob("version_*")]
    return max((int(number) for number in taken if number.isdecimal()), default=-1) + 1


@contextlib.contextmanager
def naming_a_full_disk(folder: Path) -> Iterator[None]:
    """TrainingError where the run's logs can't be written into its folder.

    TensorBoard writes in a thread, whose OSError is raised again at whatever is logged next.
    """
    before = threading.excepthook

    def once_is_enough(report: threading.ExceptHookArgs) -> None:
        if not (_writes_logs(report.thread) and isinstance(report.exc_value, OSError)):
            before(report)

    threading.excepthook = once_is_enough
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_TROUBLE:
            raise
        for thread in filter(_writes_logs, threading.enumerate()):
            thread.join(1)  # It may be about to say it too.
        last = folder / "last.ckpt"
        kept = f"; go on with --resume {last}" if last.exists() else ""
        raise TrainingError(f"{folder}: can't be written ({reason(error)}){kept}") from error
    finally:
        threading.excepthook = before


# Windows has no quotas by this name.
_DISK_TROUBLE = {errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EIO, getattr(errno, "EDQUOT", -1)}


def _writes_logs(thread: threading.Thread | None) -> bool:
    return type(thread).__name__ == "_AsyncWriterThread"


def log_configuration(logger: TensorBoardLogger, description: dict[str, Any]) -> None:
    """The run's options, as a table in TensorBoard's text tab."""
    rows = [f"| {name} | {value} |" for name, value in _flat(description).items()]
    logger.experiment.add_text("configuration", "\n".join(["| option | value |", "|-|-|", *rows]))


def log_outcome(logger: TensorBoardLogger, description: dict[str, Any], finished: bool) -> None:
    """The hyper-parameters beside the held-out losses they led to; closes the logger."""
    # By names of their own, at step 0: TensorBoard takes a step that comes again in a curve for a
    # restart and drops what came after it.
    losses = {f"outcome/{name}": value for name, value in description["losses"].items()}
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
