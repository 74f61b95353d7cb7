"""A picture's way down the loss: projected L-BFGS and Adam, one iterate at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fastnst.errors import OptimizationError
from fastnst.objective.parts import LossParts

# Loss of a picture (1, 3, H, W), RGB, 0..1.
PictureLoss = Callable[[Tensor], LossParts]

# Mean change of a pixel in L-BFGS's first step, for which it knows no curvature yet.
FIRST_MOVE = 0.05
# An iterate whose loss is this many times the best one's has left the region of trust.
SPIKE = 1.5
HISTORY = 10


@dataclass(frozen=True)
class Iterate:
    """A picture (1, 3, H, W), 0..1, and its loss after ``step`` changes; step 0 is the start."""

    step: int
    picture: Tensor
    parts: LossParts

    @property
    def total(self) -> float:
        """The weighted sum of the parts."""
        return float(self.parts.total)


@dataclass(frozen=True)
class AdamSettings:
    """Adam's constants; ``learning_rate`` is in units of pixel values 0..1."""

    learning_rate: float = 0.02
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8


def evaluate(loss: PictureLoss, picture: Tensor, step: int) -> tuple[Iterate, Tensor]:
    """The iterate at ``picture`` and the gradient of its total loss.

    Raises OptimizationError, naming the step and the term, where a number is not finite.
    """
    variable = picture.detach().clone(memory_format=torch.channels_last).requires_grad_()
    with torch.enable_grad():
        parts = loss(variable)
        parts.total.backward()
    gradient = variable.grad
    assert gradient is not None
    broken = parts.broken_terms()
    if not broken and not bool(torch.isfinite(gradient).all()):
        broken = ["gradient of the"]
    if broken:
        raise OptimizationError(
            f"step {step}: the {' and '.join(broken)} loss is not a finite number"
        )
    return Iterate(step, variable.detach(), parts.detach()), gradient.contiguous()


def adam_iterates(loss: PictureLoss, start: Tensor, settings: AdamSettings) -> Iterator[Iterate]:
    """Adam (Kingma and Ba 2015), the picture clipped to 0..1 after each step; endless."""
    variable = start.detach().clamp(0, 1).contiguous().requires_grad_()
    optimizer = torch.optim.Adam(
        [variable],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
    )
    step = 0
    while True:
        iterate, variable.grad = evaluate(loss, variable, step)
        yield iterate
        optimizer.step()
        with torch.no_grad():
            variable.clamp_(0, 1)
        step += 1


def lbfgs_iterates(loss: PictureLoss, start: Tensor) -> Iterator[Iterate]:
    """L-BFGS, the picture clipped to 0..1 at each iteration, as Johnson et al. (2016) do; endless.

    One evaluation an iteration, without a line search: an iterate whose loss jumps is taken back,
    and the descent begins anew from the best one with half the first move. Ends by itself only
    where the gradient vanishes or no move is left.
    """
    descent = _Descent(start.detach().clamp(0, 1))
    best: tuple[Iterate, Tensor] | None = None
    move, step = FIRST_MOVE, 0
    while True:
        iterate, gradient = evaluate(loss, descent.picture, step)
        yield iterate
        if best is None or iterate.total <= best[0].total:
            best = iterate, gradient
        if iterate.total > SPIKE * best[0].total or not descent.moved:
            iterate, gradient = best
            move /= 2
            descent = _Descent(iterate.picture)
        if not _can_descend(iterate.picture, gradient) or move < 1e-7:
            return
        descent.take_step(gradient, iterate.total, move)
        step += 1


def _can_descend(picture: Tensor, gradient: Tensor) -> bool:
    """Whether the gradient does more than push pixels out of 0..1."""
    inwards = ((picture > 0) & (gradient > 0)) | ((picture < 1) & (gradient < 0))
    return bool(inwards.any())


class _Descent:
    """PyTorch's L-BFGS on a picture, made indifferent to the loss's scale.

    Its first step is as long as the gradient or shorter, and its memory ignores curvature below
    1e-10: with a literal loss of 1e9 or a relative one of 1e-6 a pixel, it hardly moves and never
    learns. So the variable is the picture in units of ``move``, and the loss is divided so that the
    first gradient has mean 1; then the first step moves pixels by ``move`` on average.
    """

    def __init__(self, picture: Tensor) -> None:
        self.picture = picture.contiguous()
        self.moved = True
        self._unit = 0.0
        self._factor = 0.0
        self._variable = self.picture
        self._optimizer: torch.optim.LBFGS | None = None

    def take_step(self, gradient: Tensor, total: float, move: float) -> None:
        """Change ``picture``, whose gradient and loss are given; ``moved`` says if it did change.

        ``move`` counts in the first step alone.
        """
        first = self._optimizer is None
        if self._optimizer is None:
            self._unit = move
            self._factor = 1 / float(gradient.abs().mean())
            self._variable = (self.picture / move).requires_grad_()
            # Thresholds of 0: how far to go is the caller's business.
            self._optimizer = torch.optim.LBFGS(
                [self._variable],
                max_iter=1,
                history_size=HISTORY,
                tolerance_grad=0,
                tolerance_change=0,
            )
        # The first step is divided by the gradient's sum of absolute values: undone here.
        self._optimizer.param_groups[0]["lr"] = gradient.numel() if first else 1.0
        self._variable.grad = gradient * self._factor
        scaled = torch.tensor(total * self._factor / self._unit)
        before = self._variable.detach().clone()
        self._optimizer.step(lambda: scaled)
        with torch.no_grad():
            self._variable.clamp_(0, 1 / self._unit)
            picture = (self._variable * self._unit).clamp_(0, 1)
            # What it remembers as its step is the one before clipping; with the step that was
            # taken, its curvature is true and it converges where pixels are at their limits.
            memory = self._optimizer.state[self._variable]
            memory["d"] = (self._variable - before).flatten() / memory["t"]
        self.moved = not torch.equal(picture, self.picture)
        self.picture = picture
