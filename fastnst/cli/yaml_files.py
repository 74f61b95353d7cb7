"""YAML files from strangers, looked at before anything believes them."""

from __future__ import annotations

from pathlib import Path

import yaml

from fastnst.errors import ConfigError
from fastnst.machine.files import reason

# A thousand times what any configuration takes.
MAX_BYTES = 1_000_000
# Lists and mappings within each other; a configuration has two. The parser's time grows with its
# square.
MAX_DEPTH = 20


# A key's value as it is written: nothing, a text, or several.
Given = None | str | list[str]


def read_config(path: Path) -> dict[str, Given]:
    """A configuration file: its keys and their values as they are written, 2e-2 among them.

    Raises ConfigError where it is no plain configuration: a mapping of keys that come once, not too
    large, without references. Nine levels of these, each to nine of the level before, would fill
    the memory.
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
        _check(path, text)
        document = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise ConfigError(f"{path}: not YAML as a configuration has it ({where[:200]})") from error
    _check_keys(path, document)
    pairs = [] if document is None else document.value
    return {key.value: _given(path, key.value, value) for key, value in pairs}


def _check(path: Path, text: str) -> None:
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


def _given(path: Path, key: str, node: yaml.Node) -> Given:
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == "tag:yaml.org,2002:null" else str(node.value)
    inner = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(one, yaml.ScalarNode) for one in inner):
        line = node.start_mark.line + 1
        raise ConfigError(f"{path}: line {line}: '{key}' takes a value, or several in brackets")
    return [str(one.value) for one in inner]


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
