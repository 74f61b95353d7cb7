"""A picture on standard input, a picture on standard output."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastnst.cli.console import give
from fastnst.errors import ConfigError, OutputError
from fastnst.machine.files import atomic_write, is_stream, reason

# What stands for a stream on the command line.
STREAM = Path("-")


def is_piped(arguments: argparse.Namespace) -> bool:
    """Whether a picture comes by a stream, or goes by one whose name tells no format: standard
    output, or what the shell puts in place of >(COMMAND).
    """
    output = arguments.output
    unnamed = output is not None and not output.suffix and is_stream(output)
    return unnamed or STREAM in (*arguments.inputs, output)


def receive(arguments: argparse.Namespace) -> None:
    """Put what comes by standard input in its place among ``arguments``; their output is None where
    the result goes by a stream, which is their ``stream`` then.

    Raises ConfigError unless there is a single input and nothing else goes to standard output.
    """
    from fastnst.image import InMemory
    from fastnst.stylize.streams import SINGLE

    if len(arguments.inputs) != 1:
        raise ConfigError(SINGLE)
    output, arguments.stream = arguments.output, None
    if output == STREAM or (output is not None and not output.suffix and is_stream(output)):
        arguments.output, arguments.stream = None, output
    if arguments.output is None and arguments.stream in (None, STREAM) and arguments.json:
        raise ConfigError("--json and the picture can't both go to standard output")
    if arguments.inputs[0] == STREAM:
        arguments.inputs = [InMemory("stdin", _received())]


def send(content: bytes | memoryview, stream: Path | None) -> None:
    """Write a result to standard output, or into another stream. Raises OutputError."""
    if stream in (None, STREAM):
        give(content)
        return
    assert stream is not None
    try:
        with atomic_write(stream) as file:
            file.write(content)
    except OSError as error:
        raise OutputError(f"{stream}: can't be written ({reason(error)})") from error


def _received() -> bytes:
    """Standard input, to its end. Raises ConfigError."""
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise ConfigError(f"standard input: can't be read ({reason(error)})") from error
