"""Command-line options from a configuration dataclass: flags over YAML over defaults."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from fastnst.cli.console import OneLineParser, as_type, give
from fastnst.cli.usage import is_optional, read_value
from fastnst.cli.yaml_files import Given, read_config
from fastnst.errors import EXIT_DONE, ConfigError, nearest

Config = TypeVar("Config")

# Groups of --help: their titles and the fields in each, the first one first.
Groups = Mapping[str, Sequence[str]]
USUAL = "the usual options"
OTHERS = "more"
FILES = "option files"
THE_LOSS: Groups = {
    "the loss in detail": (
        "loss", "content_layers", "style_layers", "style_layer_weights", "pooling", "padding",
        "backbone", "backbone_weights",
    )
}  # fmt: skip


def parse_options(
    prog: str,
    description: str,
    config: type[Config],
    argv: list[str],
    groups: Groups = MappingProxyType({}),
    known: Callable[[argparse.Namespace], Mapping[str, Any]] = lambda _: {},
) -> Config:
    """The dataclass filled from flags, YAML and defaults; --help has the fields in ``groups``, and
    those that none names in one more.

    ``known`` may give other defaults, by what was parsed. Raises ConfigError. --print_config prints
    the values as YAML and exits, as --help does.
    """
    parser = OneLineParser(
        prog, description=description, argument_default=argparse.SUPPRESS,
        usage=f"{prog} [-h] [options]",
    )  # fmt: skip
    _add_options(parser, config, groups)
    flags = vars(parser.parse_args(argv))
    defaults = {field.name: field.default for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    printing = flags.pop("print_config", False)
    given: dict[str, Any] = {}
    for path in flags.pop("config", []):
        given |= _values(path, read_config(path), config)
    given |= {name: tuple(x) if isinstance(x, list) else x for name, x in flags.items()}
    others = _typed(config, known(argparse.Namespace(**defaults | given)))
    values = defaults | others | given
    if printing:
        give(_as_yaml(values))
        raise SystemExit(EXIT_DONE)
    return config(**values)


def _typed(config: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a run folder has them, with the types that ``config`` has."""
    hints = typing.get_type_hints(config)
    typed: dict[str, Any] = {}
    for name, value in values.items():
        kinds = (hints[name], *typing.get_args(hints[name]))
        if Path in kinds and isinstance(value, str):
            value = Path(value)
        elif Path in kinds and isinstance(value, list):
            value = [Path(part) for part in value]
        typed[name] = tuple(value) if isinstance(value, list) else value
    return typed


def _add_options(parser: OneLineParser, config: type[Any], groups: Groups) -> None:
    hints = typing.get_type_hints(config)
    fields = {field.name: field for field in dataclasses.fields(config)}
    for title, names in {**groups, OTHERS: tuple(fields)}.items():
        mine = [fields.pop(name) for name in names if name in fields]
        group = parser.add_argument_group(title)
        for field in mine:
            _add_option(group, field, hints[field.name])
    group = parser.add_argument_group(FILES)
    group.add_argument(
        "--config", type=Path, action="append", metavar="FILE",
        help="YAML file of options, image_size: 256 for --image-size 256; flags override it",
    )  # fmt: skip
    group.add_argument(
        "--print_config", "--print-config", action="store_true",
        help="print all options as such a file, and exit",
    )  # fmt: skip


def _add_option(group: Any, field: dataclasses.Field[Any], hint: Any) -> None:
    """``image_size`` becomes --image-size; in YAML the key stays ``image_size``."""
    flag = "--" + field.name.replace("_", "-")
    help = (field.metadata["help"] + _default_text(field)).replace("%", "%%")
    if hint is bool:
        group.add_argument(flag, action="store_true", help=help)
        return
    several = typing.get_origin(hint) is tuple
    element = typing.get_args(hint)[0] if several else hint
    group.add_argument(
        flag, type=as_type(partial(read_value, element)), nargs="+" if several else None, help=help,
        metavar=_metavar(field.name, element),
    )  # fmt: skip


def _default_text(field: dataclasses.Field[Any]) -> str:
    """The default, where the help doesn't name one and it says something."""
    help, default = field.metadata["help"], field.default
    if "(default" in help or default in (None, "", (), False):
        return ""
    if isinstance(default, tuple):
        return f" (default: {' '.join(map(str, default))})"
    return f" (default: {default:g})" if isinstance(default, float) else f" (default: {default})"


def _metavar(name: str, hint: Any) -> str:
    kinds = (hint, *typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return "|".join(typing.get_args(hint)) if len(typing.get_args(hint)) < 4 else "NAME"
    if Path in kinds:
        return "FOLDER" if name.endswith("dir") else "FILE"
    if int in kinds or float in kinds:
        return "N"
    return "PATH" if name == "data" else "NAME"


def _values(path: Path, given: Mapping[str, Given], config: type[Any]) -> dict[str, Any]:
    """The values of a configuration file. Raises ConfigError."""
    hints = typing.get_type_hints(config)
    keys = [field.name for field in dataclasses.fields(config)]
    values: dict[str, Any] = {}
    for key, text in given.items():
        if key not in keys:
            raise ConfigError(
                f"{path}: unknown key '{key}' in the configuration: did you mean "
                f"{nearest(key, keys)}?"
            )
        try:
            values[key] = _value(hints[key], text)
        except ValueError as error:
            raise ConfigError(f"{path}: {key}: {error}") from None
    return values


def _value(hint: Any, given: Given) -> Any:
    if given is None:
        if not is_optional(hint):
            raise ValueError("its value is missing")
        return None
    if typing.get_origin(hint) is tuple:
        # One painting or layer may stand without brackets.
        several = [given] if isinstance(given, str) else given
        return tuple(read_value(typing.get_args(hint)[0], text) for text in several)
    if not isinstance(given, str):
        raise ValueError(f"takes one value, not {len(given)}")
    return read_value(hint, given)


def _as_yaml(values: Mapping[str, Any]) -> str:
    import yaml

    plain = {
        name: [_plain(one) for one in value] if isinstance(value, tuple) else _plain(value)
        for name, value in values.items()
    }
    written: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    return written.rstrip("\n")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
