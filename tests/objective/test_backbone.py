"""The backbone against torchvision's VGG, and its layer names."""

from __future__ import annotations

import pytest
import torch
import torchvision
from numpy_vgg import reference_features

from fastnst.errors import BackboneError, ConfigError
from fastnst.objective.backbone import TRUNKS, Backbone, smallest_side
from fastnst.objective.weights import EMBEDDED, _convolutions, load_backbone


@pytest.fixture(scope="module", params=["vgg16", "vgg19"])
def pair(request):
    """torchvision's network with random weights, and our backbone with the same."""
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, request.param)(weights=None).eval()
    weights = _convolutions(theirs.state_dict(), EMBEDDED)
    return theirs.features, Backbone(request.param, weights)


def test_every_layer_agrees_with_torchvision(pair):
    theirs, ours = pair
    picture = torch.rand(1, 3, 32, 48)
    x = torchvision.transforms.functional.normalize(
        picture, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )
    pixels, *layers = ours.trunk.layers()
    assert pixels == "rgb"
    features = ours(picture, layers)
    names = iter(layers)
    with torch.no_grad():
        for module in theirs:
            # Not in place, or the features kept from before would change.
            x = torch.relu(x) if isinstance(module, torch.nn.ReLU) else module(x)
            if not isinstance(module, torch.nn.MaxPool2d):
                torch.testing.assert_close(features[next(names)], x, rtol=1e-4, atol=1e-5)
    assert next(names, None) is None


def test_evaluation_stops_at_the_deepest_layer(backbone, monkeypatch):
    names = {id(module.weight): name for name, module in backbone.convolutions.items()}
    called, convolve = [], torch.nn.functional.conv2d

    def conv2d(x, weight, *rest, **options):
        called.append(names[id(weight)])
        return convolve(x, weight, *rest, **options)

    monkeypatch.setattr(torch.nn.functional, "conv2d", conv2d)
    features = backbone(torch.rand(1, 3, 32, 32), ["conv2_1", "relu1_2"])
    assert set(features) == {"conv2_1", "relu1_2"}
    assert called == ["conv1_1", "conv1_2", "conv2_1"]


@pytest.mark.parametrize("size", [(64, 64), (67, 45)])
def test_replicated_borders_agree_with_numpy_and_change_nothing_far_from_them(backbone, size):
    picture, layers = torch.rand(2, 3, *size), backbone.trunk.layers()
    padded = backbone(picture, layers, padding="replicate")
    expected = reference_features(backbone, picture.double().numpy(), layers, padding="replicate")
    plain = backbone(picture, layers)
    for layer in layers:
        torch.testing.assert_close(
            padded[layer].double(), torch.from_numpy(expected[layer]), rtol=1e-4, atol=2e-2
        )
        assert padded[layer].shape == plain[layer].shape
    for layer, reach in (("relu1_1", 1), ("relu1_2", 2), ("relu2_2", 3), ("relu3_3", 5)):
        inner = (..., slice(reach, -reach), slice(reach, -reach))
        torch.testing.assert_close(padded[layer][inner], plain[layer][inner], rtol=1e-4, atol=1e-2)
        assert not torch.allclose(padded[layer], plain[layer], rtol=1e-2, atol=1)


def test_replicated_a_flat_picture_has_no_border(backbone):
    """Zeros beyond it would be an edge, by which a network learns to paint a frame."""
    flat = torch.tensor([0.9, 0.5, 0.2]).view(1, 3, 1, 1).expand(1, 3, 48, 64)
    for padding, even in (("replicate", True), ("zeros", False)):
        features = backbone(flat, ["relu1_2", "relu2_2", "relu3_3", "relu4_3"], padding=padding)
        spread = [float(f.std(dim=(2, 3)).max() / f.mean()) for f in features.values()]
        assert all((value < 1e-3) == even for value in spread), spread


def test_a_convolution_that_is_kept_has_not_lost_its_negatives(backbone):
    features = backbone(torch.rand(1, 3, 32, 32), ["conv1_1", "relu1_1"])
    assert float(features["conv1_1"].min()) < 0
    torch.testing.assert_close(features["relu1_1"], features["conv1_1"].relu())


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("relu3_9", "relu3_3"), ("rbg", "rgb"), ("relu3_9/2", "relu3_3/2"),
        ("relu3_1/3", "relu3_1"), ("relu3_1/", "relu3_1"), ("relu3_1/x", "relu3_1"),
        ("relu3_1/2/2", "relu3_1"),
    ],
)  # fmt: skip
def test_an_unknown_layer_is_answered_with_the_nearest(backbone, name, nearest):
    with pytest.raises(ConfigError, match=rf"no layer '{name}': did you mean .*{nearest}"):
        backbone(torch.rand(1, 3, 32, 32), [name])
    with pytest.raises(ConfigError, match=rf"no layer '{name}': did you mean .*{nearest}"):
        smallest_side([name])


def test_a_layer_at_half_size_is_that_of_the_picture_made_half_as_large(backbone):
    picture = torch.rand(2, 3, 50, 67)
    found = backbone(picture, ["rgb", "rgb/2", "relu2_1", "relu2_1/2", "relu3_1/4"])
    assert torch.equal(found["rgb"], picture)
    half = torch.nn.functional.avg_pool2d(picture, 2)
    torch.testing.assert_close(found["rgb/2"], half)
    torch.testing.assert_close(found["relu2_1/2"], backbone(half, ["relu2_1"])["relu2_1"])
    assert found["relu2_1"].shape == (2, 128, 25, 33)
    assert found["relu3_1/4"].shape == (2, 256, 3, 4)


def test_the_smallest_side_is_what_the_deepest_layer_needs_at_its_size(backbone):
    assert [smallest_side([name]) for name in ("rgb", "relu1_2", "relu4_1", "relu4_1/2")] == [
        1, 1, 8, 16,
    ]  # fmt: skip
    layers = ["rgb/2", "relu3_1/4", "relu4_1"]
    assert smallest_side(layers) == 16
    found = backbone(torch.rand(1, 3, 16, 40), layers)
    assert all(values.numel() for values in found.values())
    with pytest.raises(RuntimeError, match="too small"):
        backbone(torch.rand(1, 3, 15, 40), layers)


def test_the_callers_picture_is_not_changed(backbone):
    picture = torch.rand(1, 3, 32, 32)
    before = picture.clone()
    backbone(picture, ["relu2_2"])
    assert torch.equal(picture, before)


def test_the_embedded_trunk_tells_pictures_apart(backbone):
    """Trained, not random, weights: first filters are smooth, and responses sparse."""
    kernel = backbone.convolutions["conv1_1"].weight
    shuffled = kernel.flatten(2)[:, :, torch.randperm(9)].view_as(kernel)
    rough = [float(k.diff(dim=-1).square().mean() / k.square().mean()) for k in (kernel, shuffled)]
    assert rough[0] < 0.8 * rough[1]
    assert EMBEDDED.stat().st_size < 25_000_000
    assert load_backbone("embedded").origin.startswith("sha256:7d43b46a")


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(BackboneError, match=r"conv1_1.weight should have shape .*found nothing"):
        Backbone("vgg16", {})


def test_trunks_have_the_layers_of_the_literature():
    assert TRUNKS["vgg19"].layers()[-1] == "relu5_4"
    assert TRUNKS["vgg16"].layers()[-1] == "relu5_3"
    assert TRUNKS["embedded"].layers()[-1] == "relu5_2"
    assert len(TRUNKS["vgg19"].convolutions()) == 16
