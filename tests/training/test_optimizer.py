"""The optimizer, against closed forms and PyTorch's own."""

from __future__ import annotations

import copy

import pytest
import torch

from fastnst.training.optimizer import (
    UPDATE_RMS,
    Muon,
    build_optimizer,
    clip_gradients,
    orthogonalized,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(24, 108), (108, 24), (8, 8), (1, 9)])
def test_orthogonalizing_keeps_the_directions_and_evens_out_their_lengths(shape):
    matrix = normal(*shape)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inner = left.T @ orthogonalized(matrix) @ right.T
    lengths = inner.diagonal()
    assert float(lengths.min()) > 0.6
    assert float(lengths.max()) < 1.3
    assert float((inner - lengths.diag()).abs().max()) < 1e-3


def test_orthogonalizing_nothing_gives_nothing():
    assert torch.equal(orthogonalized(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_a_convolution_moves_as_far_whatever_the_size_of_its_gradient():
    moves = []
    for scale in (1e-6, 1.0, 1e6):
        weight = torch.zeros(16, 8, 3, 3, requires_grad=True)
        optimizer = Muon([weight], lr=1.0)
        weight.grad = normal(16, 8, 3, 3) * scale
        optimizer.step()
        moves.append(weight.detach())
    assert float(moves[1].square().mean().sqrt()) == pytest.approx(UPDATE_RMS, rel=0.2)
    for move in moves:
        torch.testing.assert_close(move, moves[1], atol=0.02, rtol=0)


def test_vectors_move_as_adam_moves_them():
    ours, theirs = (torch.ones(7, requires_grad=True) for _ in range(2))
    pairs = [
        (ours, Muon([ours], lr=0.1)),
        (theirs, torch.optim.Adam([theirs], lr=0.1)),
    ]
    for step in range(20):
        for vector, optimizer in pairs:
            vector.grad = normal(7, seed=step) + vector.detach()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_its_state_goes_on_where_it_was():
    weight = normal(6, 4, 3, 3).requires_grad_()
    bias = normal(6).requires_grad_()
    optimizer = Muon([weight, bias], lr=0.1)

    def step(parameters, optimizer, seed):
        for parameter in parameters:
            parameter.grad = normal(*parameter.shape, seed=seed)
        optimizer.step()

    for seed in range(3):
        step([weight, bias], optimizer, seed)
    others = [weight.detach().clone().requires_grad_(), bias.detach().clone().requires_grad_()]
    resumed = Muon(others, lr=0.1)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step([weight, bias], optimizer, 9)
    step(others, resumed, 9)
    assert torch.equal(weight, others[0])
    assert torch.equal(bias, others[1])


def test_a_parameter_without_a_gradient_stays():
    weight = torch.ones(3, 3, requires_grad=True)
    Muon([weight], lr=1.0).step()
    assert torch.equal(weight.detach(), torch.ones(3, 3))


def with_gradients(*gradients: torch.Tensor) -> list[torch.Tensor]:
    parameters = [torch.zeros_like(gradient).requires_grad_() for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    return parameters


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_ordinary_gradients_are_clipped_to_the_bit_as_pytorch_does(size):
    gradients = [normal(8, 4, 3, 3) * size, normal(8, seed=1) * size]
    ours, theirs = with_gradients(*gradients), with_gradients(*gradients)
    assert clip_gradients(ours, 1.0)
    torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("largest", [0.1, 1.0, 1e4])
def test_gradients_whose_squares_overflow_keep_their_direction(largest):
    gradients = [normal(8, 4, 3, 3), normal(8, seed=1)]
    parameters = with_gradients(*(gradient * 1e30 for gradient in gradients))
    assert clip_gradients(parameters, largest)
    found = torch.cat([parameter.grad.flatten() for parameter in parameters])
    expected = torch.cat([gradient.flatten() for gradient in gradients])
    torch.testing.assert_close(found / largest, expected / expected.norm(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["muon", "adam"])
@pytest.mark.parametrize(
    ("largest", "size"),
    [(1.0, float("inf")), (1.0, float("nan")), (0.0, float("nan")), (0.0, 1e30)],
)
def test_a_step_without_a_finite_gradient_moves_nothing(name, largest, size):
    parameters = with_gradients(normal(6, 4, 3, 3), normal(6, seed=1))
    optimizer = build_optimizer(name, parameters, 0.1)
    assert clip_gradients(parameters, largest)
    optimizer.step()
    before = copy.deepcopy(optimizer.state_dict()["state"])
    values = [parameter.detach().clone() for parameter in parameters]
    parameters[0].grad, parameters[1].grad = torch.ones(6, 4, 3, 3), torch.ones(6)
    parameters[1].grad[3] = size
    assert not clip_gradients(parameters, largest)
    optimizer.step()
    for parameter, value in zip(parameters, values, strict=True):
        assert torch.equal(parameter, value)
    torch.testing.assert_close(optimizer.state_dict()["state"], before, rtol=0, atol=0)
