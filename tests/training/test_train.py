"""Training runs, for real, on tiny pictures."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import contents, tiny_arguments
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import (
    assert_same_weights,
    break_once,
    last_checkpoint,
    stopped_after,
    train,
    weights,
)

from fastnst.checkpoint.contents import BANK_KEY, load_checkpoint, save_checkpoint
from fastnst.checkpoint.description import KEY
from fastnst.checkpoint.shipped import base_model, shipped_models
from fastnst.config import TrainConfig
from fastnst.errors import EXIT_DONE, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_TERMINATED, EXIT_USAGE
from fastnst.machine.files import atomic_write
from fastnst.objective.forms import terms_of
from fastnst.objective.objective import Objective, style_targets
from fastnst.training import run as run_module
from fastnst.training import setup
from fastnst.training.budget import (
    RAMP_START,
    WARMUP_STEPS,
    Budget,
    learning_rate,
    style_ramp,
    style_share,
)
from fastnst.training.module import StyleTraining, saturation
from fastnst.training.plan import Plan, make_plan, time_step
from fastnst.training.ranks import Clock
from fastnst.training.record.logs import run_logger
from fastnst.training.record.resume import OPTIONS
from fastnst.training.watch import guard, held_out
from fastnst.training.watch.held_out import PANEL, is_panel_step


def test_training_lowers_the_loss_and_says_so(photos, style, tmp_path, capsys):
    output = tmp_path / "out.ckpt"
    arguments = tiny_arguments(photos, style, tmp_path)
    assert train(arguments, "--steps", "24", "--output", str(output)) == EXIT_DONE
    told = capsys.readouterr().err
    assert "on 12 photographs, embedded backbone, float32 on cpu" in told
    assert "images/s" in told
    assert "left" in told
    [folder] = (tmp_path / "runs" / "paint").iterdir()
    events = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    tags = events.Tags()
    expected = {
        "loss/total", "loss/content", "loss/style", "loss/total_variation",
        "loss/structure", "loss/color", "loss/shift_consistency", "loss/spectrum",
        "style_layers/rgb", "style_layers/relu4_1/2",
        "shares/content", "shares/style", "shares/total_variation",
        "learning_rate", "speed/images_per_second", "speed/data_wait_seconds",
        "held_out/total", "held_out/style",
    }  # fmt: skip
    assert expected <= set(tags["scalars"])
    assert [event.step for event in events.Images(PANEL)] == [0, 10, 20, 24]
    assert any("configuration" in tag for tag in tags["tensors"])
    assert events.PluginTagToContent("hparams")
    held_out = [event.value for event in events.Scalars("held_out/total")]
    assert held_out[-1] < 0.9 * held_out[0]
    info = load_checkpoint(output).info
    assert info["losses"]["total"] == pytest.approx(held_out[-1], rel=1e-4)
    assert info["training"]["steps"] == 24
    assert info["training"]["images"] == 48
    assert info["data"]["photos"] == 16
    assert (folder / "last.ckpt").exists()


def test_a_checkpoint_holds_the_network_and_no_backbone_and_no_path(tiny_args, tmp_path):
    output = tmp_path / "out.ckpt"
    train(tiny_args, "--steps", "2", "--output", str(output))
    assert output.stat().st_size < 4_000_000
    checkpoint = load_checkpoint(output)
    assert all(name.startswith("network.") for name in checkpoint.contents["state_dict"])
    assert str(tmp_path) not in json.dumps(checkpoint.info)
    assert str(tmp_path).encode() not in output.read_bytes()


def test_a_finished_network_is_stored_in_half_precision_and_the_run_exactly(tiny_args, tmp_path):
    output = tmp_path / "out.ckpt"
    # So few photographs are held out that the last weights are those to keep.
    train(tiny_args, "--steps", "2", "--output", str(output))
    exact = load_checkpoint(last_checkpoint(tmp_path)).contents["state_dict"]
    half = load_checkpoint(output).contents["state_dict"]
    assert exact.keys() == half.keys()
    for name, value in exact.items():
        assert (value.dtype, half[name].dtype) == (torch.float32, torch.float16)
        torch.testing.assert_close(half[name].float(), value, rtol=2**-11, atol=2**-24)


@pytest.mark.parametrize(
    ("workers", "number", "code"),
    [("0", signal.SIGINT, EXIT_INTERRUPTED), ("2", signal.SIGTERM, EXIT_TERMINATED)],
)
def test_a_stopped_and_resumed_run_equals_one_that_was_not(
    tiny_args, tmp_path, workers, number, code
):
    """Stopped twice, in the middle of passes over the 12 photographs: bit for bit the same."""
    straight, resumed = tmp_path / "straight.ckpt", tmp_path / "resumed.ckpt"
    steps = ["--steps", "11", "--workers", workers]
    assert train(tiny_args, *steps, "--output", str(straight)) == EXIT_DONE
    for stop in (3, 8):
        with stopped_after(stop, number):
            arguments = [*steps, "--output", str(resumed)]
            if stop > 3:
                arguments += ["--resume", str(last_checkpoint(tmp_path))]
            assert train(tiny_args, *arguments) == code
        assert load_checkpoint(last_checkpoint(tmp_path)).step == stop
        assert not resumed.exists()
    arguments = [*steps, "--output", str(resumed), "--resume", str(last_checkpoint(tmp_path))]
    assert train(tiny_args, *arguments) == EXIT_DONE
    assert_same_weights(straight, resumed)


def test_kill_minus_9_leaves_a_checkpoint_that_resumes_to_the_same_weights(tiny_args, tmp_path):
    straight, resumed = tmp_path / "straight.ckpt", tmp_path / "resumed.ckpt"
    arguments = [*tiny_args, "--steps", "40", "--save-every", "0"]
    command = [sys.executable, "-m", "fastnst", *arguments, "--output", str(resumed)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "runs").rglob("last.ckpt")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        child.kill()
    last = last_checkpoint(tmp_path)
    assert 0 < load_checkpoint(last).step < 40
    assert not resumed.exists()
    assert train(arguments, "--output", str(resumed), "--resume", str(last)) == EXIT_DONE
    # In a process of its own too, with as many threads: sums then have the same order.
    assert train(arguments, "--output", str(straight)) == EXIT_DONE
    assert_same_weights(straight, resumed)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tiny_args, tmp_path):
    paths = [tmp_path / f"{i}.ckpt" for i in range(3)]
    for path, seed in zip(paths, ("5", "5", "6"), strict=True):
        train(tiny_args, "--steps", "4", "--seed", seed, "--output", str(path))
    assert_same_weights(paths[0], paths[1])
    with pytest.raises(AssertionError):
        assert_same_weights(paths[0], paths[2])


def test_training_starts_from_the_base_unless_told_otherwise(tiny_args, tmp_path):
    rate = ["--learning-rate", "1e-9", "--steps", "1"]
    from_base = base_model("fast")
    assert from_base is not None
    for init, start in (("base", from_base), ("wave", shipped_models()["wave"])):
        base = load_checkpoint(start)
        output = tmp_path / f"{init}.ckpt"
        train(tiny_args, "--init", init, "--output", str(output), *rate)
        # The base's norms are those of the style of its own that is nearest (tests/test_start.py).
        worn = base.contents[BANK_KEY]["norms"] if init == "base" else {}
        for name, value in weights(output).items():
            choice = [base.weights[name], *worn.get(name, ())]
            assert any(torch.allclose(value, v.float(), atol=1e-6, rtol=1e-3) for v in choice), name
        assert load_checkpoint(output).info["training"]["started_from"] == start.stem
    fresh = tmp_path / "fresh.ckpt"
    train(tiny_args, "--output", str(fresh), *rate)
    assert load_checkpoint(fresh).info["training"]["started_from"] is None
    # There is no base of this kind.
    johnson = tmp_path / "johnson.ckpt"
    train(tiny_args, "--init", "base", "--network", "johnson", "--output", str(johnson), *rate)
    assert load_checkpoint(johnson).info["training"]["started_from"] is None


def test_a_run_from_a_network_without_a_skip_gains_one_and_a_resumed_one_does_not(
    tiny_args, tmp_path, monkeypatch
):
    earlier, before = tmp_path / "earlier.ckpt", tmp_path / "before.ckpt"
    save_checkpoint(contents(), earlier)
    arguments = [*tiny_args, "--init", str(earlier)]
    with monkeypatch.context() as patch:
        patch.setattr(setup, "with_skip", lambda network: network)
        train(arguments, "--steps", "2", "--output", str(before))
    options = load_checkpoint(earlier).info["network"]["options"]
    last = last_checkpoint(tmp_path)
    for name, more, expected in (
        ("resumed", ["--steps", "3", "--resume", str(last)], options),
        ("later", ["--steps", "1"], options | {"skip": 1}),
    ):
        output = tmp_path / f"{name}.ckpt"
        assert train(arguments, *more, "--output", str(output)) == EXIT_DONE
        assert load_checkpoint(output).info["network"]["options"] == expected
    assert bool((weights(tmp_path / "later.ckpt")["body.skip.weight"] != 0).any())


def test_init_starts_from_another_network(tiny_args, tmp_path, capsys):
    first, second = tmp_path / "first.ckpt", tmp_path / "second.ckpt"
    train(tiny_args, "--steps", "3", "--output", str(first))
    rate = ["--learning-rate", "1e-9"]
    train(tiny_args, "--steps", "1", "--init", str(first), "--output", str(second), *rate)
    for name, value in weights(second).items():
        torch.testing.assert_close(value, weights(first)[name], atol=1e-6, rtol=1e-4)
    assert load_checkpoint(second).info["training"]["started_from"] == "first"
    third = tmp_path / "second-again.ckpt"
    train(tiny_args, "--steps", "1", "--init", str(second), "--output", str(third))
    assert load_checkpoint(third).info["training"]["ancestors"] == ["first", "second"]
    refused = train(
        tiny_args, "--steps", "1", "--init", str(first), "--network", "johnson",
        "--output", str(tmp_path / "third.ckpt"),
    )  # fmt: skip
    assert refused == EXIT_USAGE
    assert "add --network fast" in capsys.readouterr().err


def test_resuming_with_other_settings_is_refused_with_the_differences(tiny_args, tmp_path, capsys):
    output = tmp_path / "out.ckpt"
    train(tiny_args, "--steps", "2", "--output", str(output))
    [last] = (tmp_path / "runs").rglob("last.ckpt")
    capsys.readouterr()
    code = train(
        tiny_args, "--steps", "4", "--style-weight", "7", "--seed", "1",
        "--resume", str(last), "--output", str(tmp_path / "more.ckpt"),
    )  # fmt: skip
    told = capsys.readouterr().err
    assert code == EXIT_USAGE
    assert told.count("\n") == 1
    assert "style_weight was 12.0, is 7.0" in told
    assert "seed was 0, is 1" in told
    assert "batch_size" not in told
    code = train(tiny_args, "--steps", "2", "--resume", str(last), "--output", str(tmp_path / "x"))
    assert code == EXIT_USAGE
    assert "behind it already" in capsys.readouterr().err


# The newest options, and what was done before there were any.
NEWEST = {
    "stability_weight": 0.0,
    "spectrum_weight": 0.0,
    "padding": "zeros",
    "structure_weight": 0.0,
    "color_weight": 0.0,
}


def test_a_run_of_an_earlier_version_goes_on_as_it_began(tiny_args, tmp_path, capsys):
    """Its checkpoint has none of the newest options, and the command line names none."""
    straight, resumed = tmp_path / "straight.ckpt", tmp_path / "resumed.ckpt"
    as_before = [
        word
        for name, value in NEWEST.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    train(tiny_args, *as_before, "--steps", "6", "--output", str(straight))
    with stopped_after(3, signal.SIGINT):
        train(tiny_args, *as_before, "--steps", "6", "--output", str(resumed))
    last = last_checkpoint(tmp_path)
    contents = torch.load(last, weights_only=True)
    for entry in (contents[KEY]["loss"], contents[KEY]["training"]["options"]):
        for name in NEWEST:
            entry.pop(name, None)
    torch.save(contents, last)
    last.with_name(OPTIONS).unlink()
    capsys.readouterr()
    more = [*tiny_args, "--steps", "6", "--resume", str(last), "--output", str(resumed)]
    assert train(more, "--spectrum-weight", "2") == EXIT_USAGE
    assert "spectrum_weight was 0.0, is 2.0" in capsys.readouterr().err
    assert train(more) == EXIT_DONE
    assert "an earlier version began this run; it goes on with" in capsys.readouterr().err
    assert_same_weights(straight, resumed)
    assert (
        NEWEST.items()
        <= {
            **load_checkpoint(resumed).info["loss"],
            **load_checkpoint(resumed).info["training"]["options"],
        }.items()
    )


def test_a_finished_run_can_be_made_longer(tiny_args, tmp_path, capsys):
    output, longer = tmp_path / "out.ckpt", tmp_path / "longer.ckpt"
    train(tiny_args, "--steps", "3", "--output", str(output))
    [last] = (tmp_path / "runs").rglob("last.ckpt")
    assert output.stat().st_size < 0.6 * last.stat().st_size
    more = [*tiny_args, "--steps", "5", "--output", str(longer)]
    assert train(more, "--resume", str(output)) == EXIT_USAGE
    assert "go on with last.ckpt in its run folder" in capsys.readouterr().err
    code = train(more, "--resume", str(last))
    assert code == EXIT_DONE
    assert load_checkpoint(longer).step == 5


def test_unreadable_photographs_are_listed_and_too_many_stop_the_run(
    tiny_args, photos, tmp_path, capsys
):
    files = sorted(photos.rglob("*.jpg"))
    files[0].write_bytes(b"no picture")
    output = tmp_path / "out.ckpt"
    assert train(tiny_args, "--steps", "12", "--output", str(output)) == EXIT_DONE
    [listed] = (tmp_path / "runs").rglob("bad_files.txt")
    assert listed.read_text().count("\n") == 1
    assert str(files[0]) in listed.read_text()
    for file in files[1:6]:
        file.write_bytes(b"no picture")
    capsys.readouterr()
    code = train(tiny_args, "--steps", "40", "--output", str(tmp_path / "other.ckpt"))
    assert code == EXIT_USAGE
    assert "photographs can't be read, more than 10%" in capsys.readouterr().err
    assert not (tmp_path / "other.ckpt").exists()


def test_a_loss_that_stays_no_number_stops_with_step_and_term_named(
    tiny_args, tmp_path, capsys, monkeypatch
):
    original = StyleTraining.losses

    def broken(module, content):
        if module.global_step >= 3:
            content = content * float("nan")
        return original(module, content)

    monkeypatch.setattr(StyleTraining, "losses", broken)
    code = train(tiny_args, "--steps", "19", "--save-every", "0", "--output", str(tmp_path / "o"))
    told = capsys.readouterr().err.splitlines()
    assert code == EXIT_INTERNAL
    names = [term.name for term in terms_of(TrainConfig(style=(Path("a"),), data="b"))]
    problem = f"the {' and '.join(names)} loss is not a finite number"
    back = [line for line in told if f"{problem}; going back to the weights" in line]
    # Three steps in a row: fewer may be single photographs, which are left out.
    assert [line.split(":")[0] for line in back] == ["step 6", "step 9", "step 12"]
    assert [line.split("(")[1] for line in back] == ["1 of 3)", "2 of 3)", "3 of 3)"]
    assert f"step 15: {problem}, after 3 rollbacks" in told[-1]
    assert load_checkpoint(last_checkpoint(tmp_path)).step == 14
    assert not (tmp_path / "o").exists()


def spoil(network, value: float) -> None:
    for parameter in network.parameters():
        parameter.fill_(value)


def blacken(network) -> None:
    output = [value for name, value in network.named_parameters() if ".skip." not in name][-1]
    output.fill_(-1e3)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda network: spoil(network, float("nan")), "loss is not a finite number"),
        (lambda network: spoil(network, float("inf")), "loss is not a finite number"),
        (blacken, "of the picture is black or white"),
    ],
    ids=["nan", "inf", "black"],
)
def test_a_run_that_goes_astray_is_taken_back_and_ends_well(
    damage, problem, tiny_args, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(guard, "SNAPSHOT_EVERY", 5)
    break_once(monkeypatch, 11, damage)
    output = tmp_path / "out.ckpt"
    assert train(tiny_args, "--steps", "30", "--output", str(output)) == EXIT_DONE
    [told] = [line for line in capsys.readouterr().err.splitlines() if "going back" in line]
    assert problem in told
    assert "to the weights of step 5 at 0.5 times the learning rate (1 of 3)" in told
    assert load_checkpoint(output).step == 30
    [folder] = (tmp_path / "runs" / "paint").iterdir()
    held_out = EventAccumulator(str(folder)).Reload().Scalars("held_out/total")
    assert held_out[-1].value < 0.98 * held_out[0].value


def test_only_what_a_network_has_blackened_or_bleached_is_saturated():
    content = torch.full((1, 3, 4, 4), 0.5)
    content[..., :2] = 1
    stylized = content.clone()
    assert saturation(stylized) == 0.5
    assert saturation(stylized, content) == 0
    stylized[..., 2] = 0
    assert saturation(stylized, content) == 0.5
    assert saturation(content * 0, content) == 1
    # Of paper that is white all over nothing can be told.
    assert saturation(torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)) == 0


def test_a_lasting_spike_is_taken_back_and_one_outlier_is_not(
    tiny_args, tmp_path, capsys, monkeypatch
):
    original = StyleTraining.losses
    spikes = {12, 15, 16, 17}

    def spiking(module, content):
        losses = original(module, content)
        if module.global_step not in spikes:
            return losses
        spikes.discard(module.global_step)
        return losses.with_numbers([number * 1000 for number in losses.numbers()])

    monkeypatch.setattr(StyleTraining, "losses", spiking)
    output = tmp_path / "out.ckpt"
    assert train(tiny_args, "--steps", "20", "--output", str(output)) == EXIT_DONE
    [told] = [line for line in capsys.readouterr().err.splitlines() if "going back" in line]
    assert told.startswith("step 18: the loss is ")
    assert "usually" in told


def test_a_worker_that_dies_ends_the_run_with_a_line_that_names_the_option(
    tiny_args, tmp_path, capsys, monkeypatch
):
    original = StyleTraining.training_step

    def training_step(module, batch, batch_idx):
        if module.global_step == 3:
            for worker in multiprocessing.active_children():
                os.kill(worker.pid, signal.SIGKILL)
        return original(module, batch, batch_idx)

    monkeypatch.setattr(StyleTraining, "training_step", training_step)
    started = time.monotonic()
    output = tmp_path / "out.ckpt"
    arguments = ["--steps", "100000", "--workers", "2", "--save-every", "0"]
    assert train(tiny_args, *arguments, "--output", str(output)) == EXIT_INTERNAL
    assert time.monotonic() - started < 60
    told = capsys.readouterr().err.splitlines()[-1]
    assert "a process that decodes photographs died" in told
    assert "--workers" in told
    assert "--resume" in told
    assert load_checkpoint(last_checkpoint(tmp_path)).step >= 2
    assert not output.exists()


def test_bfloat16_trains_too(tiny_args, tmp_path):
    output = tmp_path / "out.ckpt"
    assert train(tiny_args, "--steps", "3", "--precision", "bfloat16", "--output", str(output)) == 0
    checkpoint = load_checkpoint(output)
    assert checkpoint.info["training"]["precision"] == "bfloat16"
    assert {value.dtype for value in checkpoint.weights.values()} == {torch.float32}


def test_a_budget_in_minutes_ends_in_time(tiny_args, tmp_path):
    output = tmp_path / "out.ckpt"
    started = time.monotonic()
    assert train(tiny_args, "--minutes", "0.03", "--output", str(output)) == EXIT_DONE
    assert time.monotonic() - started < 20
    training = load_checkpoint(output).info["training"]
    assert 1.8 <= training["seconds"] < 5
    assert training["steps"] > 2


def test_several_styles_are_one_style(tiny_args, style, photos, tmp_path):
    more = [
        "--style",
        str(style),
        str(sorted(photos.rglob("*.jpg"))[0]),
        "--style-weights",
        "3",
        "1",
    ]
    output = tmp_path / "out.ckpt"
    assert train(tiny_args, *more, "--steps", "1", "--output", str(output)) == EXIT_DONE
    checkpoint = load_checkpoint(output)
    assert checkpoint.style_name.startswith("paint+photo")
    assert [style["weight"] for style in checkpoint.info["style"]] == [3, 1]


def test_the_johnson_form_and_network_train(tiny_args, tmp_path):
    more = ["--network", "johnson", "--loss", "johnson", "--style-weight", "1e-3"]
    output = tmp_path / "out.ckpt"
    assert train(tiny_args, *more, "--steps", "2", "--output", str(output)) == EXIT_DONE
    assert load_checkpoint(output).network().kind == "johnson"


def test_learning_rate_warms_up_and_fades():
    config = TrainConfig(style=(Path("a"),), data="b", learning_rate=1.0, steps=1000)
    rates = [learning_rate(config, step / 1000, step) for step in range(1001)]
    assert rates[0] == pytest.approx(1 / WARMUP_STEPS, rel=0.01)
    assert max(rates) == pytest.approx(1, rel=0.01)
    assert rates[500] == pytest.approx(0.5, rel=1e-6)
    assert rates[1000] == pytest.approx(0, abs=1e-9)


def test_the_style_weight_rises_to_its_full_value_over_the_ramp():
    assert style_share(0.5, 0) == pytest.approx(RAMP_START)
    assert style_share(0.5, 0.25) == pytest.approx(RAMP_START**0.5)
    assert [style_share(0.5, progress) for progress in (0.5, 0.8, 1)] == [1, 1, 1]
    assert style_share(0, 0) == 1


def test_a_network_that_knows_pictures_needs_a_shorter_ramp():
    config = TrainConfig(style=(Path("a"),), data="b")
    assert 0 < style_ramp(config, "base-fast") < style_ramp(config, None) <= 0.5
    for started_from in ("base-fast", None):
        assert style_ramp(dataclasses.replace(config, style_ramp=0.3), started_from) == 0.3


def test_the_style_share_scales_the_style_term_alone(backbone, image):
    config = TrainConfig(style=(Path("a"),), data="b")
    loss = Objective(backbone, style_targets(backbone, [image[:1]], config), config)
    features = loss.see_content(image.flip(0))
    whole, tenth = loss(image, features).weighted(), loss(image, features, 0.1).weighted()
    assert float(tenth["style"]) == pytest.approx(0.1 * float(whole["style"]), rel=1e-5)
    assert float(tenth["content"]) == float(whole["content"])


def test_a_budget_of_steps_or_minutes_knows_where_it_stands():
    steps = Budget(steps=10, seconds=None)
    assert [steps.progress(step) for step in (0, 5, 10, 12)] == [0, 0.5, 1, 1]
    assert steps.remaining(4, rate=2) == 3
    minutes = Budget(steps=None, seconds=100, spent=40)
    assert minutes.progress(123) == pytest.approx(0.4)
    minutes.start()
    assert minutes.remaining(0, rate=1) == pytest.approx(60, abs=1)


def test_a_shortened_budget_hurries_to_its_end():
    budget = Budget(steps=100, seconds=None)
    assert budget.shorten(40, left=0.2)
    assert not budget.shorten(45, left=0.1)
    assert [budget.progress(step) for step in (40, 50, 60, 70)] == pytest.approx([0.4, 0.7, 1, 1])
    assert budget.remaining(50, rate=2) == pytest.approx(5)
    late = Budget(steps=100, seconds=None)
    assert not late.shorten(85, left=0.2)
    assert late.progress(90) == pytest.approx(0.9)


def disturb(network) -> None:
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter))


def test_the_weights_that_are_kept_are_the_best_on_held_out_photographs(
    photos, style, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(run_module, "PANEL_SIZE", 256)
    break_once(monkeypatch, 28, disturb)
    output = tmp_path / "out.ckpt"
    # Without what makes the loss on photographs held out go up and down from step to step.
    calm = ["--style-weight", "1", "--stability-weight", "0", "--spectrum-weight", "0"]
    arguments = [*tiny_arguments(photos, style, tmp_path), *calm]
    assert train(arguments, "--steps", "30", "--output", str(output)) == EXIT_DONE
    kept, last = load_checkpoint(output), load_checkpoint(last_checkpoint(tmp_path))
    assert kept.info["training"]["kept_step"] == 27
    assert "kept the weights of step 27, the best" in capsys.readouterr().err
    assert kept.step == last.step == 30
    assert kept.info["losses"]["total"] < last.info["losses"]["total"]
    with pytest.raises(AssertionError):
        assert_same_weights(output, last_checkpoint(tmp_path))


@pytest.mark.parametrize(
    ("losses", "choosy", "kept"),
    [
        ([1, 5, 5, 5, 5, 5, 5, 5, 4, 3, 4], True, 9),  # Not the start, though it is the best.
        ([9, 1, 5, 5, 5, 5, 5, 5, 6, 7, 8], True, 8),
        ([9, 5, 5, 5, 5, 5, 5, 5, 4, 3, 4], False, 10),  # Too few photographs to choose by.
        ([1, 5, 5, 5, 5, 5, 5, 5, 4, 3, 4], False, 10),
    ],
)
def test_weights_are_chosen_in_the_last_fifth_or_are_the_last(losses, choosy, kept):
    module = SimpleNamespace(
        budget=Budget(10, None), network=torch.nn.Linear(1, 1), description={"training": {}}
    )
    trainer = SimpleNamespace(global_step=0, logger=None)
    watched = SimpleNamespace(evaluate=lambda _: ({"total": losses[trainer.global_step]}, None))
    best = held_out.BestWeights(watched, print, None, choosy)
    for step in range(11):
        trainer.global_step = step
        best._check(trainer, module)
    assert best.install(module) == kept
    assert module.description["losses"] == {"total": losses[kept]}


def test_the_best_of_an_earlier_version_that_summed_up_other_terms_is_not_compared_with():
    module = SimpleNamespace(
        budget=Budget(10, None), network=torch.nn.Linear(1, 1), description={"training": {}}
    )
    trainer = SimpleNamespace(global_step=9, logger=None)
    watched = SimpleNamespace(evaluate=lambda _: ({"total": 5.0, "spectrum": 2.0}, None))
    best = held_out.BestWeights(watched, print, None)
    earlier = {"settled": True, "step": 8, "losses": {"total": 3.0}, "weights": {}}
    best.load_state_dict({"best": earlier, "due": 0.0, "lowest": 3.0, "idle": 4, "cut": None})
    best._check(trainer, module)
    assert best.install(module) == 9
    best._watch(module, 9, 5.0)
    assert (best._lowest, best._idle) == (5.0, 0)


@pytest.mark.parametrize("option", [[], ["--no-early-stop"]])
def test_a_run_that_gains_nothing_ends_early_unless_told_otherwise(
    option, tiny_args, tmp_path, capsys, monkeypatch
):
    # As in a run of minutes, where a check takes little of it; by a clock of the steps' own.
    monkeypatch.setattr(held_out, "MAX_SHARE", 10)
    steps, original = [], StyleTraining.training_step

    def training_step(module, batch, batch_idx):
        steps.append(batch_idx)
        return original(module, batch, batch_idx)

    monkeypatch.setattr(StyleTraining, "training_step", training_step)
    monkeypatch.setattr(Clock, "__call__", lambda clock: 0.1 * len(steps))
    output = tmp_path / "out.ckpt"
    still = ["--learning-rate", "1e-9", "--style-ramp", "0", "--minutes", "0.05"]
    assert train(tiny_args, *still, *option, "--output", str(output)) == EXIT_DONE
    told = capsys.readouterr().err
    if option:
        assert "early" not in told
        assert len(steps) >= 30
    else:
        assert told.count("the run comes to its end early (--no-early-stop") == 1
        assert len(steps) < 25


def test_the_plan_fits_the_machine_and_the_minutes():
    def machine(seconds_at_128: float):
        return lambda size, batch: seconds_at_128 * batch * (size / 128) ** 2

    def plan(seconds_at_128: float, **options) -> Plan:
        config = TrainConfig(style=(Path("a"),), data="b", **options)
        return make_plan(config, Budget.of(config), machine(seconds_at_128))

    def sizes(plan: Plan) -> tuple[int, int]:
        return plan.image_size, plan.batch_size

    assert plan(0.1, minutes=2) == Plan(128, 1, 1200)
    assert sizes(plan(0.1, minutes=3)) == (128, 1)
    assert sizes(plan(0.1, minutes=5)) == (192, 1)
    assert sizes(plan(0.1, minutes=19)) == (192, 1)
    assert sizes(plan(0.1, minutes=21)) == (256, 1)
    assert sizes(plan(0.001, minutes=10)) == (256, 4)
    assert sizes(plan(1, minutes=2)) == (96, 1)
    # What the user says stays.
    assert sizes(plan(0.1, minutes=30, image_size=100)) == (100, 1)
    assert sizes(plan(0.1, minutes=5, batch_size=3)) == (128, 3)
    assert plan(0.1, minutes=5, image_size=64, batch_size=2) == Plan(64, 2)


def test_a_number_of_steps_means_the_same_on_every_machine():
    def never(size: int, batch: int) -> float:
        raise AssertionError("timed")

    config = TrainConfig(style=(Path("a"),), data="b", steps=100_000)
    assert make_plan(config, Budget.of(config), never) == Plan(128, 1)


def test_calibration_takes_the_fastest_step_once_warm(monkeypatch):
    times = iter([0.01, 9.0, 0.4, 0.2, 9.0, 0.3, 9.0, 9.0])
    monkeypatch.setattr("fastnst.training.plan._timed", lambda *_: next(times))
    device = torch.device("cpu")
    measure = time_step(torch.nn.Identity(), torch.nn.Identity(), "float32", device)
    assert measure(128, 1) == 0.2
    assert next(times, None) is None


def test_a_run_in_minutes_is_planned_and_resumed_as_planned(tiny_args, tmp_path, capsys):
    planned = [argument for argument in tiny_args if argument not in ("--image-size", "32")]
    output = tmp_path / "out.ckpt"
    minutes = [*planned, "--batch-size", "1", "--minutes", "0.02"]
    assert train(minutes, "--output", str(output)) == EXIT_DONE
    assert "96 x 96 pixels, 1 a step, about " in capsys.readouterr().err
    spent = load_checkpoint(last_checkpoint(tmp_path)).info["training"]["seconds"] / 60
    more = str(spent + 0.04)
    longer = [*planned, "--minutes", more, "--output", str(tmp_path / "longer.ckpt")]
    assert train(longer, "--resume", str(last_checkpoint(tmp_path))) == EXIT_USAGE
    assert "batch_size was 1, is 2" in capsys.readouterr().err
    fitting = [argument for argument in longer if argument not in ("--batch-size", "2")]
    assert train(fitting, "--resume", str(last_checkpoint(tmp_path))) == EXIT_DONE
    options = load_checkpoint(tmp_path / "longer.ckpt").info["training"]["options"]
    assert (options["image_size"], options["batch_size"]) == (96, 1)


def test_the_panel_is_drawn_at_log_spaced_steps():
    drawn = [step for step in range(3001) if is_panel_step(step)]
    assert drawn == [10, 20, 50, 100, 200, 500, 1000, 2000]


def test_runs_that_start_at_once_have_folders_of_their_own(tmp_path):
    runs = tmp_path / "runs" / "paint"
    (runs / "version_7").mkdir(parents=True)
    config = TrainConfig(style=(tmp_path / "paint.png",), data="x", log_dir=tmp_path / "runs")
    with ThreadPoolExecutor(8) as pool:
        loggers = list(pool.map(lambda _: run_logger(config), range(24)))
    names = {Path(logger.log_dir).name for logger in loggers}
    assert names == {f"version_{number}" for number in range(8, 32)}


def test_the_result_of_another_run_is_kept_and_ours_is_beside_its_logs(
    tiny_args, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "same.ckpt"
    once = run_module.check_output

    def the_other_is_faster(config: TrainConfig) -> None:
        once(config)
        output.write_bytes(b"another's")

    monkeypatch.setattr(run_module, "check_output", the_other_is_faster)
    assert train(tiny_args, "--steps", "2", "--output", str(output)) == EXIT_DONE
    assert output.read_bytes() == b"another's"
    [folder] = (tmp_path / "runs" / "paint").iterdir()
    assert load_checkpoint(folder / "finished.ckpt").info["training"]["steps"] == 2
    told = capsys.readouterr().err
    assert f"{output}: written by another run meanwhile, and kept" in told
    assert str(folder / "finished.ckpt") in told
    output.write_bytes(b"old")
    assert train(tiny_args, "--steps", "2", "--output", str(output), "--overwrite") == EXIT_DONE
    assert load_checkpoint(output).info["training"]["steps"] == 2


@pytest.mark.parametrize("links", [True, False])
def test_of_many_who_write_one_new_file_one_succeeds(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", faulty_link)
    target = tmp_path / "one"
    with atomic_write(target, overwrite=False) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), atomic_write(target, overwrite=False) as file:
        file.write(b"second")
    assert target.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def faulty_link(*_: object) -> None:
    raise PermissionError("no hard links here")


@pytest.mark.parametrize("written", ["style: {style}", "style:\n- {style}", "style: [{style}]"])
def test_a_configuration_may_name_its_one_painting_without_brackets(
    tiny_args, style, tmp_path, written
):
    config = tmp_path / "c.yaml"
    more = "style_weight: 2e-1\nstyle_layers: relu2_1\nsteps: 1\n"
    config.write_text(written.format(style=style) + "\n" + more)
    given = tiny_args[: tiny_args.index("--style")] + tiny_args[tiny_args.index("--data") :]
    given = given[: given.index("--style-layers")]
    output = tmp_path / "out.ckpt"
    assert train(given, "--config", str(config), "--output", str(output)) == EXIT_DONE
    info = load_checkpoint(output).info
    assert info["style"][0]["name"] == "paint"
    assert info["loss"]["style_layers"] == ["relu2_1"]
    assert info["loss"]["style_weight"] == 0.2
