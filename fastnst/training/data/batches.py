"""Batches of photographs that lie ready when a step wants them."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import warnings
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from torch.utils.data import DataLoader

from fastnst.errors import TrainingError
from fastnst.machine.files import reason
from fastnst.machine.notify import Notify, silent
from fastnst.training.data.dataset import Batch, EndlessBatches, PhotoDataset, collate

# Batches that lie ready while a step is taken: one may take longer than a step, most don't.
AHEAD = 2
# Different pieces of news that are told: a folder may have many of a kind.
TOLD = 3

Item = TypeVar("Item")


def photo_batches(
    dataset: PhotoDataset,
    batch_size: int,
    first_batch: int,
    workers: int,
    notify: Notify = silent,
    part: tuple[int, int] = (0, 1),
) -> Generator[Batch, None, None]:
    """Batches from number ``first_batch`` on, in order, whatever the number of workers.

    ``part`` is this process's rank, and of how many. They are made ahead, in processes or in a
    thread, until the generator is closed. ``notify`` gets the first of their news, each once.
    """
    decoded = _decoded(dataset, EndlessBatches(batch_size, first_batch, *part), workers)
    batches = decoded if workers else made_ahead(decoded, AHEAD)
    told: set[str] = set()
    try:
        for batch in batches:
            for line in batch.news:
                if line not in told and len(told) < TOLD:
                    told.add(line)
                    notify(line)
            yield batch
    finally:
        if isinstance(batches, Generator):
            batches.close()


def made_ahead(items: Iterator[Item], count: int) -> Generator[Item, None, None]:
    """``items``, the next ``count`` of which are made in a thread while the caller is busy.

    Pillow and the disk let go of Python's lock, so that the training goes on meanwhile. An error is
    raised where its item would have come. Closing the generator waits for the item in the making.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="photographs")
    try:
        ready = deque(thread.submit(next, items, None) for _ in range(count))
        while (item := ready.popleft().result()) is not None:
            ready.append(thread.submit(next, items, None))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)


def _decoded(dataset: PhotoDataset, order: EndlessBatches, workers: int) -> Iterator[Batch]:
    if workers:
        _try_processes(workers)
    with warnings.catch_warnings():
        # How many workers are too many is for the user to say.
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader = DataLoader(
            dataset,
            batch_sampler=order,
            num_workers=workers,
            collate_fn=collate,
            # A worker forked after OpenMP has started may hang; a spawned one can't.
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=_end_at_once if workers else None,
        )
        return iter(loader)


def _end_at_once(_: int) -> None:
    """Have this worker's process end without taking Python down first, as a forked one does.

    What it still sends goes through a thread, which Python's end cuts off wherever it is: inside
    PyTorch's C++ that is an abort (Python before 3.14).
    """
    atexit.register(os._exit, 0)


def _try_processes(count: int) -> None:
    """TrainingError where ``count`` processes would lack the means to be talked with."""
    context = multiprocessing.get_context("spawn")
    try:
        # A lock takes shared memory. PyTorch makes a queue for each and some more, and complains at
        # length where one can't be had.
        for queue in [context.Queue() for _ in range(count + 4)]:
            queue.close()
    except OSError as error:
        raise TrainingError(
            f"processes that decode photographs can't be started ({reason(error)}): take fewer "
            "--workers, or 0"
        ) from error


@contextlib.contextmanager
def naming_dead_workers(last: Path) -> Iterator[None]:
    """TrainingError where a process that decodes photographs dies."""
    try:
        yield
    # PyTorch has no class of its own for it, and raises it wherever the run happens to be.
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        kept = f"; go on with --resume {last}" if last.exists() else ""
        raise TrainingError(
            "a process that decodes photographs died, for want of memory perhaps: take fewer "
            f"--workers, or 0{kept}"
        ) from error
