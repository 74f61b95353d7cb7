"""YAML files from strangers, looked at before anything believes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import yaml

from fastnst.errors import ConfigError
from fastnst.machine.files import reason

# A thousand times what any configuration takes.
MAX_BYTES = 1_000_000
# Lists and mappings within each other; a configuration has two. The parser's time grows with its
# square.
MAX_DEPTH = 20


def check_config_files(argv: Sequence[str]) -> None:
    """Raises ConfigError where a file that --config names in ``argv`` is no plain configuration."""
    for flag, following in zip(argv, [*argv[1:], ""], strict=False):
        if flag == "--config":
            _check(Path(following))
        elif flag.startswith("--config="):
            _check(Path(flag.removeprefix("--config=")))


def _check(path: Path) -> None:
    """A mapping of keys that come once, without references, and not too large.

    Nine levels of references, each to nine of the level before, would otherwise fill the memory.
    """
    try:
        # A device or a pipe may never end.
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: is no file")
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: too large for a configuration")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: no text in UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({reason(error)})") from error
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ConfigError(f"{path}: nested too deeply")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise ConfigError(f"{path}: references (& and *) are not taken")
            if getattr(event, "tag", None):
                raise ConfigError(f"{path}: tags ({event.tag}) are not taken in a configuration")
        document = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise ConfigError(f"{path}: not YAML as a configuration has it ({where[:200]})") from error
    _check_keys(path, document)


def one_as_list(text: str, keys: Collection[str]) -> str:
    """A checked configuration in which each of ``keys`` with a single value has a list of it."""
    document = yaml.compose(text, yaml.SafeLoader)
    if document is None:
        return text
    document.value = [
        (key, _listed(value) if key.value in keys else value) for key, value in document.value
    ]
    # Nodes, not values: each stays written as it was, 2e-2 among them.
    written: str = yaml.serialize(document, Dumper=yaml.SafeDumper, allow_unicode=True)
    return written


def _listed(value: yaml.Node) -> yaml.Node:
    if not isinstance(value, yaml.ScalarNode) or value.tag == "tag:yaml.org,2002:null":
        return value
    return yaml.SequenceNode("tag:yaml.org,2002:seq", [value])


def _check_keys(path: Path, document: yaml.Node | None) -> None:
    if document is None:
        return
    if not isinstance(document, yaml.MappingNode):
        raise ConfigError(f"{path}: holds no options; a line is 'image_size: 256', for one")
    seen: set[str] = set()
    for key, _ in document.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise ConfigError(f"{path}: line {key.start_mark.line + 1}: the key is no name")
        if key.value in seen:
            raise ConfigError(f"{path}: line {key.start_mark.line + 1}: '{key.value}' comes twice")
        seen.add(key.value)
    if "config" in seen:
        raise ConfigError(f"{path}: a configuration can't name another one")
