"""A clip stylized: read, painted and written beside one another, whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray
from PIL import Image

from fastnst.errors import ClipReadError, ClipWriteError, ConfigError
from fastnst.machine.files import atomic_write, reason, sha256_file
from fastnst.video.beside import Ahead, Behind
from fastnst.video.between import Between
from fastnst.video.encode import Look, Painted, check_settings, choose_encoder
from fastnst.video.options import INSTALL, ClipOptions
from fastnst.video.part import Part, exact, part_of
from fastnst.video.parts import Parts
from fastnst.video.probe import Clip, check_size, told
from fastnst.video.read import Piece, Reader
from fastnst.video.resume import PartsWriter, join
from fastnst.video.smooth import Smoother
from fastnst.video.write import Writer, taken_along

Pixels = NDArray[np.uint8]
# From a frame (H, W, 3) to a frame, perhaps of another size.
Paint = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Progress:
    """How far a clip is: frames painted, the seconds they last, and all there are, if known."""

    frames: int
    seconds: float
    in_all: float | None


Watch = Callable[[Progress], None]


@dataclass(frozen=True)
class ClipJob:
    """What is to become of a clip: ``metadata`` is "none", "icc" or "keep" as for pictures, of
    which only the last takes along what the clip says of itself. Frames of more than ``max_pixels``
    are refused. ``made_of`` is what frames depend
    on besides ``options``, by option.
    """

    source: Path
    target: Path
    options: ClipOptions
    metadata: str = "icc"
    allow_truncated: bool = False
    overwrite: bool = True
    max_pixels: int | None = None
    made_of: Mapping[str, str] = field(default_factory=dict)


class Sink(Protocol):
    """What takes frames; ``begins`` tells of each beforehand whether a new part begins there."""

    def begins(self, pts: int) -> bool: ...
    def write(self, painted: Painted) -> None: ...
    def close(self, packets: Sequence[Packet[Stream]]) -> None: ...


def stylize_clip(job: ClipJob, paint: Paint, watch: Watch | None = None) -> str:
    """Stylize a clip into another, with its sound; returns what is worth telling of it.

    Frames are decoded in one thread and encoded in another while this one paints. The target is
    written whole or not at all; with ``options.resumable`` parts of it lie beside it until then,
    from which a run like one that ended goes on. Raises ClipReadError, ClipWriteError, ConfigError;
    FileExistsError where, without ``overwrite``, somebody else has written the target meanwhile.
    """
    encoder = choose_encoder(job.options.codec, job.target)
    check_settings(encoder, job.options)
    # What takes OpenCV is told before anything is read.
    job.options.every()
    jumps = job.options.smooth is None and not job.options.share()
    try:
        with Clip(job.source) as clip:
            check_size(clip, job.max_pixels)
            others, left_out = taken_along(clip, job.target)
            part = part_of(clip, job.options.start, job.options.end)
            if job.options.resumable:
                news = _by_parts(job, clip, part, encoder, paint, watch)
            else:
                reader = Reader(clip, part, others, job.allow_truncated)
                news = _at_once(job, reader, paint, watch)
        without = [f"strokes jump more without OpenCV ({INSTALL})"] if jumps else []
        return "; ".join([*clip.news, *left_out, *news, *without])
    except FileExistsError:
        raise
    except (OSError, av.FFmpegError) as error:
        why = reason(error) if isinstance(error, OSError) else told(error)
        raise ClipWriteError(f"{job.target}: can't be written ({why})") from error


def _at_once(job: ClipJob, reader: Reader, paint: Paint, watch: Watch | None) -> list[str]:
    with atomic_write(job.target, job.overwrite) as file:
        writer = Writer(file, job.target, reader.clip, reader.others, job.options, job.metadata)
        try:
            last = _run(
                reader, writer, paint, watch, Smoother(job.options.share()), job.options.every()
            )
            if last is None:
                raise _nothing(reader)
            writer.close(last.packets)
        except BaseException:
            writer.abandon()
            raise
    return [*reader.news, *writer.news]


def _by_parts(
    job: ClipJob, clip: Clip, part: Part, encoder: str, paint: Paint, watch: Watch | None
) -> list[str]:
    parts = Parts(job.target, _settings(job, encoder))
    # All is read anew, which takes little beside painting, and gives the same frames for certain.
    reader = Reader(clip, part, [], job.allow_truncated, parts.last())
    smoother = Smoother(job.options.share(), parts.state())
    began = parts.count
    with PartsWriter(parts, job.target, clip, job.options) as writer:
        last = _run(reader, writer, paint, watch, smoother, job.options.every())
        if last is not None:
            writer.close([])
    if not parts.count:
        parts.remove()
        raise _nothing(reader)
    with Clip(job.source) as again:
        others, _ = taken_along(again, job.target)
        copied = Reader(again, part, others, job.allow_truncated)
        news = join(parts, copied, job.target, job.options, job.metadata, job.overwrite)
    parts.remove()
    went_on = [f"went on from {began} parts of a run before"] if began else []
    return [*reader.news, *news, *went_on]


def _settings(job: ClipJob, encoder: str) -> dict[str, str]:
    """All that the frames of a result depend on, by option."""
    chosen = asdict(job.options)
    for name in ("resumable", "frame", "stroke_size"):
        del chosen[name]
    options = {f"--{name.replace('_', '-')}": str(value) for name, value in chosen.items()}
    options["--smooth"] = str(job.options.share())
    return {
        **options, **job.made_of, "the clip's SHA-256": sha256_file(job.source),
        "the encoder": f"{encoder} of PyAV {av.__version__}",
    }  # fmt: skip


def frame_at(
    source: Path, seconds: float, truncated: bool = False, max_pixels: int | None = None
) -> tuple[Image.Image, str]:
    """The picture of a clip, mode RGB, that is seen at a time from its beginning, and what is worth
    telling of it. Raises ClipReadError, ConfigError for a time that it doesn't reach.
    """
    with Clip(source) as clip:
        check_size(clip, max_pixels)
        if clip.seconds is not None and not 0 <= seconds <= clip.seconds:
            raise ConfigError(f"{source}: no frame at {seconds} s; it lasts {clip.seconds:.2f} s")
        wanted = clip.begins + exact(seconds)
        reader = Reader(clip, part_of(clip, None, None), [], truncated)
        found = reader.seen_at(wanted)
        if found is None:
            raise ConfigError(f"{source}: there is no frame at {seconds} s")
        return Image.fromarray(found), "; ".join([*clip.news, *reader.news])


def _run(
    reader: Reader, sink: Sink, paint: Paint, watch: Watch | None, smoother: Smoother, every: int
) -> Piece | None:
    """Paint one of ``every`` frames into a sink, and what lies between them, but for what comes
    after the last frame, which is returned; None where there is none.
    """
    frames = 0
    rest: Piece | None = None
    alone = threading.Lock()

    def paint_alone(pixels: Pixels) -> Pixels:
        # Frames between may ask for a pass too, in their thread: a second at once takes the memory
        # of two, and is no faster.
        with alone:
            return paint(pixels)

    between = Between(every, paint_alone)

    def pictures(pieces: Iterator[Piece]) -> Iterator[tuple[Piece, Pixels]]:
        nonlocal rest
        for piece in pieces:
            if piece.pixels is None:
                rest = piece
            else:
                yield piece, piece.pixels

    def show(both: tuple[list[tuple[Piece, Pixels]], Pixels]) -> None:
        group, painted = both
        # A part begins with a frame that is painted, so that a run that goes on knows it too.
        last, photo = group[-1]
        before = smoother.state() if sink.begins(last.pts) else None
        results = between([pixels for _, pixels in group], smoother(photo, painted))
        for (piece, _), pixels in zip(group, results, strict=True):
            time, state = (piece.pts, piece.duration), before if piece is last else None
            sink.write(Painted(pixels, _look(reader, pixels), time, piece.packets, state))

    with Behind(show) as behind, Ahead(reader) as pieces:
        for group in between.groups(pictures(pieces)):
            last, pixels = group[-1]
            behind.put((group, paint_alone(pixels)))
            frames += len(group)
            if watch is not None:
                watch(_progress(reader, last, frames))
    return rest if frames else None


def _look(reader: Reader, pixels: Pixels) -> Look:
    assert reader.colours is not None
    height, width = pixels.shape[:2]
    return Look(width, height, reader.colours.written(), reader.aspect)


def _progress(reader: Reader, piece: Piece, frames: int) -> Progress:
    clip, part = reader.clip, reader.part
    zero = clip.begins - part.zero if part.begin is None else 0
    done = float((piece.pts + piece.duration) * reader.time_base - zero)
    if clip.seconds is None:
        return Progress(frames, done, None)
    first = 0.0 if part.begin is None else float(part.begin - clip.begins)
    last = clip.seconds if part.end is None else float(part.end - clip.begins)
    return Progress(frames, done, max(done, min(last, clip.seconds) - first))


def _nothing(reader: Reader) -> ClipReadError:
    clip = reader.clip
    if (reader.part.begin, reader.part.end) == (None, None):
        return ClipReadError(f"{clip.path}: holds no frame that can be decoded")
    lasts = "" if clip.seconds is None else f"; it lasts {clip.seconds:.2f} s"
    return ClipReadError(f"{clip.path}: no frame lies between --start and --end{lasts}")
