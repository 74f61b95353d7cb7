"""How long a run lasts, in steps or in minutes, and the learning rate along it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from fastnst.config import TrainConfig

DEFAULT_MINUTES = 10.0
# Adam's moments know nothing at first; full steps then would throw the network far off.
WARMUP_STEPS = 30
# The style weight's first share: the network sees the style from the start, but the picture counts.
RAMP_START = 0.02
# Shares of the run that the style's weight rises over, from fresh weights and from a network.
FRESH_RAMP, RAMP = 0.3, 0.1


class Budget:
    """How much of a run is behind it.

    ``progress`` is what a run's schedules follow. Exactly one of ``steps`` and ``seconds`` is set.
    ``spent`` is the seconds of an earlier part of the run that this one resumes, ``clock`` what
    tells the time. With ``first`` the budget is that of a part alone, which begins after so many
    steps.
    """

    def __init__(
        self,
        steps: int | None,
        seconds: float | None,
        spent: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        first: int = 0,
    ) -> None:
        self.clock = clock
        self.first = first
        self.steps = steps
        self.seconds = seconds
        self._spent = spent
        self._started: float | None = None
        # Where the run was cut short, and how much of it was left: shares of its full length.
        self.cut: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        spent: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> Budget:
        """The budget that a configuration asks for, 10 minutes where it asks for none."""
        if config.steps is not None:
            return cls(config.steps, None, spent, clock)
        return cls(None, 60 * (config.minutes or DEFAULT_MINUTES), spent, clock)

    def start(self) -> None:
        """Start the clock; called at the first step, since setting up is no training."""
        self._started = self.clock()

    @property
    def begun(self) -> float:
        """When the clock was started."""
        assert self._started is not None
        return self._started

    def elapsed(self) -> float:
        """Seconds of training so far, those of the earlier parts included."""
        running = 0.0 if self._started is None else self.clock() - self._started
        return self._spent + running

    def progress(self, step: int) -> float:
        """Share of the run behind it, 0..1, after ``step`` steps."""
        share = self._share(step)
        if self.cut is not None:
            begin, left = self.cut
            share = begin + (1 - begin) * (share - begin) / left
        return min(1.0, share)

    def shorten(self, step: int, left: float) -> bool:
        """End the run after another ``left``, a share of its full length, unless that is no less.

        What follows its progress, such as the learning rate, hurries from where it is to its end.
        """
        begin = self._share(step)
        if self.cut is not None or begin + left >= 1:
            return False
        self.cut = begin, left
        return True

    def remaining(self, step: int, rate: float) -> float:
        """Seconds to go at ``rate`` steps per second (which a budget in minutes ignores)."""
        end = 1.0 if self.cut is None else sum(self.cut)
        if self.steps is not None:
            left = end * self.steps - (step - self.first)
            return max(0.0, left / rate) if rate > 0 else math.inf
        assert self.seconds is not None
        return max(0.0, end * self.seconds - self.elapsed())

    def _share(self, step: int) -> float:
        """``progress`` of a run that isn't cut short, beyond 1 too."""
        if self.steps is not None:
            return (step - self.first) / self.steps
        assert self.seconds is not None
        return self.elapsed() / self.seconds


def learning_rate(config: TrainConfig, progress: float, step: int) -> float:
    """The rate for the step after ``step`` steps: a linear warm-up, then cosine or constant."""
    warmup = min(1.0, (step + 1) / WARMUP_STEPS)
    fade = 0.5 * (1 + math.cos(math.pi * progress)) if config.schedule == "cosine" else 1.0
    return config.learning_rate * warmup * fade


def style_ramp(config: TrainConfig, started_from: str | None) -> float:
    """Share of the run over which the style's weight rises."""
    if config.style_ramp is not None:
        return config.style_ramp
    return FRESH_RAMP if started_from is None else RAMP


def style_share(ramp: float, progress: float) -> float:
    """Factor of the style weight: from ``RAMP_START`` to 1, geometrically, over the ramp."""
    return 1.0 if progress >= ramp else float(RAMP_START ** (1 - progress / ramp))
