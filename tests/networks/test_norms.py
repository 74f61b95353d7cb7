"""Instance norm against closed forms and PyTorch's own arithmetic in float64."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fastnst.networks.instance_norm import InstanceNorm


def features(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 3 + 1
    return values.to(dtype).contiguous(memory_format=torch.channels_last)


def gradients(norm: nn.Module, x: torch.Tensor, direction: torch.Tensor) -> list[torch.Tensor]:
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    return list(torch.autograd.grad(norm(x), (x, *norm.parameters()), direction))


def random_norm(channels: int) -> InstanceNorm:
    norm = InstanceNorm(channels)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(channels, generator=generator) + 0.5)
        norm.bias.copy_(torch.rand(channels, generator=generator))
    return norm


def test_each_channel_of_each_picture_has_mean_0_and_variance_1():
    result = InstanceNorm(5)(features(2, 5, 24, 20))
    torch.testing.assert_close(result.mean((2, 3)), torch.zeros(2, 5), atol=1e-5, rtol=0)
    variance = result.var((2, 3), unbiased=False)
    torch.testing.assert_close(variance, torch.ones(2, 5), atol=1e-4, rtol=0)


def test_a_constant_channel_becomes_the_shift():
    norm = random_norm(4)
    result = norm(torch.full((1, 4, 8, 8), 7.0))
    expected = norm.bias.detach().view(1, 4, 1, 1).expand(1, 4, 8, 8)
    torch.testing.assert_close(result.detach(), expected, atol=1e-3, rtol=0)


def test_its_gradient_is_the_derivative():
    norm = random_norm(3).double()
    x = features(2, 3, 4, 5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(norm, (x,))


# PyTorch's own is wrong for one picture and a gradient that lies channels last.
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_those_of_float64_whatever_the_layout(batch, dtype):
    norm = random_norm(6)
    x, direction = features(batch, 6, 20, 12, dtype=dtype), torch.randn(batch, 6, 20, 12).to(dtype)
    reference = nn.InstanceNorm2d(6, affine=True).double()
    reference.load_state_dict(norm.state_dict())
    expected = gradients(reference, x.double().contiguous(), direction.double().contiguous())
    for layout in (torch.contiguous_format, torch.channels_last):
        found = gradients(norm, x, direction.contiguous(memory_format=layout))
        for ours, theirs in zip(found, expected, strict=True):
            error = (ours.double() - theirs).norm() / theirs.norm()
            assert float(error) < (1e-5 if dtype == torch.float32 else 2e-2)


def test_features_stay_channels_last():
    x = features(1, 6, 20, 12).requires_grad_()
    result = InstanceNorm(6)(x)
    assert result.is_contiguous(memory_format=torch.channels_last)
    result.square().sum().backward()
    assert x.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_constant_channels_pass_no_gradient_and_others_theirs(dtype):
    norm = random_norm(6)
    x = features(2, 6, 64, 64, dtype=dtype)
    # A sum of 4,096 of these is off by more than the last place.
    x[0, :3] = torch.tensor([300.1, -0.7, 17.3]).view(3, 1, 1).to(dtype)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    of_x, of_scale, of_shift = gradients(norm, x, direction)
    assert not of_x[0, :3].any()
    alone = gradients(norm, x[1:], direction[1:])
    torch.testing.assert_close(of_scale[:3], alone[1][:3])
    torch.testing.assert_close(of_shift, direction.float().sum((0, 2, 3)), rtol=2e-2, atol=2)
    expected = gradients(norm.double(), x.double(), direction.double())
    error = (of_x[0, 3:].double() - expected[0][0, 3:]).norm() / expected[0][0, 3:].norm()
    assert float(error) < (1e-5 if dtype == torch.float32 else 2e-2)


def test_the_gradient_of_bfloat16_features_far_from_0_is_that_of_float64():
    norm = random_norm(4)
    x = (100 + 0.3 * features(1, 4, 16, 16)).bfloat16()
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).bfloat16()
    ours = gradients(norm, x, direction)[0].double()
    exact = gradients(norm.double(), x.double(), direction.double())[0]
    assert float((ours - exact).norm() / exact.norm()) < 1e-2
    # A convolution before it multiplies this sum, which is 0, with what lies under it.
    assert float((ours.sum((2, 3)).abs() / exact.abs().sum((2, 3))).max()) < 4e-3


def test_a_gradient_is_no_larger_where_the_variance_is_lost_to_rounding():
    norm = random_norm(16)
    x = 300 + 0.01 * features(1, 16, 128, 128)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    ours = gradients(norm, x, direction)[0]
    exact = gradients(norm.double(), x.double(), direction.double())[0]
    assert float(ours.norm()) < 2 * float(exact.norm())
