"""Command-line options from a configuration dataclass: flags over YAML over defaults."""

from __future__ import annotations

import dataclasses
import re
import typing
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import jsonargparse

from fastnst.cli.yaml_files import check_config_files, one_as_list
from fastnst.errors import ConfigError, nearest

Config = TypeVar("Config")


class ConfigParser(jsonargparse.ArgumentParser):
    """jsonargparse's parser, its errors raised as ConfigError."""

    def parse_path(self, cfg_path: Any, *more: Any, **options: Any) -> Any:
        """A configuration file; what takes several values may be given one without brackets."""
        several = {action.dest for action in self._actions if action.nargs == "+"}
        text = Path(cfg_path).read_text(encoding="utf-8")
        return self.parse_string(one_as_list(text, several), cfg_path, *more, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise ConfigError(self._one_line(message)) from ex

    def _one_line(self, message: str) -> str:
        keys = [action.dest for action in self._actions if action.dest != "help"]
        flags = [flag for action in self._actions for flag in action.option_strings]
        unknown_key = re.search(r"(?:[Oo]ption|[Kk]ey) ['\"]([\w.-]+)['\"](?:$| is not)", message)
        if unknown_key is not None and unknown_key[1] not in keys:
            key = unknown_key[1]
            return f"unknown key '{key}' in the configuration: did you mean {nearest(key, keys)}?"
        unknown_flag = re.match(r"[Uu]nrecognized arguments: (\S+)", message)
        if unknown_flag is not None:
            flag = unknown_flag[1].split("=")[0]
            if flag.startswith("-"):
                return f"unknown option {flag}: did you mean {nearest(flag, flags)}?"
            return f"unexpected argument {flag} (see {self.prog} --help)"
        invalid = re.match(r"Parser key \"(\w+)\":(.*)", message, re.DOTALL)
        if invalid is not None and invalid[1] != "config":
            return f"{invalid[1]}: {' '.join(invalid[2].split())}"
        return f"{' '.join(message.split())} (see {self.prog} --help)"


def add_options(parser: ConfigParser, config: type[Any]) -> None:
    """One flag for each field of the dataclass, and --config and --print_config.

    ``image_size`` becomes --image-size; in YAML the key stays ``image_size``.
    """
    parser.add_argument(
        "--config",
        action=jsonargparse.ActionConfigFile,
        help="YAML file of options; flags override it",
    )
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        flag = "--" + field.name.replace("_", "-")
        help = field.metadata["help"].replace("%", "%%")
        kind = hints[field.name]
        if kind is bool:
            parser.add_argument(flag, action="store_true", help=help)
        elif typing.get_origin(kind) is tuple:
            element = typing.get_args(kind)[0]
            metavar = "FILE" if element is Path else element.__name__.upper()
            parser.add_argument(
                flag, type=element, nargs="+", default=list(_default(field)), help=help,
                metavar=metavar,
            )  # fmt: skip
        else:
            parser.add_argument(flag, type=kind, default=field.default, help=help)


def parse_options(
    prog: str,
    description: str,
    config: type[Config],
    argv: list[str],
    known: Callable[[Namespace], Mapping[str, Any]] = lambda _: {},
) -> Config:
    """The dataclass filled from flags, YAML and defaults. Raises ConfigError.

    ``known`` may give other defaults, by what was parsed.
    """
    check_config_files(argv)
    parser = ConfigParser(prog=prog, description=description)
    add_options(parser, config)
    parsed = parser.parse_args(argv)
    if others := known(parsed):
        parser.set_defaults(_typed(config, others))
        parsed = parser.parse_args(argv)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = parsed[field.name]
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return config(**values)


def _typed(config: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a file has them, with paths made such."""
    hints = typing.get_type_hints(config)
    typed: dict[str, Any] = {}
    for name, value in values.items():
        kinds = (hints[name], *typing.get_args(hints[name]))
        if Path in kinds and isinstance(value, str):
            value = Path(value)
        elif Path in kinds and isinstance(value, list):
            value = [Path(part) for part in value]
        typed[name] = value
    return typed


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default
