"""What a run's crops and batches are, where the user leaves it to the machine and the minutes."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fastnst.config import TrainConfig
from fastnst.networks.modules import TransferNetwork
from fastnst.objective.objective import Objective
from fastnst.training.budget import Budget

# What a run of a given number of steps takes, so that it is the same on every machine; and the
# crops that the others are timed by.
IMAGE_SIZE, BATCH_SIZE = 128, 1
# Larger crops show the network larger strokes and its own borders less, smaller ones give more
# steps: the largest whose steps suffice. From the base and after equal time 1,000 steps at 192 are
# better than 2,000 at 128 and 560 at 256, and 3,200 at 192 better than 1,900 at 256
# (scripts/compare_runs).
ENOUGH_STEPS = {256: 3_000, 192: 1_000}
# A machine that would take fewer steps than this at 128 pixels gets crops of half the area.
FEW_STEPS, SMALLEST = 300, 96
# Photographs a step once there are steps in plenty: their gradients are less at odds.
BATCHES = (4, 2, 1)
PLENTY_OF_STEPS = 15_000
# Steps that warm up kernels, and steps that are timed.
WARM_UP, TIMED = 2, 6


@dataclass(frozen=True)
class Plan:
    """Side of the square crops in pixels, photographs a step, and the steps that the minutes give:
    None where it is steps that were asked for.
    """

    image_size: int
    batch_size: int
    steps: int | None = None

    def __str__(self) -> str:
        crops = f"{self.image_size} x {self.image_size} pixels, {self.batch_size} a step"
        return crops if self.steps is None else f"{crops}, about {self.steps} steps"


def make_plan(
    config: TrainConfig, budget: Budget, step_seconds: Callable[[int, int], float]
) -> Plan:
    """The plan for a configuration, whose own sizes stay.

    ``step_seconds(image_size, batch_size)`` times a step; it is asked for nothing, and the plan the
    same everywhere, where the run is a number of steps or both sizes are given.
    """
    size, batch = config.image_size, config.batch_size
    if budget.seconds is None or (size and batch):
        return Plan(size or IMAGE_SIZE, batch or BATCH_SIZE)
    timed = size or IMAGE_SIZE
    # A step's time is in proportion to its pixels, nearly.
    pixels = budget.seconds / step_seconds(timed, 1) * timed**2

    def steps(size: int, batch: int) -> int:
        return int(pixels / (size**2 * batch))

    if size is None:
        few = steps(IMAGE_SIZE, batch or 1) < FEW_STEPS
        fitting = (s for s, enough in ENOUGH_STEPS.items() if steps(s, batch or 1) >= enough)
        size = SMALLEST if few else next(fitting, IMAGE_SIZE)
    if batch is None:
        batch = next((b for b in BATCHES if steps(size, b) >= PLENTY_OF_STEPS), BATCH_SIZE)
    return Plan(size, batch, steps(size, batch))


def time_step(
    network: TransferNetwork, objective: Objective, precision: str, device: torch.device
) -> Callable[[int, int], float]:
    """A function of crop side and batch that gives the seconds of a training step.

    The least of some: whatever else the machine does for a moment would make it look slower than it
    is for the minutes to come. The network stays as it is.
    """

    def seconds(image_size: int, batch_size: int) -> float:
        trained = copy.deepcopy(network).to(device)
        images = torch.rand(batch_size, 3, image_size, image_size, device=device)
        content = images.contiguous(memory_format=torch.channels_last)
        objective.to(device)
        times = [
            _timed(trained, objective, content, precision) for _ in range(WARM_UP + TIMED)
        ]  # fmt: skip
        return min(times[WARM_UP:])

    return seconds


def _timed(
    network: TransferNetwork, objective: Objective, content: Tensor, precision: str
) -> float:
    started = time.perf_counter()
    with torch.autocast(content.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        # As the limits above were found: without the terms of the network.
        parts = objective(network(content), objective.see_content(content))
    parts.total.backward()
    # Waits for the device.
    float(parts.total.detach())
    return time.perf_counter() - started
