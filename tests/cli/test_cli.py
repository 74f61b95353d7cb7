"""The command line: bad input costs one line and loses nothing; good input does what it says."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import Canary, contents, files, make_model, make_picture, one_line
from PIL import Image

from fastnst.checkpoint.contents import save_checkpoint
from fastnst.checkpoint.description import KEY
from fastnst.checkpoint.shipped import named_models, shipped_models
from fastnst.cli import main
from fastnst.cli.console import bar
from fastnst.cli.options import parse_options
from fastnst.config import TrainConfig
from fastnst.errors import EXIT_DONE, EXIT_PARTIAL, EXIT_USAGE
from fastnst.image import read_image
from fastnst.stylize.stylizer import Stylizer


@pytest.fixture
def model(tmp_path) -> Path:
    return make_model(tmp_path)


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "photo.jpg"
    make_picture(37, 23).save(path, quality=95)
    return path


TRAIN = ["train", "--style", "{style}", "--data", "{photos}", "--output", "{tmp}/o.ckpt",
         "--log-dir", "{tmp}/runs", "--backbone", "embedded", "--steps", "1"]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "yaml", "message"),
    [
        ({"--style": "{tmp}/absent.jpg"}, "", "absent.jpg: no such file"),
        ({"--style": "{tmp}/text.jpg"}, "", "text.jpg: not a readable picture"),
        ({"--style": "{tmp}"}, "", "is a folder, not a picture"),
        ({"--data": "{tmp}/absent"}, "", "no such folder or file"),
        ({"--data": "{tmp}/empty"}, "", "no pictures in this folder"),
        ({"--content-weight": "-1"}, "", "content_weight must be a number at least 0, not -1"),
        ({"--style-weight": "nan"}, "", "style_weight"),
        ({"--tv-weight": "inf"}, "", "tv_weight"),
        ({"--style-weights": "1 2"}, "", "2 style_weights for 1 style"),
        ({"--style-layers": "relu3_9"}, "", "no layer 'relu3_9': did you mean relu3_4"),
        ({"--content-layers": "conv9_1"}, "", "no layer 'conv9_1': did you mean"),
        ({"--style-layers": "rbg"}, "", "no layer 'rbg': did you mean rgb"),
        ({"--style-layers": "relu3_1/3"}, "", "no layer 'relu3_1/3': did you mean relu3_1"),
        (
            {"--style-layers": "relu5_1/4", "--style-size": "48"},
            "",
            "too few for relu5_1/4, which needs 64",
        ),
        ({"--content-layers": "relu5_1/4", "--image-size": "32"}, "", "crops of 32 pixels are too"),
        ({"--stability-weight": "-1"}, "", "stability_weight must be"),
        ({"--network": "fats"}, "", "network: "),
        ({"--steps": "2.5"}, "", "steps: "),
        ({"--steps": "0"}, "", "steps must be"),
        ({"--minutes": "1"}, "", "--steps or --minutes, not both"),
        ({"--image-size": "8"}, "", "image_size must be a number from 32"),
        ({"--stylesize": "8"}, "", "unknown option --stylesize: did you mean --style-size"),
        ({"--device": "cuda:99"}, "", "device 'cuda:99' can't be used here"),
        ({"--device": "toaster"}, "", "device 'toaster'"),
        ({"--output": "{style}"}, "", "exists already; --overwrite"),
        ({"--output": "{tmp}/text.jpg/o.ckpt"}, "", "can't be written to"),
        ({"--log-dir": "{tmp}/text.jpg/runs"}, "", "can't be written to"),
        ({"--output": "{tmp}/empty"}, "", "is a folder"),
        ({"--init": "{tmp}/absent.ckpt"}, "", "no such checkpoint"),
        ({"--resume": "{tmp}/text.jpg"}, "", "not a checkpoint"),
        ({"--backbone-weights": "{tmp}/absent.pth"}, "", "no such file of backbone weights"),
        ({"--backbone": "vgg19"}, "", "--backbone-weights FILE"),
        ({}, "image_siz: 64", "unknown key 'image_siz' in the configuration: did you mean image_s"),
        ({}, "content_weight: -2", "content_weight must be"),
        ({}, "content_weight: .nan", "content_weight"),
        ({}, "style_weight: heavy", "style_weight: "),
        ({}, "style_layers: [relu0_1]", "no layer 'relu0_1'"),
        ({}, "a: [", "config"),
        ({}, "!!python/object/apply:os.system ['touch {tmp}/canary']", "config"),
        ({"--config": "{tmp}/absent.yaml"}, "", "absent.yaml"),
    ],
)
def test_bad_input_to_train_costs_one_line(changes, yaml, message, style, photos, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty").mkdir()

    def fill(text: str) -> str:
        return text.replace("{tmp}", str(tmp_path)).replace("{style}", str(style)).replace(
            "{photos}", str(photos)
        )  # fmt: skip

    arguments = [fill(part) for part in TRAIN]
    for flag, value in changes.items():
        arguments += [flag, *fill(value).split()]
    if yaml:
        config = tmp_path / "c.yaml"
        config.write_text(fill(yaml))
        arguments += ["--config", str(config)]
    before = files(tmp_path)
    assert main(arguments) == EXIT_USAGE
    assert message in one_line(capsys)
    assert files(tmp_path) - before <= {Path("runs")}


def test_train_without_style_or_data_says_what_is_missing(style, capsys):
    assert main(["train"]) == EXIT_USAGE
    assert "--style FILE" in one_line(capsys)
    assert main(["train", "--style", str(style)]) == EXIT_USAGE
    assert "--data PATH" in one_line(capsys)


def test_the_usual_options_come_first_in_help_and_types_are_words(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = capsys.readouterr().out
    flags = re.findall(r"^  (--[\w-]+)", told, re.MULTILINE)
    assert flags[:5] == ["--style", "--data", "--minutes", "--output", "--style-weight"]
    fields = ["--" + field.name.replace("_", "-") for field in dataclasses.fields(TrainConfig)]
    assert sorted(flags) == sorted([*fields, "--config", "--print_config"])
    assert not re.search(r"type:|Literal|<class|null|None", told)
    titles = re.findall(r"^([a-z].*):$", told, re.MULTILINE)
    assert len(titles) > 5


def test_a_printed_configuration_is_read_as_it_was(tmp_path, capsys):
    given = ["--style", "a.jpg", "b, c.jpg", "--data", "photos", "--learning-rate", "2e-3",
             "--no-early-stop", "--style-layers", "rgb", "relu3_1/2", "--name", "no"]  # fmt: skip
    with pytest.raises(SystemExit):
        main(["train", *given, "--print_config"])
    config = tmp_path / "c.yaml"
    config.write_text(capsys.readouterr().out)
    read = parse_options("train", "", TrainConfig, ["--config", str(config)])
    assert read == parse_options("train", "", TrainConfig, given)
    assert read.style == (Path("a.jpg"), Path("b, c.jpg"))
    assert (read.name, read.no_early_stop, read.minutes) == ("no", True, None)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("image_size: big", "image_size: 'big' is not a whole number"),
        ("no_early_stop: perhaps", "no_early_stop: 'perhaps' is neither true nor false"),
        ("network: [fast, johnson]", "network: takes one value, not 2"),
        ("style_weights: [1, x]", "style_weights: 'x' is not a number"),
        ("data:", "data: its value is missing"),
        ("loss: {a: b}", "line 1: 'loss' takes a value, or several in brackets"),
    ],
)
def test_a_wrong_value_in_a_configuration_is_told_in_words(yaml, message, tmp_path, capsys):
    config = tmp_path / "c.yaml"
    config.write_text(yaml)
    assert main(["train", "--config", str(config)]) == EXIT_USAGE
    assert f"{config}: {message}" in one_line(capsys)


def test_flags_override_yaml_which_overrides_defaults(tmp_path, capsys):
    config = tmp_path / "c.yaml"
    config.write_text("image_size: 96\nbatch_size: 3\nstyle: [a.jpg]\n")
    with pytest.raises(SystemExit) as caught:
        main(["train", "--config", str(config), "--image-size", "64", "--print_config"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out.splitlines()
    assert "image_size: 64" in printed
    assert "batch_size: 3" in printed
    assert "style_size: 384" in printed


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("hello"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:3000]),
        lambda path: torch.save({"features.0.weight": torch.zeros(3)}, path),
        lambda path: path.write_bytes(pickle.dumps(Canary(path.with_name("canary")))),
        lambda path: path.unlink(),
    ],
    ids=["text", "empty", "truncated", "foreign", "code", "missing"],
)
@pytest.mark.parametrize("command", ["apply", "info"])
def test_a_bad_model_costs_one_line_and_runs_no_code(make, command, model, picture, capsys):
    make(model)
    arguments = [str(picture)] if command == "apply" else []
    assert main([command, str(model), *arguments]) == EXIT_USAGE
    assert str(model) in one_line(capsys)
    assert not model.with_name("canary").exists()
    assert not picture.with_name("photo-paint.jpg").exists()


def test_apply_writes_beside_the_input_in_its_format_and_size(model, picture):
    assert main(["apply", str(model), str(picture)]) == EXIT_DONE
    with Image.open(picture.with_name("photo-paint.jpg")) as result:
        assert (result.format, result.size) == ("JPEG", (37, 23))


def test_a_shipped_style_is_applied_by_name_and_a_file_comes_first(
    picture, model, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["apply", "wave", str(picture), "--output", "a.png"]) == EXIT_DONE
    [path] = [path for name, path in shipped_models().items() if name == "wave"]
    shipped = Stylizer.load(path, "cpu")(read_image(picture)).clamp(0, 1)
    assert float((read_image(tmp_path / "a.png") - shipped).abs().max()) <= 0.5 / 255 + 1e-6
    model.rename(tmp_path / "wave")
    assert main(["apply", "wave", str(picture), "--output", "b.png"]) == EXIT_DONE
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
    capsys.readouterr()
    assert main(["info", "wafe"]) == EXIT_USAGE
    assert "no style of that name comes with fastnst: did you mean wave" in one_line(capsys)


def test_styles_are_listed_with_painters_and_sizes_and_shown_on_a_sheet(tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    assert main(["styles", "--sheet", str(sheet), "--size", "32"]) == EXIT_DONE
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == list(named_models())
    [wave] = [line for line in told if line.startswith("wave ")]
    size = named_models()["wave"].stat().st_size
    assert f"{size / 1e6:.1f} MB" in wave
    assert "Katsushika Hokusai" in wave
    with Image.open(sheet) as opened:
        assert opened.width > 32 * 4
        assert opened.convert("L").getextrema()[1] > 200
    assert main(["styles", "--json"]) == EXIT_DONE
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"]: row["bytes"] for row in rows} == {
        name: path.stat().st_size for name, path in named_models().items()
    }
    assert all(row["painter"] and row["title"] for row in rows)
    assert main(["styles", "--sheet", str(sheet)]) == EXIT_USAGE
    assert "exists already" in one_line(capsys)


def test_gallery_shows_the_photograph_in_every_shipped_style(picture, tmp_path, capsys):
    output = tmp_path / "sheet.png"
    arguments = ["gallery", str(picture), "--size", "32", "--output", str(output)]
    assert main(arguments) == EXIT_DONE
    with Image.open(output) as sheet:
        assert sheet.width > 32 * min(4, 1 + len(shipped_models()))
    capsys.readouterr()
    for bad, message in (
        (arguments, "exists already"),
        ([*arguments, "--size", "0"], "--size must be"),
        (["gallery", "absent.jpg", "--output", str(tmp_path / "b.png")], "absent.jpg: no such"),
    ):
        assert main(bad) == EXIT_USAGE
        assert message in one_line(capsys)


def test_apply_gives_what_the_network_gives(model, picture, tmp_path):
    output = tmp_path / "out.png"
    assert main(["apply", str(model), str(picture), "--output", str(output)]) == EXIT_DONE
    expected = Stylizer.load(model, "cpu")(read_image(picture)).clamp(0, 1)
    assert float((read_image(output) - expected).abs().max()) <= 0.5 / 255 + 1e-6


def test_apply_repeats_a_folders_tree(model, photos, tmp_path):
    output = tmp_path / "out"
    assert main(["apply", str(model), str(photos), "--output", str(output)]) == EXIT_DONE
    assert {path for path in files(output) if path.suffix} == {
        path for path in files(photos) if path.suffix
    }


def test_one_bad_file_is_told_and_the_rest_done(model, photos, tmp_path, capsys):
    bad = sorted(photos.rglob("*.jpg"))[0]
    bad.write_bytes(b"no picture")
    output = tmp_path / "out"
    assert main(["apply", str(model), str(photos), "--output", str(output)]) == EXIT_PARTIAL
    assert str(bad) in capsys.readouterr().err
    assert len([path for path in files(output) if path.suffix]) == 15


def test_existing_results_are_kept_unless_overwrite(model, picture, tmp_path, capsys):
    output = tmp_path / "out.jpg"
    output.write_bytes(b"old")
    arguments = ["apply", str(model), str(picture), "--output", str(output)]
    assert main(arguments) == EXIT_USAGE
    assert "exists already and is kept" in capsys.readouterr().err
    assert output.read_bytes() == b"old"
    assert main([*arguments, "--overwrite"]) == EXIT_DONE
    assert output.read_bytes() != b"old"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{picture}", "--output", "{picture}", "--overwrite"], "would replace an input"),
        (["{picture}", "--output", "{tmp}/x.xyz"], "are written as"),
        (["{picture}", "--max-size", "0"], "--max-size"),
        (["{tmp}/empty", "--output", "{tmp}/out"], "no pictures in this folder"),
        (["{tmp}/a"], "needs a folder for the results"),
        (["{tmp}/absent.jpg"], "no such file"),
        (["{picture}", "{tmp}/a/photo.jpg", "--output", "{tmp}/x.png"], "there are several"),
        (["{tmp}/a", "--output", "{tmp}/x.png"], "there are several"),
        (["{picture}", "--output", "{picture}/"], "is a file, but a folder is needed"),
        (["{picture}", "{tmp}/a/photo.jpg", "--output", "{model}"], "is a file"),
        (["{picture}", "--output", "{model}/out/x.jpg"], "can't be written to"),
        ([], "which picture? as in: fastnst apply wave photo.jpg"),
        (["{picture}", "--device", "toaster"], "device 'toaster'"),
    ],
)
def test_bad_input_to_apply_costs_one_line(arguments, message, model, picture, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a").mkdir()
    make_picture(20, 20).save(tmp_path / "a" / "photo.jpg")
    names = {"{picture}": picture, "{tmp}": tmp_path, "{model}": model}
    filled = []
    for argument in arguments:
        for name, value in names.items():
            argument = argument.replace(name, str(value))
        filled.append(argument)
    before = {path: path.read_bytes() for path in (picture, model)}
    assert main(["apply", str(model), *filled]) == EXIT_USAGE
    assert message in one_line(capsys)
    assert before == {path: path.read_bytes() for path in (picture, model)}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that root can't write to")
@pytest.mark.parametrize("command", ["apply", "train"])
def test_an_output_folder_that_can_not_be_written_is_told_before_anything_is_done(
    command, model, picture, tiny_args, capsys
):
    arguments = ["apply", str(model), str(picture)] if command == "apply" else tiny_args
    suffix = "jpg" if command == "apply" else "ckpt"
    assert main([*arguments, "--output", f"/proc/out.{suffix}"]) == EXIT_USAGE
    assert "/proc: can't be written to" in one_line(capsys)


def test_max_size_limits_the_long_side(model, picture, tmp_path):
    output = tmp_path / "out.png"
    arguments = ["apply", str(model), str(picture), "--output", str(output), "--max-size", "20"]
    assert main(arguments) == EXIT_DONE
    with Image.open(output) as result:
        assert result.size == (20, 12)


def test_names_of_any_kind_work(model, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    names = ["a b.jpg", "neu\nline.jpg", "-dash.jpg", "%s{}.jpg", "ünï💥.jpg", "x" * 200 + ".jpg"]
    for name in names:
        make_picture(8, 8).save(folder / name)
    make_picture(8, 8).save(os.fsencode(folder) + b"/\xff\xfe.jpg")
    output = tmp_path / "out"
    assert main(["apply", str(model), str(folder), "--output", str(output)]) == EXIT_DONE
    assert len(list(output.iterdir())) == len(names) + 1


def test_the_stylizer_refuses_what_is_no_picture(model):
    stylizer = Stylizer.load(model, "cpu")
    for wrong in (torch.rand(3, 8, 8), torch.rand(1, 1, 8, 8), torch.rand(1, 3, 0, 8)):
        with pytest.raises(ValueError, match="shape"):
            stylizer(wrong)
    for value in (float("nan"), float("inf"), -0.1, 1.1):
        picture = torch.rand(1, 3, 8, 8)
        picture[0, 0, 0, 0] = value
        with pytest.raises(ValueError, match="finite numbers"):
            stylizer(picture)


def test_info_tells_everything_as_json_and_the_essence_as_text(model, capsys):
    assert main(["info", str(model), "--json"]) == EXIT_DONE
    info = json.loads(capsys.readouterr().out)
    assert info["network"] == {"kind": "fast", "options": {"width": 4, "blocks": 1}}
    assert info["style"][0]["name"] == "paint"
    assert main(["info", str(model)]) == EXIT_DONE
    assert "paint" in capsys.readouterr().out


def test_a_strangers_style_name_neither_leads_out_of_the_folder_nor_moves_the_cursor(
    model, picture, capsys
):
    data = contents()
    data[KEY]["style"][0]["name"] = "../../x\x1b[2J\n"
    save_checkpoint(data, model)
    assert main(["apply", str(model), str(picture)]) == EXIT_DONE
    assert picture.with_name("photo-.._.._x__2J_.jpg").exists()
    main(["info", str(model)])
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err


def test_a_progress_bar_says_how_far_how_fast_and_how_long():
    assert bar(25, 100, 50.0) == f"[{'#' * 6}{'.' * 18}] 25 of 100  0.5/s  2:30 left"
    assert bar(3, 3, 0.1).startswith(f"[{'#' * 24}] 3 of 3")
    assert bar(3, 3, 0.1).endswith("0:00 left")


def test_usage_is_answered_with_the_nearest_command(capsys):
    assert main(["trian"]) == EXIT_USAGE
    assert "did you mean train" in one_line(capsys)
    assert main([]) == EXIT_USAGE
    assert "examples:" in capsys.readouterr().err


def test_a_reader_who_leaves_early_is_no_error(model):
    command = f"{sys.executable} -m fastnst info {model} --json | head -c 10"
    child = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, check=False
    )
    assert child.returncode in (0, 141)
    assert b"Traceback" not in child.stderr
