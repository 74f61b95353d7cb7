"""Clips stylized, frame by frame."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fastnst.image import limited_size, resize
from fastnst.stylize.bands import Pixels
from fastnst.stylize.file_options import FileOptions
from fastnst.stylize.stylizer import Stylizer
from fastnst.video.options import require_av

if TYPE_CHECKING:
    from fastnst.video.clips import Watch


@dataclass(frozen=True)
class Clips:
    """A stylizer for clips; existing results are replaced if ``overwrite``, ``watch`` gets how far
    a clip is.
    """

    stylizer: Stylizer
    options: FileOptions
    overwrite: bool = True
    watch: Watch | None = None

    def stylize(self, source: Path, target: Path) -> str:
        """Stylize a clip into another, with its sound and all that goes along.

        Each frame becomes what ``Stylizer.stylize_file`` makes of it with ``options.of_frames()``;
        with ``options.max_size`` an even number of rows and columns. Returns what is worth
        telling. Raises ClipReadError, ClipWriteError or ConfigError; FileExistsError where, without
        ``overwrite``, there is a target by now.
        """
        require_av(source)
        from fastnst.video.clips import ClipJob, stylize_clip

        options = self.options
        made_of = _made_of(self.stylizer, options) if options.clip.resumable else {}
        job = ClipJob(
            source, target, options.clip, options.metadata, options.allow_truncated,
            self.overwrite, options.max_pixels, made_of,
        )  # fmt: skip
        frames = _Frames(self.stylizer, options)
        news = stylize_clip(job, frames, self.watch)
        return "; ".join(part for part in (news, *frames.news) if part)


def _made_of(stylizer: Stylizer, options: FileOptions) -> dict[str, str]:
    """All that a frame's result depends on, by option, short enough to be told."""
    weights, engine = hashlib.sha256(), stylizer.engine
    for name, value in sorted(engine.weights.items()):
        weights.update(name.encode() + value.tobytes())
    mask = None if options.mask is None else hashlib.sha256(options.mask.tobytes()).hexdigest()[:12]
    told = {
        **asdict(options.of_frames().effects), "max_size": options.max_size, "mask": mask,
        "engine": engine.name, "precision": engine.precision,
    }  # fmt: skip
    style = f"{stylizer.name} ({weights.hexdigest()[:12]})"
    return {"the style": style} | {f"--{n.replace('_', '-')}": str(v) for n, v in told.items()}


class _Frames:
    """Pixels (H, W, 3) to pixels, each frame by itself."""

    def __init__(self, stylizer: Stylizer, options: FileOptions) -> None:
        self.stylizer, self.options = stylizer, options.of_frames()
        # What is worth telling, once for all frames.
        self.news: dict[str, None] = {}

    def __call__(self, pixels: Pixels) -> Pixels:
        picture, most = Image.fromarray(pixels), self.options.max_size
        if most is not None and max(picture.size) > most:
            # Most encoders and players take but even sides.
            width, height = (max(2, n // 2 * 2) for n in limited_size(picture.size, most))
            picture = resize(picture, (width, height))
        stylized, news = self.stylizer.stylized_pixels(picture, self.options)
        self.news |= dict.fromkeys(news)
        return np.asarray(stylized)
