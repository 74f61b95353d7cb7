"""The optimizer of transfer networks: Muon for convolutions, Adam for everything else; the clip."""

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
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            self._adam([p for p in moved if p.ndim < 2], group["lr"])
            shapes = {p.shape: None for p in moved if p.ndim >= 2}
            for shape in shapes:
                self._muon([p for p in moved if p.shape == shape], group["lr"])
        return loss

    def _muon(self, parameters: list[Tensor], rate: float) -> None:
        """Move parameters of one shape, whose products are computed together."""
        ahead = []
        for parameter in parameters:
            gradient, state = parameter.grad, self.state[parameter]
            assert gradient is not None
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
            # Nesterov's: the momentum as it will be.
            ahead.append(gradient.lerp(momentum, MOMENTUM).flatten(1))
        updates = orthogonalized(torch.stack(ahead))
        size = rate * UPDATE_RMS * max(updates.shape[1:]) ** 0.5
        for parameter, update in zip(parameters, updates, strict=True):
            parameter.sub_(size * update.view(parameter.shape))

    def _adam(self, parameters: list[Tensor], rate: float) -> None:
        """Move vectors, all in each operation: they are many and small."""
        if not parameters:
            return
        states = [self.state[parameter] for parameter in parameters]
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                state["step"] = 0
                state["mean"] = torch.zeros_like(parameter)
                state["square"] = torch.zeros_like(parameter)
            state["step"] += 1
        gradients = [p.grad for p in parameters if p.grad is not None]
        means, squares = ([state[name] for state in states] for name in ("mean", "square"))
        torch._foreach_lerp_(means, gradients, 1 - BETAS[0])
        torch._foreach_mul_(squares, BETAS[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - BETAS[1])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, [(1 - BETAS[1] ** state["step"]) ** 0.5 for state in states])
        torch._foreach_add_(roots, EPSILON)
        sizes = [-rate / (1 - BETAS[0] ** state["step"]) for state in states]
        torch._foreach_addcdiv_(parameters, means, roots, sizes)


def orthogonalized(matrices: Tensor) -> Tensor:
    """About U V^T of each matrix U S V^T, (..., M, N), by Newton and Schulz; zeros stay zeros.

    An iteration makes X to (a + b X X^T + c (X X^T)^2) X. All of these factors are polynomials of
    the first X X^T: they are multiplied up as small square matrices, and X is met twice only.
    """
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    # Of length zero there is nothing to divide.
    x = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-30)
    a, b, c = NEWTON_SCHULZ
    gram = x @ x.mT
    one = a * torch.eye(gram.shape[-1], dtype=x.dtype, device=x.device)
    product = None
    for _ in range(ITERATIONS):
        factor = one + b * gram + c * gram @ gram
        product = factor if product is None else factor @ product
        gram = factor @ gram @ factor
    assert product is not None
    x = product @ x
    result: Tensor = x if wide is matrices else x.mT
    return result


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], largest: float) -> bool:
    """Scale all gradients down so that their common norm is ``largest`` at most; 0 for any norm.

    Whether there is a step to take. Where a gradient is not a finite number there is none: all of
    them are dropped, so that an optimizer moves nothing and its state stays. A norm whose squares
    overflow (from 1e19 on) is clipped like any other; without a clip such a step is dropped too,
    since the squares that an optimizer keeps of it would never be finite again.
    """
    moved = [parameter for parameter in parameters if parameter.grad is not None]
    gradients = [parameter.grad for parameter in moved if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if largest and not bool(norm.isfinite()):
        # Clipped, they are the same from any length above ``largest``: here of the largest number.
        torch._foreach_div_(gradients, torch.stack([g.abs().max() for g in gradients]).max())
        torch._foreach_mul_(gradients, largest)
        norm = torch.nn.utils.get_total_norm(gradients)
    if not bool(norm.isfinite()):
        for parameter in moved:
            parameter.grad = None
        return False
    if largest:
        torch.nn.utils.clip_grads_with_norm_(moved, largest, norm)
    return bool(gradients)


def build_optimizer(name: str, parameters: Iterable[Tensor], rate: float) -> torch.optim.Optimizer:
    """The optimizer of that name, ``muon`` or ``adam``."""
    return Muon(parameters, rate) if name == "muon" else torch.optim.Adam(parameters, rate)
