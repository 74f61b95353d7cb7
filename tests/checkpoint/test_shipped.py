"""The checkpoints that come with fastnst: which have a name, and which the gallery shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastnst.checkpoint.description import style_name
from fastnst.checkpoint.numpy_reader import read_arrays
from fastnst.checkpoint.shipped import find_model, named_models, shipped_models
from fastnst.errors import CheckpointError


def kind(path: Path) -> str:
    found: str = read_arrays(path).info["network"]["kind"]
    return found


def test_the_gallery_is_of_the_fast_network_alone():
    assert {kind(path) for path in shipped_models().values()} == {"fast"}


def test_styles_of_the_larger_network_are_found_by_their_names_alone():
    larger = {name: path for name, path in named_models().items() if name not in shipped_models()}
    assert larger
    for name, path in larger.items():
        assert kind(find_model(Path(name))) == "johnson"
        assert find_model(Path(name)) == path
        assert name == f"{style_name(read_arrays(path).info)}-johnson"
    with pytest.raises(CheckpointError, match="did you mean wave-johnson"):
        find_model(Path("wave-johnsn"))
