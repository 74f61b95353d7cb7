"""How a hyper-parameter is declared, and the checks that they share."""

from __future__ import annotations

import math
from dataclasses import field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fastnst.errors import ConfigError, as_share


def option(default: Any, help: str, **metadata: Any) -> Any:
    """A dataclass field with its help text.

    ``before``, where it is not the default, is what was done before there was the option: what a
    checkpoint stands for that doesn't have it.
    """
    return field(default=default, metadata={"help": help, **metadata})


def values_before(config: type[Any]) -> dict[str, Any]:
    """What each field of a configuration stands for in checkpoints that don't have it."""
    return {one.name: one.metadata.get("before", one.default) for one in fields(config)}


def check_choices(config: Any) -> None:
    """Raises ConfigError where a field of ``config`` is none of its Literal's values."""
    for name, hint in get_type_hints(type(config)).items():
        if get_origin(hint) is Literal and getattr(config, name) not in get_args(hint):
            known = ", ".join(get_args(hint))
            raise ConfigError(f"{name} must be one of {known}, not {getattr(config, name)!r}")


def require(name: str, value: float | None, *, minimum: float, maximum: float = math.inf) -> None:
    """Raises ConfigError unless ``value`` is None or a finite number within the limits."""
    if value is None:
        return
    if not math.isfinite(value) or not minimum <= value <= maximum:
        bounds = f"at least {minimum:g}"
        if math.isfinite(maximum):
            bounds = f"from {minimum:g} to {maximum:g}"
        meant = as_share(value) if maximum == 1 else ""
        raise ConfigError(f"{name} must be a number {bounds}, not {value}{meant}")
