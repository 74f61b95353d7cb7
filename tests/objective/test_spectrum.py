"""The distance of spectra: closed forms, what counts as a fine pattern, and that training pays."""

from __future__ import annotations

import math

import pytest
import torch

from fastnst.objective.spectrum import AXES, Spectrum


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def wave(height: int, width: int, across: float, down: float) -> torch.Tensor:
    """A cosine, (1, 3, H, W), of so many periods a pixel."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.cos(2 * math.pi * (across * columns + down * rows)).expand(1, 3, height, width)


def test_axes_of_colour_are_orthonormal():
    axes = torch.tensor(AXES, dtype=torch.float64)
    assert torch.allclose(axes @ axes.T, torch.eye(3, dtype=torch.float64))


def test_a_style_is_no_distance_from_itself_and_contrast_counts_by_its_logarithm():
    style = noise(1, 3, 256, 256)
    spectrum = Spectrum([style])
    assert float(spectrum(style)) == 0
    # Power goes with the square of contrast; what is unseen hardly counts beside noise.
    assert float(spectrum(style / math.e)) == pytest.approx(4, rel=0.01)
    assert float(spectrum(style + 0.3)) == pytest.approx(0, abs=1e-6)


def test_what_is_coarser_than_ten_pixels_is_the_photographs_to_say():
    style = noise(1, 3, 256, 256) / 4
    for across, costs in ((1 / 32, False), (1 / 16, False), (1 / 4, True), (11 / 32, True)):
        found = float(Spectrum([style])(style + wave(256, 256, across, 0) / 4))
        assert (found > 0.01) == costs


@pytest.mark.parametrize(("across", "down"), [(11 / 32, 0), (11 / 32, 6 / 32), (-8 / 32, 8 / 32)])
def test_descent_takes_a_weave_out_and_leaves_what_the_painting_has(across, down):
    spectrum = Spectrum([noise(1, 3, 256, 256)])
    own, weave = noise(1, 3, 160, 160, seed=1), wave(160, 160, across, down)
    amount = torch.tensor(0.1, requires_grad=True)
    for _ in range(40):
        [slope] = torch.autograd.grad(spectrum(own + amount * weave), amount)
        amount = (amount - 2e-3 * slope.sign()).detach().requires_grad_()
    assert float(amount.detach()) < 0.03
    assert float(spectrum(own + 0.1 * weave)) > 1.1 * float(spectrum(own))


def test_a_scans_own_pattern_is_not_asked_for():
    painting = noise(1, 3, 256, 256)
    with_screen = painting + wave(256, 256, 0.3125, 0.25) / 4
    asked, clean = Spectrum([with_screen]), Spectrum([painting])
    assert float(asked(painting)) < 0.02
    assert float(clean(with_screen)) > 0.03
    assert float(asked(with_screen)) > 3 * float(asked(painting))


def test_pictures_of_a_batch_come_in_any_order_and_either_way_up():
    spectrum = Spectrum([noise(1, 3, 256, 256)])
    pictures = noise(2, 3, 128, 128, seed=1)
    expected = float(spectrum(pictures))
    assert float(spectrum(pictures.flip(0))) == pytest.approx(expected, rel=1e-5)
    # Turning a picture upside down changes phases alone.
    assert float(spectrum(pictures.flip((2, 3)))) == pytest.approx(expected, rel=1e-2)


def test_several_styles_are_pooled_by_their_weights():
    one, other = noise(1, 3, 256, 256), noise(1, 3, 192, 320, seed=1) / 3
    pooled = Spectrum([one, other], [3.0, 1.0])
    # The logarithm of 3/4 and a ninth of a quarter, squared.
    expected = math.log(3 / 4 + 1 / 36) ** 2
    assert float(pooled(one)) == pytest.approx(expected, rel=0.1)
    assert float(Spectrum([one, one], [3.0, 1.0])(one)) == pytest.approx(0, abs=1e-10)
    assert float(pooled(one)) < float(pooled(other))


@pytest.mark.parametrize("style", [[], [noise(1, 3, 31, 200)]])
def test_without_a_style_of_a_window_nothing_costs(style):
    picture = noise(1, 3, 64, 64).requires_grad_()
    found = Spectrum(style)(picture)
    found.backward()
    assert float(found.detach()) == 0
    assert float(picture.grad.abs().max()) == 0


def test_a_picture_smaller_than_the_smallest_window_costs_nothing():
    assert float(Spectrum([noise(1, 3, 64, 64)])(noise(1, 3, 31, 64))) == 0


@pytest.mark.parametrize(("crop", "side"), [(32, 256), (63, 256), (128, 48)])
def test_small_crops_and_small_styles_are_held_against_each_other_all_the_same(crop, side):
    """White noise of half the contrast is a factor of 4 of power, whatever the window."""
    style = noise(1, 3, side, 2000)
    batch = noise(40, 3, crop, crop, seed=1) / 2
    assert float(Spectrum([style])(batch)) == pytest.approx(math.log(4) ** 2, rel=0.35)
    weave = wave(crop, crop, 0.25, 0.25) / 4
    assert float(Spectrum([style])(2 * batch + weave)) > 2 * float(Spectrum([style])(2 * batch))


def test_a_style_of_one_colour_and_a_black_picture_have_finite_gradients():
    black = torch.zeros(1, 3, 64, 64, requires_grad=True)
    for style in (torch.full((1, 3, 64, 64), 0.5), noise(1, 3, 64, 64)):
        [slope] = torch.autograd.grad(Spectrum([style])(black), black)
        assert bool(torch.isfinite(slope).all())
