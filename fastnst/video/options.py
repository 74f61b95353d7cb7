"""What a clip is by its name, and what may be asked of it. Loads no PyAV."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastnst.errors import ClipReadError, ClipWriteError, ConfigError, as_share
from fastnst.machine.parts import install

if TYPE_CHECKING:
    from fastnst.image.in_memory import PictureFile

# Containers that are written, each under FFmpeg's name for it.
CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
# Others that are read. Their results are .mkv: it takes every sound, and keeps times.
READ_ONLY = frozenset(
    (".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp", ".ogv", ".vob")
)
CODECS = ("auto", "h264", "hevc", "av1", "vp9", "ffv1")
INSTALL = install("video")
# How much of what was shown before stays, unless told, where OpenCV is there: halves flicker or
# better, and keeps nothing for long.
USUAL_SMOOTH = 0.7
# Of how many frames at most one is painted: those between wait for it, in memory.
FARTHEST = 10


@dataclass(frozen=True)
class ClipOptions:
    """What becomes of a clip besides the style.

    ``codec`` is one of ``CODECS`` ("ffv1" loses nothing), ``quality`` the encoder's own measure
    (0..63, less is better) and ``preset`` its word for speed. ``start`` and ``end``, in seconds
    from the clip's beginning, cut a part out; ``frame`` takes the one picture that is seen at that
    time instead. ``smooth`` 0..1 is how much of the frame before stays, moved along with what the
    clip shows; None stands for ``USUAL_SMOOTH``, or for 0 without OpenCV, which it takes.
    ``stroke_size`` is for frames what the effect of that name is for pictures, 1 unless told:
    coarse to fine takes twice as long, and what pans smoothly flickers with it. Of ``paint_every``
    frames one is painted, and the ones between are moved from it and the next, which takes OpenCV.
    ``resumable`` keeps finished parts beside the target for another run to go on from. Raises
    ConfigError for values out of range.
    """

    codec: str = "auto"
    quality: int | None = None
    preset: str | None = None
    start: float | None = None
    end: float | None = None
    frame: float | None = None
    smooth: float | None = None
    stroke_size: float | Literal["auto"] = 1.0
    paint_every: int = 1
    resumable: bool = False

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise ConfigError(f"codec must be one of {', '.join(CODECS)}, not {self.codec}")
        if self.quality is not None and not 0 <= self.quality <= 63:
            raise ConfigError(f"quality must be a whole number from 0 to 63, not {self.quality}")
        if self.smooth is not None and not 0 <= self.smooth <= 1:
            told = f"smooth must be a number from 0 to 1, not {self.smooth:g}"
            raise ConfigError(told + as_share(self.smooth))
        if not 1 <= self.paint_every <= FARTHEST:
            raise ConfigError(
                f"paint_every must be a whole number from 1 to {FARTHEST}, not {self.paint_every}"
            )
        if self.end is not None and self.end <= (self.start or 0):
            raise ConfigError("end must be later than start")
        if self.frame is not None and (self.start, self.end) != (None, None):
            raise ConfigError("frame takes one picture; start and end cut a clip: give either")

    def share(self) -> float:
        """What ``smooth`` comes to on this machine. Raises ConfigError where it takes OpenCV, which
        is missing or can't be loaded.
        """
        if self.smooth == 0:
            return 0.0
        if not _has_opencv("smooth", self.smooth is not None, "smooth 0"):
            return 0.0
        return USUAL_SMOOTH if self.smooth is None else self.smooth

    def every(self) -> int:
        """``paint_every``. Raises ConfigError where it takes OpenCV, as ``share``."""
        if self.paint_every > 1:
            _has_opencv("paint_every", True, "paint_every 1")
        return self.paint_every


def _has_opencv(option: str, asked: bool, without: str) -> bool:
    """Whether it can be loaded. Raises ConfigError where it is broken, or where an option is
    ``asked`` for that takes it.
    """
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        if error.name != "cv2":
            raise ConfigError(f"{without} does without OpenCV, which fails: {error}") from error
        if asked:
            raise ConfigError(f"{option} needs OpenCV: {INSTALL}") from error
        return False
    return True


def is_clip(path: PictureFile) -> bool:
    """Whether a file is a clip, by its name."""
    suffix = path.suffix.lower()
    return suffix in CONTAINERS or suffix in READ_ONLY


def is_installed() -> bool:
    """Whether PyAV is there, which this does not load."""
    return importlib.util.find_spec("av") is not None


def require_av(path: Path) -> None:
    """Raises ClipReadError where PyAV can't be loaded."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        why = "" if error.name == "av" else f" ({error})"
        raise ClipReadError(f"{path}: a clip, which needs PyAV: {INSTALL}{why}") from error


def written_clip_suffix(source: Path) -> str:
    """The suffix of the result of a clip: its own where it is written, else .mkv."""
    return source.suffix if source.suffix.lower() in CONTAINERS else ".mkv"


def check_writable_clip(path: PictureFile) -> None:
    """Raises ClipWriteError unless the path's suffix is that of a container that is written."""
    if path.suffix.lower() not in CONTAINERS:
        known = " ".join(sorted(CONTAINERS))
        raise ClipWriteError(
            f"{path}: clips are written as {known}; --frame TIME takes a picture of one"
        )
