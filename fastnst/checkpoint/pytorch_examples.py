"""Checkpoints of other programs, as though they were ours.

pytorch/examples (fast_neural_style) saves its network's weights alone, by its own names. Its layers
are those of ``johnson`` without the bounded output; pictures are levels 0..255 at both ends.
Scripts that train it save the weights beside an optimizer's and more, or by names with a prefix.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from fastnst.checkpoint.description import FORMAT_VERSION, KEY, MAX_OPTION, PREFIX
from fastnst.errors import CheckpointError

# What tells its files from others.
MARKS = ("conv1.conv2d.weight", "res1.conv1.conv2d.weight", "deconv3.conv2d.weight")
# Statistics that instance norm saved before PyTorch 0.4 and never used.
UNUSED = re.compile(r".*\.(running_mean|running_var|num_batches_tracked)")
LEVELS = 255
# Numbers of the largest kernel that sees or makes pixels.
MOST = MAX_OPTION * 3 * 9 * 9
KINDS = ("weight", "bias")
FLOATS = ("float16", "bfloat16", "float32", "float64")
# How many dictionaries the weights may lie in, as in {"checkpoint": {"state_dict": ...}}.
DEPTH = 3


def adopted(path: Path, contents: Any) -> Any:
    """``contents`` of a file as a checkpoint of fastnst, if it is pytorch/examples', else itself.

    Tensors or arrays. The weights may lie in dictionaries with other things (``state_dict``,
    ``model`` and the like), and their names may begin with ``module.`` or whatever else they share.
    Raises CheckpointError where weights are missing or too many, or there are several networks.
    """
    if not isinstance(contents, Mapping) or KEY in contents:
        return contents
    found = list(islice(_networks(contents, "", DEPTH, set()), 9))
    if not found:
        return contents
    if len(found) > 1:
        told = ", ".join(place or "at its top" for place, _ in found)
        raise CheckpointError(
            f"{path}: holds {len(found)} of pytorch/examples' networks ({told}); save one alone"
        )
    return _translated(path, found[0][1])


def _networks(
    contents: Mapping[Any, Any], place: str, depth: int, seen: set[int]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The networks in a dictionary and in those that it holds: where they lie, and their weights.

    Each dictionary is ``seen`` once, however often it is named.
    """
    seen.add(id(contents))
    names = [name for name in contents if isinstance(name, str)]
    for prefix in [name.removesuffix(MARKS[-1]) for name in names if name.endswith(MARKS[-1])]:
        if (not prefix or prefix.endswith(".")) and all(prefix + m in contents for m in MARKS):
            own = [name for name in names if name.startswith(prefix)]
            yield place + prefix, {name.removeprefix(prefix): contents[name] for name in own}
    for name, value in contents.items() if depth else ():
        if isinstance(value, Mapping) and id(value) not in seen:
            yield from _networks(value, f"{place}{name}/", depth - 1, seen)


def _translated(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """Weights by their names as a checkpoint of fastnst. Raises CheckpointError."""
    blocks = sum(bool(re.fullmatch(r"res\d+\.in1\.weight", name)) for name in found)
    names = dict(_names(blocks))
    # What is neither a weight of its network nor any other's: an epoch, a version.
    weights = {
        name: value
        for name, value in found.items()
        if name in names or (hasattr(value, "shape") and not UNUSED.fullmatch(name))
    }
    wrong = [f"{name} is none of them" for name in weights if name not in names]
    wrong += [f"{name} is missing" for name in names if name not in weights]
    wrong += [f"{n} is no tensor" for n, value in weights.items() if not hasattr(value, "shape")]
    if wrong or len(weights[MARKS[0]].shape) != 4:
        told = wrong[0] if wrong else f"{MARKS[0]} is no kernel"
        raise CheckpointError(f"{path}: not the weights of pytorch/examples' network ({told})")
    state = {PREFIX + ours: weights[theirs] for theirs, ours in names.items()}
    first, last = (PREFIX + names[mark].removesuffix("weight") for mark in (MARKS[0], MARKS[-1]))
    for name, factor in ((f"{first}weight", LEVELS), *((f"{last}{n}", 1 / LEVELS) for n in KINDS)):
        state[name] = _scaled(state[name], factor)
    width = int(weights[MARKS[0]].shape[0])
    return {KEY: _description(path, width, blocks), "state_dict": state}


def _scaled(value: Any, factor: float) -> Any:
    """In float32, since float16 may not hold it; what the reader will refuse is left as it is."""
    is_float = str(value.dtype).removeprefix("torch.") in FLOATS
    # A tensor may repeat one number more often than there is memory for.
    if not is_float or math.prod(value.shape) > MOST:
        return value
    is_array = hasattr(value, "astype")
    return (value.astype("float32") if is_array else value.detach().float()) * factor


def _names(blocks: int) -> Iterator[tuple[str, str]]:
    """Their name and ours of each weight, by the layers' places in ``architecture.johnson``."""
    end = 9 + blocks
    for i, place in enumerate((0, 3, 6), 1):
        yield from _pair(f"conv{i}.conv2d", f"body.{place}.1")
        yield from _pair(f"in{i}", f"body.{place + 1}")
    for block in range(blocks):
        for i, place in ((1, 0), (2, 3)):
            ours = f"body.{9 + block}.body"
            yield from _pair(f"res{block + 1}.conv{i}.conv2d", f"{ours}.{place}.1")
            yield from _pair(f"res{block + 1}.in{i}", f"{ours}.{place + 1}")
    for i, place in ((1, end + 1), (2, end + 5)):
        yield from _pair(f"deconv{i}.conv2d", f"body.{place}.1")
        yield from _pair(f"in{i + 3}", f"body.{place + 1}")
    yield from _pair("deconv3.conv2d", f"body.{end + 8}.1")


def _pair(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    for kind in KINDS:
        yield f"{theirs}.{kind}", f"{ours}.{kind}"


def _description(path: Path, width: int, blocks: int) -> dict[str, Any]:
    """What is known of such a file: its network, and its name for a style's."""
    return {
        "format_version": FORMAT_VERSION,
        "network": {"kind": "examples", "options": {"width": width, "blocks": blocks}},
        "style": [{"name": path.stem}],
        "loss": {},
        "backbone": {"name": "vgg16", "origin": "pytorch/examples"},
        "data": {},
        "training": {},
        "losses": {},
        "versions": {},
    }
