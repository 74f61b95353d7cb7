"""Less of a style by weights between networks: what is painted, and what is given back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import make_model, make_picture, together
from PIL import Image

import fastnst
from fastnst.checkpoint.mixing import Part
from fastnst.checkpoint.shipped import photograph_model, shipped_models
from fastnst.engines.openvino_graph import installed
from fastnst.stylize.effects import Effects
from fastnst.stylize.file_options import FileOptions
from fastnst.stylize.strength import POWER, Weaker
from fastnst.validate.likeness import likeness, signature

INFO = {"network": {"kind": "fast", "options": {}}, "style": [], "training": {}}
ENGINES = ["torch", pytest.param("openvino", marks=pytest.mark.skipif(not installed(), reason=""))]


def of_one_weight(style: float, photograph: float, built: list[float]) -> Weaker:
    """Networks that multiply by their weight."""

    def build(weights):
        factor = float(weights["f"][0])
        built.append(factor)
        return lambda pixels: np.clip(pixels * factor, 0, 255).round().astype(np.uint8)

    ends = [Part(Path(), INFO, {"f": np.array([value])}) for value in (style, photograph)]
    return Weaker(build, *ends)


def run(weaker, photo, effects, mask=None):
    return weaker.stylized(
        lambda engine: lambda _, decode: engine(decode()),
        photo.shape[:2], lambda: photo, effects, mask,
    )  # fmt: skip


def test_the_network_lies_between_and_what_the_photographs_lacks_is_given_back():
    photo = np.random.default_rng(0).integers(0, 256, (300, 20, 3), dtype=np.uint8)
    for strength in (0.01, 0.25, 0.9):
        found = run(of_one_weight(0.5, 0.75, []), photo, Effects(strength))
        # (0.5 s + 0.75 (1 - s)) x + (1 - s) 0.25 x, which at a share s = 0 is x.
        expected = photo * (1 - 0.5 * strength**POWER)
        assert np.abs(found - expected).max() <= 1.5


def test_masks_and_colours_come_after_strength():
    photo = np.random.default_rng(1).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    mask = np.zeros((30, 20), np.uint8)
    mask[:, :10] = 255
    weaker = of_one_weight(0.5, 0.75, [])
    found = run(weaker, photo, Effects(0.5), mask)
    np.testing.assert_array_equal(found[:, 10:], photo[:, 10:])
    np.testing.assert_array_equal(found[:, :10], run(weaker, photo, Effects(0.5))[:, :10])
    grey = photo[..., :1].repeat(3, axis=2)
    tinted = (grey * (1.0, 0.8, 0.6)).astype(np.uint8)
    kept = run(weaker, tinted, Effects(0.5, keep_colors=True)).astype(int)
    assert (
        np.abs((kept[..., 0] - kept[..., 1]) - (tinted[..., 0].astype(int) - tinted[..., 1])).max()
        <= 1
    )


def test_networks_are_built_once_while_the_strength_stays():
    built: list[float] = []
    weaker, photo = of_one_weight(0.5, 1, built), np.zeros((4, 4, 3), np.uint8)
    for strength in (0.5, 0.5, 0.5, 0.8):
        run(weaker, photo, Effects(strength))
    assert built == pytest.approx([1 - 0.5 * 0.5**POWER, 1, 1 - 0.5 * 0.8**POWER])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_style_from_the_base_is_painted_weaker(engine):
    wave, photo = fastnst.load("wave", "cpu", engine), make_picture(90, 70)
    found = np.asarray(wave(photo, strength=0.5)).astype(float)
    plain, rest = photograph_model("fast"), 1 - 0.5**POWER
    between = np.asarray(fastnst.load("wave", "cpu", engine, {plain: rest})(photo)).astype(float)
    lacking = np.asarray(photo) - np.asarray(fastnst.load(plain, "cpu", engine)(photo)).astype(
        float
    )
    assert np.abs(found - (between + rest * lacking).clip(0, 255)).max() <= 1.5
    blend = (np.asarray(photo) + np.asarray(wave(photo)).astype(float)) / 2
    assert np.abs(found - blend).mean() > 2


def test_all_shipped_styles_have_a_photographs_network():
    for name in shipped_models():
        assert fastnst.load(name, "cpu").stylizer._weaker is not None


def test_the_weaker_the_nearer_to_the_photograph(tmp_path):
    """The photograph's network paints photographs: of a real one little changes."""
    cat = Path(fastnst.__file__).parent / "demo" / "cat.jpg"
    photo, wave = Image.open(cat).convert("RGB").resize((226, 150)), fastnst.load("wave", "cpu")
    apart = [
        np.abs(np.asarray(wave(photo, strength=s)).astype(float) - np.asarray(photo)).mean()
        for s in (0, 0.01, 0.3, 0.6, 1)
    ]
    assert apart[0] == 0
    assert apart[1] < apart[-1] / 20
    assert apart == sorted(apart)
    own = fastnst.load(photograph_model("fast"), "cpu")(photo)
    assert np.abs(np.asarray(own).astype(float) - np.asarray(photo)).mean() < apart[-1] / 2


def test_a_style_that_started_elsewhere_is_blended(tmp_path):
    paint, photo = fastnst.load(make_model(tmp_path), "cpu"), make_picture(40, 30)
    whole = np.asarray(paint(photo)).astype(float)
    expected = (np.asarray(photo) + whole) / 2
    assert np.abs(np.asarray(paint(photo, strength=0.5)) - expected).max() <= 0.5


def test_in_strips_it_is_the_same(tmp_path):
    wave, results = fastnst.load("wave", "cpu", "torch").stylizer, []
    make_picture(90, 120).save(tmp_path / "p.png")
    for name, tile in (("whole.png", "off"), ("strips.png", 32)):
        options = FileOptions(effects=Effects(0.4), tile=tile)
        wave.stylize_file(tmp_path / "p.png", tmp_path / name, options)
        results.append(np.asarray(Image.open(tmp_path / name)).astype(int))
    assert np.abs(results[0] - results[1]).max() <= 3
    assert np.abs(results[0] - results[1]).mean() <= 0.05


def test_threads_may_share_it_at_different_strengths():
    wave, photo = fastnst.load("wave", "cpu"), make_picture(48, 40)
    strengths = (0.2, 0.5, 0.8)
    alone = [np.asarray(wave(photo, strength=s)).astype(int) for s in strengths]

    def serve(number: int) -> bool:
        turns = [(number + turn) % 3 for turn in range(3)]
        found = [np.asarray(wave(photo, strength=strengths[turn])) for turn in turns]
        return all(
            np.abs(one - alone[turn]).max() <= 1 for one, turn in zip(found, turns, strict=True)
        )

    assert all(together(serve))


def test_painted_comes_no_less_near_to_the_painting_than_a_blend():
    demo = Path(fastnst.__file__).parent / "demo"
    photo = Image.open(demo / "coffee.jpg").convert("RGB").resize((300, 200))
    painting, own = (
        signature(image) for image in (Image.open(demo / "starry_night.jpg").convert("RGB"), photo)
    )
    style = fastnst.load("starry_night", "cpu")
    blend = Image.blend(photo, style(photo), 0.5)
    painted = likeness(signature(style(photo, strength=0.5)), painting, own)
    assert painted < likeness(signature(blend), painting, own) + 0.03
