"""The optimization loop: it goes down, stays in range, records what it does, and ends well."""

from __future__ import annotations

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import files, make_picture, one_line
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fastnst.cli import main
from fastnst.config import LossConfig
from fastnst.errors import EXIT_DONE, EXIT_INTERNAL, EXIT_USAGE, OptimizationError
from fastnst.image import read_image, to_tensor
from fastnst.objective.forms import FORMS, terms_of
from fastnst.objective.objective import Objective, style_targets
from fastnst.objective.parts import LossParts
from fastnst.optimize.iterates import AdamSettings, adam_iterates, lbfgs_iterates
from fastnst.optimize.statistics import sobel_edges, summary


def parts_of(total: torch.Tensor, style: torch.Tensor | None = None) -> LossParts:
    zero = torch.zeros(())
    terms = {"content": zero, "style": zero if style is None else style, "total_variation": zero}
    return LossParts(total, terms, {}, dict.fromkeys(terms, 1.0))


def quadratic(goal: torch.Tensor, factor: float = 1.0):
    stretch = torch.linspace(1, 30, goal.numel()).view_as(goal)
    return lambda picture: parts_of(factor * (stretch * (picture - goal).square()).sum())


def totals(iterates, count: int) -> list[float]:
    return [iterate.total for iterate in itertools.islice(iterates, count)]


def test_lbfgs_finds_the_best_picture_within_the_range():
    goal = torch.linspace(-0.5, 1.5, 192).view(1, 3, 8, 8)
    start = torch.full_like(goal, 0.5)
    *_, last = itertools.islice(lbfgs_iterates(quadratic(goal), start), 60)
    # The squared distance is separable: its least point in the box is the goal, clipped.
    torch.testing.assert_close(last.picture, goal.clamp(0, 1), atol=1e-3, rtol=0)


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
def test_lbfgs_does_not_depend_on_the_losss_scale(factor):
    goal = torch.linspace(0.1, 0.9, 192).view(1, 3, 8, 8)
    start = torch.full_like(goal, 0.5)
    usual = totals(lbfgs_iterates(quadratic(goal), start), 12)
    scaled = totals(lbfgs_iterates(quadratic(goal, factor), start), 12)
    np.testing.assert_allclose(np.array(scaled) / factor, usual, rtol=1e-3)
    assert usual[-1] < 1e-3 * usual[0]


def test_lbfgs_takes_an_iterate_back_that_jumps():
    goal = torch.full((1, 3, 4, 4), 0.7)

    def treacherous(picture):
        far = (picture - goal).abs().mean()
        return parts_of(far + 100 * (far > 0.205).float() * far)

    start = torch.full_like(goal, 0.5)
    iterates = list(itertools.islice(lbfgs_iterates(treacherous, start), 80))
    assert min(iterate.total for iterate in iterates) < 0.05


def test_lbfgs_ends_where_there_is_nothing_to_gain():
    start = torch.rand(1, 3, 4, 4)
    assert len(list(lbfgs_iterates(lambda picture: parts_of(0 * picture.sum()), start))) == 1


def test_adams_first_step_is_the_learning_rate_in_each_pixel():
    goal = torch.tensor([0.2, 0.8] * 24).view(1, 3, 4, 4)
    start = torch.full_like(goal, 0.5)
    iterates = adam_iterates(quadratic(goal), start, AdamSettings(0.02))
    first, second = itertools.islice(iterates, 2)
    assert torch.equal(first.picture, start)
    torch.testing.assert_close(second.picture, start + 0.02 * torch.sign(goal - start))


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_pixels_stay_in_range_at_every_step(optimizer):
    goal = torch.linspace(-3, 4, 192).view(1, 3, 8, 8)
    start = torch.rand(1, 3, 8, 8)
    objective = quadratic(goal)
    iterates = (
        lbfgs_iterates(objective, start)
        if optimizer == "lbfgs"
        else adam_iterates(objective, start, AdamSettings(0.5))
    )
    for iterate in itertools.islice(iterates, 20):
        assert float(iterate.picture.min()) >= 0
        assert float(iterate.picture.max()) <= 1


@pytest.mark.parametrize("form", list(FORMS))
def test_lbfgs_lowers_every_form_of_the_loss_by_90_percent_from_the_content(form, backbone):
    # The form's own scale, from 1e-1 to 1e12: the content term is left out, so that 90 % can be
    # had, and total variation, which only some forms have.
    config = LossConfig(
        loss=form, content_weight=0, tv_weight=0, style_layers=("relu1_1", "relu2_1", "relu3_1")
    )
    style = to_tensor(make_picture(48, 48, 5))
    content = to_tensor(make_picture(40, 32, 8))
    loss = Objective(backbone, style_targets(backbone, [style], config), config)
    features = loss.see_content(content)
    found = totals(lbfgs_iterates(lambda picture: loss(picture, features), content), 80)
    assert min(found) < 0.1 * found[0]


def test_a_loss_that_is_no_number_names_the_step_and_the_term():
    calls = itertools.count()

    def breaking(picture):
        style = picture.square().sum() * (float("nan") if next(calls) == 3 else 1.0)
        return parts_of(style + 0, style)

    iterates = lbfgs_iterates(breaking, torch.rand(1, 3, 4, 4))
    with pytest.raises(OptimizationError, match="step 3: the style loss is not a finite number"):
        list(itertools.islice(iterates, 10))


@pytest.fixture
def content(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    make_picture(64, 48, 2).save(path)
    return path


@pytest.fixture
def arguments(content, style, tmp_path) -> list[str]:
    """Arguments of an optimization of a second; the output is out.png."""
    return [
        "optimize", "--content", str(content), "--style", str(style), "--backbone", "embedded",
        "--size", "48", "--style-size", "40", "--steps", "6", "--device", "cpu",
        "--output", str(tmp_path / "out.png"), "--log-dir", str(tmp_path / "runs"),
    ]  # fmt: skip


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def rows(path: Path) -> list[dict[str, float]]:
    with path.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_optimize_writes_picture_csv_and_tensorboard(arguments, content, tmp_path, capsys):
    assert main(arguments) == EXIT_DONE
    assert size_of(tmp_path / "out.png") == (48, 36)
    found = rows(tmp_path / "out.losses.csv")
    terms = terms_of(LossConfig())
    assert list(found[0]) == ["step", "total", *(term.name for term in terms), "seconds"]
    assert [row["step"] for row in found] == list(range(7))
    # The first row is before any change: the content image has its own content.
    assert found[0]["content"] == 0
    assert min(row["total"] for row in found) < 0.8 * found[0]["total"]
    for row in found:
        total = sum(row[term.name] * getattr(LossConfig(), term.weight) for term in terms)
        assert row["total"] == pytest.approx(total, rel=1e-5)
    [folder] = (tmp_path / "runs" / "optimize-out").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    logged = [event.value for event in events.Scalars("loss/total")]
    np.testing.assert_allclose(logged, [row["total"] for row in found], rtol=1e-5)
    assert f"-> {min(row['total'] for row in found):.5g}" in capsys.readouterr().err


def test_the_written_picture_is_the_one_of_lowest_loss(arguments, tmp_path, style, content):
    assert main([*arguments, "--save-every", "1"]) == EXIT_DONE
    found = rows(tmp_path / "out.losses.csv")
    best = min(found, key=lambda row: row["total"])
    saved = tmp_path / f"out.step{int(best['step']):05}.png"
    assert saved.read_bytes() == (tmp_path / "out.png").read_bytes()
    assert len(list(tmp_path.glob("out.step*.png"))) == 7


@pytest.mark.parametrize("init", ["noise", "style", "{style}"])
def test_the_start_is_what_init_says(init, arguments, style, tmp_path):
    given = ["--init", init.replace("{style}", str(style)), "--save-every", "100", "--seed", "4"]
    assert main([*arguments, *given]) == EXIT_DONE
    start = read_image(tmp_path / "out.step00000.png")
    if init == "noise":
        generator = torch.Generator().manual_seed(4)
        expected = torch.rand(1, 3, 36, 48, generator=generator)
        assert float((start - expected).abs().max()) <= 0.5 / 255 + 1e-6
    else:
        painting = read_image(style)
        means = [image.mean(dim=(2, 3)) for image in (start, painting)]
        torch.testing.assert_close(*means, atol=0.01, rtol=0)


def test_scales_go_from_coarse_to_the_full_size(arguments, tmp_path):
    # The default layers at half size have none of so small a picture.
    layers = ["--style-layers", "rgb", "relu1_1", "relu2_1", "--content-layers", "relu2_1"]
    assert main([*arguments, *layers, "--scales", "3", "--save-every", "1"]) == EXIT_DONE
    sizes = [size_of(path) for path in sorted(tmp_path.glob("out.step*.png"))]
    assert sizes == [(12, 9)] * 7 + [(24, 18)] * 7 + [(48, 36)] * 7
    assert size_of(tmp_path / "out.png") == (48, 36)
    assert [row["step"] for row in rows(tmp_path / "out.losses.csv")] == list(range(21))


def test_several_styles_are_pooled_by_their_weights(arguments, style, tmp_path):
    second = tmp_path / "second.png"
    make_picture(50, 50, 31).save(second)
    both = [*arguments, "--style", str(style), str(second), "--overwrite"]
    firsts = []
    for weights in (["1", "1e-9"], ["1e-9", "1"]):
        assert main([*both, "--style-weights", *weights]) == EXIT_DONE
        firsts.append(rows(tmp_path / "out.losses.csv")[0]["style"])
    assert main([*arguments, "--overwrite"]) == EXIT_DONE
    alone = rows(tmp_path / "out.losses.csv")[0]["style"]
    assert firsts[0] == pytest.approx(alone, rel=1e-4)
    assert firsts[1] != pytest.approx(alone, rel=1e-2)


def test_statistics_are_those_of_the_features_and_edges_those_of_sobel(arguments, tmp_path):
    assert main([*arguments, "--statistics"]) == EXIT_DONE
    statistics = json.loads((tmp_path / "out.statistics.json").read_text())
    assert set(statistics) == {"content", "style", "stylized"}
    layer = statistics["content"]["relu2_1"]
    assert layer["shape"] == [1, 128, 18, 24]
    assert layer["min"] == 0 < layer["mean"] < layer["max"]
    assert statistics["style"][0]["covariance relu3_1"]["shape"] == [1, 256, 256]
    assert statistics["style"][0]["mean rgb/2"]["shape"] == [1, 3]
    # Five tiles a row: the picture, and two directions of each kind of edge.
    assert size_of(tmp_path / "out.edges.png")[0] > 5 * 48
    ramp = torch.arange(8.0).expand(1, 3, 8, 8)
    across, down = sobel_edges(ramp)
    torch.testing.assert_close(across[..., 1:-1], torch.full((1, 3, 8, 6), 8.0))
    assert float(down.abs().max()) == 0
    assert summary(torch.tensor([1.0, 4.0])) == {"shape": [2], "min": 1, "max": 4, "mean": 2.5}


def test_bfloat16_leaves_the_optimum_where_it_is(arguments, tmp_path):
    found = {}
    for precision in ("float32", "bfloat16"):
        given = ["--precision", precision, "--overwrite", "--steps", "12", "--size", "32"]
        assert main([*arguments, *given]) == EXIT_DONE
        found[precision] = min(row["total"] for row in rows(tmp_path / "out.losses.csv"))
    assert found["bfloat16"] == pytest.approx(found["float32"], rel=0.05)


def test_ctrl_c_leaves_the_best_picture_so_far(arguments, tmp_path):
    command = [sys.executable, "-m", "fastnst", *arguments, "--steps", "100000"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ})
    table = tmp_path / "out.losses.csv"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not table.exists() or len(rows(table)) < 5):
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    told = child.communicate(timeout=60)[1]
    assert child.returncode == 130
    assert "best picture so far" in told
    assert "Traceback" not in told
    assert size_of(tmp_path / "out.png") == (48, 36)


def test_a_breakdown_keeps_the_last_good_picture(arguments, tmp_path, capsys, monkeypatch):
    whole = Objective.forward
    calls = itertools.count()

    def breaking(self, stylized, features, share=1.0):
        return whole(self, stylized * (float("nan") if next(calls) == 4 else 1), features, share)

    monkeypatch.setattr(Objective, "forward", breaking)
    assert main([*arguments, "--save-every", "1"]) == EXIT_INTERNAL
    told = capsys.readouterr().err.splitlines()[-1]
    names = " and ".join(term.name for term in terms_of(LossConfig()))
    assert f"step 4: the {names} loss is not a finite number" in told
    assert "best picture so far is kept as" in told
    good = rows(tmp_path / "out.losses.csv")
    assert len(good) == 4
    best = min(good, key=lambda row: row["total"])
    saved = tmp_path / f"out.step{int(best['step']):05}.png"
    assert saved.read_bytes() == (tmp_path / "out.png").read_bytes()


@pytest.mark.parametrize(
    ("changes", "yaml", "message"),
    [
        (["--content", "{tmp}/absent.jpg"], "", "absent.jpg: no such file"),
        (["--style", "{tmp}/absent.jpg"], "", "absent.jpg: no such file"),
        (["--content", "{tmp}/text.png"], "", "text.png: not a readable picture"),
        (["--style", "{tmp}/text.png"], "", "text.png: not a readable picture"),
        (["--init", "{tmp}/absent.png"], "", "absent.png: no such file"),
        (["--size", "9"], "", "9 x 7 pixels are too few for relu4_1/2, which needs 16"),
        (["--size", "24", "--style-layers", "relu5_1", "--scales", "2"], "", "needs 32 a side"),
        (["--style-size", "7"], "", "too few for relu4_1/2"),
        (["--style-weights", "1", "2"], "", "2 style_weights for 1 style images"),
        (["--style-layer-weights", "1", "2"], "", "2 style_layer_weights for 10 style_layers"),
        (["--style-layers", "relu9_1"], "", "no layer 'relu9_1'"),
        (["--optimizer", "sgd"], "", "optimizer: "),
        (["--loss", "gatsy"], "", "loss: "),
        (["--steps", "0"], "", "steps must be"),
        (["--backbone", "vgg19"], "", "--backbone-weights FILE"),
        (["--backbone", "vgg19_caffe"], "", "--backbone-weights FILE"),
        (["--output", "{tmp}/out.xyz"], "", "are written as"),
        (["--output", "{tmp}/text.png"], "", "exists already"),
        (["--output", "{tmp}/text.png/x.png"], "", "can't be written to"),
        (["--log-dir", "{tmp}/text.png/runs"], "", "can't be written to"),
        (["--styel", "x"], "", "unknown option --styel: did you mean --style"),
        ([], "style_wieght: 3", "unknown key 'style_wieght' in the configuration: did you mean"),
        ([], "beta1: 1.5", "beta1 must be"),
    ],
)
def test_bad_input_to_optimize_costs_one_line(
    changes, yaml, message, arguments, content, tmp_path, capsys
):
    (tmp_path / "text.png").write_text("hello")
    if yaml:
        (tmp_path / "recipe.yaml").write_text(yaml)
        changes = ["--config", str(tmp_path / "recipe.yaml")]
    before = files(tmp_path)
    given = [part.replace("{tmp}", str(tmp_path)) for part in changes]
    assert main([*arguments, *given]) == EXIT_USAGE
    assert message in one_line(capsys)
    assert files(tmp_path) - before <= {Path("runs")}


def test_optimize_without_content_or_style_says_what_is_missing(content, capsys):
    assert main(["optimize"]) == EXIT_USAGE
    assert "--style FILE" in one_line(capsys)
    assert main(["optimize", "--style", str(content)]) == EXIT_USAGE
    assert "--content FILE" in one_line(capsys)
