"""A clip stylized: read, painted and written beside one another, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Stream
from numpy.typing import NDArray
from PIL import Image

from fastnst.errors import ClipReadError, ClipWriteError, ConfigError
from fastnst.machine.files import atomic_write, reason
from fastnst.video.beside import Ahead, Behind
from fastnst.video.options import ClipOptions
from fastnst.video.probe import Clip, is_cover, told
from fastnst.video.read import Piece, Reader, exact, part_of
from fastnst.video.smooth import Gate
from fastnst.video.write import Look, Writer, can_hold

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
    which only the last takes along what the clip says of itself.
    """

    source: Path
    target: Path
    options: ClipOptions
    metadata: str = "icc"
    allow_truncated: bool = False
    overwrite: bool = True


@dataclass(frozen=True)
class _Painted:
    """A frame to write, with what the writer needs of its piece."""

    pixels: Pixels
    piece: Piece
    look: Look


def stylize_clip(job: ClipJob, paint: Paint, watch: Watch | None = None) -> str:
    """Stylize a clip into another, with its sound; returns what is worth telling of it.

    Frames are decoded in one thread and encoded in another while this one paints. The target is
    written whole or not at all. Raises ClipReadError, ClipWriteError, ConfigError; FileExistsError
    where, without ``overwrite``, somebody else has written the target meanwhile.
    """
    try:
        with Clip(job.source) as clip:
            others, left_out = _taken_along(clip, job.target)
            part = part_of(clip, job.options.start, job.options.end)
            reader = Reader(clip, part, others, job.allow_truncated)
            with atomic_write(job.target, job.overwrite) as file:
                writer = Writer(file, job.target, clip, others, job.options, job.metadata)
                try:
                    _run(reader, writer, paint, watch)
                except BaseException:
                    writer.abandon()
                    raise
        return "; ".join([*clip.news, *left_out, *reader.news, *writer.news])
    except FileExistsError:
        raise
    except (OSError, av.FFmpegError) as error:
        why = reason(error) if isinstance(error, OSError) else told(error)
        raise ClipWriteError(f"{job.target}: can't be written ({why})") from error


def frame_at(source: Path, seconds: float, truncated: bool = False) -> tuple[Image.Image, str]:
    """The picture of a clip, mode RGB, that is seen at a time from its beginning, and what is worth
    telling of it. Raises ClipReadError, ConfigError for a time that it doesn't reach.
    """
    with Clip(source) as clip:
        if clip.seconds is not None and not 0 <= seconds <= clip.seconds:
            raise ConfigError(f"{source}: no frame at {seconds} s; it lasts {clip.seconds:.2f} s")
        wanted = clip.begins + exact(seconds)
        reader = Reader(clip, part_of(clip, None, None), [], truncated)
        found = reader.seen_at(wanted)
        if found is None:
            raise ConfigError(f"{source}: there is no frame at {seconds} s")
        return Image.fromarray(found), "; ".join([*clip.news, *reader.news])


def _run(reader: Reader, writer: Writer, paint: Paint, watch: Watch | None) -> None:
    gate = Gate(writer.options.smooth)
    frames = 0
    rest: Piece | None = None

    def write(painted: _Painted) -> None:
        piece = painted.piece
        time = piece.pts, piece.duration
        writer.write(painted.pixels, painted.look, time, piece.packets)

    with Behind(write) as behind, Ahead(reader) as pieces:
        for piece in pieces:
            if piece.pixels is None:
                rest = piece
                continue
            pixels = gate(piece.pixels, paint(piece.pixels))
            behind.put(_Painted(pixels, piece, _look(reader, pixels)))
            piece.pixels = None
            frames += 1
            if watch is not None:
                watch(_progress(reader, piece, frames))
    if not frames:
        raise _nothing(reader)
    writer.close([] if rest is None else rest.packets)


def _look(reader: Reader, pixels: Pixels) -> Look:
    assert reader.colours is not None
    height, width = pixels.shape[:2]
    return Look(width, height, reader.colours.written(), reader.aspect)


def _progress(reader: Reader, piece: Piece, frames: int) -> Progress:
    clip, part = reader.clip, reader.part
    # Times in a part are told from its beginning.
    zero = clip.begins if part.begin is None else 0
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


def _taken_along(clip: Clip, target: Path) -> tuple[list[Stream], list[str]]:
    """The other streams that the target's container takes, and what is told of those it doesn't.

    Raises ClipWriteError where sound would be lost that another container would keep.
    """
    taken: list[Stream] = []
    lost: list[str] = []
    for stream in clip.others:
        if can_hold(target, stream):
            taken.append(stream)
            continue
        name = _name(stream)
        if stream.type == "audio" and target.suffix.lower() != ".mkv":
            raise ClipWriteError(
                f"{target}: {target.suffix.lower()} can't hold the clip's sound ({name}); "
                f"--output {target.with_suffix('.mkv').name} can"
            )
        lost.append(name)
    told_of = f"{target.suffix.lower()} can't hold its {', '.join(lost)}: left out"
    return taken, [told_of] if lost else []


def _name(stream: Any) -> str:
    context = stream.codec_context
    if is_cover(stream):
        return f"cover ({context.name})"
    return f"{stream.type} {context.name}" if context is not None else f"stream of {stream.type}"
