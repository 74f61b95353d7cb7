"""A picture on standard input, a picture on standard output."""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from fastnst.errors import ConfigError

# What stands for a stream on the command line.
STREAM = Path("-")
# The suffix of a result by the format of the picture it was made of.
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif"}


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
    with tempfile.TemporaryDirectory() as folder:
        source = arguments.inputs[0]
        if source == STREAM:
            source = Path(folder) / "stdin"
            source.write_bytes(sys.stdin.buffer.read())
        target = Path(folder) / f"out{_suffix(source)}" if to_stream else arguments.output
        files = {**vars(arguments), "inputs": [source], "output": target}
        code = stylize(argparse.Namespace(**files))
        if to_stream and target.exists():
            sys.stdout.buffer.write(target.read_bytes())
            sys.stdout.buffer.flush()
    return code


def _suffix(source: Path) -> str:
    from PIL import Image

    from fastnst.image import READ_FORMATS

    try:
        with Image.open(io.BytesIO(source.read_bytes()), formats=READ_FORMATS) as image:
            return SUFFIXES.get(image.format or "", ".png")
    except Exception:  # Whatever it is, the decoder says so in its own words.
        return ".png"
