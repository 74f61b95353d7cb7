"""Checkpoints of other programs, as though they were ours.

pytorch/examples (fast_neural_style) saves its network's weights alone, by its own names. Its layers
are those of ``johnson`` without the bounded output; pictures are levels 0..255 at both ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastnst.description import FORMAT_VERSION, KEY, PREFIX
from fastnst.errors import CheckpointError

# What tells its files from others.
MARKS = ("conv1.conv2d.weight", "res1.conv1.conv2d.weight", "deconv3.conv2d.weight")
# Statistics that instance norm saved before PyTorch 0.4 and never used.
UNUSED = re.compile(r".*\.(running_mean|running_var|num_batches_tracked)")
LEVELS = 255


def adopted(path: Path, contents: Any) -> Any:
    """``contents`` of a file as a checkpoint of fastnst, if it is pytorch/examples', else itself.

    Tensors or arrays. Raises CheckpointError where it is one that lacks weights or has others.
    """
    if not isinstance(contents, Mapping) or not all(mark in contents for mark in MARKS):
        return contents
    weights = {str(name): value for name, value in contents.items()}
    weights = {name: value for name, value in weights.items() if not UNUSED.fullmatch(name)}
    blocks = sum(bool(re.fullmatch(r"res\d+\.in1\.weight", name)) for name in weights)
    names = dict(_names(blocks))
    if set(names) != set(weights) or not all(hasattr(value, "shape") for value in weights.values()):
        raise CheckpointError(f"{path}: not the weights of pytorch/examples' network")
    state = {PREFIX + ours: weights[theirs] for theirs, ours in names.items()}
    last = PREFIX + names["deconv3.conv2d.weight"].removesuffix("weight")
    state[PREFIX + "body.0.1.weight"] = state[PREFIX + "body.0.1.weight"] * LEVELS
    for name in (f"{last}weight", f"{last}bias"):
        state[name] = state[name] / LEVELS
    width = int(weights[MARKS[0]].shape[0])
    return {KEY: _description(path, width, blocks), "state_dict": state}


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
    for kind in ("weight", "bias"):
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
