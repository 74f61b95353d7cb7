"""What an optimization leaves behind while it runs: a CSV of its losses, TensorBoard, pictures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO

from torch.utils.tensorboard import SummaryWriter

from fastnst.errors import ImageWriteError
from fastnst.image import write_image
from fastnst.machine.files import reason
from fastnst.optimize.iterates import Iterate


def beside(output: Path, suffix: str) -> Path:
    """A file beside the output, named after it: out.png and losses.csv give out.losses.csv."""
    return output.with_name(f"{output.stem}.{suffix}")


class Records:
    """OUTPUT.losses.csv with one row an iterate, its total loss and ``terms``; the same in
    TensorBoard; and OUTPUT.stepN.

    The CSV grows with the run, so that a run that ends early leaves what it found.
    """

    def __init__(
        self, output: Path, run_folder: Path, save_every: int, terms: Sequence[str]
    ) -> None:
        self.output = output
        self.save_every = save_every
        self._writer = SummaryWriter(str(run_folder))
        path = beside(output, "losses.csv")
        try:
            self._file: TextIO = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115
        except OSError as error:
            raise ImageWriteError(f"{path}: can't be written ({reason(error)})") from error
        self._rows = csv.writer(self._file)
        self._rows.writerow(["step", "total", *terms, "seconds"])

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._writer.close()

    def add(self, iterate: Iterate, seconds: float) -> None:
        """Record an iterate that was reached after ``seconds``."""
        losses = {"total": iterate.total} | {
            name: float(part) for name, part in iterate.parts.named().items()
        }
        self._rows.writerow([iterate.step, *losses.values(), round(seconds, 3)])
        self._file.flush()
        for name, value in losses.items():
            self._writer.add_scalar(f"loss/{name}", value, iterate.step)
        if self.save_every and iterate.step % self.save_every == 0:
            name = f"{self.output.stem}.step{iterate.step:05}{self.output.suffix}"
            write_image(iterate.picture, self.output.with_name(name))
            self._writer.add_image("picture", iterate.picture[0], iterate.step)
