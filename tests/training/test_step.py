"""One step: what it descends is what it says, term by term."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import train

from fastnst.checkpoint.contents import load_checkpoint
from fastnst.config import LossConfig, TrainConfig
from fastnst.networks.modules import build_network
from fastnst.objective.build import build_objective
from fastnst.objective.consistency import offset, shift_consistency
from fastnst.objective.forms import terms_of
from fastnst.training.budget import Budget
from fastnst.training.data.dataset import Batch
from fastnst.training.module import Record, StyleTraining

BATCH = Batch((torch.rand(1, 3, 64, 64, generator=torch.manual_seed(3)) * 255).byte(), ())
OF_NETWORK = {"shift_consistency": "stability_weight", "spectrum": "spectrum_weight"}


def training(tmp_path: Path, **options: Any) -> StyleTraining:
    config = TrainConfig(style=(tmp_path,), data="photos", steps=9, backbone="embedded", **options)
    style = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    network = build_network("fast").train()
    objective = build_objective(config, [style])
    return StyleTraining(network, objective, config, Budget(9, None), Record({"training": {}}))


@pytest.mark.parametrize(("name", "option"), OF_NETWORK.items())
def test_a_term_of_the_network_is_part_of_the_loss_that_is_descended_and_logged(
    name, option, tmp_path
):
    others = dict.fromkeys(OF_NETWORK.values(), 0.0)
    free, little, much = (
        training(tmp_path, **{**others, option: weight}) for weight in (0.0, 1.0, 3.0)
    )
    totals = [float(m.training_step(BATCH, 0).detach()) for m in (free, little, much)]
    assert name not in free.latest.terms
    value = float(little.latest.terms[name])
    assert value == float(much.latest.terms[name]) > 0
    assert [float(module.latest.total) for module in (free, little, much)] == totals
    assert totals[1] - totals[0] == pytest.approx(value, rel=1e-3)
    assert totals[2] - totals[0] == pytest.approx(3 * value, rel=1e-3)
    assert sum(map(float, much.latest.shares().values())) == pytest.approx(1, rel=1e-5)


def test_the_second_pass_is_the_same_network_on_the_moved_picture(tmp_path):
    module = training(tmp_path)
    content = BATCH.images.float() / 255
    parts = module.losses(content).detach()
    with torch.no_grad():
        parts_alone = shift_consistency(
            module.network, content, module.network(content), offset(module.config.seed, 0)
        )
    assert float(parts.terms["shift_consistency"]) == pytest.approx(
        float(sum(parts_alone)), rel=1e-4
    )


@pytest.mark.parametrize(
    "name", [term.name for term in terms_of(TrainConfig(style=("a",), data="b"))]
)
def test_a_term_that_is_no_number_is_named_in_its_own_step(name, tmp_path, monkeypatch):
    module = training(tmp_path)
    [term] = [term for term in module.objective.terms if term.name == name]
    broken = {
        **term.__dict__,
        "values": lambda view: {k: v * float("inf") for k, v in term.values(view).items()},
    }
    terms = tuple(type(t)(**broken) if t is term else t for t in module.objective.terms)
    monkeypatch.setattr(module.objective, "terms", terms)
    assert module.training_step(BATCH, 0) is None
    assert module.latest.broken_terms() == [name]


def test_pictures_are_judged_by_the_same_list_without_the_networks_terms():
    whole = [term.name for term in terms_of(TrainConfig(style=("a",), data="b"))]
    of_pictures = [term.name for term in terms_of(LossConfig())]
    assert whole == [*of_pictures, *OF_NETWORK]


def test_held_out_losses_and_the_checkpoint_have_every_term_and_their_total(tiny_args, tmp_path):
    output = tmp_path / "out.ckpt"
    train(tiny_args, "--steps", "2", "--output", str(output))
    info = load_checkpoint(output).info
    options = {**info["loss"], **info["training"]["options"]}
    terms = terms_of(TrainConfig(style=("a",), data="b"))
    assert list(info["losses"]) == ["total", *(term.name for term in terms)]
    expected = sum(info["losses"][term.name] * options[term.weight] for term in terms)
    assert info["losses"]["total"] == pytest.approx(expected, rel=1e-4)
