"""What a run starts from: a base wears the style of its own that fits best."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from helpers import make_picture

from fastnst.checkpoint.contents import BANK_KEY, Checkpoint, load_checkpoint
from fastnst.checkpoint.shipped import shipped_models
from fastnst.errors import CheckpointError
from fastnst.image import to_tensor
from fastnst.objective.objective import Objective
from fastnst.training.start import load_nearest_style


@pytest.fixture(scope="module")
def wave() -> Checkpoint:
    return load_checkpoint(shipped_models()["wave"])


def norms_of(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    network = checkpoint.network()
    norms = [n for n, m in network.named_modules() if isinstance(m, torch.nn.InstanceNorm2d)]
    return {
        f"{n}.{part}": checkpoint.weights[f"{n}.{part}"]
        for n in norms
        for part in ("weight", "bias")
    }


def with_bank(checkpoint: Checkpoint, bank: Any) -> Checkpoint:
    return dataclasses.replace(checkpoint, contents={**checkpoint.contents, BANK_KEY: bank})


def start_from(base: Checkpoint, backbone, wave: Checkpoint, **nearest: torch.Tensor):
    """The name that was chosen and the network, which wears ``nearest`` before."""
    network = base.network()
    network.load_state_dict(nearest, strict=False)
    loss = Objective(backbone, wave.style_targets(), wave.loss_config())
    content = torch.cat([to_tensor(make_picture(64, 64, seed)) for seed in range(2)])
    return load_nearest_style(network, base, loss, content, "float32"), network.state_dict()


def test_the_style_that_fits_is_nearest(wave, backbone):
    own = norms_of(wave)
    others = {name: torch.roll(value, 1) for name, value in own.items()}
    bank = {
        "styles": ["another", "its own"],
        "norms": {name: torch.stack([others[name], own[name]]) for name in own},
    }
    name, state = start_from(with_bank(wave, bank), backbone, wave, **others)
    assert name == "its own"
    for part, value in own.items():
        assert torch.equal(state[part], value)


def test_the_mean_is_kept_where_it_fits_better(wave, backbone):
    own = norms_of(wave)
    bank = {
        "styles": ["another"],
        "norms": {name: torch.roll(value, 1)[None] for name, value in own.items()},
    }
    name, state = start_from(with_bank(wave, bank), backbone, wave)
    assert name is None
    for part, value in own.items():
        assert torch.equal(state[part], value)


def test_a_checkpoint_without_styles_stays_as_it_is(wave, backbone):
    name, state = start_from(wave, backbone, wave)
    assert name is None
    for part, value in wave.weights.items():
        assert torch.equal(state[part], value)


@pytest.mark.parametrize(
    "bank", [7, {}, {"styles": ["a"], "norms": {"body.2.weight": torch.ones(2, 3)}},
             {"styles": ["a"], "norms": {"nothing": torch.ones(1, 3)}}],
)  # fmt: skip
def test_damaged_styles_are_refused_in_a_line(wave, backbone, bank):
    with pytest.raises(CheckpointError, match="styles"):
        start_from(with_bank(wave, bank), backbone, wave)
