"""Contours: closed forms of the term, and the detector against a reference and by what it finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import ROOT
from numpy_vgg import reference_features

from fastnst.config import LossConfig
from fastnst.config.loss import CONTOUR_LAYERS
from fastnst.errors import ConfigError
from fastnst.image import read_picture, resize_short_side, to_tensor
from fastnst.objective.backbone import TRUNKS, Backbone
from fastnst.objective.contours import HEADS, ContourDetector
from fastnst.objective.forms import FORMS, layers_of, terms_of
from fastnst.objective.objective import Objective, style_targets
from fastnst.objective.terms import LEAST_CONTOURS, contour_loss
from fastnst.objective.weights import read_safetensors

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


@pytest.fixture(scope="module")
def photograph() -> torch.Tensor:
    return to_tensor(resize_short_side(read_picture(ROOT / "fastnst/demo/cat.jpg"), 96))


def other_backbone() -> Backbone:
    """A VGG19 of random weights."""
    torch.manual_seed(0)
    weights, width = {}, 3
    for name in TRUNKS["vgg19"].convolutions()[:8]:
        channels = (64, 128, 256)[int(name[4]) - 1]
        weights[f"{name}.weight"] = torch.randn(channels, width, 3, 3) / (9 * width) ** 0.5
        weights[f"{name}.bias"] = torch.zeros(channels)
        width = channels
    for name in TRUNKS["vgg19"].convolutions()[8:]:
        weights[f"{name}.weight"] = torch.zeros(512, width, 3, 3)
        weights[f"{name}.bias"] = torch.zeros(512)
        width = 512
    return Backbone("vgg19", weights)


def objective_of(backbone: Backbone, style: torch.Tensor, **options) -> Objective:
    options = {"contour_weight": 1.0, "structure_weight": 0.0, "color_weight": 0.0, **options}
    config = LossConfig(style_layers=("rgb", "relu1_1"), content_layers=("relu1_1",), **options)
    return Objective(backbone, style_targets(backbone, [style], config), config)


def maps_of(backbone: Backbone, picture: torch.Tensor) -> dict[str, torch.Tensor]:
    config = LossConfig(contour_layers=LAYERS)
    detector = ContourDetector(backbone)
    with torch.no_grad():
        features = backbone(picture, detector.shared(LAYERS), "max", "replicate")
        return detector(picture, LAYERS, features, config)


def test_the_term_is_0_for_the_same_contours_and_1_for_none():
    target = torch.rand(2, 1, 6, 5, generator=torch.Generator().manual_seed(0))
    assert float(contour_loss(target, target)) == 0
    assert float(contour_loss(torch.zeros_like(target), target)) == pytest.approx(1, rel=1e-6)


def test_a_photograph_without_contours_weighs_little_and_a_batch_is_the_mean_of_its_images():
    blank, target = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.8)
    painted = torch.full((2, 1, 4, 4), 0.4)
    alone = [contour_loss(painted[:1], one) for one in (blank, target)]
    assert [float(one) for one in alone] == pytest.approx([0.16 / LEAST_CONTOURS, 0.25])
    together = contour_loss(painted, torch.cat([blank, target]))
    assert float(together) == pytest.approx(float(sum(alone)) / 2)


def test_maps_agree_with_numpy_in_float64(backbone, photograph):
    heads = {name: values.double().numpy() for name, values in read_safetensors(HEADS)[0].items()}
    found = maps_of(backbone, photograph)
    expected = reference_features(
        backbone, photograph.double().numpy(), list(LAYERS), padding="replicate"
    )
    for layer in LAYERS:
        weight, bias = heads[f"{layer}.weight"][0, :, 0, 0], heads[f"{layer}.bias"][0]
        logits = np.einsum("bchw,c->bhw", expected[layer], weight) + bias
        np.testing.assert_allclose(found[layer][:, 0], 1 / (1 + np.exp(-logits)), atol=1e-3)


def test_an_edge_is_found_where_it_is_at_every_scale(backbone):
    picture = torch.full((1, 3, 64, 128), 0.7)
    picture[..., 64:] = 0.2
    for layer, found in maps_of(backbone, picture).items():
        across = found[0, 0].mean(0)
        middle, factor = len(across) // 2, 128 // len(across)
        near = across[middle - 1 : middle + 1].max()
        far = across[: (middle * 3) // 5].mean()
        assert float(near) > 0.5, (layer, factor)
        assert float(far) < 0.5 * float(near), (layer, factor)


def test_contours_are_the_same_whatever_the_styles_backbone(backbone, photograph):
    ours, theirs = (maps_of(one, photograph) for one in (backbone, other_backbone()))
    for layer in LAYERS:
        torch.testing.assert_close(ours[layer], theirs[layer], rtol=1e-4, atol=1e-5)
    styled = [objective_of(one, photograph) for one in (backbone, other_backbone())]
    painted = (photograph + 0.3).clamp(0, 1).flip(1)
    terms = [float(one(painted, one.see_content(photograph)).terms["contours"]) for one in styled]
    assert terms[0] == pytest.approx(terms[1], rel=1e-4)
    assert styled[0].contours.trunk is None
    assert styled[1].contours.trunk is not None


def test_layers_are_averaged_by_their_weights_and_can_be_those_of_half_the_size(
    backbone, photograph
):
    options = {"contour_layers": ("relu1_2", "relu2_2/2"), "contour_layer_weights": (1.0, 3.0)}
    objective = objective_of(backbone, photograph, **options)
    seen = objective.see_content(photograph)
    parts = objective(photograph.flip(3), seen)
    values = parts.layers["contours"]
    assert list(values) == ["relu1_2", "relu2_2/2"]
    assert seen.contours["relu2_2/2"].shape[-1] == seen.contours["relu1_2"].shape[-1] // 4
    expected = (float(values["relu1_2"]) + 3 * float(values["relu2_2/2"])) / 4
    assert float(parts.terms["contours"]) == pytest.approx(expected, rel=1e-5)
    assert float(objective(photograph, seen).terms["contours"]) == 0


@pytest.mark.parametrize("form", FORMS)
def test_the_forms_of_the_literature_have_no_contours(form, backbone, photograph):
    config = LossConfig(loss=form, contour_weight=1.0)
    has = form in ("moments", "relative")
    assert ("contours" in [term.name for term in terms_of(config)]) == has
    assert ("relu4_3" in layers_of(config)) == has
    assert not {"relu2_2", "relu4_3"} & {*layers_of(LossConfig(loss=form, contour_weight=0.0))}


def test_at_a_weight_of_0_nothing_is_detected(photograph):
    objective = objective_of(other_backbone(), photograph, contour_weight=0.0)
    assert objective.contours is None
    assert "contours" not in objective(photograph, objective.see_content(photograph)).terms


def test_descent_brings_contours_back(backbone, photograph):
    """From a picture whose contours are drowned in noise."""
    options = {"content_weight": 0.0, "style_weight": 0.0, "tv_weight": 0.0}
    objective = objective_of(backbone, photograph, **options)
    seen = objective.see_content(photograph)
    noise = torch.rand(photograph.shape, generator=torch.Generator().manual_seed(0))
    picture = (0.5 * photograph + 0.5 * noise).requires_grad_()
    optimizer = torch.optim.Adam([picture], 0.02)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        total = objective(picture, seen).total
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_bfloat16_contours_are_those_of_float32(backbone, photograph):
    weights = {
        f"{name}.{part}": getattr(module, part)
        for name, module in backbone.convolutions.items()
        for part in ("weight", "bias")
    }
    half = Backbone("embedded", weights, backbone.origin)
    half.convolutions.to(torch.bfloat16)
    exact, rounded = maps_of(backbone, photograph), maps_of(half, photograph)
    for layer in LAYERS:
        assert rounded[layer].dtype == torch.float32
        assert float((exact[layer] - rounded[layer]).abs().mean()) < 0.02


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"contour_layers": ("relu3_1",)}, "no layer 'relu3_1': did you mean"),
        ({"contour_layers": ("relu3_3/8",)}, "relu3_3"),
        ({"contour_layers": ()}, "contour_layers needs at least one layer"),
        ({"contour_layer_weights": (1.0,)}, "1 contour_layer_weights for 3 contour_layers"),
        ({"contour_weight": -1.0}, "contour_weight must be"),
        ({"contour_layers": (3,)}, "contour_layers are names"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, told):
    with pytest.raises(ConfigError, match=told):
        LossConfig(**options)


def test_every_named_layer_has_a_head():
    heads = read_safetensors(HEADS)[0]
    assert {name.split(".")[0] for name in heads} == {
        layer.partition("/")[0] for layer in CONTOUR_LAYERS
    }
