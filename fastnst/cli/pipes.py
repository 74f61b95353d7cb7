"""A picture on standard input, a picture on standard output."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastnst.errors import ConfigError
from fastnst.machine.files import reason

# What stands for a stream on the command line.
STREAM = Path("-")


def is_piped(arguments: argparse.Namespace) -> bool:
    """Whether a picture comes or goes by a stream."""
    return STREAM in (*arguments.inputs, arguments.output)


def receive(arguments: argparse.Namespace) -> None:
    """Put what comes by standard input in its place among ``arguments``; their output is None where
    the result goes to standard output.

    Raises ConfigError unless there is a single input and nothing else goes to standard output.
    """
    from fastnst.image import InMemory
    from fastnst.stylize.streams import SINGLE

    if len(arguments.inputs) != 1:
        raise ConfigError(SINGLE)
    if arguments.output == STREAM:
        arguments.output = None
    if arguments.output is None and arguments.json:
        raise ConfigError("--json and the picture can't both go to standard output")
    if arguments.inputs[0] == STREAM:
        arguments.inputs = [InMemory("stdin", _received())]


def _received() -> bytes:
    """Standard input, to its end. Raises ConfigError."""
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise ConfigError(f"standard input: can't be read ({reason(error)})") from error
