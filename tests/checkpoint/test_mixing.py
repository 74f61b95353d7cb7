"""Weights between two styles: exact at the ends, linear in between, refused where they can't be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import contents, make_picture, one_line
from PIL import Image

import fastnst
from fastnst.checkpoint.contents import load_checkpoint, save_checkpoint
from fastnst.checkpoint.description import KEY
from fastnst.checkpoint.mixing import Part, alike, doubts, mixed
from fastnst.checkpoint.shipped import shipped_models
from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_USAGE, CheckpointError, ConfigError
from fastnst.stylize.stylizer import Stylizer

PHOTO = Path(fastnst.__file__).parent / "demo" / "cat.jpg"


def model(path: Path, seed: int, kind: str = "fast", start: str | None = "base", **options) -> Path:
    torch.manual_seed(seed)
    data = contents(kind, **options)
    data[KEY]["training"]["started_from"] = start
    data[KEY]["style"][0]["name"] = path.stem
    save_checkpoint(data, path)
    return path


@pytest.fixture
def models(tmp_path) -> list[Path]:
    return [model(tmp_path / f"{name}.ckpt", seed) for seed, name in enumerate("abc")]


def levels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


def test_each_weight_is_the_mean_by_the_shares(models):
    parts = [Part(p, c.info, c.weights) for p, c in ((p, load_checkpoint(p)) for p in models)]
    found = mixed(parts[0], parts[1:], [0.5, 0.2])
    for name, weights in found.items():
        a, b, c = (part.weights[name] for part in parts)
        torch.testing.assert_close(weights, 0.3 * a + 0.5 * b + 0.2 * c)
        assert weights.dtype == a.dtype


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_share_of_none_or_all_is_one_of_the_styles(engine):
    shipped, picture = shipped_models(), make_picture(64, 48)
    wave, udnie = (
        levels(Stylizer.load(shipped[name], "cpu", engine).picture(picture))
        for name in ("wave", "udnie")
    )
    found = {}
    for share in (0.0, 0.5, 1.0):
        mixture = Stylizer.load(shipped["wave"], "cpu", engine, [(shipped["udnie"], share)])
        assert mixture.news == ()
        found[share] = levels(mixture.picture(picture))
    assert np.array_equal(found[0.0], wave)
    assert np.array_equal(found[1.0], udnie)
    between = np.abs(found[0.5] - wave).mean(), np.abs(found[0.5] - udnie).mean()
    assert max(between) < np.abs(wave - udnie).mean()
    assert min(between) > 3


def test_both_engines_mix_alike():
    shipped, photo = shipped_models(), Image.open(PHOTO).resize((192, 144))
    one, other = (
        Stylizer.load(shipped["wave"], "cpu", engine, [(shipped["udnie"], 0.4)]).picture(photo)
        for engine in ("torch", "openvino")
    )
    assert np.abs(levels(one) - levels(other)).mean() < 1


def test_half_a_mixture_of_one_style_with_itself_is_that_style(models):
    picture = make_picture(40, 30)
    one = Stylizer.load(models[0], "cpu", "torch").picture(picture)
    same = Stylizer.load(models[0], "cpu", "torch", [(models[0], 0.5)]).picture(picture)
    assert np.abs(levels(one) - levels(same)).max() <= 1


def test_apply_mixes_and_names_the_result_by_it(models, tmp_path, capsys):
    source = tmp_path / "p.png"
    make_picture(40, 30).save(source)
    arguments = ["apply", str(models[0]), str(source), "--style-mix"]
    assert main([*arguments, f"{models[1]}:0.4", "--style-mix", f"{models[2]}:0.1"]) == EXIT_DONE
    assert (tmp_path / "p-a+b40+c10.png").is_file()
    assert main(["apply", "wave", str(source), "--style-mix", "udnie:0.25"]) == EXIT_DONE
    found = Image.open(tmp_path / "p-wave+udnie25.png")
    expected = fastnst.load("wave", mix={"udnie": 0.25})(source)
    assert np.array_equal(levels(found), levels(expected))
    assert "did not start" not in capsys.readouterr().err


def part(path: Path) -> Part:
    found = load_checkpoint(path)
    return Part(path, found.info, found.weights)


@pytest.mark.parametrize("first", ["plain", "skipping"])
def test_a_network_without_a_skip_counts_as_one_whose_skip_adds_nothing(first, tmp_path):
    plain, other = model(tmp_path / "a.ckpt", 0), model(tmp_path / "b.ckpt", 1, skip=1)
    paths = (plain, other) if first == "plain" else (other, plain)
    parts = [part(path) for path in paths]
    found = mixed(*(lambda one, *rest: (one, rest))(*alike(parts)), [0.25])
    shares = dict(zip(paths, (0.75, 0.25), strict=True))
    for name, value in part(other).weights.items():
        expected = shares[other] * value
        if ".skip." not in name:
            expected = expected + shares[plain] * part(plain).weights[name]
        torch.testing.assert_close(found[name], expected)
    # A share of nothing of the other one, a whole one of it.
    picture = make_picture(40, 30)
    for engine in ("torch", "openvino"):
        for share, path in ((0.0, paths[0]), (1.0, paths[1])):
            mixture = Stylizer.load(paths[0], "cpu", engine, [(paths[1], share)])
            assert mixture.info["network"]["options"]["skip"] == 1
            alone = Stylizer.load(path, "cpu", engine).picture(picture)
            assert np.abs(levels(mixture.picture(picture)) - levels(alone)).max() <= 1


def test_parts_that_are_alike_or_differ_in_more_stay_as_they_are(models, tmp_path):
    several = [part(path) for path in models]
    assert all(map(lambda a, b: a is b, alike(several), several))
    wide = part(model(tmp_path / "wide.ckpt", 0, width=8, skip=1))
    # Nor does a skip make up for other weights that are missing.
    damaged = part(models[1])
    damaged = Part(damaged.path, damaged.info, dict(list(damaged.weights.items())[1:]))
    assert alike([several[0], wide])[0] is several[0]
    with pytest.raises(CheckpointError, match=r"wide.ckpt: its network \(fast {'width': 8"):
        mixed(several[0], [wide], [0.5])
    first, other = alike([part(model(tmp_path / "skip.ckpt", 0, skip=1)), damaged])
    with pytest.raises(CheckpointError, match="don't fit"):
        mixed(first, [other], [0.5])
    none = part(model(tmp_path / "none.ckpt", 0, skip=0))
    assert mixed(several[0], [none], [0.5]).keys() == several[0].weights.keys()


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ("{other}:0.5", "its network (johnson"),
        ("{wide}:0.5", "its network (fast {'width': 8"),
        ("absent.ckpt:0.5", "absent.ckpt: no such checkpoint"),
        ("udni:0.5", "did you mean udnie"),
        ("wave", "'wave' is not MODEL:SHARE"),
        ("wave:much", "'wave:much' is not MODEL:SHARE"),
        (":0.5", "is not MODEL:SHARE"),
        ("{b}:1.5", "numbers from 0 to 1"),
        ("{b}:-0.1", "numbers from 0 to 1"),
        ("{b}:nan", "numbers from 0 to 1"),
    ],
)
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_what_cannot_be_mixed_is_refused_in_a_line(mix, message, engine, models, tmp_path, capsys):
    other = model(tmp_path / "other.ckpt", 0, "johnson")
    wide = model(tmp_path / "wide.ckpt", 0, width=8)
    make_picture(8, 8).save(tmp_path / "p.png")
    filled = mix.format(other=other, wide=wide, b=models[1])
    arguments = ["apply", str(models[0]), str(tmp_path / "p.png"), "--engine", engine]
    assert main([*arguments, f"--style-mix={filled}"]) == EXIT_USAGE
    assert message in one_line(capsys)
    assert not list(tmp_path.glob("p-*"))


def test_shares_beyond_one_and_shapes_that_differ_are_refused(models):
    mix = [(models[1], 0.6), (models[2], 0.6)]
    with pytest.raises(ConfigError, match=r"not 0\.6, 0\.6"):
        Stylizer.load(models[0], "cpu", "auto", mix)
    first, other = (
        Part(path, checkpoint.info, dict(checkpoint.weights))
        for path, checkpoint in ((path, load_checkpoint(path)) for path in models[:2])
    )
    other.weights.popitem()  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match="don't fit"):
        mixed(first, [other], [0.5])


@pytest.mark.parametrize(
    ("start", "doubted"), [("base", False), ("other", True), (None, True), ("a", False)]
)
def test_styles_of_different_starts_are_mixed_and_doubted(start, doubted, models, tmp_path):
    other = model(tmp_path / "z.ckpt", 5, start=start)
    assert bool(Stylizer.load(models[0], "cpu", "torch", [(other, 0.5)]).news) == doubted


@pytest.mark.parametrize(
    ("lines", "related"),
    [
        ((["base"], ["base", "b"]), True),
        ((["base", "early", "a"], ["base", "other"]), True),
        (([], ["a"]), True),
        ((["b"], []), True),
        (([], []), False),
        ((["one"], ["two"]), False),
        ((["one", "two"], ["three", "four"]), False),
    ],
)
def test_networks_of_one_ancestor_are_mixed_without_a_doubt(lines, related, models):
    parts = []
    for path, line in zip(models, lines, strict=False):
        found = load_checkpoint(path)
        training = {**found.info["training"], "ancestors": line}
        parts.append(Part(path, {**found.info, "training": training}, found.weights))
    assert (doubts(parts[0], parts[1:]) == ()) == related
