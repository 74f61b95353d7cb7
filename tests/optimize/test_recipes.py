"""The recipes of the literature: their options as written, their losses against NumPy, float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import ROOT
from numpy_vgg import reference_features

from fastnst.cli.options import parse_options
from fastnst.config import LossConfig, OptimizeConfig
from fastnst.objective.objective import Objective, style_targets

FOLDER = ROOT / "configs" / "optimize"
RELU_1 = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def recipe(name: str) -> OptimizeConfig:
    arguments = ["--config", str(FOLDER / f"{name}.yaml"), "--content", "c.jpg", "--style", "s.jpg"]
    return parse_options("fastnst optimize", "", OptimizeConfig, arguments)


def sums(features: np.ndarray) -> np.ndarray:
    """Sum of products over positions, (C, C), of features (1, C, H, W)."""
    flat = features[0].reshape(features.shape[1], -1)
    return flat @ flat.T


def tensorflow(ours, content, styles, x, layers):
    def gram(f):
        return sums(f) / (f.shape[2] * f.shape[3])

    c = ((ours["relu5_2"] - content["relu5_2"]) ** 2).mean()
    s = sum(((gram(ours[n]) - gram(styles[n])) ** 2).mean() for n in layers)
    tv = np.abs(x[:, :, 1:] - x[:, :, :-1]).sum() + np.abs(x[..., 1:] - x[..., :-1]).sum()
    return 1e4 * c + 1e-2 / 5 * s + 30 * tv


def keras(ours, content, styles, x, layers):
    c = ((ours["relu5_2"] - content["relu5_2"]) ** 2).sum()
    pixels = x.shape[2] * x.shape[3]
    s = sum(((sums(ours[n]) - sums(styles[n])) ** 2).sum() / (4 * 3**2 * pixels**2) for n in layers)
    y = 255 * x
    a = (y[:, :, :-1, :-1] - y[:, :, 1:, :-1]) ** 2
    b = (y[:, :, :-1, :-1] - y[:, :, :-1, 1:]) ** 2
    return 0.025 * c + s / 5 + 1e-4 * ((a + b) ** 1.25).sum()


def gatys_style(ours, styles, layers):
    total = 0.0
    for n in layers:
        maps, positions = ours[n].shape[1], ours[n].shape[2] * ours[n].shape[3]
        total += ((sums(ours[n]) - sums(styles[n])) ** 2).sum() / (4 * maps**2 * positions**2) / 5
    return total


def eager(ours, content, styles, x, layers):
    c = ((ours["relu5_2"] - content["relu5_2"]) ** 2).mean()
    return 1e3 * c + 1e-2 * gatys_style(ours, styles, layers)


def eager_sum(ours, content, styles, x, layers):
    c = ((ours["relu5_2"] - content["relu5_2"]) ** 2).sum()
    return 1e3 * c + 1e-2 * gatys_style(ours, styles, layers)


def pytorch(ours, content, styles, x, layers):
    c = ((ours["conv4_2"] - content["conv4_2"]) ** 2).mean()
    s = 0.0
    for n, w in zip(layers, (1, 0.8, 0.5, 0.3, 0.1), strict=True):
        d, h, width = ours[n].shape[1:]
        s += w * ((sums(ours[n]) - sums(styles[n])) ** 2).mean() / (d * h * width)
    return c + 1e6 * s


def gatys(ours, content, styles, x, layers):
    c = ((ours["relu4_2"] - content["relu4_2"]) ** 2).sum() / 2
    return c + 1e3 * gatys_style(ours, styles, layers)


@pytest.mark.parametrize(
    ("name", "form", "formula"),
    [
        ("tensorflow-adam", None, tensorflow),
        ("keras-lbfgs", None, keras),
        ("eager-adam", None, eager),
        ("eager-adam", "eager-sum", eager_sum),
        ("pytorch-adam", None, pytorch),
        ("gatys", None, gatys),
    ],
)
def test_a_recipes_loss_is_its_formula(name, form, formula, backbone):
    config = recipe(name)
    options = {field: getattr(config, field) for field in LossConfig.__dataclass_fields__}
    loss_config = LossConfig(**{**options, "loss": form or config.loss})
    generator = torch.Generator().manual_seed(7)
    # The style's own shape where the recipe doesn't stretch it to the content's.
    shape = (32, 40) if config.style_fit == "content-shape" else (48, 37)
    x, content = (torch.rand(1, 3, 32, 40, generator=generator) for _ in range(2))
    style = torch.rand(1, 3, *shape, generator=generator)
    loss = Objective(backbone, style_targets(backbone, [style], loss_config), loss_config)
    total = float(loss(x, loss.see_content(content)).total)

    layers = list(config.style_layers)
    wanted = [*config.content_layers, *layers]
    ours, theirs, styles = (
        reference_features(backbone, image.double().numpy(), wanted, config.pooling, config.padding)
        for image in (x, content, style)
    )
    expected = formula(ours, theirs, styles, x.double().numpy(), layers)
    assert total == pytest.approx(expected, rel=1e-4)


def test_average_pooling_is_not_max_pooling(backbone, image):
    [small] = backbone(image, ["relu2_1"], "average").values()
    [large] = backbone(image, ["relu2_1"]).values()
    assert float((small - large).abs().max()) > 1
    reference = reference_features(backbone, image.double().numpy(), ["relu2_1"], "average")
    torch.testing.assert_close(
        small.double(), torch.from_numpy(reference["relu2_1"]), rtol=1e-4, atol=1e-2
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tensorflow-adam", {
            "style_layers": RELU_1, "size": 512, "fit": "long", "style_fit": "as-content",
            "optimizer": "adam", "learning_rate": 0.02, "beta1": 0.99, "epsilon": 0.1,
            "init": "content", "statistics": True,
        }),
        ("keras-lbfgs", {
            "style_layers": RELU_1, "size": 400, "fit": "height", "style_fit": "content-shape",
            "optimizer": "lbfgs", "steps": 400, "save_every": 20, "init": "content",
        }),
        ("eager-adam", {
            "style_layers": RELU_1, "size": 512, "fit": "long", "style_fit": "as-content",
            "optimizer": "adam", "tv_weight": 0, "init": "content",
        }),
        ("pytorch-adam", {
            "size": 400, "fit": "at-most", "style_fit": "content-shape", "optimizer": "adam",
            "learning_rate": 0.003, "steps": 2000, "save_every": 400, "init": "content",
            "tv_weight": 0,
        }),
        ("gatys", {
            "style_layers": RELU_1, "init": "noise", "optimizer": "lbfgs", "pooling": "average",
            "tv_weight": 0,
        }),
    ],
)  # fmt: skip
def test_a_recipe_runs_as_it_is_written(name, expected):
    config = recipe(name)
    assert {field: getattr(config, field) for field in expected} == expected
