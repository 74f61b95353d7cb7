"""Shift consistency: closed forms of what does and does not move with the picture."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastnst.objective.consistency import (
    GRID_WEIGHT,
    TENTHS,
    grid_correlation,
    offset,
    shift_consistency,
)

MOVES = [divmod(place, 4) for place in range(1, 16)]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def columns(period: int):
    """A network that adds a tenth to every column whose place is a multiple of ``period``."""

    def paint(picture: torch.Tensor) -> torch.Tensor:
        places = torch.arange(picture.shape[-1])
        return picture + 0.1 * (places % period == 0)

    return paint


@pytest.mark.parametrize("move", MOVES)
def test_what_moves_with_the_picture_costs_nothing(move):
    content = noise(2, 3, 61, 70)
    weight = noise(3, 3, 5, 5, seed=1)

    def blur(picture: torch.Tensor) -> torch.Tensor:
        # Pixels near the border see a mirrored picture, but no farther in than the margin.
        return F.conv2d(F.pad(picture, (2, 2, 2, 2), mode="reflect"), weight)

    for network in (lambda picture: picture * 0.3, blur):
        assert float(shift_consistency(network, content, network(content), move).change) < 1e-8


@pytest.mark.parametrize("move", MOVES)
def test_a_pattern_of_4_pixels_costs_the_square_of_its_tenths_wherever_it_jumps(move):
    content, network = noise(1, 3, 64, 64), columns(4)
    found = float(shift_consistency(network, content, network(content), move).change)
    # Two of four columns differ by a tenth, unless the picture moved down alone.
    assert found == pytest.approx(0.5 if move[0] else 0.0, abs=1e-5)


def test_gradients_go_through_both_passes():
    content = noise(1, 3, 40, 40)
    gain = torch.ones((), requires_grad=True)

    def network(picture: torch.Tensor) -> torch.Tensor:
        return gain * columns(4)(picture)

    whole = network(content)
    for stylized, factor in ((whole, 1.0), (whole.detach(), 0.5)):
        [slope] = torch.autograd.grad(
            shift_consistency(network, content, stylized, (1, 0)).change, gain
        )
        if factor == 1:
            # A multiple of the pattern: the term grows with its square.
            assert float(slope) == pytest.approx(2 * 0.5, rel=1e-4)
        else:
            assert float(slope) != pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("size", [(1, 1), (17, 40), (16, 16), (19, 19)])
def test_pictures_with_nothing_but_margins_cost_nothing_and_have_a_gradient(size):
    content = noise(1, 3, *size)
    stylized = content.clone().requires_grad_()
    sum(shift_consistency(columns(4), content, stylized, (3, 3))).backward()
    assert float(stylized.grad.abs().max()) == 0


@pytest.mark.parametrize("move", MOVES)
def test_a_grid_costs_its_mean_square_wherever_the_picture_moves(move):
    content, network = noise(1, 3, 64, 64), columns(4)
    found = shift_consistency(network, content, network(content), move).grid_correlation
    # A tenth in a column of four has a variance of 0.1 * 0.1 * 3 / 16.
    assert float(found) == pytest.approx(GRID_WEIGHT * TENTHS * 0.01 * 3 / 16, rel=0.05)
    other = shift_consistency(columns(5), content, columns(5)(content), move).grid_correlation
    assert abs(float(other)) < 0.02 * float(found)


def test_strokes_that_move_along_cost_nothing_on_the_whole():
    """The noise of a finite picture's mean cell, which its own square would be charged for."""
    strokes = [0.2 * noise(1, 3, 67, 67, seed=seed) for seed in range(60)]
    pairs = [(one[..., :64, :64], one[..., 3:, 2:66]) for one in strokes]
    by_two = torch.stack([grid_correlation(first, second) for first, second in pairs])
    by_one = torch.stack([grid_correlation(first, first) for first, _ in pairs])
    assert abs(float(by_two.mean())) < 0.1 * float(by_one.mean())
    assert float(by_two.min()) < 0 < float(by_two.max())


def test_moves_follow_from_seed_and_step_and_are_never_none():
    moves = [offset(0, step) for step in range(300)]
    assert moves == [offset(0, step) for step in range(300)]
    assert moves != [offset(1, step) for step in range(300)]
    assert set(moves) == set(MOVES)
