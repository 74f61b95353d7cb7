"""A picture in strips is the picture in one go, wherever the strips are cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import make_picture

from fastnst.networks import NETWORKS, build_network
from fastnst.strips import StripNetwork


def trained_like(kind: str):
    """A network whose norms have scales and shifts that differ, as training leaves them."""
    torch.manual_seed(1)
    network = build_network(kind, {"width": 8, "blocks": 2}).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.InstanceNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -1, 1)
    with torch.no_grad():
        for parameter in list(network.parameters())[-2:]:
            parameter.mul_(20)
    return network


def whole(network, pixels: np.ndarray) -> np.ndarray:
    image = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).float() / 255
    with torch.inference_mode():
        return network(image)[0].permute(1, 2, 0).numpy() * 255


@pytest.mark.parametrize("kind", sorted(NETWORKS))
@pytest.mark.parametrize("size", [(16, 16), (64, 48), (61, 83), (130, 37), (97, 16)])
@pytest.mark.parametrize("rows", [16, 20, 64, 1000])
def test_strips_give_the_networks_own_picture(kind, size, rows):
    network = trained_like(kind)
    pixels = np.asarray(make_picture(*size, seed=3)).copy()
    expected = whole(network, pixels)
    assert expected.std() > 10
    for spare in (True, False):
        found = StripNetwork(network, rows, spare=spare)(pixels.copy())
        # A level's rounding and no more.
        assert np.abs(found - expected).max() <= 0.51


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_half_precision_between_the_passes_stays_within_a_level(kind):
    network = trained_like(kind)
    pixels = np.asarray(make_picture(90, 70, seed=3)).copy()
    expected = whole(network, pixels)
    found = StripNetwork(network, 32, "float16")(pixels.copy())
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_naive_tiles_would_not(kind):
    network = trained_like(kind)
    pixels = np.asarray(make_picture(64, 64, seed=3)).copy()
    halves = np.concatenate([whole(network, pixels[:32]), whole(network, pixels[32:])])
    assert np.abs(halves - whole(network, pixels)).max() > 10
