"""What becomes of a file besides the style, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image

from fastnst.image import PictureFile, write_picture
from fastnst.stylize.effects import Effects
from fastnst.video.options import ClipOptions

PLAIN = Effects()


@dataclass(frozen=True)
class FileOptions:
    """What becomes of a file besides the style.

    ``max_size`` shrinks to this long side first; files of more than ``max_pixels`` are refused,
    and files that were cut short unless ``allow_truncated``.
    ``mask`` is a picture, stylized where it is white.
    ``tile`` and ``max_memory`` (bytes in all) are ``fastnst.strips.plan.plan_picture``'s.
    ``metadata`` that the result takes along: "none", "icc" (that its colours are sRGB) or "keep"
    (the EXIF data too, with the place it was taken at). ``clip`` is for clips alone.
    """

    max_size: int | None = None
    max_pixels: int | None = None
    effects: Effects = PLAIN
    mask: Image.Image | None = None
    tile: Literal["auto", "off"] | int = "auto"
    max_memory: int | None = None
    metadata: Literal["none", "icc", "keep"] = "icc"
    allow_truncated: bool = False
    clip: ClipOptions = ClipOptions()

    def of_frames(self) -> FileOptions:
        """What becomes of a clip's frames: strokes are ``clip.stroke_size``'s."""
        return replace(self, effects=replace(self.effects, stroke_size=self.clip.stroke_size))


@dataclass(frozen=True)
class Finished:
    """A stylized picture with all that its file takes along, and what is worth telling of it."""

    picture: Image.Image
    alpha: Image.Image | None
    exif: bytes
    profile: bytes
    news: tuple[str, ...]

    def write(self, target: PictureFile, overwrite: bool = True) -> None:
        """Write the file, or the content of one in memory. Raises ImageWriteError."""
        write_picture(self.picture, target, self.alpha, self.exif, self.profile, overwrite)
