"""Many files stylized, reading and writing beside the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastnst.errors import FastnstError, TooLargeError
from fastnst.image import (
    Decoded,
    PictureFile,
    check_fits,
    has_limit,
    limited_size,
    read_decoded,
    upright_size,
)
from fastnst.stylize.file_options import FileOptions
from fastnst.stylize.frames import Clips
from fastnst.stylize.job import FileJob, Job, Wanted
from fastnst.stylize.streams import stream_job
from fastnst.stylize.stylizer import Stylizer
from fastnst.stylize.targets import plan_jobs
from fastnst.video.options import is_clip, require_av

if TYPE_CHECKING:
    from fastnst.video.clips import Watch

__all__ = ["FileJob", "Job", "Outcome", "Wanted", "plan_jobs", "run_jobs", "stream_job"]

# Files that are decoded before the network asks for them, and results that wait to be written.
AHEAD = 2


@dataclass(frozen=True)
class Outcome:
    """How a job ended: ``message`` says why it failed or was kept, or what is worth telling."""

    job: Job
    state: Literal["done", "kept", "failed"]
    message: str = ""


@dataclass(frozen=True)
class _Run:
    """What all jobs have in common."""

    stylizer: Stylizer
    options: FileOptions
    overwrite: bool
    watch: Watch | None

    def moves(self, job: Job) -> bool:
        """Whether a job is a clip, of which not a single frame is asked for."""
        return is_clip(job.source) and self.options.clip.frame is None


def run_jobs(
    stylizer: Stylizer,
    jobs: Sequence[Job],
    options: FileOptions,
    overwrite: bool,
    watch: Watch | None = None,
) -> Iterator[Outcome]:
    """Stylize each file, in order; a file that fails costs its own outcome and no other's.

    While the network works on one file the next is decoded and the last one encoded. Existing
    targets are kept unless ``overwrite``. ``watch`` gets how far a clip is.
    """
    run = _Run(stylizer, options, overwrite, watch)
    todo = deque(jobs)
    reading: deque[tuple[Job, Future[Decoded] | None]] = deque()
    writing: deque[tuple[Job, Future[None] | None, Outcome]] = deque()
    # One thread each: Pillow's warnings are silenced for all threads at once.
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        while todo or reading or writing:
            while todo and len(reading) < AHEAD:
                job = todo.popleft()
                unread = run.moves(job) or (job.is_there and not overwrite)
                reading.append((job, None if unread else reader.submit(_read, job, options)))
            if reading:
                writing.append(_compute(run, *reading.popleft(), writer))
            if len(writing) >= AHEAD or not (todo or reading):
                yield _written(*writing.popleft())


def _read(job: Job, options: FileOptions) -> Decoded:
    """The job's photograph, unless its result would be too large for the format."""
    if is_clip(job.source):
        return _read_frame(job, options)
    size = upright_size(job.source) if has_limit(job.target) else None
    if size is not None:
        check_fits(limited_size(size, options.max_size), job.target)
    return read_asked(job.source, options.max_pixels, options.allow_truncated, options.max_size)


def read_asked(
    file: PictureFile, max_pixels: int | None, allow_truncated: bool, large_to: int | None = None
) -> Decoded:
    """Decode a file where ``--max-pixels`` is an option. Raises ImageReadError, which names it."""
    try:
        return read_decoded(file, None, max_pixels, allow_truncated, large_to)
    except TooLargeError as error:
        raise TooLargeError(f"{error}, or raise --max-pixels") from error


def _read_frame(job: Job, options: FileOptions) -> Decoded:
    """The one frame of a clip that is asked for."""
    assert isinstance(job.source, Path)
    require_av(job.source)
    from fastnst.video.clips import frame_at

    assert options.clip.frame is not None
    picture, news = frame_at(
        job.source, options.clip.frame, options.allow_truncated, options.max_pixels
    )
    return Decoded(picture, None, b"", (news,) if news else ())


def _compute(
    run: _Run, job: Job, decoded: Future[Decoded] | None, writer: ThreadPoolExecutor
) -> tuple[Job, Future[None] | None, Outcome]:
    if decoded is None:
        return job, None, _clip(run, job) if run.moves(job) else _kept(job)
    try:
        options = run.options.of_frames() if is_clip(job.source) else run.options
        finished = run.stylizer.stylize_decoded(decoded.result(), options)
    except FastnstError as error:
        return job, None, _failed(job, error)
    done = Outcome(job, "done", _about(job, finished.news))
    return job, writer.submit(finished.write, job.target, run.overwrite), done


def _clip(run: _Run, job: Job) -> Outcome:
    """Stylize a clip, reading and writing included."""
    if job.is_there and not run.overwrite:
        return _kept(job)
    assert isinstance(job.source, Path)
    assert isinstance(job.target, Path)
    try:
        clips = Clips(run.stylizer, run.options, run.overwrite, run.watch)
        news = clips.stylize(job.source, job.target)
    except FileExistsError:
        return _kept(job)
    except FastnstError as error:
        return _failed(job, error)
    return Outcome(job, "done", _about(job, (news,) if news else ()))


def _about(job: Job, news: Sequence[str]) -> str:
    return f"{job.source}: {'; '.join(news)}" if news else ""


def _failed(job: Job, error: FastnstError) -> Outcome:
    return Outcome(job, "failed", " ".join(str(error).split()))


def _written(job: Job, future: Future[None] | None, outcome: Outcome) -> Outcome:
    try:
        if future is not None:
            future.result()
    except FileExistsError:
        # Another run's, which came there while the network worked.
        return _kept(job)
    except FastnstError as error:
        return _failed(job, error)
    return outcome


def _kept(job: Job) -> Outcome:
    return Outcome(
        job, "kept", f"{job.target}: exists already and is kept; --overwrite replaces it"
    )
