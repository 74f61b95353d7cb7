"""How the commands talk: messages on stderr, one line each."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import time
import unicodedata
from argparse import ArgumentParser, ArgumentTypeError, _ActionsContainer
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from fastnst.cli.usage import in_words, unknown_option
from fastnst.errors import ConfigError, OutputError
from fastnst.machine.files import reason

# An argument parser, or a group of its options.
Options = _ActionsContainer
# Seconds between two progress lines where nobody looks at a terminal.
PLAIN_INTERVAL = 10.0
TERMINAL_INTERVAL = 0.2
# Characters of a progress bar.
BAR = 24
# What stands for what a narrow terminal has no room for, and columns of a terminal that tells none.
CUT = "..."
COLUMNS = 80


class OneLineParser(ArgumentParser):
    """An argument parser whose errors are one line, raised rather than printed.

    ``example`` is a whole command; ``instead`` says of options that other programs have, and this
    one has not, what to write. No option is taken for a longer one that begins like it.
    """

    def __init__(
        self, *given: Any, example: str = "", instead: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(*given, **{"allow_abbrev": False, **more})
        self.example = example
        self.instead = instead or {}

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As ever; an option that is not there is told before anything that is missing."""
        for argument in sys.argv[1:] if args is None else args:
            if argument == "--":
                break
            if argument.startswith("--") and argument.split("=")[0] not in self._options():
                self._refuse(argument)
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            self._refuse(unknown.split()[0])
        told = in_words(message, self.example)
        # A value that won't do says by itself what is to be done.
        is_value = message.startswith("argument ")
        raise ConfigError(told if is_value else f"{told} (see {self.prog} --help)")

    def _options(self) -> list[str]:
        return [flag for action in self._actions for flag in action.option_strings]

    def _refuse(self, argument: str) -> NoReturn:
        name = argument.split("=")[0]
        if name in self.instead:
            raise ConfigError(f"{name}: {self.instead[name]}")
        if argument.startswith("-"):
            told = unknown_option(argument, self._options())
        else:
            told = f"'{argument}' is one argument too many"
        raise ConfigError(f"{told} (see {self.prog} --help)")


def as_type(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A function whose ValueError says in words what is wrong, as the type of an argument."""

    def typed(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return typed


def add_model(parser: Options) -> None:
    """The argument MODEL; see ``fastnst.checkpoint.shipped.find_model``."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL",
        help="checkpoint of fastnst train, or the name of a shipped style, such as wave",
    )  # fmt: skip


def add_mix(parser: Options) -> None:
    """Other styles that the network is mixed with; see ``fastnst.checkpoint.mixing``."""
    parser.add_argument(
        "--style-mix", type=_share, action="append", default=[], metavar="MODEL:SHARE",
        help="mix the style with another one, such as udnie:0.4; both must have started from one "
        "network, as the shipped ones have; may be given several times",
    )  # fmt: skip


def _share(text: str) -> tuple[Path, float]:
    model, _, share = text.rpartition(":")
    try:
        return Path(model or "-"), float(share if model else "")
    except ValueError:
        raise ArgumentTypeError(f"'{text}' is not MODEL:SHARE, such as udnie:0.4") from None


def add_device(parser: Options) -> None:
    """What computes a pass of the network; see ``fastnst.engines.choose.choose_engine``."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    parser.add_argument(
        "--engine", choices=("auto", "torch", "openvino"), default="auto",
        help="what computes: 'openvino' is the fastest on CPUs and starts at once, 'torch' knows "
        "every device (default: auto, which chooses by the device)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), default="auto",
        help="arithmetic of 'openvino' on pictures in one go; strips and 'torch' are float32 "
        "(default: auto, bfloat16 up to 16 megapixels where the hardware has it)",
    )  # fmt: skip


def printable(text: str) -> str:
    """``text`` with whatever could move a terminal's cursor, or is no text, escaped.

    File names and checkpoints come from strangers, and may hold such things.
    """
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    encoding = sys.stderr.encoding or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def open_streams() -> None:
    """Put a stream that can't be used in the place of a standard stream that the caller has closed.

    Python leaves None there, and the next file that is opened would get its number.
    """
    # Opened for the opposite: reading and writing fail at once, as with a closed one.
    for name, mode, flags in (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY)):
        if getattr(sys, name) is None:
            raw: Any = io.FileIO(os.open(os.devnull, flags), mode)
            setattr(sys, name, io.TextIOWrapper(raw, write_through=True))
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def say(text: str) -> None:
    """A line on stderr."""
    # Where nobody can be told, the work is done all the same.
    with contextlib.suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


def give(result: str | bytes | memoryview) -> None:
    """A result on stdout: a line of text, or a file's content. Raises OutputError.

    A reader who has gone raises BrokenPipeError, as ever.
    """
    try:
        if isinstance(result, str):
            print(result, flush=True)
        else:
            sys.stdout.buffer.write(result)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is still in the buffer would fail once more when Python ends.
        forget_stdout()
        raise OutputError(f"standard output: can't be written ({reason(error)})") from error


def forget_stdout() -> None:
    """Let what is still to be written to stdout go nowhere."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Rows:
    """Lines of JSON on stdout, for as long as somebody takes them; the work goes on all the same.

    ``wanted`` says whether any are asked for.
    """

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self._lost: OutputError | None = None

    def give(self, row: Mapping[str, object]) -> None:
        """A line, unless an earlier one could not be given."""
        if not self.wanted:
            return
        try:
            give(json.dumps(row))
        except BrokenPipeError:
            # The reader has seen enough, as with "| head".
            forget_stdout()
            self.wanted = False
        except OutputError as error:
            self._lost, self.wanted = error, False

    def end(self) -> None:
        """Raises OutputError where lines were lost to anything but the reader's going."""
        if self._lost is not None:
            raise self._lost


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    if seconds != seconds or seconds == float("inf"):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def bar(done: int, count: int, seconds: float) -> str:
    """How far ``count`` things are after ``seconds``: a bar, a count, a rate and the time left."""
    rate = done / seconds if seconds > 0 else float("inf")
    left = clock((count - done) / rate) if rate > 0 else "?"
    return f"{filled_bar(done / count)} {done} of {count}  {rate:.2g}/s  {left} left"


def filled_bar(share: float) -> str:
    """A bar that is filled by a share of 0..1."""
    filled = int(BAR * share)
    return f"[{'#' * filled}{'.' * (BAR - filled)}]"


def fitted(text: str, tail: str, columns: int) -> str:
    """A status line of so many columns at most: ``text``, parts between two spaces, and ``tail``.

    The tail, a path, loses its beginning first; then the text its parts between the first and the
    last, and its bar; then all is cut.
    """
    gap = "  " if text and tail else ""
    room = columns - width(text) - len(gap)
    if width(tail) <= room:
        return f"{text}{gap}{tail}" if text else tail
    if room >= len(CUT) + 8:
        start = next(n for n in range(len(tail)) if width(tail[n:]) <= room - len(CUT))
        return f"{text}{gap}{CUT}{tail[start:]}"
    parts = text.split("  ") if text else [tail]
    while width("  ".join(parts)) > columns and len(parts) > 2:
        del parts[-2]
    if width("  ".join(parts)) > columns and parts[0].startswith("["):
        parts[0] = parts[0].partition("] ")[2] or parts[0]
    line = "  ".join(parts)
    while width(line) > columns:
        line = line[:-1]
    return line


def width(text: str) -> int:
    """Columns of a terminal that a text takes: letters of East Asia have two."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) - sum(map(bool, map(unicodedata.combining, text))) + wide


def _columns() -> int:
    """Columns of the terminal that stderr is, which may change at any time."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return columns or shutil.get_terminal_size((COLUMNS, 24)).columns


class StatusLine:
    """One line that is rewritten in a terminal, and a plain line now and then elsewhere."""

    def __init__(self) -> None:
        # What is no real terminal would show the signs that rewrite a line.
        self.terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._last = float("-inf")
        self._open = False

    def due(self) -> bool:
        """Whether it is time to show the line again."""
        interval = TERMINAL_INTERVAL if self.terminal else PLAIN_INTERVAL
        return time.monotonic() - self._last >= interval

    def show(self, text: str, tail: str = "") -> None:
        """Show ``text`` and ``tail`` as the line's new content; see ``fitted``."""
        self._last = time.monotonic()
        if self.terminal:
            # A line that reaches the last column may go on in the next row.
            line = fitted(printable(text), printable(tail), _columns() - 1)
            with contextlib.suppress(OSError):
                sys.stderr.write(f"\r\x1b[2K{line}")
                sys.stderr.flush()
            self._open = True
        else:
            say("  ".join(filter(None, (text, tail))))

    def download(self, done: int, total: int) -> None:
        """Show how far the download of a backbone's weights is."""
        if self.due() or done == total:
            self.show(f"fetching VGG weights, once: {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    def end(self) -> None:
        """Let the next message start on a line of its own."""
        if self._open:
            with contextlib.suppress(OSError):
                sys.stderr.write("\n")
            self._open = False
