"""Likeness, kept and rank: against closed forms, through checkpoints, and what commands tell."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SAMPLES, SHALLOW, make_picture, one_line, validate
from PIL import Image, ImageEnhance, ImageOps
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import fastnst
from fastnst.checkpoint.contents import SIGNATURE_KEY, TARGETS_KEY, load_checkpoint, save_checkpoint
from fastnst.checkpoint.description import KEY
from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_USAGE, CheckpointError
from fastnst.image import read_picture, to_picture
from fastnst.machine.files import sha256_file
from fastnst.photos.collection import find_photos, hold_out, pick_evenly
from fastnst.photos.crops import center_crop, center_crops
from fastnst.training.watch import worth as validation
from fastnst.training.watch.held_out import BestWeights
from fastnst.validate import likeness as measure
from fastnst.validate import measure as validating
from fastnst.validate import paintings
from fastnst.validate.likeness import distance, kept, lab, likeness, pooled, signature
from fastnst.validate.paintings import Known, Looks, known_paintings, look, stored_signature
from fastnst.validate.summaries import merged, rank_text, summarize_looks


def stripes(light: tuple[int, ...], dark: tuple[int, ...], period: int, across: bool = False):
    """A painting 400 x 384 of stripes in two colours."""
    place = np.indices((384, 400))[int(across)] // period % 2
    return Image.fromarray(np.where(place[..., None] == 0, light, dark).astype(np.uint8))


def noise(seed: int, size: tuple[int, int] = (400, 384)) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


DEMO = Path(fastnst.__file__).parent / "demo"
YELLOW = stripes((250, 220, 40), (40, 60, 160), 12)
PHOTO = make_picture(400, 384, 4)


@pytest.fixture(scope="module")
def yellow() -> measure.Signature:
    return signature(YELLOW)


@pytest.fixture(scope="module")
def photo() -> measure.Signature:
    return signature(PHOTO)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((255, 255, 255), (1, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (0.5324, 0.8009, 0.6720)),
        ((0, 255, 0), (0.8774, -0.8618, 0.8318)),
        ((0, 0, 255), (0.3230, 0.7919, -1.0786)),
        ((255, 255, 0), (0.9714, -0.2155, 0.9448)),
        ((119, 119, 119), (0.5003, 0, 0)),
        ((60, 60, 60), (0.2532, 0, 0)),
        # On the straight part of both curves: 2 / 255 / 12.92 * 9.033.
        ((2, 2, 2), (0.005484, 0, 0)),
    ],
)
def test_lab_has_the_published_values(levels, expected):
    np.testing.assert_allclose(lab(np.array(levels, np.uint8)), expected, atol=4e-4)


def test_a_painting_is_like_itself_and_the_photograph_is_as_far_as_it_was(yellow, photo):
    assert distance(yellow, yellow) == 0
    assert likeness(yellow, yellow, photo) == 0
    assert likeness(photo, yellow, photo) == 1
    assert distance(yellow, photo) == distance(photo, yellow) > 0.1
    # Half the way is half the distance.
    half = pooled([yellow, photo], [1, 1])
    assert likeness(half, yellow, photo) == pytest.approx(0.5, abs=1e-4)
    assert likeness(yellow, photo, photo) == 1


def test_a_shift_of_all_colours_is_as_far_as_it_is_along_the_directions():
    """Along a direction d the distance of points and the same moved by v is |v . d|."""
    points = np.random.default_rng(1).normal(size=(5000, 3)).astype(np.float32)
    shift = np.array([0.3, -0.2, 0.5], np.float32)
    one, other = (
        measure._quantiles(moved, np.random.default_rng(measure.SEED), 32)
        for moved in (points, points + shift)
    )
    vectors = np.random.default_rng(measure.SEED).standard_normal((3, 32))
    vectors /= np.linalg.norm(vectors, axis=0)
    expected = np.abs(shift @ vectors).mean()
    assert np.abs(one - other).mean() == pytest.approx(expected, rel=1e-5)
    # The mean over all directions, not only these, is half the length.
    assert expected == pytest.approx(np.linalg.norm(shift) / 2, rel=0.2)


def test_quantiles_are_those_in_the_middle_of_equal_shares():
    points = np.linspace(0, 1, 6401, dtype=np.float32)[:, None]
    found = measure._quantiles(points, np.random.default_rng(0), 1)[0]
    expected = (np.arange(64) + 0.5) / 64
    np.testing.assert_allclose(np.sort(np.abs(found)), expected, atol=2e-4)


def test_shuffled_pixels_keep_the_colours_and_lose_the_strokes(yellow):
    pixels = np.asarray(YELLOW).reshape(-1, 3)
    shuffled = np.random.default_rng(0).permutation(pixels).reshape(384, 400, 3)
    found = signature(Image.fromarray(shuffled))
    assert np.abs(found["colours"] - yellow["colours"]).max() < 1e-6
    for level in range(3):
        name = f"patches {level}"
        assert np.abs(found[name] - yellow[name]).mean() > 0.02


def test_patches_do_not_see_the_colour_that_lies_under_them():
    dark = np.asarray(make_picture(384, 384, 2)).astype(int) // 4 + 40
    # The same steps of lightness and colour: shifted in Lab, patches less their mean are the same.
    one = measure._patches(lab(dark.astype(np.uint8)))
    other = measure._patches(lab(dark.astype(np.uint8)) + np.float32([0.2, 0.1, -0.1]))
    np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(one.reshape(-1, 3, 49).mean(-1), 0, atol=1e-6)


def test_a_flipped_picture_is_about_as_like():
    painting, cat = read_picture(DEMO / "starry_night.jpg"), read_picture(DEMO / "cat.jpg")
    one, other = signature(painting), signature(cat)
    result = Image.blend(cat, painting.resize(cat.size), 0.5)
    as_it_is = likeness(signature(result), one, other)
    assert 0.4 < as_it_is < 0.8
    for flip in (ImageOps.mirror, ImageOps.flip):
        assert likeness(signature(flip(result)), one, other) == pytest.approx(as_it_is, abs=0.01)
        # Strokes the other way are other strokes, but far nearer than the photograph.
        assert 0 < likeness(signature(flip(painting)), one, other) < 0.1


def test_a_signature_is_the_same_each_time_bit_for_bit(yellow):
    again = signature(YELLOW)
    assert all(np.array_equal(yellow[name], again[name]) for name in yellow)
    assert {name: part.shape for name, part in again.items()} == measure.signature_shapes()


def test_kept_is_1_for_itself_and_0_where_nothing_is_left():
    grey = Image.fromarray((np.asarray(PHOTO.convert("L")) // 2 + 60).astype(np.uint8))
    soft = ImageEnhance.Contrast(grey).enhance(0.5)
    assert kept(PHOTO, PHOTO) == pytest.approx(1, abs=1e-6)
    # Lightness isn't linear in levels.
    assert kept(soft, grey) == pytest.approx(1, abs=0.02)
    assert kept(ImageOps.invert(grey), grey) == pytest.approx(1, abs=0.1)
    assert abs(kept(noise(1), PHOTO)) < 0.05
    assert kept(Image.new("RGB", PHOTO.size, (90, 10, 200)), PHOTO) == 0
    assert kept(PHOTO, Image.new("RGB", PHOTO.size)) == 0
    assert kept(Image.blend(PHOTO, noise(1), 0.3), PHOTO) > kept(noise(1), PHOTO) + 0.2
    assert kept(PHOTO.resize((430, 384)), PHOTO) > 0.95


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (5000, 1), (1, 5000)])
def test_every_size_is_measured(size, photo, quick):
    picture = noise(3, size)
    found = signature(picture)
    assert all(np.isfinite(part).all() for part in found.values())
    assert np.isfinite(likeness(found, photo, photo))
    assert kept(picture, picture) == pytest.approx(0 if size == (1, 1) else 1, abs=1e-5)
    # Of a line its middle counts.
    if max(size) == 5000:
        middle = picture.crop((2498, 0, 2502, 1) if size[1] == 1 else (0, 2498, 1, 2502))
        assert distance(found, signature(middle)) == 0


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_is_measured(mode):
    picture = Image.new("L", (40, 30), 128).convert(mode) if mode != "I;16" else (
        Image.fromarray(np.full((30, 40), 128, np.uint16))
    )  # fmt: skip
    picture.putpixel((3, 3), 1 if mode in ("L", "1", "P", "I;16") else (1,) * len(mode))
    found = signature(picture)
    assert found["colours"].shape == (32, 64)
    assert 0.99 < kept(picture, picture) <= 1


# In checkpoints.


def test_training_stores_what_the_painting_looks_like(trained):
    checkpoint = load_checkpoint(trained)
    stored = stored_signature(checkpoint)
    exact = signature(read_picture(trained.parent / "paint.png"))
    assert stored is not None
    assert stored.keys() == exact.keys()
    assert 0 < distance(stored, exact) < 5e-4
    size = sum(part.numel() * part.itemsize for part in checkpoint.contents[SIGNATURE_KEY].values())
    assert size < 30_000


def test_several_style_images_are_pooled_by_their_weights(tiny_args, tmp_path):
    other, output = tmp_path / "other.png", tmp_path / "out.ckpt"
    YELLOW.save(other)
    i = tiny_args.index("--style")
    styles = [tiny_args[i + 1], str(other)]
    arguments = [*tiny_args[: i + 1], *styles, *tiny_args[i + 2 :]]
    more = ["--style-weights", "3", "1", "--steps", "1", "--output", str(output)]
    assert main([*arguments, *more]) == EXIT_DONE
    one, two = (signature(read_picture(Path(path))) for path in styles)
    stored = stored_signature(load_checkpoint(output))
    for name, part in stored.items():
        np.testing.assert_allclose(part, 0.75 * one[name] + 0.25 * two[name], atol=2e-3)


def part_of(trained: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(trained).contents[SIGNATURE_KEY])


DAMAGE = {
    "list": lambda parts: [parts],
    "number": lambda parts: 7,
    "empty": lambda parts: {},
    "absent": lambda parts: {name: parts[name] for name in list(parts)[1:]},
    "more": lambda parts: {**parts, "patches 3": parts["patches 2"]},
    "shape": lambda parts: {**parts, "colours": parts["patches 0"]},
    "text": lambda parts: {**parts, "colours": "red"},
    "whole": lambda parts: {**parts, "colours": torch.zeros(32, 64, dtype=torch.int16)},
    "complex": lambda parts: {**parts, "colours": torch.zeros(32, 64, dtype=torch.complex64)},
    "nan": lambda parts: {**parts, "colours": torch.full((32, 64), float("nan"))},
    "inf": lambda parts: {**parts, "colours": torch.full((32, 64), float("-inf"))},
    "huge": lambda parts: {**parts, "colours": torch.full((32, 64), 1e300, dtype=torch.float64)},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_signature_is_refused_in_one_line(damage, model, photos, tmp_path, capsys):
    data = load_checkpoint(model).contents
    save_checkpoint({**data, SIGNATURE_KEY: damage(part_of(model))}, model)
    with pytest.raises(CheckpointError, match="its signature of the painting is damaged"):
        stored_signature(load_checkpoint(model))
    capsys.readouterr()
    assert validate(model, photos, tmp_path / "report", "--iterations", "0") == EXIT_USAGE
    assert "its signature of the painting is damaged" in one_line(capsys)


# Which paintings are known, and which is nearest.

PAINTINGS = {
    "yellow": YELLOW,
    "red": stripes((200, 30, 20), (90, 10, 10), 12),
    "upright": stripes((250, 220, 40), (40, 60, 160), 12, across=True),
    "grey": stripes((200, 200, 200), (60, 60, 60), 40),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder of paintings, one of them damaged, one of a name that is there before."""
    folder = tmp_path_factory.mktemp("paintings")
    for name, picture in PAINTINGS.items():
        picture.save(folder / f"{name}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    (folder / "more").mkdir()
    PAINTINGS["red"].save(folder / "more" / "grey.png")
    return folder


@pytest.fixture
def no_gallery(monkeypatch):
    """As though nothing came with fastnst."""
    monkeypatch.setattr(paintings, "shipped_models", dict)


@pytest.fixture
def quick(monkeypatch):
    """Pictures measured small, where it is not the figures that matter."""
    monkeypatch.setattr(measure, "SIDE", 64)


def test_the_nearest_of_the_known_paintings_has_rank_1():
    others = {name: signature(picture) for name, picture in PAINTINGS.items()}
    own = others.pop("red")
    known = Known(own, "red", others)
    # Painted over, the photograph is the painting it was painted over with.
    for name, rank in (("red", 1), ("yellow", None), ("grey", None)):
        found = look(Image.blend(PHOTO, PAINTINGS[name], 0.9), PHOTO, known)
        assert found.nearest == name
        assert found.rank == rank or (rank is None and found.rank > 1)
    assert look(PHOTO, PHOTO, known).likeness == 1
    assert look(PAINTINGS["red"], PHOTO, known).likeness == 0
    assert look(PHOTO, PHOTO, Known(own, "red")) == Looks(pytest.approx(1, abs=1e-6), 1.0)
    assert look(PHOTO, PHOTO, Known(None, "red", others)) == Looks(pytest.approx(1, abs=1e-6))


def test_a_painting_that_several_have_is_one(
    model, folder, tmp_path, monkeypatch, no_gallery, quick
):
    told: list[str] = []

    def known(model: Path, shipped: dict[str, Path] | None = None) -> Known:
        monkeypatch.setattr(paintings, "shipped_models", lambda: shipped or {})
        return known_paintings(load_checkpoint(model), folder, told.append, lambda *_: None)

    def variant(path: str, name: str, sha256: str, signed: bool = True) -> Path:
        data = load_checkpoint(model).contents
        info = {**data[KEY], "style": [{**data[KEY]["style"][0], "name": name, "sha256": sha256}]}
        contents = {**data, KEY: info}
        if not signed:
            del contents[SIGNATURE_KEY]
        save_checkpoint(contents, tmp_path / path)
        return tmp_path / path

    found = known(model)
    assert (found.name, sorted(found.others)) == ("paint", sorted(PAINTINGS))
    assert [line.split(": ")[0] for line in told] == [
        str(folder / "bad.png"), str(folder / "more" / "grey.png"),
    ]  # fmt: skip
    assert all("\n" not in line for line in told)
    # By name, by file, and on two networks; those without a signature are not known.
    yellow = sha256_file(folder / "yellow.png")
    shipped = {
        "a": variant("a.ckpt", "paint", "0" * 64),
        "b": variant("b.ckpt", "wave", "1" * 64),
        "b-johnson": variant("b2.ckpt", "wave", "2" * 64),
        "c": variant("c.ckpt", "sun", yellow),
        "d": variant("d.ckpt", "old", "3" * 64, signed=False),
    }
    assert list(known(model, shipped).others) == ["wave", "sun", "grey", "red", "upright"]
    # One without has its own from the folder, by name or file, and from a shipped one by file.
    for name, sha256 in (("yellow", "4" * 64), ("mine", yellow)):
        found = known(variant("e.ckpt", name, sha256, signed=False))
        assert "yellow" not in found.others
        assert distance(found.own, signature(YELLOW)) == 0
    # A file that is not told is the same as no other.
    found = known(variant("f.ckpt", "f", "None", False), {"g": variant("g.ckpt", "g", "None")})
    assert found.own is None
    assert "g" in found.others
    stranger = variant("h.ckpt", "wave", "5" * 64, signed=False)
    assert known(stranger, shipped).own is None
    assert known(variant("i.ckpt", "i", "2" * 64, signed=False), shipped).own is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such folder; --paintings takes"),
        ({}, "no pictures in this folder"),
        ({"notes.txt": b"x"}, "no pictures in this folder"),
    ],
)
def test_a_folder_without_paintings_costs_one_line(
    content, message, model, photos, tmp_path, capsys
):
    folder = tmp_path / "paintings"
    if content is not None:
        folder.mkdir()
        for name, data in content.items():
            (folder / name).write_bytes(data)
    capsys.readouterr()
    code = validate(model, photos, tmp_path / "r", "--paintings", str(folder), "--iterations", "0")
    assert code == EXIT_USAGE
    assert message in one_line(capsys)
    if content is not None:
        (folder / "a.png").write_bytes(b"no picture")
        assert validate(model, photos, tmp_path / "r", "--paintings", str(folder)) == EXIT_USAGE
        told = capsys.readouterr().err.splitlines()
        assert "a.png: not a readable picture (unknown format); left out" in told[0]
        assert told[1:] == [f"fastnst: error: {folder}: none of its 1 pictures can be read"]


# What the commands tell.


def test_validate_tells_likeness_kept_and_rank(
    model, photos, folder, tmp_path, capsys, no_gallery, quick
):
    report = tmp_path / "report"
    arguments = ["--count", "3", "--store", "--paintings", str(folder)]
    assert validate(model, photos, report, *arguments) == EXIT_DONE
    told = capsys.readouterr().err
    written = json.loads((report / "report.json").read_text())
    found, summary = written["photographs"]["48"], written["validation"]["48"]
    assert sorted(written["ranked among"].split(", ")) == [
        "grey",
        "paint",
        "red",
        "upright",
        "yellow",
    ]

    # Measured here from the photographs themselves.
    network = load_checkpoint(model).network()
    painting = stored_signature(load_checkpoint(model))
    for entry in found:
        [path] = [path for path in find_photos(str(photos)) if path.name == entry["photo"]]
        crop = center_crop(read_picture(path, shrink_to=48), 48)
        with torch.no_grad():
            result = to_picture(network(crop.unsqueeze(0).float() / 255))
        before = to_picture(crop.float() / 255)
        near = likeness(signature(result), painting, signature(before))
        assert entry["likeness"] == pytest.approx(near, abs=2e-3)
        assert entry["kept"] == pytest.approx(kept(result, before), abs=2e-3)
        assert 1 <= entry["rank"] <= 5
        assert (entry["rank"] == 1) == (entry["nearest"] == "paint")
    for name in ("likeness", "kept"):
        mean = sum(entry[name] for entry in found) / 3
        assert summary[name] == pytest.approx(mean, abs=1e-5)
    first = sum(entry["rank"] == 1 for entry in found)
    assert (summary["rank"]["first"], summary["rank"]["of"]) == (first, 3)

    text = f"likeness {summary['likeness']:.2f}, kept {summary['kept']:.2f}"
    assert f"at 48: {text} (means of 3 photographs)" in told
    assert f"its own painting is the nearest on {first} of 3" in told
    page = (report / "report.html").read_text()
    assert f"<td>{text}</td>" in page
    assert f"<td>{rank_text(summary['rank'])}</td>" in page
    assert main(["info", str(model)]) == EXIT_DONE
    shown = capsys.readouterr().out
    assert f"looks at 48     {text} on 3 photographs; its own painting is the nearest on" in shown
    assert main(["info", str(model), "--json"]) == EXIT_DONE
    stored = json.loads(capsys.readouterr().out)["validation"]["48"]
    assert stored["likeness"] == summary["likeness"]
    # --store keeps the signature too.
    assert stored_signature(load_checkpoint(model)) is not None


def test_without_iterations_everything_but_k_is_measured(
    model, photos, tmp_path, capsys, no_gallery, quick, monkeypatch
):
    assert validate(model, photos, tmp_path / "a", "--count", "3", "--store") == EXIT_DONE
    before = load_checkpoint(model).info["validation"]["32"]
    monkeypatch.setattr(validating, "descend", None)
    arguments = ["--count", "2", "--store", "--iterations", "0"]
    capsys.readouterr()
    assert validate(model, photos, tmp_path / "b", *arguments) == EXIT_DONE
    told = capsys.readouterr().err
    assert "at 48: likeness" in told
    assert "equals" not in told
    assert "500 iterations" not in told
    report = json.loads((tmp_path / "b" / "report.json").read_text())
    summary = report["validation"]["32"]
    assert {"photos", "network_loss", "likeness", "kept", "seconds"} <= set(summary)
    assert not {"k", "k_from_content", "speedup", "limit", "rank"} & set(summary)
    assert report["photographs"]["32"][0]["curves"] == report["photographs"]["32"][0]["k"] == {}
    page = (tmp_path / "b" / "report.html").read_text()
    assert "<th>k from noise</th><td>not measured</td>" in page
    assert "data:image/jpeg;base64," in page
    assert "<svg" not in page
    # What was stored of k stays, with the number of its photographs; the rest is anew.
    stored = load_checkpoint(model).info["validation"]["32"]
    assert stored["k"] == {**before["k"], "photos": 3}
    assert stored["speedup"] == before["speedup"]
    assert (stored["photos"], stored["likeness"]) == (2, summary["likeness"])
    main(["info", str(model)])
    shown = capsys.readouterr().out
    assert re.search(r"worth at 32 .* on 3 photographs\n", shown)
    assert re.search(r"looks at 32 .* on 2 photographs\n", shown)


def test_without_iterations_alone_info_tells_no_worth(
    model, photos, tmp_path, capsys, no_gallery, quick
):
    arguments = ["--count", "1", "--store", "--iterations", "0"]
    assert validate(model, photos, tmp_path / "a", *arguments) == EXIT_DONE
    capsys.readouterr()
    assert main(["info", str(model)]) == EXIT_DONE
    shown = capsys.readouterr().out
    assert "looks at 32" in shown
    assert "worth" not in shown


def test_ctrl_c_ends_a_validation_without_iterations_after_its_photograph(
    model, photos, tmp_path, capsys, no_gallery, quick, monkeypatch
):
    whole = validating.measure_photo
    calls = []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(*arguments)

    monkeypatch.setattr(validating, "measure_photo", interrupted)
    assert validate(model, photos, tmp_path / "a", "--iterations", "0") == EXIT_INTERRUPTED
    assert len(calls) == 1
    report = json.loads((tmp_path / "a" / "report.json").read_text())
    assert len(report["photographs"]["32"]) == 1


def test_a_checkpoint_from_before_validates_without_likeness(
    model, photos, folder, tmp_path, capsys, no_gallery, quick
):
    """The oldest sample, with the targets that it needs to be validated at all."""
    [sample, *_] = sorted(SAMPLES.glob("*.ckpt.b64"))
    old = tmp_path / "old.ckpt"
    old.write_bytes(zlib.decompress(base64.b64decode(sample.read_text())))
    data, new = load_checkpoint(old).contents, load_checkpoint(model).contents
    info = {**data[KEY], "loss": new[KEY]["loss"], "backbone": new[KEY]["backbone"]}
    save_checkpoint({**data, KEY: info, TARGETS_KEY: new[TARGETS_KEY]}, old)
    quick = ["--iterations", "0", "--count", "1"]
    capsys.readouterr()
    assert validate(old, photos, tmp_path / "a", *quick, "--store") == EXIT_DONE
    told = capsys.readouterr().err
    assert "what its painting looks like is not known" in told
    assert "--paintings FOLDER with paint.jpg" in told
    assert "at 32: kept " in told
    [entry] = json.loads((tmp_path / "a" / "report.json").read_text())["photographs"]["32"]
    assert "kept" in entry
    assert not {"likeness", "rank", "nearest"} & set(entry)
    assert main(["info", str(old)]) == EXIT_DONE
    assert re.search(r"looks at 32 +kept ", capsys.readouterr().out)
    # The painting's picture, by the style's name, is as good.
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    make_picture(80, 64, 99).save(own / "paint.png")
    assert validate(old, photos, tmp_path / "b", *quick, "--paintings", str(own)) == EXIT_DONE
    [entry] = json.loads((tmp_path / "b" / "report.json").read_text())["photographs"]["32"]
    assert {"likeness", "rank", "nearest"} <= set(entry)


def test_a_stored_summary_that_is_damaged_is_replaced():
    new = {"photos": 2, "kept": 0.5, "seconds": {"pass": 1.0}}
    for earlier in (None, 5, {}, {"k": 3}):
        assert merged(earlier, new) == new
    earlier = {"photos": 4, "k": {"median": 1.0}, "likeness": 0.3, "rank": {}, "limit": 9}
    assert merged(earlier, new) == {
        "photos": 2, "kept": 0.5, "limit": 9, "k": {"median": 1.0, "photos": 4},
    }  # fmt: skip
    assert merged(earlier, {**new, "k": {}}) == {**new, "k": {}}


def test_ranks_are_counted_and_the_others_named():
    looks = [
        Looks(0.5, 0.2, 1, "wave"), Looks(0.7, 0.4, 3, "udnie"), Looks(0.9, 0.6, 2, "udnie"),
        Looks(0.9, 0.4, 2, "candy"),
    ]  # fmt: skip
    found = summarize_looks(looks)
    assert (found["likeness"], found["kept"]) == (0.4, 0.75)
    assert found["rank"] == {"first": 1, "of": 4, "instead": {"udnie": 2, "candy": 1}}
    assert rank_text(found["rank"]) == "1 of 4, else udnie, candy"
    assert rank_text({"first": 4, "of": 4, "instead": {}}) == "4 of 4"
    assert summarize_looks([Looks(0.5)]) == {"kept": 0.5}


@pytest.mark.parametrize("looks", [{"kept": "x"}, {"kept": [1]}, {"likeness": None}])
def test_damaged_looks_cost_info_one_line(looks, model, capsys):
    data = load_checkpoint(model).contents
    save_checkpoint({**data, KEY: {**data[KEY], "likeness": looks}}, model)
    capsys.readouterr()
    assert main(["info", str(model)]) == EXIT_USAGE
    assert "damaged description" in one_line(capsys)


# While it trains.


@pytest.fixture
def no_curves(monkeypatch):
    """Optimization takes its time and is tested elsewhere."""
    monkeypatch.setattr(validation, "cached_curves", lambda *_: [[1.0]])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_logs_likeness_and_tells_that_of_the_weights_it_kept(
    precision, tiny_args, photos, style, tmp_path, capsys, monkeypatch, quick, no_curves
):
    output = tmp_path / "out.ckpt"
    monkeypatch.setattr(validation, "MAX_SHARE", 10)
    arguments = ["--validation-photos", "1", "--steps", "12", "--precision", precision, *SHALLOW]
    # Whatever the losses say, those before the last are to be kept.
    monkeypatch.setattr(BestWeights, "_check", kept_at(11))
    assert main([*tiny_args, *arguments, "--output", str(output)]) == EXIT_DONE
    told = capsys.readouterr().err
    [run] = (tmp_path / "runs" / "paint").iterdir()
    events = EventAccumulator(str(run)).Reload()
    for name in ("likeness", "kept"):
        logged = events.Scalars(f"validation/{name}")
        assert [event.step for event in logged] == [10, 12]
    checkpoint = load_checkpoint(output)
    found = checkpoint.info["likeness"]
    assert checkpoint.info["training"]["kept_step"] == 11
    assert found["likeness"] != pytest.approx(events.Scalars("validation/likeness")[-1].value)
    crops = center_crops(pick_evenly(hold_out(find_photos(str(photos)))[1], 4), 64)
    with torch.no_grad():
        results = [to_picture(checkpoint.network()(crop)) for crop in crops.split(1)]
    painting = signature(read_picture(style))
    near = [
        likeness(signature(result), painting, signature(to_picture(crop)))
        for result, crop in zip(results, crops, strict=True)
    ]
    assert found["likeness"] == pytest.approx(sum(near) / 4, abs=2e-3)
    left = [kept(result, to_picture(crop)) for result, crop in zip(results, crops, strict=True)]
    assert found["kept"] == pytest.approx(sum(left) / 4, abs=2e-3)
    assert found["photos"] == 4
    text = f"likeness {found['likeness']:.2f}, kept {found['kept']:.2f}"
    assert f"; {text}\n" in told
    assert main(["info", str(output)]) == EXIT_DONE
    assert f"looks           {text} on 4 held-out photographs\n" in capsys.readouterr().out


def kept_at(step: int):
    """A check of the held-out loss after which the weights of that step are kept."""
    original = BestWeights._check

    def check(watcher, trainer, module):
        if trainer.global_step == step or watcher._best is None:
            watcher._best = None
            return original(watcher, trainer, module)
        best = watcher._best
        total = original(watcher, trainer, module)
        watcher._best = best
        return total

    return check


def test_likeness_takes_no_more_than_its_share_of_a_run(
    tiny_args, tmp_path, monkeypatch, quick, no_curves
):
    monkeypatch.setattr(validation, "MAX_SHARE", 0)
    arguments = ["--validation-photos", "1", "--steps", "21", "--output", str(tmp_path / "o.ckpt")]
    assert main([*tiny_args, *arguments, *SHALLOW]) == EXIT_DONE
    [run] = (tmp_path / "runs" / "paint").iterdir()
    logged = EventAccumulator(str(run)).Reload().Scalars("validation/kept")
    assert [event.step for event in logged] == [10, 21]


def test_a_resumed_run_keeps_the_signature(tiny_args, tmp_path, quick):
    first, second = tmp_path / "a.ckpt", tmp_path / "b.ckpt"
    assert main([*tiny_args, "--steps", "2", "--output", str(first)]) == EXIT_DONE
    [last] = (tmp_path / "runs").rglob("last.ckpt")
    more = ["--steps", "3", "--resume", str(last), "--output", str(second)]
    assert main([*tiny_args, *more]) == EXIT_DONE
    for path in (last, second):
        one, other = part_of(first), part_of(path)
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert "likeness" not in load_checkpoint(second).info
