"""Paintings as museums and painters publish them: larger than is read, cut out, animated, many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import make_model, make_picture, one_line
from PIL import Image

from fastnst.cli import main
from fastnst.config import OptimizeConfig, TrainConfig
from fastnst.errors import EXIT_DONE, EXIT_USAGE, TooLargeError
from fastnst.image import decode, read_decoded
from fastnst.optimize.sources import read_sources
from fastnst.photos import paintings
from fastnst.photos.paintings import read_painting
from fastnst.stylize.masks import read_mask
from fastnst.training.styles import read_styles


@pytest.fixture
def small_limits(monkeypatch):
    """Pictures of more than 10,000 pixels are as gigapixels otherwise."""
    monkeypatch.setattr(decode, "MAX_PIXELS", 10_000)
    monkeypatch.setattr(paintings, "LARGE_TO", 40)
    monkeypatch.setattr(decode.vips, "has_loader", lambda name: False)


def test_a_painting_larger_than_is_read_is_decoded_as_large_as_it_is_needed(small_limits, tmp_path):
    picture, path = make_picture(400, 300, 3), tmp_path / "painting.jpg"
    picture.save(path, quality=95)
    with pytest.raises(TooLargeError):
        read_decoded(path)
    found = read_painting(path)
    assert found.size == (100, 75)
    expected = np.asarray(picture.resize(found.size, Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(found) - expected).mean() < 2
    # Where half of it would be too few pixels, and the whole is too many.
    with pytest.raises(TooLargeError):
        read_painting(path, least=200)
    small = make_picture(120, 80, 3)
    small.save(tmp_path / "small.jpg")
    assert read_painting(tmp_path / "small.jpg").size == (120, 80)


def test_a_bomb_is_none_of_them(monkeypatch, tmp_path):
    monkeypatch.setattr(decode.vips, "MAX_PIXELS", 100_000)
    monkeypatch.setattr(decode, "MAX_PIXELS", 10_000)
    monkeypatch.setattr(decode.vips, "has_loader", lambda name: False)
    make_picture(400, 300).save(tmp_path / "x.jpg")
    with pytest.raises(TooLargeError):
        read_decoded(tmp_path / "x.jpg", shrink_to=40)


def test_a_line_names_the_option_that_the_command_has(small_limits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_picture(400, 300).save("huge.png")
    make_picture(64, 64).save("a.png")
    (tmp_path / "photos").mkdir()
    make_picture(64, 64).save("photos/a.jpg")
    model = str(make_model(tmp_path))
    for command in (
        ["train", "--style", "huge.png", "--data", "photos", "--backbone", "embedded"],
        ["preview", "--style", "huge.png", "--content", "a.png", "--backbone", "embedded"],
        ["optimize", "--style", "huge.png", "--content", "a.png", "--backbone", "embedded"],
        ["gallery", "huge.png"],
    ):
        capsys.readouterr()
        assert main(command) == EXIT_USAGE
        assert "huge.png: 400 x 300 pixels are more" in (told := one_line(capsys)), command
        assert "--max-pixels" not in told
        assert "make it smaller" in told
    for more in (["huge.png"], ["a.png", "--mask", "huge.png"]):
        assert main(["apply", model, *more, "--output", "o.png"]) == EXIT_USAGE
        assert "or raise --max-pixels" in one_line(capsys)
        assert main(["apply", model, *more, "--output", "o.png", "--max-pixels", "1M"]) == EXIT_DONE
        Path("o.png").unlink()
        capsys.readouterr()


def test_a_large_jpeg_that_is_to_be_smaller_anyway_is_read(small_limits, tmp_path):
    make_picture(400, 300).save(tmp_path / "huge.jpg")
    arguments = ["apply", str(make_model(tmp_path)), str(tmp_path / "huge.jpg"), "--max-size", "50"]
    assert main([*arguments, "--output", str(tmp_path / "o.png")]) == EXIT_DONE
    with Image.open(tmp_path / "o.png") as result:
        assert result.size == (50, 38)


def test_what_a_paintings_file_holds_besides_is_told(tmp_path):
    cut_out = make_picture(40, 30)
    cut_out.putalpha(Image.radial_gradient("L").resize((40, 30)))
    cut_out.save(tmp_path / "cut-out.png")
    frames = [make_picture(40, 30, seed) for seed in range(3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    make_picture(40, 30).save(tmp_path / "plain.png")
    told: list[str] = []
    for name in ("cut-out.png", "moving.gif", "plain.png"):
        read_painting(tmp_path / name, 0, told.append)
    assert [line.split(": ")[0].rpartition("/")[2] for line in told] == [
        "cut-out.png",
        "moving.gif",
    ]
    assert "transparent parts are read as white" in told[0]
    assert "first of 3 frames" in told[1]


def test_training_and_optimization_tell_of_them(tmp_path):
    picture = make_picture(80, 64)
    picture.putalpha(Image.radial_gradient("L").resize(picture.size))
    picture.save(tmp_path / "a.png")
    make_picture(64, 64).save(tmp_path / "b.png")
    style, told = (tmp_path / "a.png",), []
    read_styles(TrainConfig(style=style, data="x", style_size=64), told.append)
    read_sources(OptimizeConfig(style=style, content=tmp_path / "b.png", size=64), told.append)
    assert len(told) == 2
    assert all("a.png: its transparent parts are read as white" in line for line in told)


def test_names_of_many_paintings_are_no_longer_than_a_file_takes():
    many = tuple(Path(f"paintings/a long name of a painting {n}.jpg") for n in range(200))
    train = TrainConfig(style=many, data="x")
    assert train.run_name == "a long name of a painting 0+199-more"
    assert TrainConfig(style=many[:2], data="x").run_name.count("+") == 1
    optimize = OptimizeConfig(style=many, content=Path("a.jpg"))
    assert len(optimize.output_path.name) < 100


# Masks.


def mask(path: Path, colour: tuple[int, int, int], alpha: np.ndarray) -> Path:
    rgba = np.dstack([np.broadcast_to(colour, (*alpha.shape, 3)).astype(np.uint8), alpha])
    Image.fromarray(rgba).save(path)
    return path


HALF = np.repeat(np.array([[0, 255]], np.uint8), 16, 1).repeat(8, 0)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (200, 30, 30)])
def test_a_shape_on_a_transparent_ground_is_the_mask_whatever_its_colour(colour, tmp_path):
    found, told = read_mask(mask(tmp_path / "m.png", colour, HALF))
    assert np.array_equal(np.asarray(found.convert("L")), HALF)
    assert len(told) == 1
    assert "stylized where it is opaque" in told[0]


def test_a_photograph_that_was_cut_out_is_the_mask_by_its_outline(tmp_path):
    photo = make_picture(32, 8)
    photo.putalpha(Image.fromarray(HALF))
    photo.save(tmp_path / "m.png")
    found, _ = read_mask(tmp_path / "m.png")
    assert np.array_equal(np.asarray(found.convert("L")), HALF)


def test_greys_on_a_transparent_ground_say_how_much(tmp_path):
    grey = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (8, 1))
    Image.fromarray(np.dstack([grey, HALF])).save(tmp_path / "m.png")
    found, told = read_mask(tmp_path / "m.png")
    expected = np.where(HALF > 0, grey, 0).astype(int)
    assert np.abs(np.asarray(found.convert("L")).astype(int) - expected).max() <= 1
    assert "transparent parts are not stylized" in told[0]


def test_a_mask_of_a_shape_paints_the_shape_alone(tmp_path, capsys):
    photo = make_picture(32, 8)
    photo.save(tmp_path / "p.png")
    mask(tmp_path / "m.png", (255, 255, 255), HALF)
    command = ["apply", str(make_model(tmp_path)), str(tmp_path / "p.png"), "--mask"]
    assert main([*command, str(tmp_path / "m.png"), "--output", str(tmp_path / "o.png")]) == 0
    assert "m.png: it has transparency" in capsys.readouterr().err
    apart = np.abs(np.asarray(Image.open(tmp_path / "o.png")).astype(int) - np.asarray(photo))
    assert apart[:, :16].max() == 0
    assert apart[:, 16:].mean() > 3
