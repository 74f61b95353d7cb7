"""The picture survives: transparency, metadata, effects, and pictures in every form."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import make_model, make_picture, one_line
from PIL import ExifTags, Image

import fastnst
from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_PARTIAL, EXIT_USAGE, ImageReadError
from fastnst.image import read_decoded, read_image
from fastnst.stylize.stylizer import Stylizer


@pytest.fixture
def model(tmp_path) -> Path:
    return make_model(tmp_path)


def piped(monkeypatch, capsysbinary, arguments: list[str], given: bytes = b"") -> tuple[int, bytes]:
    """Exit code and standard output of a command that gets ``given`` on standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    code = main(arguments)
    return code, capsysbinary.readouterr().out


@pytest.mark.parametrize(("format", "out"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("GIF", "PNG")])
def test_a_picture_goes_from_stdin_to_stdout(
    format, out, model, monkeypatch, capsysbinary, tmp_path
):
    source, target = tmp_path / f"p.{format.lower()}", tmp_path / "t.png"
    make_picture(40, 30).save(source)
    arguments = ["apply", str(model), "-", "--engine", "torch"]
    code, found = piped(monkeypatch, capsysbinary, arguments, source.read_bytes())
    assert code == EXIT_DONE
    with Image.open(io.BytesIO(found)) as image:
        assert (image.format, image.size) == (out, (40, 30))
    # The same picture as by files, and a file may stand at either end.
    arguments[2] = str(source)
    assert main([*arguments, "--output", str(target)]) == EXIT_DONE
    code, from_file = piped(monkeypatch, capsysbinary, [*arguments, "--output", "-"])
    assert (code, from_file) == (EXIT_DONE, found)
    if out == "PNG":
        assert target.read_bytes() == found


def test_what_is_no_picture_on_stdin_leaves_stdout_empty(model, monkeypatch, capsysbinary):
    code, found = piped(monkeypatch, capsysbinary, ["apply", str(model), "-"], b"no picture")
    assert (code, found) == (EXIT_USAGE, b"")


def test_a_stream_stands_alone(model, capsys, tmp_path):
    for arguments in (["-", "a.png"], ["-", "--json"], ["a.png", "b.png", "--output", "-"]):
        assert main(["apply", str(model), *arguments]) == EXIT_USAGE
        assert one_line(capsys).startswith("fastnst: error: ")


def test_files_of_too_many_pixels_are_refused_before_they_are_decoded(model, capsys, tmp_path):
    source = tmp_path / "p.png"
    make_picture(40, 30).save(source)
    arguments = ["apply", str(model), str(source), "--max-pixels"]
    assert main([*arguments, "1199"]) == EXIT_USAGE
    assert "40 x 30 pixels are more than fastnst reads" in one_line(capsys)
    assert main([*arguments, "1200"]) == EXIT_DONE
    assert main([*arguments, "1.5M"]) == EXIT_USAGE


def test_pillows_limit_for_the_process_is_left_as_it_was(tmp_path, monkeypatch):
    source = tmp_path / "p.png"
    make_picture(40, 30).save(source)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_decoded(source).picture.size == (40, 30)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize(("suffix", "tolerance"), [(".png", 0), (".webp", 0), (".tif", 0)])
def test_transparency_is_kept(suffix, tolerance, model, tmp_path):
    alpha = Image.linear_gradient("L").resize((37, 23))
    picture = make_picture(37, 23)
    picture.putalpha(alpha)
    source, target = tmp_path / "in.png", tmp_path / f"out{suffix}"
    picture.save(source)
    assert main(["apply", str(model), str(source), "--output", str(target)]) == EXIT_DONE
    with Image.open(target) as result:
        assert result.mode == "RGBA"
        found = np.asarray(result.getchannel("A")).astype(int)
    assert np.abs(found - np.asarray(alpha)).max() <= tolerance


def test_transparency_becomes_white_where_the_format_has_none(model, tmp_path):
    picture = Image.new("RGBA", (32, 32), (200, 20, 20, 0))
    picture.save(tmp_path / "in.png")
    arguments = ["apply", str(model), str(tmp_path / "in.png"), "--output"]
    assert main([*arguments, str(tmp_path / "out.jpg")]) == EXIT_DONE
    assert float(read_image(tmp_path / "out.jpg").min()) > 0.99


def test_an_opaque_alpha_channel_adds_none(tmp_path):
    picture = make_picture(8, 8)
    picture.putalpha(255)
    picture.save(tmp_path / "x.png")
    assert read_decoded(tmp_path / "x.png").alpha is None


@pytest.fixture
def tagged(tmp_path) -> Path:
    """A JPEG that lies on its side, with a camera's name and the place it was taken at."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Obscura"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    path = tmp_path / "tagged.jpg"
    make_picture(40, 24).save(path, exif=exif.tobytes())
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("metadata", ["none", "icc", "keep"])
def test_metadata_goes_along_by_choice_and_gps_only_with_keep(
    metadata, suffix, model, tagged, tmp_path
):
    target = tmp_path / f"out{suffix}"
    arguments = ["apply", str(model), str(tagged), "--output", str(target)]
    assert main([*arguments, "--metadata", metadata]) == EXIT_DONE
    with Image.open(target) as result:
        exif = result.getexif()
        profile = result.info.get("icc_profile")
        assert result.size == (24, 40)
    assert (profile is None) == (metadata == "none")
    assert exif.get(ExifTags.Base.Make) == ("Obscura" if metadata == "keep" else None)
    assert bool(exif.get_ifd(ExifTags.IFD.GPSInfo)) == (metadata == "keep")
    # Upright already: a viewer that turned it again would be wrong.
    assert exif.get(ExifTags.Base.Orientation, 1) == 1


def test_an_animation_gives_its_first_frame_and_says_so(model, tmp_path, capsys):
    frames = [make_picture(20, 20, seed) for seed in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    target = tmp_path / "out.png"
    assert main(["apply", str(model), str(tmp_path / "a.gif"), "--output", str(target)]) == 0
    assert "a.gif: first of 3 frames" in capsys.readouterr().err


def test_effects_reach_the_written_picture(model, tmp_path):
    source, mask = tmp_path / "in.png", tmp_path / "mask.png"
    make_picture(32, 24).save(source)
    Image.new("L", (4, 4), 0).save(mask)
    for name, flags in {
        "strength.png": ["--strength", "0"],
        "mask.png": ["--mask", str(mask)],
    }.items():
        target = tmp_path / f"out-{name}"
        arguments = ["apply", str(model), str(source), "--output", str(target), *flags]
        assert main(arguments) == EXIT_DONE
        assert torch.equal(read_image(target), read_image(source))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--strength", "2"], "strength must be"),
        (["--stroke-size", "nan"], "stroke_size must be"),
        (["--stroke-size", "-2"], "stroke_size must be"),
        (["--stroke-size", "big"], "'big' is neither auto nor a number"),
        (["--mask", "absent.png"], "absent.png: no such file"),
        (["--metadata", "all"], "--metadata"),
        (["--shard", "3/2"], "'3/2' is not I/N"),
    ],
)
def test_bad_options_cost_one_line(flags, message, model, tmp_path, capsys):
    make_picture(8, 8).save(tmp_path / "in.png")
    assert main(["apply", str(model), str(tmp_path / "in.png"), *flags]) == EXIT_USAGE
    assert message in one_line(capsys)
    assert {path.name for path in tmp_path.iterdir()} == {"in.png", "paint.ckpt"}


def test_shards_share_the_work_without_overlap(model, photos, tmp_path):
    made = []
    for part in ("1/3", "2/3", "3/3"):
        output = tmp_path / part[0]
        arguments = ["apply", str(model), str(photos), "--output", str(output), "--shard", part]
        assert main(arguments) == EXIT_DONE
        made.append({path.relative_to(output) for path in output.rglob("*.jpg")})
    assert [len(part) for part in made] == [6, 5, 5]
    assert len(set.union(*made)) == 16


def test_json_tells_the_outcome_of_each_input_and_patterns_are_expanded(
    model, photos, tmp_path, capsys
):
    (photos / "photo01.jpg").write_bytes(b"no picture")
    pattern = str(photos / "photo0*.jpg")
    output = tmp_path / "out"
    arguments = ["apply", str(model), pattern, "--output", str(output), "--json"]
    assert main(arguments) == EXIT_PARTIAL
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["outcome"] for row in rows] == ["failed", "done", "done", "done", "done"]
    assert "not a readable picture" in rows[0]["message"]
    assert Path(rows[1]["target"]).is_file()


def test_a_list_names_pictures_seen_from_its_folder(model, photos, tmp_path, capsys):
    listed = photos / "some.txt"
    listed.write_text("# two of them\nphoto01.jpg\n\nmore/photo02.jpg\nabsent.jpg\n")
    output = tmp_path / "out"
    assert main(["apply", str(model), f"@{listed}", "--output", str(output)]) == EXIT_PARTIAL
    assert {path.name for path in output.iterdir()} == {"photo01.jpg", "photo02.jpg"}
    assert "absent.jpg: no such file" in capsys.readouterr().err
    # One that is listed twice, by two ways to it, is done once.
    listed.write_text("photo01.jpg\n../photos/photo01.jpg\n")
    new = tmp_path / "new"
    assert main(["apply", str(model), f"@{listed}", "--output", f"{new}/"]) == EXIT_DONE
    assert [path.name for path in new.iterdir()] == ["photo01.jpg"]
    capsys.readouterr()
    assert main(["apply", str(model), f"@{tmp_path / 'no.txt'}"]) == EXIT_USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_a_filter_takes_paths_images_arrays_and_batches(model, tmp_path):
    source = tmp_path / "in.png"
    picture = make_picture(30, 20)
    picture.save(source)
    paint = fastnst.load(model, device="cpu")
    expected = paint(source)
    assert (expected.mode, expected.size) == ("RGB", (30, 20))
    stylized = Stylizer.load(model, "cpu")(read_image(source))[0].permute(1, 2, 0).numpy()
    assert np.abs(np.asarray(expected) / 255 - stylized).max() <= 0.5 / 255 + 1e-6
    array = np.asarray(picture)
    for form in (str(source), picture, array, array / 255):
        assert np.array_equal(np.asarray(paint(form)), np.asarray(expected))
    batch = paint({"image": np.stack([array, array]), "label": np.array([1, 2])})
    assert batch["image"].shape == (2, 20, 30, 3)
    assert np.array_equal(batch["image"][1], np.asarray(expected))
    assert batch["label"].tolist() == [1, 2]
    assert np.array_equal(np.asarray(paint(picture, strength=0.0)), array)
    picture.putalpha(128)
    assert paint(picture).getchannel("A").getextrema() == (128, 128)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4, 2)), np.zeros(4), np.full((4, 4), np.nan), np.full((4, 4), 7)]
)
def test_a_filter_refuses_arrays_that_are_no_pictures(wrong, model):
    with pytest.raises(ValueError, match="a picture"):
        fastnst.load(model, device="cpu")(wrong)


def test_a_filter_of_an_absent_file_says_so(model):
    with pytest.raises(ImageReadError, match=r"absent\.jpg: no such file"):
        fastnst.load(model, device="cpu")("absent.jpg")


def test_outcomes_come_in_order_and_a_failed_write_costs_its_own_file_alone(
    model, photos, tmp_path, capsys
):
    output = tmp_path / "out"
    (output / "photo03.jpg").mkdir(parents=True)
    (output / "photo05.jpg").write_bytes(b"old")
    flat = [str(photos / f"photo{i:02}.jpg") for i in (1, 3, 5, 7)]
    arguments = ["apply", str(model), *flat, "--output", str(output), "--json"]
    assert main([*arguments, "--overwrite"]) == EXIT_PARTIAL
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["source"] for row in rows] == flat
    assert [row["outcome"] for row in rows] == ["done", "failed", "done", "done"]
    assert "can't be written" in rows[1]["message"]
    assert (output / "photo05.jpg").read_bytes() != b"old"
    assert main(arguments) == EXIT_USAGE
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["outcome"] for row in rows} == {"kept"}
    assert not list(output.glob(".*.part"))
