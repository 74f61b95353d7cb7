"""The command line: the one room that prints and exits.

A command's module is imported when that command is called, so ``fastnst --help`` loads next to
nothing and ``fastnst apply`` nothing of training.
"""

from __future__ import annotations

import importlib
import sys
from argparse import SUPPRESS, RawDescriptionHelpFormatter
from collections.abc import Sequence

from fastnst import __version__
from fastnst.cli.console import OneLineParser, forget_stdout, open_streams, say
from fastnst.errors import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    ConfigError,
    FastnstError,
    ToldElsewhereError,
    nearest,
)
from fastnst.machine.parts import LEFT_OUT, without
from fastnst.machine.signals import Ended, raised_as_interrupts

# Each command's module has run(arguments) -> exit code.
COMMANDS = {
    "train": "a painting and a folder of photographs become a checkpoint",
    "apply": "a checkpoint stylizes pictures",
    "preview": "what the weights do, on a contact sheet, before training",
    "optimize": "one picture by optimization: the slow, exact reference",
    "styles": "the styles that come with fastnst: names, painters, sizes",
    "validate": "how good a style is: likeness to the painting, what is left of the photograph",
    "gallery": "one photograph in every style that comes with fastnst",
    "export": "a checkpoint becomes an ONNX file, checked on the spot",
    "serve": "a page in the browser from which nothing leaves the machine",
    "info": "details of a checkpoint",
}

# What other programs call them.
OTHER_WORDS = {
    "list": "styles", "ls": "styles", "models": "styles", "stylize": "apply", "stylise": "apply",
    "paint": "apply", "run": "apply", "convert": "apply", "web": "serve", "server": "serve",
    "page": "serve", "show": "info", "evaluate": "validate", "eval": "validate",
}  # fmt: skip

DESCRIPTION = (
    "A painting becomes a filter in minutes; the filter runs in milliseconds.\n\ncommands:\n"
    + "\n".join(f"  {name:<10}{meaning}" for name, meaning in COMMANDS.items())
    + "\n\nexamples:\n"
    "  fastnst train --style wave.jpg --data photos/\n"
    "  fastnst apply wave.ckpt holiday.jpg\n"
    "  fastnst apply wave holiday.jpg              (a style that comes with fastnst)\n"
    "  fastnst styles                              (all of these)\n"
    "  fastnst train --help"
)

EXIT_CODES = (
    "exit codes: 0 done; 1 internal error, or training broke down; 2 usage, or nothing usable;\n"
    "3 some inputs failed, the rest is written; 130 ended by Ctrl-C; 143 ended by SIGTERM;\n"
    "138 by SIGUSR1; 129 by SIGHUP, as when the terminal is closed"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run fastnst with ``arguments`` (default: the process's); returns the exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    open_streams()
    try:
        with raised_as_interrupts():
            return _dispatch(argv)
    except ToldElsewhereError as error:
        return error.exit_code
    except FastnstError as error:
        say(f"fastnst: error: {' '.join(str(error).split())}")
        return error.exit_code
    except Ended as signal:
        say(f"fastnst: ended by {signal}")
        return signal.exit_code
    except KeyboardInterrupt:
        say("fastnst: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Our reader has gone, as with "| head": no failure, and nothing left to flush to.
        forget_stdout()
        return EXIT_DONE


def _dispatch(argv: list[str]) -> int:
    parser = OneLineParser(
        "fastnst",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=RawDescriptionHelpFormatter,
        usage="fastnst [-h] [--version] COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"fastnst {__version__}")
    parser.add_argument("command", nargs="?", help=SUPPRESS)
    command = parser.parse_args(argv[:1]).command
    if command is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    if command not in COMMANDS:
        meant = OTHER_WORDS.get(command) or nearest(command, COMMANDS)
        raise ConfigError(f"no command '{command}': did you mean {meant}?")
    try:
        module = importlib.import_module(f"fastnst.cli.{command}")
        code: int = module.run(argv[1:])
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in LEFT_OUT:
            raise
        raise without(f"fastnst {command}", missing) from error
    return code
