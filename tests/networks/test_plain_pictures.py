"""Pictures with nothing in them: what a network learns from them is bounded, and takes nothing
from others.
"""

from __future__ import annotations

import pytest
import torch
from helpers import make_picture
from torch import Tensor

from fastnst.checkpoint.contents import load_checkpoint
from fastnst.checkpoint.shipped import base_model
from fastnst.image import to_tensor
from fastnst.networks.modules import TransferNetwork, new_network

SIDE = 64


def photograph(seed: int = 0) -> Tensor:
    return to_tensor(make_picture(SIDE, SIDE, seed))


def plain(level: int) -> Tensor:
    return torch.full((1, 3, SIDE, SIDE), level / 255)


def one_pixel() -> Tensor:
    picture = plain(128)
    picture[0, :, 10, 10] = 129 / 255
    return picture


def noise() -> Tensor:
    levels = torch.randint(0, 2, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    return (254 + levels) / 255


def bars() -> Tensor:
    picture = photograph()
    picture[..., 2:, :] = 0
    return picture


PLAIN = {
    "black": plain(0), "grey": plain(128), "white": plain(255), "one pixel": one_pixel(),
    "noise": noise(), "bars": bars(),
}  # fmt: skip


def network_of(start: str) -> TransferNetwork:
    torch.manual_seed(0)
    if start != "base":
        return new_network(start).train()
    path = base_model("fast")
    assert path is not None
    return load_checkpoint(path).network().train()


def gradients(network: TransferNetwork, content: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Of a loss that pulls every pixel of each picture somewhere else, and of the picture cut off
    by two rows, as the price of instability takes it.
    """
    pull = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    content = content.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        whole, cut = network(content), network(content[..., 4:, :])
    loss = (whole.float() * pull).sum() + (cut.float() * pull[..., 4:, :]).sum()
    return list(torch.autograd.grad(loss, list(network.parameters())))


def norm(found: list[Tensor]) -> float:
    return float(torch.stack([gradient.double().norm() for gradient in found]).norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("start", ["fast", "johnson", "base"])
def test_a_plain_pictures_gradient_is_of_a_photographs_order(start, dtype):
    network = network_of(start)
    usual = norm(gradients(network, photograph(), dtype))
    found = {name: norm(gradients(network, picture, dtype)) for name, picture in PLAIN.items()}
    assert {name: value for name, value in found.items() if not value < 50 * usual} == {}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["black", "noise"])
def test_three_photographs_outweigh_a_plain_picture_in_their_batch(name, dtype):
    network = network_of("base")
    photos = torch.cat([photograph(seed) for seed in range(3)])
    alone = gradients(network, photos, dtype)
    beside = gradients(network, torch.cat([photos, PLAIN[name]]), dtype)
    assert norm([b - a for a, b in zip(alone, beside, strict=True)]) < 2 * norm(alone)
