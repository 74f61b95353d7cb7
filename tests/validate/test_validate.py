"""What a checkpoint is worth: k against closed forms, and the files that say so."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from helpers import SHALLOW, contents, files, make_picture, one_line, validate
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fastnst.checkpoint.contents import (
    TARGETS_KEY,
    load_checkpoint,
    pack_statistics,
    save_checkpoint,
    unpack_statistics,
)
from fastnst.checkpoint.description import KEY
from fastnst.cli import main
from fastnst.cli.options import parse_options
from fastnst.config import LossConfig, PreviewConfig, TrainConfig
from fastnst.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_USAGE, CheckpointError
from fastnst.image import read_picture, resize_short_side, to_tensor
from fastnst.objective.objective import Objective, style_targets
from fastnst.optimize import curves
from fastnst.optimize.curves import Curve, cached_curves, iterations_to, quantile
from fastnst.optimize.preview import variants
from fastnst.photos.collection import find_photos, hold_out
from fastnst.photos.crops import center_crops
from fastnst.training.watch import worth
from fastnst.validate import measure as validating
from fastnst.validate.flicker import VALIDATED
from fastnst.validate.measure import choose_photos


@pytest.mark.parametrize(
    ("totals", "loss", "expected"),
    [
        ([10, 8, 4, 2], 8, 1),
        ([10, 8, 4, 2], 6, 1.5),
        ([10, 8, 4, 2], 2.5, 2.75),
        ([10, 8, 4, 2], 12, 0),
        ([10, 8, 4, 2], 1, math.inf),
        # A jump on the way counts for nothing: the best picture so far does.
        ([10, 6, 50, 2], 4, 2.5),
        ([10, 6, 6, 6], 6, 1),
    ],
)
def test_k_is_where_the_running_minimum_meets_the_networks_loss(totals, loss, expected):
    assert iterations_to(totals, loss) == pytest.approx(expected)
    assert Curve(tuple(totals), 1.0).running_minimum()[-1] == min(totals)


def test_quantiles_count_what_is_beyond_the_limit_as_more():
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile([1, 2, 3, 4], 0.25) == 1.75
    assert quantile([1, 2, math.inf], 0.5) == 2
    assert quantile([1, 2, math.inf], 0.75) == math.inf
    assert quantile([math.inf] * 3, 0.5) == math.inf


def test_a_packed_target_gives_the_same_loss_to_one_part_in_ten_thousand(backbone, image):
    config = LossConfig()
    exact = style_targets(backbone, [to_tensor(make_picture(90, 70, 3))], config)
    packed = {
        layer: unpack_statistics(pack_statistics(statistics)) for layer, statistics in exact.items()
    }
    losses = []
    for targets in (exact, packed):
        loss = Objective(backbone, targets, config)
        losses.append(float(loss(image, loss.see_content(image)).terms["style"]))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[1] != losses[0]


@pytest.mark.parametrize(
    "damage",
    [
        {"size": 3, "scale": 1.0, "triangle": torch.zeros(5)},
        {"size": 10**6, "scale": 1.0, "triangle": torch.zeros(6)},
        {"size": 3, "scale": float("nan"), "triangle": torch.zeros(6)},
        {"size": 3, "scale": 1.0, "triangle": "x"},
        {"scale": 1.0},
        7,
    ],
)
def test_damaged_targets_are_refused(damage, tmp_path):
    path = tmp_path / "m.ckpt"
    save_checkpoint({**contents(), TARGETS_KEY: {"relu1_2": damage}}, path)
    with pytest.raises(CheckpointError, match="style targets are damaged"):
        load_checkpoint(path).style_targets()


@pytest.mark.parametrize(
    "damage",
    [{"loss": 5}, {"loss": "cubist"}, {"style_layers": [1]}, {"tv_weight": "x"}, {"what": 1}],
)
def test_a_damaged_loss_is_refused(damage, tmp_path):
    path = tmp_path / "m.ckpt"
    data = contents()
    data[KEY]["loss"] = damage
    save_checkpoint(data, path)
    with pytest.raises(CheckpointError, match="its loss can't be used"):
        load_checkpoint(path).loss_config()


def test_validate_measures_stores_and_reports(model, photos, style, backbone, tmp_path, capsys):
    folder = tmp_path / "report"
    before = load_checkpoint(model).weights
    assert validate(model, photos, folder, "--store", "--count", "3") == EXIT_DONE
    told = capsys.readouterr().err
    assert "3 photographs, held out of training" in told
    assert "at 48: equals" in told

    report = json.loads((folder / "report.json").read_text())
    held_out = {path.name for path in hold_out(find_photos(str(photos)))[1]}
    found = report["photographs"]["32"]
    assert {entry["photo"] for entry in found} < held_out
    for entry in found:
        for start, totals in entry["curves"].items():
            assert len(totals) <= 9
            k = iterations_to(totals, entry["network"]["total"])
            assert entry["k"][start] == (None if math.isinf(k) else pytest.approx(k))
        # The photograph is its own start: unchanged is where that curve begins.
        assert entry["curves"]["content"][0] == pytest.approx(entry["unchanged"], rel=1e-5)

    # The loss is the one it was trained with, computed here from the painting itself.
    checkpoint = load_checkpoint(model)
    config = checkpoint.loss_config()
    image = to_tensor(resize_short_side(read_picture(style), 48))
    loss = Objective(backbone, style_targets(backbone, [image], config), config)
    [path] = [path for path in find_photos(str(photos)) if path.name == found[0]["photo"]]
    content = center_crops([path], 32)
    with torch.no_grad():
        parts = loss(checkpoint.network()(content), loss.see_content(content))
    assert found[0]["network"]["total"] == pytest.approx(float(parts.total), rel=2e-4)

    page = (folder / "report.html").read_text()
    assert "<svg" in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "data:image/jpeg;base64," in page

    assert all(torch.equal(before[name], value) for name, value in checkpoint.weights.items())
    main(["info", str(model), "--json"])
    info = json.loads(capsys.readouterr().out)
    assert set(info["validation"]) == {"32", "48"}
    assert {"median", "q1", "q3"} <= set(info["validation"]["32"]["k"])
    assert info["validation"]["32"]["photos"] == 3
    assert set(info["validation"]["48"]["flicker"]) == set(VALIDATED)
    main(["info", str(model)])
    told = capsys.readouterr().out
    assert "worth at 48" in told
    assert "flicker         pan 1: " in told


def test_a_network_that_is_never_reached_is_worth_more_than_the_limit(
    model, photos, tmp_path, capsys
):
    folder = tmp_path / "report"
    code = validate(model, photos, folder, "--count", "2", "--iterations", "1", "--store")
    assert code == EXIT_DONE
    assert "equals more than 1 (quartiles" in capsys.readouterr().err
    summary = load_checkpoint(model).info["validation"]["32"]
    assert summary["k"]["median"] is None
    assert summary["k"]["beyond_limit"] >= 1
    assert summary["speedup"]["at_equal_loss"] is None
    assert summary["speedup"]["at_500_iterations"] > 1


def test_photographs_of_another_collection_are_all_unseen(model, photos, tmp_path):
    checkpoint = load_checkpoint(model)
    same = choose_photos(str(photos), 20, checkpoint)
    assert same.files == hold_out(find_photos(str(photos)))[1]
    make_picture(40, 40, 77).save(photos / "one-more.jpg")
    other = choose_photos(str(photos), 20, checkpoint)
    assert len(other.files) == 17
    assert other.choice.startswith("another collection")


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda data: data.pop(TARGETS_KEY), [], "no style targets"),
        (lambda data: data[KEY]["backbone"].update(name="vgg19"), [], "--backbone-weights FILE"),
        (lambda data: data[KEY]["backbone"].update(name="vgg19_caffe"), [], "neural-style"),
        (lambda data: data[KEY]["backbone"].update(origin="sha256:0"), [], "with other weights"),
        (lambda data: None, ["--sizes", "8"], "sizes are from 32"),
        (lambda data: None, ["--sizes", "big"], "no list of sizes"),
        (lambda data: None, ["--count", "0"], "--count must be"),
        (lambda data: None, ["--data", "{tmp}/absent"], "no such folder"),
        (lambda data: None, ["--backbone-weights", "{tmp}/absent.pth"], "no such file of backbone"),
        (lambda data: None, ["--output", "{tmp}/paint.ckpt/x"], "can't be written to"),
    ],
)
def test_bad_input_to_validate_costs_one_line(
    change, arguments, message, model, photos, tmp_path, capsys
):
    data = load_checkpoint(model).contents
    change(data)
    save_checkpoint(data, model)
    capsys.readouterr()
    before, size = files(tmp_path), model.stat().st_size
    given = [part.replace("{tmp}", str(tmp_path)) for part in arguments]
    assert validate(model, photos, tmp_path / "report", *given) == EXIT_USAGE
    assert message in one_line(capsys)
    assert files(tmp_path) - before <= {Path("report")}
    assert model.stat().st_size == size


@pytest.mark.parametrize(("photo", "reported"), [(0, 0), (1, 1)])
def test_ctrl_c_ends_at_once_with_the_photographs_measured_so_far(
    photo, reported, model, photos, tmp_path, capsys, monkeypatch
):
    whole = validating.measure_photo
    calls = itertools.count()

    def interrupted(*arguments):
        if next(calls) == photo:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(*arguments)

    monkeypatch.setattr(validating, "measure_photo", interrupted)
    folder = tmp_path / "report"
    assert validate(model, photos, folder, "--count", "3") == EXIT_INTERRUPTED
    assert "ended early" in capsys.readouterr().err
    assert next(calls) == photo + 1
    if reported:
        assert len(json.loads((folder / "report.json").read_text())["photographs"]["32"]) == 1
    else:
        assert not list(folder.iterdir())


def test_a_report_is_not_replaced_unasked(model, photos, tmp_path, capsys):
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.json").write_text("mine")
    assert validate(model, photos, folder) == EXIT_USAGE
    assert "has a report already" in capsys.readouterr().err
    assert (folder / "report.json").read_text() == "mine"


def test_training_logs_its_worth_and_computes_the_optimum_once(
    tiny_args, tmp_path, monkeypatch, photos
):
    monkeypatch.setattr(worth, "ITERATIONS", 12)
    more = ["--validation-photos", "1", "--steps", "12", "--overwrite"]
    arguments = [*tiny_args, *more, *SHALLOW]
    output = tmp_path / "out.ckpt"
    assert main([*arguments, "--output", str(output)]) == EXIT_DONE
    [folder] = (tmp_path / "runs" / "paint").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    logged = events.Scalars("validation/k_from_noise")
    assert [event.step for event in logged] == [10, 12]
    assert all(0 <= event.value <= 12 for event in logged)

    def again(*arguments, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(curves, "descend", again)
    assert main([*arguments, "--output", str(output), "--name", "second"]) == EXIT_DONE
    with pytest.raises(AssertionError, match="computed again"):
        main([*arguments, "--output", str(output), "--style-weight", "6"])


def test_a_damaged_cache_of_curves_is_computed_anew(backbone, image):
    config = LossConfig(style_layers=("relu1_2",), content_layers=("relu1_2",))
    loss = Objective(backbone, style_targets(backbone, [image[:1]], config), config)
    first = cached_curves(loss, image, 2)
    for path in (curves.cache_folder() / "curves").iterdir():
        path.write_text("{")
    assert cached_curves(loss, image, 2) == first
    assert [len(totals) for totals in first] == [3, 3]


def test_every_flag_of_a_preview_is_one_of_train():
    config = PreviewConfig(style=(Path("s.jpg"),), content=Path("c.jpg"), style_weight=2.0)
    rows = variants(config)
    assert [tile.flag for tile in rows[0]] == [
        "--style-weight 0.4", "--style-weight 2", "--style-weight 10",
    ]  # fmt: skip
    for row in rows:
        assert row[1].config == config
        for tile in row:
            given = ["--style", "s.jpg", "--data", "d", *tile.flag.split()]
            trained = parse_options("fastnst train", "", TrainConfig, given)
            assert getattr(trained, tile.varied) == getattr(tile.config, tile.varied)


def test_preview_writes_a_sheet_of_nine_different_tiles(style, photos, tmp_path, capsys):
    output = tmp_path / "sheet.png"
    photo = sorted(photos.glob("*.jpg"))[0]
    arguments = [
        "preview", "--style", str(style), "--content", str(photo), "--backbone", "embedded",
        "--size", "40", "--style-size", "48", "--steps", "3", "--output", str(output),
    ]  # fmt: skip
    assert main(arguments) == EXIT_DONE
    with Image.open(output) as sheet:
        assert sheet.width >= 3 * 40
        assert sheet.height >= 4 * 30
    assert main(arguments) == EXIT_USAGE
    assert "exists already" in capsys.readouterr().err
    assert main([*arguments[:-1], str(tmp_path / "b.png"), "--content", "absent.jpg"]) == EXIT_USAGE
    assert "absent.jpg: no such file" in one_line(capsys)
