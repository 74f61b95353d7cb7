"""Training a base: what a step changes, what a sitting keeps, and what a run can start from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, make_photos, make_picture

from fastnst.checkpoint.contents import BANK_KEY, load_checkpoint
from fastnst.networks.modules import build_network
from fastnst.training.base import run, styles
from fastnst.training.base.bank import Bank
from fastnst.training.base.run import BaseConfig, style_of, train_base
from fastnst.training.base.styles import REORDERED, style_pictures, texture
from fastnst.training.budget import WARMUP_STEPS


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


def test_a_step_changes_the_trunk_and_the_shown_styles_norms_alone(config):
    sitting = run._Sitting(config, lambda line: None)
    shown = style_of(0, 3)
    before = [[value.detach().clone() for value in own.values()] for own in sitting.bank.own]
    trunk = [value.detach().clone() for value in sitting.bank.trunk]
    sitting.set_rate(1.0)
    assert sitting.optimizer.param_groups[0]["lr"] == run.LEARNING_RATE / WARMUP_STEPS
    sitting.take_step(torch.rand(1, 3, 32, 32))
    for style, own in enumerate(sitting.bank.own):
        same = all(map(torch.equal, before[style], own.values()))
        assert same == (style != shown)
    assert not any(map(torch.equal, trunk, sitting.bank.trunk))
    # At its end a sitting stands still.
    sitting.set_rate(0.0)
    assert sitting.optimizer.param_groups[0]["lr"] == 0


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
    train_base(config)
    first = torch.load(config.state, weights_only=True)
    told: list[str] = []
    sitting = run._Sitting(config, told.append)
    sitting.resume()
    assert told == ["3 styles, 12 photographs, from step 2"]
    assert all(map(torch.equal, first["parameters"], sitting.bank.parameters()))
    sitting.train()
    assert torch.load(config.state, weights_only=True)["step"] == 4
    assert sitting.seconds() > first["seconds"]


def test_a_base_from_one_without_a_skip_gains_one(config):
    base = ROOT / "checkpoints" / "base" / "base-fast.ckpt"
    sitting = run._Sitting(dataclasses.replace(config, init=base), lambda line: None)
    assert sitting.network.options["skip"] == 1
    found = dict(zip(sitting.bank.names, sitting.bank.own[0].values(), strict=True))
    assert not [name for name in found if ".skip." in name]
    earlier = load_checkpoint(base).network().state_dict()
    state = sitting.network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in earlier.items())
    assert not bool(state["body.skip.weight"].any())


def test_styles_that_an_earlier_base_knows_begin_with_its_norms():
    base = load_checkpoint(Path(ROOT / "checkpoints" / "base" / "base-fast.ckpt"))
    earlier = base.contents[BANK_KEY]
    bank = Bank(build_network("fast"), 2)
    untouched = {name: value.detach().clone() for name, value in bank.own[1].items()}
    bank.adopt(base, [earlier["styles"][3], "one that no base knows"])
    for name in bank.names:
        assert torch.equal(bank.own[0][name], earlier["norms"][name][3].float())
        assert torch.equal(bank.own[1][name], untouched[name])
