"""The transfer networks: any size in, the same size out, and no frame or grid."""

from __future__ import annotations

import pytest
import torch

from fastnst.networks.modules import (
    NETWORKS,
    ReflectConv,
    ResidualBlock,
    SubpixelOutput,
    build_network,
    new_network,
    pad_to_multiple,
)

SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (4, 4), (7, 64), (15, 16), (17, 33), (97, 131), (1, 300)]


@pytest.fixture(scope="module", params=[*sorted(NETWORKS), "fast, spread"])
def network(request):
    torch.manual_seed(0)
    kind, *spread = request.param.split(", ")
    return build_network(kind, {"spread": 3} if spread else {}).eval()


@pytest.mark.parametrize("size", SIZES)
def test_output_size_equals_input_size(network, size):
    with torch.no_grad():
        stylized = network(torch.rand(1, 3, *size))
    assert stylized.shape == (1, 3, *size)
    assert bool(torch.isfinite(stylized).all())


def test_every_residue_of_the_multiple_keeps_its_size(network):
    with torch.no_grad():
        for height in range(20, 28):
            for width in range(20, 28):
                assert network(torch.rand(1, 3, height, width)).shape[-2:] == (height, width)


def test_pictures_of_a_batch_do_not_mix(network):
    pictures = torch.rand(3, 3, 32, 40)
    with torch.no_grad():
        together = network(pictures)
        alone = torch.cat([network(picture) for picture in pictures.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_parameters_are_those_of_the_literature_and_small():
    count = {kind: sum(p.numel() for p in build_network(kind).parameters()) for kind in NETWORKS}
    assert count["johnson"] == 1_679_235
    assert count["fast"] < 300_000


def test_a_constant_picture_stays_without_frame_and_grid(network):
    """Zero padding would darken the border; a transposed convolution would leave a grid."""
    with torch.no_grad():
        stylized = network(torch.full((1, 3, 64, 64), 0.5))
    assert float((stylized - stylized[..., 32:33, 32:33]).abs().max()) < 1e-4


def test_subpixel_weights_that_differ_leave_no_grid():
    """Each pixel of a 2 x 2 block has weights of its own; constant features must stay constant."""
    torch.manual_seed(0)
    output = SubpixelOutput(6, 5)
    torch.nn.init.normal_(output.conv[1].weight)
    with torch.no_grad():
        raw = torch.nn.functional.pixel_shuffle(output.conv(torch.ones(1, 6, 8, 8)), 2)
        pixels = output(torch.ones(1, 6, 8, 8))
    assert float(raw.diff(dim=-1).abs().max()) > 1
    assert float(pixels.diff(dim=-1).abs().max()) < 1e-4
    assert float(pixels.diff(dim=-2).abs().max()) < 1e-4


def test_padding_mirrors_and_never_invents():
    picture = torch.arange(12.0).view(1, 1, 3, 4).expand(1, 3, 3, 4)
    padded = pad_to_multiple(picture, 4, 16)
    assert padded.shape == (1, 3, 16, 16)
    assert torch.equal(padded[..., :3, :4], picture)
    assert torch.equal(padded[..., 3, :4], picture[..., 1, :])
    assert set(padded.flatten().tolist()) == set(range(12))
    assert pad_to_multiple(torch.rand(1, 3, 20, 24), 4, 16).shape == (1, 3, 20, 24)


def test_new_networks_of_fast_look_further_apart_and_earlier_ones_do_not():
    def apart(network):
        blocks = [block for block in network.body if isinstance(block, ResidualBlock)]
        return [
            {part[1].dilation for part in block.body if isinstance(part, ReflectConv)}
            for block in blocks
        ]

    assert apart(new_network("fast")) == [{(d, d)} for d in (1, 2, 3, 2, 1)]
    assert apart(build_network("fast")) == [{(1, 1)}] * 5
    # Weights have the same names and shapes: a network of one may start from one of the other.
    new_network("fast").load_state_dict(build_network("fast").state_dict())
