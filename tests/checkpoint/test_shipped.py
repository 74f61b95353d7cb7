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


def test_those_beside_the_gallery_are_found_by_their_names_alone():
    others = {name: path for name, path in named_models().items() if name not in shipped_models()}
    assert {path.parent.name for path in others.values()} == {"video", "johnson"}
    for name, path in others.items():
        folder = path.parent.name
        assert kind(find_model(Path(name))) == {"video": "fast"}.get(folder, folder)
        assert find_model(Path(name)) == path
        assert name == f"{style_name(read_arrays(path).info)}-{folder}"
    with pytest.raises(CheckpointError, match="did you mean wave-johnson"):
        find_model(Path("wave-johnsn"))


def test_styles_for_clips_flicker_less_than_the_gallerys_by_what_they_say_of_themselves():
    def flicker(path: Path) -> dict[str, float] | None:
        # Of a style that was trained anew nothing is stored until it is measured.
        measured = read_arrays(path).info.get("validation")
        return measured["384"]["flicker"] if measured else None

    styles = [name for name in named_models() if name.endswith("-video")]
    assert styles
    for name in styles:
        calm, usual = (flicker(find_model(Path(n))) for n in (name, name.removesuffix("-video")))
        assert calm
        for case in ("pan 1", "pan 1.3/0.7"):
            assert usual is None or calm[case] < 0.75 * usual[case]
