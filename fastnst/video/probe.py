"""A clip opened: which of its streams is the picture, what comes along, what is worth telling."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from fastnst.errors import ClipReadError
from fastnst.image.decode import MAX_PIXELS
from fastnst.image.kinds import CLIP, head_of, kind_of
from fastnst.image.opening import picture_format
from fastnst.machine.files import address_of

# FFmpeg's demuxers by allow-list: playlists, which may name other files and addresses, and
# pictures are never reached.
DEMUXERS = "mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg"
MICROSECONDS = 1_000_000
# What the metadata of results say, by which they are known again.
MARK = "fastnst"


class Clip:
    """A clip's file, open while the block lasts.

    ``picture`` is the stream that is stylized, ``others`` are those that come along as they are;
    ``begins`` is the time that players show as 0, ``seconds`` how long its picture lasts and
    ``length`` all of it, as far as that is known, else None. Raises ClipReadError for what is no
    clip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container = _opened(path)
        videos = [s for s in self.container.streams.video if not is_cover(s)]
        if not videos:
            kinds = self._kinds()
            self.container.close()
            raise ClipReadError(f"{path}: has no pictures that move{kinds}")
        # As players choose: what is marked as the default, of several the largest.
        self.picture: VideoStream = max(
            videos, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height)
        )
        self.others: list[Stream] = [
            s for s in self.container.streams if s not in videos and s is not self.picture
        ]
        self.news = [f"other pictures of it left out: {len(videos) - 1}"] if videos[1:] else []
        self.begins = Fraction(self.container.start_time or 0, MICROSECONDS)
        self.length = _length(self.container)
        self.seconds = self.length
        if self.picture.duration and self.picture.time_base:
            self.seconds = float(self.picture.duration * self.picture.time_base)

    def __enter__(self) -> Clip:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.container.close()

    @property
    def tells_its_end(self) -> bool:
        """Whether its header says how long it lasts, rather than that being guessed."""
        name = self.container.format.name
        return bool(self.container.duration) and ("mov" in name or "matroska" in name)

    def _kinds(self) -> str:
        kinds = Counter("a cover" if is_cover(s) else s.type for s in self.container.streams)
        return f", only {' and '.join(sorted(kinds))}" if kinds else ", nor anything else"


def check_size(clip: Clip, max_pixels: int | None) -> None:
    """Raises ClipReadError where frames have more than so many pixels, by default as many as are
    read of pictures.
    """
    most = MAX_PIXELS if max_pixels is None else max_pixels
    width, height = clip.picture.width, clip.picture.height
    if width * height > most:
        raise ClipReadError(
            f"{clip.path}: frames of {width} x {height} pixels are more than fastnst reads "
            f"({most / 1e6:g} megapixels); make it smaller, or raise --max-pixels"
        )


def is_cover(stream: Stream) -> bool:
    """Whether a stream is a picture that goes with sound, such as an album's cover."""
    return bool(stream.disposition & Disposition.attached_pic)


def is_own_clip(path: Path) -> bool:
    """Whether fastnst has written a clip, as far as its metadata tell."""
    try:
        with _opened(path) as container:
            told = {name.lower(): value for name, value in container.metadata.items()}
            return told.get("comment") == MARK
    except ClipReadError:
        return False


def told(error: BaseException) -> str:
    """What an error of FFmpeg's says, without the names of its own functions."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())


def _opened(path: Path) -> InputContainer:
    if not os.path.isfile(path):
        address = address_of(path)
        is_there = os.path.exists(path)
        what = "a device or a pipe; make a file of it" if is_there else "no such file"
        what = "is a folder" if os.path.isdir(path) else what
        raise ClipReadError(f"{address or path}: {'fetch it first' if address else what}")
    try:
        # "file:", since FFmpeg would take a colon in a name for a protocol's.
        return av.open(
            f"file:{path}", "r", metadata_errors="replace",
            options={"format_whitelist": DEMUXERS, "protocol_whitelist": "file"},
        )  # fmt: skip
    except (av.FFmpegError, OSError, ValueError) as error:
        # What FFmpeg's "invalid argument" means here is that no demuxer of the list takes it.
        strange = isinstance(error, av.error.ArgumentError)
        why = _kind(path) or ("of another kind" if strange else told(error))
        raise ClipReadError(f"{path}: not a readable clip ({why})") from error


def _kind(path: Path) -> str:
    with contextlib.suppress(OSError):
        head = head_of(path)
        if not head:
            return "empty"
        if format := picture_format(path):
            return f"a picture in {format}; give it a name that says so"
        kind = kind_of(head)
        return "cut short or damaged; its index is missing" if kind == CLIP else kind
    return ""


def _length(container: InputContainer) -> float | None:
    if not container.duration:
        return None
    length, begins = container.duration, container.start_time or 0
    # Matroska's header tells when the clip ends by its own clock, as FFmpeg writes it.
    late = "matroska" in container.format.name and 0 < begins < length
    return (length - begins if late else length) / MICROSECONDS
