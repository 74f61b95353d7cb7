"""The losses against closed forms, invariants and an independent float64 reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_vgg import reference_features

from fastnst.config import LossConfig
from fastnst.errors import ConfigError
from fastnst.objective.objective import Objective, style_targets
from fastnst.objective.style_statistics import gram_matrix, moments
from fastnst.objective.terms import content_loss, moments_loss, style_loss, total_variation_loss


def random_features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("normalization", "expected"), [("none", 35.0), ("positions", 1.0), ("elements", 0.25)]
)
def test_gram_of_ones_counts_positions(normalization, expected):
    gram = gram_matrix(torch.ones(2, 4, 5, 7), normalization)
    assert gram.shape == (2, 4, 4)
    torch.testing.assert_close(gram, torch.full((2, 4, 4), expected))


def test_gram_agrees_with_einsum_in_float64():
    features = random_features(3, 6, 9, 5)
    expected = torch.einsum("bchw,bdhw->bcd", features.double(), features.double()) / 45
    torch.testing.assert_close(gram_matrix(features).double(), expected, rtol=1e-5, atol=1e-6)


def test_grams_gradient_is_autograds_of_the_plain_product():
    features = random_features(2, 5, 4, 6).requires_grad_()
    direction = random_features(2, 5, 5, seed=2)
    (gram_matrix(features, "elements") * direction).sum().backward()
    reference = features.detach().double().requires_grad_()
    plain = torch.einsum("bchw,bdhw->bcd", reference, reference) / (5 * 4 * 6)
    (plain * direction.double()).sum().backward()
    torch.testing.assert_close(features.grad.double(), reference.grad, rtol=1e-5, atol=1e-6)


def test_gram_ignores_where_things_are():
    features = random_features(1, 4, 6, 6)
    shuffled = features.flatten(2)[:, :, torch.randperm(36)].view_as(features)
    torch.testing.assert_close(gram_matrix(features), gram_matrix(shuffled))


def test_gram_of_bfloat16_features_is_summed_in_float32():
    features = random_features(1, 64, 40, 40).relu().bfloat16()
    reference = torch.einsum("bchw,bdhw->bcd", features.double(), features.double()) / 1600
    with torch.autocast("cpu", torch.bfloat16):
        gram = gram_matrix(features)
    assert gram.dtype == torch.float32
    assert float((gram.double() - reference).norm() / reference.norm()) < 5e-4
    # What the parts are for: one product's rounding.
    maps = features.flatten(2)
    rounded = (maps @ maps.transpose(1, 2)).double() / 1600
    assert float((rounded - reference).norm() / reference.norm()) > 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_gram_of_huge_features_does_not_overflow(dtype):
    largest = 6e4 if dtype == torch.float16 else 1e15
    gram = gram_matrix(torch.full((1, 2, 64, 64), largest, dtype=dtype))
    assert bool(torch.isfinite(gram).all())


def test_moments_of_two_positions_by_hand():
    mean, covariance = moments(torch.tensor([[[[1.0, 3.0]], [[5.0, 1.0]]]]))
    torch.testing.assert_close(mean, torch.tensor([[2.0, 3.0]]))
    torch.testing.assert_close(covariance, torch.tensor([[[1.0, -2.0], [-2.0, 4.0]]]))


def test_moments_and_their_gradient_are_those_of_the_centred_product_in_float64():
    features = (random_features(2, 5, 4, 6) + 3).requires_grad_()
    directions = random_features(2, 5, seed=2), random_features(2, 5, 5, seed=3)
    mean, covariance = moments(features)
    ((mean * directions[0]).sum() + (covariance * directions[1]).sum()).backward()
    reference = features.detach().double().requires_grad_()
    flat = reference.flatten(2)
    middle = flat.mean(2)
    centred = flat - middle[:, :, None]
    product = centred @ centred.transpose(1, 2) / 24
    torch.testing.assert_close(mean.double(), middle, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(covariance.double(), product, rtol=1e-4, atol=1e-5)
    expected = (middle * directions[0]).sum() + (product * directions[1]).sum()
    expected.backward()
    torch.testing.assert_close(features.grad.double(), reference.grad, rtol=1e-4, atol=1e-6)


def test_moments_of_bfloat16_features_are_summed_in_float32():
    features = random_features(1, 64, 40, 40).relu().bfloat16()
    flat = features.double().flatten(2)[0]
    expected = torch.cov(flat, correction=0)
    with torch.autocast("cpu", torch.bfloat16):
        mean, covariance = moments(features)
    assert mean.dtype == covariance.dtype == torch.float32
    torch.testing.assert_close(mean[0].double(), flat.mean(1), rtol=1e-3, atol=1e-4)
    assert float((covariance[0].double() - expected).norm() / expected.norm()) < 2e-3


def test_moments_tell_apart_what_a_gram_matrix_takes_for_the_same():
    """Means of 1 without variance, and none with a variance of 1: the same sum of squares."""
    flat, varied = torch.ones(1, 1, 2, 2), torch.tensor([[[[1.0, -1.0], [1.0, -1.0]]]])
    torch.testing.assert_close(gram_matrix(flat), gram_matrix(varied))
    target = [values[0] for values in moments(varied)]
    assert float(moments_loss(*moments(varied), *target)) == 0
    # The variance is missing, 1; the mean is 1 where it should be 0, a thousand times the floor.
    assert float(moments_loss(*moments(flat), *target)) > 100


def test_moments_loss_is_2_for_nothing_and_no_nan_for_a_style_of_one_colour():
    target = [values[0] for values in moments(random_features(1, 4, 9, 9) + 2)]
    nothing = moments(torch.zeros(1, 4, 9, 9))
    assert float(moments_loss(*nothing, *target)) == pytest.approx(2, rel=1e-5)
    for level in (0.0, 0.5):
        picture = random_features(1, 3, 8, 8).sigmoid().requires_grad_()
        flat = [values[0] for values in moments(torch.full((1, 3, 8, 8), level))]
        loss = moments_loss(*moments(picture), *flat)
        loss.backward()
        assert bool(torch.isfinite(loss))
        assert bool(torch.isfinite(picture.grad).all())


def test_relative_content_loss_is_0_for_itself_and_1_for_nothing():
    features = random_features(2, 3, 4, 5)
    assert float(content_loss(features, features)) == 0
    assert float(content_loss(torch.zeros_like(features), features)) == pytest.approx(1)


def test_relative_content_loss_of_a_batch_is_the_mean_of_its_images():
    features, target = random_features(3, 2, 4, 4), random_features(3, 2, 4, 4, seed=1)
    target[1] *= 100
    singles = [content_loss(features[i : i + 1], target[i : i + 1]) for i in range(3)]
    expected = float(torch.stack(singles).mean())
    assert float(content_loss(features, target)) == pytest.approx(expected, rel=1e-6)


def test_content_that_is_next_to_nothing_counts_as_the_least_there_is():
    features, target = random_features(1, 3, 4, 5), 1e-6 * random_features(1, 3, 4, 5, seed=1)
    expected = float((features - target).square().mean()) / 0.25
    assert float(content_loss(features, target, least=0.25)) == pytest.approx(expected)
    target *= 1e6
    assert torch.equal(content_loss(features, target, least=0.25), content_loss(features, target))


def test_no_plain_photograph_outweighs_others(backbone, image):
    """Not the backbone's own mean colour, of which it sees nothing."""
    config = LossConfig(content_layers=("rgb", "relu2_2", "relu3_1"))
    targets = style_targets(backbone, [image[:1]], config)
    loss = Objective(backbone, targets, config)
    mean = backbone.mean.flatten()[list(backbone.trunk.channel_order)] / backbone.trunk.scale
    for colour in (mean, torch.zeros(3), torch.ones(3)):
        plain = colour.view(1, 3, 1, 1).expand(1, 3, 48, 48).contiguous()
        painted = (plain + 0.05 * random_features(1, 3, 48, 48)).clamp(0, 1)
        assert float(loss(painted, loss.see_content(plain)).terms["content"]) < 5


def test_relative_losses_do_not_change_with_the_scale_of_the_features():
    features, target = random_features(1, 4, 5, 5), random_features(1, 4, 5, 5, seed=1)
    for factor in (1e-3, 300.0):
        one = content_loss(features, target)
        other = content_loss(features * factor, target * factor)
        assert float(other) == pytest.approx(float(one), rel=1e-5)
        one = style_loss(gram_matrix(features), gram_matrix(target)[0])
        other = style_loss(gram_matrix(features * factor), gram_matrix(target * factor)[0])
        assert float(other) == pytest.approx(float(one), rel=1e-5)


def test_total_variation_of_a_constant_is_0_and_of_a_checkerboard_2():
    assert float(total_variation_loss(torch.full((1, 3, 6, 9), 0.4))) == 0
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(9), indexing="ij")
    board = ((rows + columns) % 2).float().expand(1, 3, 6, 9)
    assert float(total_variation_loss(board)) == pytest.approx(2)
    assert float(total_variation_loss(torch.rand(1, 3, 1, 1))) == 0


@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize("form", ["moments", "relative", "johnson"])
def test_perceptual_loss_agrees_with_numpy_in_float64(backbone, image, form, padding):
    config = LossConfig(
        loss=form, style_layers=("rgb", "relu1_2", "relu2_2", "relu3_1/2"), style_weight=3.0,
        tv_weight=0.5, structure_weight=0.0, color_weight=0.0, padding=padding,
        content_layers=("relu2_2",),
    )  # fmt: skip
    style = torch.rand(1, 3, 33, 41, generator=torch.Generator().manual_seed(5))
    content = image.flip(0)
    loss = Objective(backbone, style_targets(backbone, [style], config), config)
    parts = loss(image, loss.see_content(content))

    layers = list(config.style_layers)
    ours, theirs, styles = (
        reference_features(backbone, x.double().numpy(), layers, padding=padding)
        for x in (image, content, style)
    )

    def gram(features: np.ndarray) -> np.ndarray:
        b, c, h, w = features.shape
        flat = features.reshape(b, c, h * w)
        return flat @ flat.transpose(0, 2, 1) / (h * w if form == "relative" else c * h * w)

    difference, target = ours["relu2_2"] - theirs["relu2_2"], theirs["relu2_2"]

    def ratio(a: np.ndarray, b: np.ndarray) -> float:
        return ((a - b) ** 2).reshape(len(a), -1).sum(axis=1).mean() / (b**2).sum()

    def mean_and_covariance(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        flat = features.reshape(*features.shape[:2], -1)
        return flat.mean(axis=2), np.stack([np.cov(one, bias=True) for one in flat])

    if form == "johnson":
        content_term = (difference**2).mean()
        style_term = sum(((gram(ours[n]) - gram(styles[n])) ** 2).mean() for n in layers)
    else:
        content_term = np.mean(
            (difference**2).mean(axis=(1, 2, 3)) / (target**2).mean(axis=(1, 2, 3))
        )
    if form == "relative":
        style_term = np.mean([ratio(gram(ours[n]), gram(styles[n])) for n in layers])
    if form == "moments":
        pairs = [(mean_and_covariance(ours[n]), mean_and_covariance(styles[n])) for n in layers]
        style_term = np.mean([ratio(a[0], b[0]) + ratio(a[1], b[1]) for a, b in pairs])
    pixels = image.double().numpy()
    tv = np.abs(np.diff(pixels, axis=2)).mean() + np.abs(np.diff(pixels, axis=3)).mean()
    assert float(parts.terms["content"]) == pytest.approx(content_term, rel=1e-4)
    assert float(parts.terms["style"]) == pytest.approx(style_term, rel=1e-4)
    assert float(parts.terms["total_variation"]) == pytest.approx(tv, rel=1e-5)
    total = content_term + 3 * style_term + 0.5 * tv
    assert float(parts.total) == pytest.approx(total, rel=1e-4)
    assert float(sum(parts.shares().values())) == pytest.approx(1, rel=1e-5)


def test_the_style_image_itself_has_no_style_loss(backbone):
    style = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    config = LossConfig()
    loss = Objective(backbone, style_targets(backbone, [style], config), config)
    parts = loss(style, loss.see_content(style))
    assert float(parts.terms["style"]) < 1e-10
    assert float(parts.terms["content"]) == 0


def test_the_moments_of_several_styles_are_those_of_all_their_pixels(backbone):
    images = [torch.rand(1, 3, 20, 30), 0.3 * torch.rand(1, 3, 20, 30)]
    config = LossConfig(style_layers=("rgb",))
    # Three times the pixels of the first: what weights of 3 and 1 stand for.
    together = torch.cat([images[0]] * 3 + [images[1]], dim=3)
    pooled = style_targets(backbone, images, config, weights=(3, 1))["rgb"]
    expected = style_targets(backbone, [together], config)["rgb"]
    torch.testing.assert_close(pooled["mean"], expected["mean"])
    torch.testing.assert_close(pooled["covariance"], expected["covariance"])


def test_gram_matrices_of_several_styles_are_pooled_by_weight(backbone):
    images = [torch.rand(1, 3, 32, 32 + 8 * i) for i in range(2)]
    config = LossConfig(loss="relative", style_layers=("relu1_2", "relu2_1"))
    singles = [style_targets(backbone, [image], config) for image in images]
    pooled = style_targets(backbone, images, config, weights=(3, 1))
    for layer in config.style_layers:
        expected = 0.75 * singles[0][layer]["gram"] + 0.25 * singles[1][layer]["gram"]
        torch.testing.assert_close(pooled[layer]["gram"], expected)
    with pytest.raises(ConfigError, match="1 style weights for 2"):
        style_targets(backbone, images, config, weights=(1,))


def test_gradients_reach_the_picture_and_never_the_backbone(backbone, image):
    config = LossConfig()
    loss = Objective(backbone, style_targets(backbone, [image[:1]], config), config)
    picture = image.clone().requires_grad_()
    loss(picture, loss.see_content(image)).total.backward()
    assert picture.grad is not None
    assert float(picture.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in backbone.parameters())
