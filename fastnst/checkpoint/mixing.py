"""Networks between networks: the weights of styles that started from one network, interpolated.

Weights that were trained from the same start lie in one valley of the loss, and the way between
them leads through networks that work (Wortsman et al. 2022, "Model soups"; Frankle et al. 2020).
Each of them paints with strokes and colours between those of the styles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastnst.checkpoint.description import ancestors, style_name
from fastnst.errors import CheckpointError, ConfigError, as_share
from fastnst.networks.architecture import chain, weight_shapes


@dataclass(frozen=True)
class Part:
    """A checkpoint of a mixture: its description, its weights by name, arrays or tensors."""

    path: Path
    info: Mapping[str, Any]
    weights: Mapping[str, Any]


@dataclass(frozen=True)
class Mixture:
    """A network ready to be built: the first checkpoint's description, the weights of all, a name
    for its results, and ``news``, what is worth telling of it.
    """

    info: Mapping[str, Any]
    weights: Mapping[str, Any]
    name: str
    news: tuple[str, ...]


def read_mixture(
    read: Callable[[Path], Part], path: Path, mix: Sequence[tuple[Path, float]] = ()
) -> Mixture:
    """The network of a checkpoint, or of a mixture with others, of which each has its share.

    Raises ConfigError for shares that make no whole, CheckpointError as ``read`` and ``mixed`` do.
    """
    shares = [share for _, share in mix]
    check_shares(shares)
    first, *others = alike([read(part) for part in (path, *(other for other, _ in mix))])
    weights = mixed(first, others, shares) if others else first.weights
    name = mixture_name(first, others, shares)
    return Mixture(first.info, weights, name, doubts(first, others))


def alike(parts: Sequence[Part]) -> list[Part]:
    """Networks that differ in nothing but a skip, as one network: one without it has one of zeros,
    and paints as before. Others stay as they are.
    """
    skips = [part for part in parts if "skip" in _network(part)[1]]
    return [_with_skip(part, skips[0]) if skips else part for part in parts]


def _with_skip(part: Part, other: Part) -> Part:
    kind, options = _network(part)
    grown = {**options, "skip": 1}
    if "skip" in options or (kind, grown) != _network(other):
        return part
    added = weight_shapes(chain(kind, grown)).keys() - weight_shapes(chain(kind, options)).keys()
    zeros = {name: 0 * value for name, value in other.weights.items() if name in added}
    info = {**part.info, "network": {"kind": kind, "options": grown}}
    return Part(part.path, info, {**part.weights, **zeros})


def _network(part: Part) -> tuple[str, dict[str, Any]]:
    """The kind and the options, of which a skip of 0 is none."""
    network = part.info["network"]
    options = {name: value for name, value in network["options"].items() if value}
    return network["kind"], options


def check_shares(shares: Sequence[float]) -> None:
    """Raises ConfigError unless each share is in 0..1 and they leave the first style the rest."""
    if not all(0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
        told = ", ".join(f"{share:g}" for share in shares)
        meant = as_share(max(shares))
        raise ConfigError(
            f"shares of a mixture are numbers from 0 to 1, 1 in all, not {told}{meant}"
        )


def mixed(first: Part, others: Sequence[Part], shares: Sequence[float]) -> dict[str, Any]:
    """The weights of ``first`` and ``others``, of which each has its share, ``first`` the rest.

    Raises CheckpointError where the networks are not ``alike``, of one kind, options and shapes.
    """
    for other in others:
        _refuse_others(first, other)
    found = {}
    for name, weights in first.weights.items():
        mixture = weights * (1 - sum(shares))
        for other, share in zip(others, shares, strict=True):
            mixture = mixture + other.weights[name] * share
        found[name] = mixture
    return found


def _refuse_others(first: Part, other: Part) -> None:
    network, others = first.info["network"], other.info["network"]
    if _network(first) != _network(other):
        raise CheckpointError(
            f"{other.path}: its network ({others['kind']} {others['options']}) is not that of "
            f"{first.path} ({network['kind']} {network['options']}); they can't be mixed"
        )
    shapes = [
        {name: tuple(value.shape) for name, value in part.weights.items()}
        for part in (first, other)
    ]
    if shapes[0] != shapes[1]:
        raise CheckpointError(f"{other.path}: its weights don't fit those of {first.path}")


def mixture_name(first: Part, others: Sequence[Part], shares: Sequence[float]) -> str:
    """A name for a mixture's results, such as ``wave+udnie40``."""
    parts = [
        f"{style_name(other.info)}{share * 100:.0f}"
        for other, share in zip(others, shares, strict=True)
    ]
    return "+".join([style_name(first.info), *parts])[:80]


def doubts(first: Part, others: Sequence[Part]) -> tuple[str, ...]:
    """What is worth telling where nothing says that the networks had one start."""
    line, name = set(ancestors(first.info)), first.path.stem
    for other in others:
        theirs, other_name = set(ancestors(other.info)), other.path.stem
        if not (line & theirs or name in theirs or other_name in line):
            told = "did not start from one network: what lies between them may be neither style"
            return (f"{name} and {other_name} {told}",)
    return ()
