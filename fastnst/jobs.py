"""Many files: which becomes which, and all of them stylized, reading and writing beside it."""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from fastnst.errors import ConfigError, FastnstError, ImageWriteError
from fastnst.files import make_writable, reason
from fastnst.image import WRITE_FORMATS, Decoded, check_writable_format, read_decoded
from fastnst.photos import pictures_below, read_list
from fastnst.stylize import FileOptions, Stylizer

# Files that are decoded before the network asks for them, and results that wait to be written.
AHEAD = 2
# What an input begins with that is a text file of paths.
LIST = "@"


@dataclass(frozen=True)
class Job:
    """One picture to stylize; ``named`` where the user named the file itself, not its folder."""

    source: Path
    target: Path
    named: bool


def plan_jobs(inputs: Sequence[Path], output: Path | None, style_name: str) -> list[Job]:
    """Which file becomes which, before anything is written.

    A folder stands for the pictures in it and below, whose tree ``output`` repeats. ``output`` is a
    file for a single input file if it has a picture's suffix, else a folder; without one, the
    results of files lie beside them as NAME-STYLE.SUFFIX. Missing inputs are left for the reader to
    report.

    Raises DataError for a list that can't be read; ConfigError where two inputs would become one
    file, an input would be replaced or a folder has no ``output``; ImageWriteError for a suffix or
    a folder that can't be written.
    """
    inputs = [path for given in inputs for path in _expanded(given)]
    single = len(inputs) == 1 and not os.path.isdir(inputs[0])
    if single and output is not None and output.suffix and not output.is_dir():
        check_writable_format(output)
        jobs = [Job(inputs[0], output, True)]
    else:
        if output is not None and output.is_file():
            raise ConfigError(f"{output}: is a file, but several pictures need a folder")
        if output is None and any(os.path.isdir(path) for path in inputs):
            raise ConfigError("a folder of pictures needs a folder for the results: --output PATH")
        jobs = [
            Job(source, _target(source, relative, output, style_name), named)
            for source, relative, named in _sources(inputs)
        ]
    _refuse_collisions(jobs)
    _make_folders({job.target.parent for job in jobs})
    return jobs


def _expanded(given: Path) -> list[Path]:
    """The files of a list (``@FILE``) or of a pattern that the shell has left as it is, else the
    path itself.
    """
    # os.path: a path too long to exist is no error here, but the reader's or the writer's.
    if str(given).startswith(LIST) and not os.path.exists(given):
        return read_list(Path(str(given).removeprefix(LIST)))
    if os.path.exists(given) or not glob.has_magic(str(given)):
        return [given]
    return [Path(match) for match in sorted(glob.glob(str(given), recursive=True))] or [given]


def _sources(inputs: Sequence[Path]) -> Iterator[tuple[Path, Path, bool]]:
    """Each picture, its path below the input it belongs to, and whether it was named itself."""
    for path in inputs:
        if not os.path.isdir(path):
            yield path, Path(path.name), True
            continue
        found = sorted(pictures_below(path))
        if not found:
            raise ConfigError(f"{path}: no pictures in this folder or below it")
        for file in found:
            yield file, file.relative_to(path), False


def _target(source: Path, relative: Path, output: Path | None, style_name: str) -> Path:
    suffix = source.suffix if source.suffix.lower() in WRITE_FORMATS else ".png"
    if output is None:
        return source.with_name(f"{source.stem}-{style_name}{suffix}")
    return output / relative.with_suffix(suffix)


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    sources = {job.source.resolve(): job.source for job in jobs}
    taken: dict[Path, Path] = {}
    for job in jobs:
        target = job.target.resolve()
        if target in sources:
            raise ConfigError(f"{job.target}: the output would replace an input; choose another")
        if target in taken:
            raise ConfigError(
                f"{taken[target]} and {job.source} would both become {job.target}; "
                "stylize them in two runs"
            )
        taken[target] = job.source


def _make_folders(folders: set[Path]) -> None:
    for folder in sorted(folders):
        try:
            make_writable(folder)
        except OSError as error:
            raise ImageWriteError(f"{folder}: can't be written to ({reason(error)})") from error


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
    read = partial(
        read_decoded, max_pixels=options.max_pixels, allow_truncated=options.allow_truncated
    )
    reading: deque[tuple[Job, Future[Decoded] | None]] = deque()
    writing: deque[tuple[Job, Future[None] | None, Outcome]] = deque()
    # One thread each: Pillow's warnings are silenced for all threads at once.
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        while todo or reading or writing:
            while todo and len(reading) < AHEAD:
                job = todo.popleft()
                kept = os.path.exists(job.target) and not overwrite
                reading.append((job, None if kept else reader.submit(read, job.source)))
            if reading:
                writing.append(_compute(stylizer, *reading.popleft(), options, writer))
            if len(writing) >= AHEAD or not (todo or reading):
                yield _written(*writing.popleft())


def _compute(
    stylizer: Stylizer,
    job: Job,
    decoded: Future[Decoded] | None,
    options: FileOptions,
    writer: ThreadPoolExecutor,
) -> tuple[Job, Future[None] | None, Outcome]:
    if decoded is None:
        message = f"{job.target}: exists already and is kept; --overwrite replaces it"
        return job, None, Outcome(job, "kept", message)
    try:
        finished = stylizer.stylize_decoded(decoded.result(), options)
    except FastnstError as error:
        return job, None, Outcome(job, "failed", " ".join(str(error).split()))
    message = f"{job.source}: {finished.news}" if finished.news else ""
    return job, writer.submit(finished.write, job.target), Outcome(job, "done", message)


def _written(job: Job, future: Future[None] | None, outcome: Outcome) -> Outcome:
    try:
        if future is not None:
            future.result()
    except FastnstError as error:
        return Outcome(job, "failed", " ".join(str(error).split()))
    return outcome
