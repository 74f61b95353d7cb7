"""Mistakes on the command line, in words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

# What arguments are called in a question.
ASKED = {"MODEL": "style", "INPUT": "picture", "PHOTO": "photograph"}
# How argparse says it, and what it means.
PHRASES = {
    "invalid int value: ": "{} is not a whole number",
    "invalid float value: ": "{} is not a number",
    "invalid Path value: ": "{} is not a path",
}


def joined(names: Iterable[str], word: str = "and") -> str:
    """Names as text: "a", "a and b" or "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def unknown_option(flag: str, flags: Collection[str]) -> str:
    """What is wrong with an option that isn't there, with those that may be meant."""
    name = flag.split("=", 1)[0]
    if re.fullmatch(r"-\w", name):
        close = sorted(option for option in flags if option.startswith(f"-{name}"))
    else:
        close = difflib.get_close_matches(name, flags, n=3, cutoff=0.6)
    return f"unknown option {name}" + (f": did you mean {joined(close, 'or')}?" if close else "")


def in_words(message: str, example: str = "") -> str:
    """What argparse says of a mistake, as one would say it; ``example`` is a whole command."""
    missing = re.match(r"the following arguments are required: (.*)", message)
    if missing is not None:
        asked = joined(f"which {_asked(name)}" for name in missing[1].split(", "))
        return f"{asked}?" + (f" as in: {example}" if example else "")
    option = re.match(r"argument ([^:]+): (.*)", message, re.DOTALL)
    if option is None:
        return message
    name, why = option[1].split("/")[-1], option[2]
    for phrase, words in PHRASES.items():
        if why.startswith(phrase):
            return f"{name}: {words.format(why.removeprefix(phrase))}"
    choice = re.match(r"invalid choice: (.*) \(choose from (.*)\)", why)
    if choice is not None:
        return f"{name}: {choice[1]} is {none_of(choice[2].replace(chr(39), '').split(', '))}"
    if why.startswith("expected ") and "argument" in why:
        return f"{name}: its value is missing"
    return f"{name}: {why}"


def _asked(name: str) -> str:
    return ASKED.get(name, name)


def none_of(names: Collection[str]) -> str:
    """That something is none of ``names``: "neither a nor b", "none of a, b and c"."""
    names = list(names)
    if len(names) == 1:
        return f"not {names[0]}"
    return f"neither {names[0]} nor {names[1]}" if len(names) == 2 else f"none of {joined(names)}"


def read_value(hint: Any, text: str) -> Any:
    """The value that a text means for a field of this type; ValueError says in words why not."""
    hint = _without_none(hint)
    if get_origin(hint) is Literal:
        choices: tuple[str, ...] = get_args(hint)
        if text not in choices:
            close = difflib.get_close_matches(text, choices, n=1, cutoff=0.6)
            meant = f": did you mean {close[0]}?" if close and len(choices) > 2 else ""
            raise ValueError(f"{text!r} is {none_of(choices)}{meant}")
        return text
    if hint is bool:
        if text.lower() not in BOOLEANS:
            raise ValueError(f"{text!r} is neither true nor false")
        return BOOLEANS[text.lower()]
    kinds: Mapping[Any, str] = {int: "a whole number", float: "a number"}
    try:
        return Path(text) if hint is Path else hint(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {kinds[hint]}") from None


# As YAML 1.1 has them.
BOOLEANS = {
    "true": True, "yes": True, "on": True, "false": False, "no": False, "off": False,
}  # fmt: skip


def read_share(text: str) -> float:
    """A number that is to be from 0 to 1; ValueError says in words what is not one."""
    number = text.removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if number != text:
        raise ValueError(f"{text!r} is not a number from 0 to 1: did you mean {value / 100:g}?")
    return value


def is_optional(hint: Any) -> bool:
    """Whether None is a value of this type."""
    return type(None) in get_args(hint)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) not in (Union, UnionType):
        return hint
    [kind] = [kind for kind in get_args(hint) if kind is not type(None)]
    return kind
