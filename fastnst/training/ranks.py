"""Processes that train one network together, and all that they have to agree on.

Each takes photographs of its own, and gradients are averaged (Lightning's DDP). Whatever else is
decided in a run, from its plan to its end, is decided by the first process, or reckoned alike from
the numbers of all: one that stopped or went back alone would leave the others waiting for ever.
A process on its own agrees with itself, at no cost.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from fastnst.errors import ConfigError, FastnstError, ToldElsewhereError, TrainingError

# How long the others wait for one that is alive. Longer than weights of a backbone are fetched for.
PATIENCE = datetime.timedelta(minutes=20)

Value = TypeVar("Value")


class Ranks:
    """The processes of a run, of which this is the ``rank``-th of ``count``, from 0 on.

    ``local`` and ``local_count`` are the same on this machine, of ``nodes``. What is exchanged goes
    by way of the processors, whatever device computes. A RuntimeError of PyTorch's, where another
    process has died, is for ``naming_lost_ranks``.
    """

    def __init__(self, rank: int = 0, count: int = 1, local: int = 0, local_count: int = 1) -> None:
        self.rank, self.count, self.local, self.local_count = rank, count, local, local_count
        self.nodes = count // local_count
        self._group: Any = dist.new_group(backend="gloo", timeout=PATIENCE) if count > 1 else None
        self._failed = False

    @property
    def first(self) -> bool:
        """Whether this is the process that decides, talks and writes."""
        return self.rank == 0

    def gathered(self, value: Value) -> list[Value]:
        """The value of each process, in order. Raises what one of them has failed with."""
        return [value] if self.count == 1 else self._exchanged(value, None)

    def decided(self, make: Callable[[], Value]) -> Value:
        """What the first process makes, in all of them."""
        if self.count == 1:
            return make()
        made: Any = make() if self.first else None
        result: Value = self.gathered(made)[0]
        return result

    def in_turn(self, make: Callable[[], Value]) -> Value:
        """What each process makes for itself, the first one before the others, as where it fills a
        cache that they find full.
        """
        made = [make()] if self.first else []
        self.gathered(None)
        return made[0] if made else make()

    def same(self, settings: dict[str, Any]) -> None:
        """Raises ConfigError where the processes differ in what must be the same."""
        for rank, others in enumerate(self.gathered(settings)):
            different = [name for name in settings if others.get(name) != settings[name]]
            if different:
                raise ConfigError(
                    f"processes {self.rank} and {rank} differ in {', '.join(different)}: all need "
                    "the same files, options and hardware"
                )

    def mean(self, numbers: Tensor) -> Tensor:
        """The mean of each of some numbers (N,) over all processes, the same bits in each."""
        return numbers if self.count == 1 else self._of_all(numbers).mean(0).to(numbers)

    def highest(self, number: float) -> float:
        """The highest of the processes' numbers."""
        return number if self.count == 1 else float(self._number_of_all(number).max())

    def total(self, number: int) -> int:
        """The sum of the processes' numbers."""
        return number if self.count == 1 else int(self._number_of_all(number).sum())

    def common(self, error: FastnstError) -> FastnstError:
        """An error that all processes come to by themselves, for each to raise: one tells it."""
        return error if self.first else ToldElsewhereError(error)

    @contextlib.contextmanager
    def as_one(self) -> Iterator[None]:
        """An error of one process ends the block in all of them, and is told once."""
        try:
            yield
        except Exception as error:
            if self.count == 1 or self._failed:
                raise
            known = isinstance(error, FastnstError)
            told = error if known else TrainingError(f"process {self.rank}: {error!r}")
            # Where the others have died there is nobody to tell.
            with contextlib.suppress(RuntimeError):
                if known:
                    self._exchanged(None, told)
                with contextlib.suppress(FastnstError):
                    self._exchanged(None, told)
            raise

    def _exchanged(self, value: Any, error: Exception | None) -> list[Any]:
        """All exchanges are of this one kind, so that an error comes wherever the others wait."""
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, (value, error), group=self._group)
        errors = [error for _, error in found if error is not None]
        if errors:
            self._failed = True
            raise self.common(errors[0])
        return [value for value, _ in found]

    def _of_all(self, numbers: Tensor) -> Tensor:
        """(count, N), on the processor, in float64."""
        mine = numbers.detach().to("cpu", torch.float64)
        found = [torch.empty_like(mine) for _ in range(self.count)]
        dist.all_gather(found, mine, group=self._group)
        return torch.stack(found)

    def _number_of_all(self, number: float) -> Tensor:
        return self._of_all(torch.tensor([number], dtype=torch.float64))


class Clock:
    """Seconds of a clock that only goes forward. Of several processes it is the first one's, and
    stands still between two ticks, so that all read the same.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self._now: float | None = None

    def __call__(self) -> float:
        """The time."""
        return time.monotonic() if self._now is None else self._now

    def tick(self) -> None:
        """Let time go on; for all processes to call together."""
        if self.ranks.count > 1:
            self._now = float(self.ranks._number_of_all(time.monotonic())[0])
