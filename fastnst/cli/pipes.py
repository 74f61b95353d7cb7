"""A picture on standard input, a picture on standard output."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fastnst.cli.console import give
from fastnst.errors import ConfigError, OutputError
from fastnst.machine.files import reason

# What stands for a stream on the command line.
STREAM = Path("-")
# The suffix of a result by the format of the picture it was made of.
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif",
            "HEIF": ".jpg"}  # fmt: skip


def piped(arguments: argparse.Namespace, stylize: Callable[[argparse.Namespace], int]) -> int:
    """``stylize`` with files in the place of the streams; returns its exit code.

    Raises ConfigError unless there is a single input and nothing else goes to standard output.
    """
    if len(arguments.inputs) != 1 or arguments.inputs[0].is_dir():
        raise ConfigError("'-' stands for one picture: give no other input beside it")
    to_stream = arguments.output in (None, STREAM)
    if to_stream and arguments.json:
        raise ConfigError("--json and the picture can't both go to standard output")
    # Encoders and decoders seek, streams don't; and a result is written whole or not at all.
    with _scratch() as folder:
        source = arguments.inputs[0]
        if source == STREAM:
            source = _received(folder)
        target = folder / f"out{_suffix(source)}" if to_stream else arguments.output
        files = {**vars(arguments), "inputs": [source], "output": target, "quiet": to_stream}
        code = stylize(argparse.Namespace(**files))
        if to_stream and target.exists():
            give(target.read_bytes())
    return code


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="fastnst-")
    except OSError as error:
        raise OutputError(
            f"no folder for temporary files can be written to ({reason(error)}); set TMPDIR"
        ) from error
    with folder:
        yield Path(folder.name)


def _received(folder: Path) -> Path:
    """Standard input as a file. Raises OutputError and ConfigError."""
    try:
        received = sys.stdin.buffer.read()
    except OSError as error:
        raise ConfigError(f"standard input: can't be read ({reason(error)})") from error
    source = folder / "stdin"
    try:
        source.write_bytes(received)
    except OSError as error:
        raise OutputError(f"{folder}: can't be written to ({reason(error)}); set TMPDIR") from error
    return source


def _suffix(source: Path) -> str:
    from fastnst.image import open_image

    try:
        with open_image(source) as image:
            return SUFFIXES.get(image.format or "", ".png")
    except Exception:  # Whatever it is, the decoder says so in its own words.
        return ".png"
