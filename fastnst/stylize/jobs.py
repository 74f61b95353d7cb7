"""Many files stylized, reading and writing beside the network."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from fastnst.errors import FastnstError
from fastnst.image import (
    Decoded,
    check_fits,
    has_limit,
    limited_size,
    read_decoded,
    upright_size,
)
from fastnst.stylize.file_options import FileOptions
from fastnst.stylize.stylizer import Stylizer
from fastnst.stylize.targets import Job, plan_jobs

__all__ = ["Job", "Outcome", "plan_jobs", "run_jobs"]

# Files that are decoded before the network asks for them, and results that wait to be written.
AHEAD = 2


@dataclass(frozen=True)
class Outcome:
    """How a job ended: ``message`` says why it failed or was kept, or what is worth telling."""

    job: Job
    state: Literal["done", "kept", "failed"]
    message: str = ""


def run_jobs(
    stylizer: Stylizer, jobs: Sequence[Job], options: FileOptions, overwrite: bool
) -> Iterator[Outcome]:
    """Stylize each file, in order; a file that fails costs its own outcome and no other's.

    While the network works on one file the next is decoded and the last one encoded. Existing
    targets are kept unless ``overwrite``.
    """
    todo = deque(jobs)
    reading: deque[tuple[Job, Future[Decoded] | None]] = deque()
    writing: deque[tuple[Job, Future[None] | None, Outcome]] = deque()
    # One thread each: Pillow's warnings are silenced for all threads at once.
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        while todo or reading or writing:
            while todo and len(reading) < AHEAD:
                job = todo.popleft()
                kept = os.path.exists(job.target) and not overwrite
                reading.append((job, None if kept else reader.submit(_read, job, options)))
            if reading:
                writing.append(_compute(stylizer, *reading.popleft(), options, overwrite, writer))
            if len(writing) >= AHEAD or not (todo or reading):
                yield _written(*writing.popleft())


def _read(job: Job, options: FileOptions) -> Decoded:
    """The job's photograph, unless its result would be too large for the format."""
    size = upright_size(job.source) if has_limit(job.target) else None
    if size is not None:
        check_fits(limited_size(size, options.max_size), job.target)
    return read_decoded(job.source, None, options.max_pixels, options.allow_truncated)


def _compute(
    stylizer: Stylizer,
    job: Job,
    decoded: Future[Decoded] | None,
    options: FileOptions,
    overwrite: bool,
    writer: ThreadPoolExecutor,
) -> tuple[Job, Future[None] | None, Outcome]:
    if decoded is None:
        return job, None, _kept(job)
    try:
        finished = stylizer.stylize_decoded(decoded.result(), options)
    except FastnstError as error:
        return job, None, Outcome(job, "failed", " ".join(str(error).split()))
    message = f"{job.source}: {finished.news}" if finished.news else ""
    return job, writer.submit(finished.write, job.target, overwrite), Outcome(job, "done", message)


def _written(job: Job, future: Future[None] | None, outcome: Outcome) -> Outcome:
    try:
        if future is not None:
            future.result()
    except FileExistsError:
        # Another run's, which came there while the network worked.
        return _kept(job)
    except FastnstError as error:
        return Outcome(job, "failed", " ".join(str(error).split()))
    return outcome


def _kept(job: Job) -> Outcome:
    return Outcome(
        job, "kept", f"{job.target}: exists already and is kept; --overwrite replaces it"
    )
