"""The transfer networks: any size in, the same size out, and no frame or grid."""

from __future__ import annotations

import pytest
import torch
from helpers import with_skip_weights

from fastnst.networks.architecture import chain, weight_shapes
from fastnst.networks.modules import (
    NETWORKS,
    ReflectConv,
    ResidualBlock,
    SubpixelOutput,
    build_network,
    new_network,
    pad_to_multiple,
    with_skip,
)

SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (4, 4), (7, 64), (15, 16), (17, 33), (97, 131), (1, 300)]


CASES = {kind: (kind, {}) for kind in sorted(NETWORKS)}
CASES["fast, spread"] = ("fast", {"spread": 3})
CASES["fast, skip"] = ("fast", {"spread": 3, "skip": 1})


@pytest.fixture(scope="module", params=CASES)
def network(request):
    torch.manual_seed(0)
    return with_skip_weights(build_network(*CASES[request.param])).eval()


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
    fresh = new_network("fast").load_state_dict(build_network("fast").state_dict(), strict=False)
    assert fresh.missing_keys == ["body.skip.weight", "body.skip.bias"]
    assert fresh.unexpected_keys == []


def test_a_skip_adds_the_first_features_at_half_the_size_before_the_last_relu():
    """Layer by layer, by their places in the network without one."""
    torch.manual_seed(0)
    network = with_skip_weights(new_network("fast")).eval()
    picture = torch.rand(2, 3, 32, 40)
    layers = {name: layer for name, layer in network.body.named_children() if name != "skip"}
    assert list(layers) == [str(place) for place in range(len(layers))]
    last = len(layers) - 3
    assert all(isinstance(layers[str(place)], torch.nn.ReLU) for place in (3, last))
    features, first = picture, picture
    with torch.no_grad():
        for place, layer in enumerate(layers.values()):
            if place == last:
                weight, bias = network.body.skip.weight[..., 0, 0], network.body.skip.bias
                added = torch.einsum("oc,bchw->bohw", weight, first) + bias[:, None, None]
                features = features + added
            features = layer(features)
            if place == 3:
                first = features.clone()
        found = network(picture)
    assert features.std() > 1e-3
    torch.testing.assert_close(found, features.clamp(0, 1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_a_skip_that_begins_changes_no_bit_and_learns(kind):
    torch.manual_seed(0)
    network = build_network(kind, {"width": 8, "blocks": 2}).eval()
    grown = with_skip(network)
    picture = torch.rand(1, 3, 30, 41)
    assert torch.equal(grown(picture), network(picture))
    assert with_skip(grown) is grown
    if kind != "fast":
        assert grown is network
        return
    assert not grown.training
    assert grown.options == network.options | {"skip": 1}
    grown.train()(picture).square().mean().backward()
    assert all(bool((p.grad != 0).any()) for p in grown.body.skip.parameters())


def test_a_new_networks_other_weights_are_those_without_a_skip():
    states = []
    for options in ({"spread": 3}, {"spread": 3, "skip": 1}):
        torch.manual_seed(5)
        states.append(build_network("fast", options).state_dict())
    assert all(torch.equal(states[1][name], value) for name, value in states[0].items())


def test_gradients_through_a_skip_are_the_slopes():
    torch.manual_seed(2)
    network = with_skip_weights(build_network("fast", {"width": 6, "blocks": 1, "skip": 1}))
    network = network.double().train()
    picture = torch.rand(1, 3, 24, 20, dtype=torch.float64)
    network(picture).square().sum().backward()
    for name in ("body.1.1.weight", "body.2.weight", "body.skip.weight", "body.skip.bias"):
        parameter, step = network.get_parameter(name), 1e-6
        values = parameter.data.flatten()[:0]
        for change in (step, -step):
            with torch.no_grad():
                parameter.data[(0,) * parameter.ndim] += change
                values = torch.cat([values, network(picture).square().sum()[None]])
                parameter.data[(0,) * parameter.ndim] -= change
        slope = float(values[0] - values[1]) / (2 * step)
        gradient = float(parameter.grad[(0,) * parameter.ndim])
        assert gradient == pytest.approx(slope, rel=1e-5), name


def test_shapes_of_weights_are_the_modules(network):
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert weight_shapes(chain(network.kind, network.options)) == shapes
