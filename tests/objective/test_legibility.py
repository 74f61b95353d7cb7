"""Terms that keep a subject legible: closed forms, invariants, and what they leave free."""

import pytest
import torch
from torch import Tensor

from fastnst.objective.legibility import color_loss, structure_loss

MAPPED = torch.tensor([[0.2, 0.7, 0.1], [0.6, -0.2, 0.3], [0.1, 0.3, 0.5]])


def photograph(side: int = 128) -> Tensor:
    """Smooth fields of different hues with edges between them, (1, 3, side, side), 0..1."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, side // 16, side // 16, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


def mapped(picture: Tensor) -> Tensor:
    """Another palette: a linear map of the colours, and brighter."""
    return torch.einsum("ij,bjhw->bihw", MAPPED, picture) + 0.1


def turned(picture: Tensor) -> Tensor:
    """The same pixels elsewhere."""
    return picture.flip(3).transpose(2, 3)


@pytest.mark.parametrize("divisor", [1, 2])
def test_structure_of_the_photograph_itself_is_kept_and_of_its_negative_is_opposed(
    divisor: int,
) -> None:
    content = photograph()
    assert structure_loss(content, content, divisor) < 0.1
    assert structure_loss(1 - content, content, divisor) > 1.9
    assert structure_loss(turned(content), content, divisor) == pytest.approx(1, abs=0.3)


def test_structure_is_free_of_lightness_and_contrast_as_far_as_they_are_seen() -> None:
    content = photograph()
    same = structure_loss(content, content)
    assert structure_loss(0.5 * content + 0.3, content) == pytest.approx(float(same), abs=0.1)
    # Without contrast there is no structure: SSIM's own constant would call it alike.
    assert structure_loss(torch.full_like(content, 0.5), content) == pytest.approx(1, abs=1e-3)


def test_strokes_on_a_flat_photograph_cost_nothing() -> None:
    flat = torch.full((1, 3, 128, 128), 0.7)
    strokes = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    assert structure_loss(strokes, flat) == 0
    assert color_loss(strokes, flat) < 1e-6


def test_a_linear_map_of_the_colours_is_free_and_strewn_colours_are_not() -> None:
    content = photograph()
    assert color_loss(content, content) < 0.05
    assert color_loss(mapped(content), content) < 0.15
    strewn = turned(content)
    assert color_loss(strewn, content) > 1


def test_a_grey_result_has_lost_the_hues_and_a_flat_one_all() -> None:
    content = photograph()
    grey = content.mean(1, keepdim=True).expand_as(content)
    assert color_loss(grey, content) > 0.8
    assert color_loss(torch.full_like(content, 0.5), content) > 0.8
    # Of a grey photograph there is no hue to lose.
    assert color_loss(grey, grey) < 0.05


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_gradients_at_blank_pictures_are_finite_and_small(value: float) -> None:
    content = photograph()
    for result, of in ((torch.full_like(content, value), content), (content, content * 0 + value)):
        pixels = result.clone().requires_grad_()
        (
            structure_loss(pixels, of) + structure_loss(pixels, of, 2) + color_loss(pixels, of)
        ).backward()
        assert pixels.grad is not None
        assert float(pixels.grad.norm()) < 10


def test_a_batch_has_the_mean_of_its_pictures() -> None:
    content = torch.cat([photograph(), turned(photograph())])
    stylized = torch.cat([turned(photograph()), mapped(photograph())])
    for term in (structure_loss, color_loss):
        one_by_one = [term(stylized[i : i + 1], content[i : i + 1]) for i in (0, 1)]
        assert term(stylized, content) == pytest.approx(float(sum(one_by_one)) / 2, rel=1e-4)


def test_pictures_without_a_window_have_no_structure_and_no_colours_to_compare() -> None:
    small = torch.rand(1, 3, 7, 40)
    assert structure_loss(small, 1 - small) == 0
    assert color_loss(small, 1 - small) == 0
