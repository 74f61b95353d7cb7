"""The optimizer of transfer networks: Muon for convolutions, Adam for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
BETAS, EPSILON = (0.9, 0.999), 1e-8
# Coefficients of the quintic iteration, and how often it runs: singular values come out between
# 0.7 and 1.2, which is as good as 1 here.
NEWTON_SCHULZ, ITERATIONS = (3.4445, -4.7750, 2.0315), 5
# Root mean square of an update at a learning rate of 1, about Adam's.
UPDATE_RMS = 0.2


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024): convolutions move along their orthogonalized momentum.

    A network of 0.24 M parameters costs nothing beside the backbone that trains it, so a better
    direction is free. An update's size is Adam's (Liu et al. 2025, arXiv 2502.16982, eq. 4), which
    moves the parameters of one dimension, at the same rate.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; ``closure``, if any, computes them."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    move = self._adam if parameter.ndim < 2 else self._muon
                    move(parameter, parameter.grad, self.state[parameter], group["lr"])
        return loss

    @staticmethod
    def _muon(parameter: Tensor, gradient: Tensor, state: dict[str, Any], rate: float) -> None:
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        # Nesterov's: the momentum as it will be.
        ahead = gradient.lerp(momentum, MOMENTUM).flatten(1)
        update = orthogonalized(ahead) * UPDATE_RMS * max(ahead.shape) ** 0.5
        parameter.sub_(rate * update.view(parameter.shape))

    @staticmethod
    def _adam(parameter: Tensor, gradient: Tensor, state: dict[str, Any], rate: float) -> None:
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - BETAS[0])
        square = state["square"].lerp_(gradient.square(), 1 - BETAS[1])
        corrections = [1 - beta ** state["step"] for beta in BETAS]
        root = (square / corrections[1]).sqrt_().add_(EPSILON)
        parameter.sub_(rate * (mean / corrections[0]) / root)


def orthogonalized(matrix: Tensor) -> Tensor:
    """About U V^T of the matrix U S V^T (M, N), by Newton and Schulz; zeros stay zeros."""
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    # Of length zero there is nothing to divide.
    x = wide / wide.norm().clamp_min(1e-30)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x if wide is matrix else x.T
    return result


def build_optimizer(name: str, parameters: Iterable[Tensor], rate: float) -> torch.optim.Optimizer:
    """The optimizer of that name, ``muon`` or ``adam``."""
    return Muon(parameters, rate) if name == "muon" else torch.optim.Adam(parameters, rate)
