"""Grids and weaves: what counts as one, and that the shipped networks paint no grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from fastnst.checkpoint.contents import load_checkpoint
from fastnst.checkpoint.shipped import shipped_models
from fastnst.image import to_tensor
from fastnst.validate.patterns import grid, weave

# A square wave of half a level has this mean square. Networks that didn't pay had 0.33 to 12.7.
UNSEEN = 0.25


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def wave(height: int, width: int, across: float, down: float) -> torch.Tensor:
    """A cosine of one level, (1, 3, H, W), of so many periods a pixel."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    levels = torch.cos(2 * math.pi * (across * columns + down * rows) + 0.3)
    return (levels / 255).expand(1, 3, height, width)


@pytest.mark.parametrize(("across", "down"), [(0.25, 0), (0, 0.25), (0.25, 0.25), (0.25, 0.5)])
@pytest.mark.parametrize("size", [(64, 48), (67, 50)])
def test_a_pattern_of_4_pixels_counts_by_the_square_of_its_levels(across, down, size):
    content = noise(1, 3, *size)
    found = grid(content + 3 * wave(*size, across, down), content)
    # The mean square of a cosine of 3 levels.
    assert float(found) == pytest.approx(4.5, rel=1e-3)


@pytest.mark.parametrize(("across", "down"), [(0, 0), (0.125, 0), (0.0625, 0.125), (0.1875, 0)])
def test_other_patterns_and_colours_are_no_grid(across, down):
    content = noise(2, 3, 64, 64)
    change = 20 * wave(64, 64, across, down) * torch.tensor([1.0, -1.0, 0.5]).view(1, 3, 1, 1)
    assert float(grid(content + change, content)) < 1e-4


def test_strokes_that_begin_anywhere_are_hardly_a_grid():
    content, strokes = noise(1, 3, 256, 256), noise(1, 3, 256, 256, seed=1)
    variance = float((255 * strokes).var())
    found = float(grid(content + strokes, content))
    assert found == pytest.approx(variance * 15 / 16 / 64**2, rel=0.5)


def test_the_photographs_own_patterns_are_not_the_networks():
    content = noise(1, 3, 40, 40) / 2 + 50 * wave(40, 40, 0.25, 0)
    assert float(grid(content.clone(), content)) == 0


@pytest.mark.parametrize("size", [(3, 40), (40, 1), (1, 1)])
def test_less_than_a_cell_is_no_grid_but_has_a_gradient(size):
    content = noise(1, 3, *size)
    stylized = noise(1, 3, *size, seed=1).requires_grad_()
    found = grid(stylized, content)
    found.backward()
    assert float(found.detach()) == 0
    assert float(stylized.grad.abs().max()) == 0


@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_shipped_networks_paint_no_grid_where_a_picture_is_smooth(name):
    coarse = np.random.default_rng(0).random((12, 18, 3))
    smooth = Image.fromarray((coarse * 255).astype(np.uint8)).resize((384, 256), Image.BICUBIC)
    content = to_tensor(smooth)
    network = load_checkpoint(shipped_models()[name]).network().eval()
    with torch.inference_mode():
        painted = float(grid(network(content), content))
    assert painted < UNSEEN


def levels(picture: torch.Tensor) -> np.ndarray:
    return (picture[0].permute(1, 2, 0) * 255).clamp(0, 255).to(torch.uint8).numpy()


def test_noise_and_strokes_are_no_weave_and_a_fine_pattern_is_what_it_adds():
    own = (noise(1, 3, 512, 512) - 0.5) / 10 + 0.5
    assert weave([levels(own)]) < 0.01
    places = torch.arange(512) - 256
    rings = torch.hypot(places[:, None].float(), places[None].float()) % 60 > 30
    assert weave([levels(own + 0.3 * rings)]) < 0.01
    # A cosine of so many levels has half their square as its energy, beside the luma's of noise
    # of which 1 - pi / 25 is finer than a fifth of a cycle.
    for amount in (10, 40):
        found = weave([levels(own + amount * wave(512, 512, 0.34375, 0.1796875))])
        luma = (0.299**2 + 0.587**2 + 0.114**2) * 25.5**2 / 12
        expected = amount**2 / 2 / (amount**2 / 2 + luma * (1 - math.pi * 0.2**2))
        assert found == pytest.approx(expected, abs=0.03)


def test_a_coarse_pattern_is_no_weave_and_small_pictures_tell_nothing():
    own = (noise(1, 3, 512, 512) - 0.5) / 10 + 0.5
    assert weave([levels(own + 40 * wave(512, 512, 0.0625, 0.0625))]) < 0.01
    assert math.isnan(weave([levels(noise(1, 3, 127, 200))]))
    assert math.isnan(weave([]))
