"""From picture to picture with a trained network: one at a time, or whole folders."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from fastnst.checkpoint import load_checkpoint
from fastnst.device import choose_device
from fastnst.effects import Effects, luminance, stylize_with
from fastnst.errors import ConfigError, ImageWriteError
from fastnst.files import make_writable, reason
from fastnst.image import (
    WRITE_FORMATS,
    check_writable_format,
    limit_long_side,
    read_decoded,
    read_picture,
    resize,
    srgb_profile,
    to_picture,
    to_tensor,
    write_picture,
)
from fastnst.large import stylize_large
from fastnst.memory import is_out_of_memory, plan_picture
from fastnst.networks import TransferNetwork
from fastnst.photos import pictures_below
from fastnst.strips import STRIP, StripNetwork

PLAIN = Effects()


@dataclass(frozen=True)
class FileOptions:
    """What becomes of a file besides the style.

    ``max_size`` shrinks to this long side first. ``mask`` is a picture, stylized where it is white.
    ``tile`` and ``max_memory`` (bytes in all) are ``fastnst.memory.plan_picture``'s.
    ``metadata`` that the result takes along: "none", "icc" (that its colours are sRGB) or "keep"
    (the EXIF data too, with the place it was taken at).
    """

    max_size: int | None = None
    effects: Effects = PLAIN
    mask: Path | None = None
    tile: Literal["auto", "off"] | int = "auto"
    max_memory: int | None = None
    metadata: Literal["none", "icc", "keep"] = "icc"


class Stylizer:
    """A transfer network ready to use: call it with a picture, get the stylized picture.

    >>> stylizer = Stylizer.load(Path("checkpoints/wave.ckpt"))
    >>> stylized = stylizer(torch.rand(1, 3, 480, 640))
    """

    def __init__(self, network: TransferNetwork, device: str = "auto", name: str = "") -> None:
        self.device = choose_device(device)
        self.network = network.eval().to(self.device)
        self.name = name

    @classmethod
    def load(cls, path: Path, device: str = "auto") -> Stylizer:
        """The stylizer of a checkpoint. Raises CheckpointError or ConfigError."""
        checkpoint = load_checkpoint(path)
        return cls(checkpoint.network(), device, checkpoint.style_name)

    @torch.inference_mode()
    def __call__(
        self, image: Tensor, effects: Effects = PLAIN, mask: Tensor | None = None
    ) -> Tensor:
        """Stylize pictures (B, 3, H, W), RGB, sRGB, 0..1; the result has the same shape.

        ``mask`` (1, 1, H, W), 0..1, is stylized where it is 1.
        Raises ValueError for another shape and for values that are no finite numbers in 0..1.
        """
        if image.ndim != 4 or image.shape[1] != 3 or 0 in image.shape:
            raise ValueError(f"a picture has the shape (B, 3, H, W), not {tuple(image.shape)}")
        # One bad number would spread over the whole picture through instance norm.
        if not bool(((image >= 0) & (image <= 1)).all()):
            raise ValueError("a picture's values are finite numbers in 0..1")
        laid_out = image.to(self.device, torch.float32, memory_format=torch.channels_last)
        mask = mask if mask is None else mask.to(self.device)
        stylized = stylize_with(self.network, laid_out, effects, mask)
        return stylized.to(image.device, image.dtype)

    def stylize_file(self, source: Path, target: Path, options: FileOptions | None = None) -> str:
        """Stylize a file into another, keeping its transparency.

        Returns what is worth telling of it, such as an animation's other frames being left out, or
        nothing. Raises ImageReadError or ImageWriteError.
        """
        options = options or FileOptions()
        decoded = read_decoded(source)
        picture, alpha = decoded.picture, decoded.alpha
        if options.max_size is not None:
            picture = limit_long_side(picture, options.max_size)
            alpha = None if alpha is None else resize(alpha, picture.size)
        exif, frames = decoded.exif if options.metadata == "keep" else b"", decoded.frames
        del decoded
        stylized, news = self._stylize_picture(picture, options)
        profile = b"" if options.metadata == "none" else srgb_profile()
        write_picture(stylized, target, alpha, exif, profile)
        if frames > 1:
            news.append(f"first of {frames} frames")
        return "; ".join(news)

    def _stylize_picture(
        self, picture: Image.Image, options: FileOptions
    ) -> tuple[Image.Image, list[str]]:
        """The stylized picture, and what is worth telling."""
        mask = None if options.mask is None else resize(read_picture(options.mask), picture.size)
        kind, size = self.network.kind, picture.size
        plan = plan_picture(kind, *size, options.max_memory, options.tile)
        news = []
        if plan.rows is None or min(size) < self.network.smallest:
            try:
                weights = None if mask is None else luminance(to_tensor(mask))
                return to_picture(self(to_tensor(picture), options.effects, weights)), []
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or options.tile == "off":
                    raise
            # Out of the handler, which would keep the failed attempt's memory.
            news.append("not enough memory for the whole picture")
            plan = plan_picture(kind, *size, None, STRIP)
            plan = dataclasses.replace(plan, dtype=torch.float16, spare=False)
        assert plan.rows is not None
        news.append(f"in strips of {plan.rows} rows, about {plan.bytes / 1e9:.1f} GB")
        network = self.network.to("cpu") if self.device.type != "cpu" else self.network
        strips = StripNetwork(network, plan.rows, plan.dtype, plan.spare)
        try:
            return stylize_large(strips, picture, options.effects, mask), news
        finally:
            self.network.to(self.device)


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

    Raises ConfigError where two inputs would become one file, an input would be replaced or a
    folder has no ``output``; ImageWriteError for a suffix or a folder that can't be written.
    """
    inputs = [path for given in inputs for path in _expanded(given)]
    single = len(inputs) == 1 and not inputs[0].is_dir()
    if single and output is not None and output.suffix and not output.is_dir():
        check_writable_format(output)
        jobs = [Job(inputs[0], output, True)]
    else:
        if output is not None and output.is_file():
            raise ConfigError(f"{output}: is a file, but several pictures need a folder")
        if output is None and any(path.is_dir() for path in inputs):
            raise ConfigError("a folder of pictures needs a folder for the results: --output PATH")
        jobs = [
            Job(source, _target(source, relative, output, style_name), named)
            for source, relative, named in _sources(inputs)
        ]
    _refuse_collisions(jobs)
    _make_folders({job.target.parent for job in jobs})
    return jobs


def _expanded(given: Path) -> list[Path]:
    """The files of a pattern that the shell has left as it is, else the path itself."""
    if given.exists() or not glob.has_magic(str(given)):
        return [given]
    return [Path(match) for match in sorted(glob.glob(str(given), recursive=True))] or [given]


def _sources(inputs: Sequence[Path]) -> Iterator[tuple[Path, Path, bool]]:
    """Each picture, its path below the input it belongs to, and whether it was named itself."""
    for path in inputs:
        if not path.is_dir():
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
