"""Training a base: what a step changes, what a sitting keeps, and what a run can start from."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import ROOT, make_photos, make_picture
from training_runs import break_once, stopped_after

from fastnst.checkpoint.contents import BANK_KEY, load_checkpoint
from fastnst.config import TrainConfig
from fastnst.errors import CheckpointError
from fastnst.networks.modules import build_network
from fastnst.training.base import run, styles
from fastnst.training.base.bank import Bank, norm_names
from fastnst.training.base.module import BaseTraining, style_of
from fastnst.training.base.run import BaseConfig, train_base
from fastnst.training.base.styles import REORDERED, style_pictures, texture
from fastnst.training.budget import WARMUP_STEPS, Budget


@pytest.fixture
def config(tmp_path, monkeypatch) -> BaseConfig:
    """A base of a picture, a part of it and a texture; a sitting is two steps."""
    monkeypatch.setattr(styles, "TEXTURES", 1)
    (tmp_path / "styles").mkdir()
    make_picture(60, 48, 7).save(tmp_path / "styles" / "paint.png")
    make_picture(60, 48, 8).save(tmp_path / "styles" / "kept_out.png")
    photos = str(make_photos(tmp_path))
    return BaseConfig(
        photos, tmp_path / "base.ckpt", [tmp_path / "styles"],
        steps=2, leave_out=["kept_out"], image_size=32,
    )  # fmt: skip


def test_styles_are_pictures_their_parts_recoloured_and_textures(config):
    found = dict(style_pictures(config.styles, {"kept_out"}, 24))
    assert list(found) == ["paint", "paint, enlarged and recoloured", "texture 0"]
    whole, part, made = found.values()
    assert min(whole.shape[-2:]) == min(part.shape[-2:]) == 24
    # The part's channels change places with the picture's: its means are those of the middle.
    picture = torch.from_numpy(np.array(make_picture(60, 48, 7))).permute(2, 0, 1).float() / 255
    middle = picture[:, 12:36, 15:45].mean(dim=(1, 2))[REORDERED]
    assert torch.allclose(part.mean(dim=(0, 2, 3)), middle, atol=0.02)
    assert made.shape == (1, 3, 24, 24)


def test_textures_are_few_flat_colours_and_differ():
    made = [np.asarray(texture(number, 40)) for number in range(6)]
    for one in made:
        assert 2 <= len(np.unique(one.reshape(-1, 3), axis=0)) <= 5
    assert len({one.tobytes() for one in made}) == 6


def sitting_of(config) -> BaseTraining:
    settings = TrainConfig(style=(Path("many"),), data="photos", learning_rate=run.LEARNING_RATE)
    return run._prepared(config, settings, "float32")[1]


def taken(config) -> dict[str, torch.Tensor]:
    """What a sitting keeps of its networks."""
    return torch.load(config.state, weights_only=True)["state_dict"]


def test_a_step_changes_the_trunk_and_the_shown_styles_norms_alone(config):
    before = sitting_of(config).bank.state_dict()
    train_base(dataclasses.replace(config, steps=1))
    after = {name.removeprefix("network."): value for name, value in taken(config).items()}
    norms = {f"network.{name}" for name in norm_names(build_network("fast"))}
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    styles = {name.split(".")[1] for name in changed if name.startswith("own.")}
    assert styles == {str(style_of(0, 3))}
    assert not norms & changed
    trunk = {name for name in before if name.startswith("network.")} - norms
    assert {name for name in trunk if name.endswith("weight")} <= changed


def test_the_rate_warms_up_and_a_sitting_ends_standing_still(config):
    module = sitting_of(config)
    trainer = SimpleNamespace(global_step=0)
    module.budget = Budget(100, None, first=40)
    rates = []
    for step in (0, 40, 99, 120, 140):
        trainer.global_step = step
        module._trainer = trainer
        rates.append(module.rate() / run.LEARNING_RATE)
    assert rates == pytest.approx([1 / WARMUP_STEPS, 1, 1, 0.5, 0])


def test_a_base_is_the_mean_of_its_styles_and_they_stand_beside_it(config):
    told: list[str] = []
    train_base(config, told.append)
    assert told == ["3 styles, 12 photographs, from step 0"]
    base = load_checkpoint(config.output)
    bank = base.contents[BANK_KEY]
    assert bank["styles"] == ["paint", "paint, enlarged and recoloured", "texture 0"]
    state = base.network().state_dict()
    for name, values in bank["norms"].items():
        assert torch.allclose(state[name], values.float().mean(0), atol=1e-3)
    assert base.info["training"]["steps"] == 2


def test_a_sitting_goes_on_where_the_last_one_ended(config):
    told: list[str] = []
    train_base(config, told.append)
    kept = torch.load(config.state, weights_only=True)
    train_base(config, told.append)
    assert told == [f"3 styles, 12 photographs, from step {step}" for step in (0, 2)]
    later = torch.load(config.state, weights_only=True)
    assert (kept["global_step"], later["global_step"]) == (2, 4)
    assert later["seconds"] > kept["seconds"] > 0
    assert load_checkpoint(config.output).info["training"]["steps"] == 4
    # Momentum goes on too.
    states = [contents["optimizer_states"][0]["state"] for contents in (kept, later)]
    steps = [max(s["step"] for s in state.values() if "step" in s) for state in states]
    assert steps == [2, 4] or steps[1] > steps[0]


def test_a_sitting_that_is_stopped_keeps_its_steps(config):
    with stopped_after(2, signal.SIGINT):
        received = train_base(dataclasses.replace(config, steps=50))
    assert received == signal.SIGINT
    assert torch.load(config.state, weights_only=True)["global_step"] == 2


def test_a_state_of_other_styles_is_refused_in_a_line(config):
    train_base(config)
    with pytest.raises(CheckpointError, match="of other styles, another network or an earlier"):
        train_base(dataclasses.replace(config, leave_out=[]))


def test_a_step_that_is_no_number_is_left_out_and_gone_back_from(config, monkeypatch):
    break_once(monkeypatch, 1, lambda network: next(network.parameters()).fill_(float("nan")))
    told: list[str] = []
    train_base(dataclasses.replace(config, steps=3), told.append)
    assert any("is not a finite number; going back to the weights of step 0" in t for t in told)
    assert all(bool(torch.isfinite(value).all()) for value in taken(config).values())


def test_styles_that_an_earlier_base_knows_begin_with_its_norms():
    base = load_checkpoint(Path(ROOT / "checkpoints" / "base" / "base-fast.ckpt"))
    earlier = base.contents[BANK_KEY]
    bank = Bank(build_network("fast"), 2)
    untouched = {name: value.detach().clone() for name, value in bank.norms_of(1).items()}
    bank.adopt(base, [earlier["styles"][3], "one that no base knows"])
    for name in bank.names:
        assert torch.equal(bank.norms_of(0)[name], earlier["norms"][name][3].float())
        assert torch.equal(bank.norms_of(1)[name], untouched[name])
