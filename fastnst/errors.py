"""The errors that fastnst expects, each of which becomes one line for the user.

    FastnstError                what the user can mend; ``exit_code`` is the process's
    ├── ConfigError             an option, a key or a value that can't be used
    ├── ImageReadError          a file that is no readable picture
    │   └── TooLargeError       a picture of more pixels than are read
    ├── PictureError            what a caller of a filter gave for a picture; a ValueError, too
    ├── ImageWriteError         a picture that can't be written
    ├── ClipReadError           a file that is no readable clip
    ├── ClipWriteError          a clip that can't be written
    ├── OutputError             a result that can't be given on standard output (exit code 1)
    ├── DataError               a photo collection that can't be trained on
    ├── BackboneError           weights of the loss network that can't be had
    ├── DownloadError           a file of the network that can't be had
    ├── CheckpointError         a checkpoint that can't be read, trusted or written
    ├── ExportError             an exported file that is not what it should be (exit code 1)
    ├── TrainingError           a training run that broke down (exit code 1)
    ├── OptimizationError       an optimization that broke down (exit code 1)
    └── ToldElsewhereError       any of these, which another process of the run tells

Anything else that escapes is a defect of fastnst and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_DONE = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_PARTIAL = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
EXIT_WARNED = 138
EXIT_HUNG_UP = 129


class FastnstError(Exception):
    """An expected failure: its text names the thing, the reason and what to do."""

    exit_code = EXIT_USAGE


class ConfigError(FastnstError):
    """An option, a configuration key or a value that can't be used."""


class ImageReadError(FastnstError):
    """A file that could not be read as a picture."""


class TooLargeError(ImageReadError):
    """A picture that has more pixels than are read."""


class PictureError(FastnstError, ValueError):
    """What a caller gave for a picture, and is none."""


class ImageWriteError(FastnstError):
    """A picture that could not be written."""


class ClipReadError(FastnstError):
    """A file that could not be read as a clip."""


class ClipWriteError(FastnstError):
    """A clip that could not be written."""


class OutputError(FastnstError):
    """A result that can't be given on standard output."""

    exit_code = EXIT_INTERNAL


class DataError(FastnstError):
    """A photo collection that can't be trained on."""


class BackboneError(FastnstError):
    """Weights of the loss network that can't be had or don't fit."""


class DownloadError(FastnstError):
    """A file of the network that can't be had."""


class CheckpointError(FastnstError):
    """A checkpoint that can't be read, trusted or written."""


class ExportError(FastnstError):
    """An exported file that can't be written, or that is not the network it was made of."""

    exit_code = EXIT_INTERNAL


class TrainingError(FastnstError):
    """A training run that broke down."""

    exit_code = EXIT_INTERNAL


class OptimizationError(FastnstError):
    """An optimization of a picture that broke down."""

    exit_code = EXIT_INTERNAL


class ToldElsewhereError(FastnstError):
    """An error that another process of the same run tells."""

    def __init__(self, error: FastnstError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code


def as_share(value: float) -> str:
    """Where a percentage was given for a share of 0..1, what was meant, for an error message."""
    return f": did you mean {value / 100:g}?" if 1 < value <= 100 else ""


def nearest(name: str, valid: Iterable[str], count: int = 3) -> str:
    """The valid names closest to ``name``, as text for an error message.

    Returns "a, b or c"; all valid names where none is close.
    """
    names = list(valid)
    close = difflib.get_close_matches(name, names, n=count, cutoff=0.5) or names
    return close[0] if len(close) == 1 else f"{', '.join(close[:-1])} or {close[-1]}"
