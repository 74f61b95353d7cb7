"""From picture to picture with a trained network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from fastnst.checkpoint import load_checkpoint
from fastnst.device import choose_device
from fastnst.effects import Effects, luminance, stylize_with
from fastnst.image import (
    Decoded,
    limit_long_side,
    read_decoded,
    resize,
    srgb_profile,
    to_picture,
    to_tensor,
    write_picture,
)
from fastnst.large import stylize_large
from fastnst.memory import is_out_of_memory, plan_picture
from fastnst.networks import TransferNetwork
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
    mask: Image.Image | None = None
    tile: Literal["auto", "off"] | int = "auto"
    max_memory: int | None = None
    metadata: Literal["none", "icc", "keep"] = "icc"


@dataclass(frozen=True)
class Finished:
    """A stylized picture with all that its file takes along, and what is worth telling of it."""

    picture: Image.Image
    alpha: Image.Image | None
    exif: bytes
    profile: bytes
    news: str

    def write(self, target: Path) -> None:
        """Write the file. Raises ImageWriteError."""
        write_picture(self.picture, target, self.alpha, self.exif, self.profile)


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
        finished = self.stylize_decoded(read_decoded(source), options)
        finished.write(target)
        return finished.news

    def stylize_decoded(self, decoded: Decoded, options: FileOptions) -> Finished:
        """Stylize a decoded file, whose picture may be used up, for it to be written."""
        picture, alpha = decoded.picture, decoded.alpha
        if options.max_size is not None:
            picture = limit_long_side(picture, options.max_size)
            alpha = None if alpha is None else resize(alpha, picture.size)
        stylized, news = self._stylize_picture(picture, options)
        if decoded.frames > 1:
            news.append(f"first of {decoded.frames} frames")
        exif = decoded.exif if options.metadata == "keep" else b""
        profile = b"" if options.metadata == "none" else srgb_profile()
        return Finished(stylized, alpha, exif, profile, "; ".join(news))

    def _stylize_picture(
        self, picture: Image.Image, options: FileOptions
    ) -> tuple[Image.Image, list[str]]:
        """The stylized picture, and what is worth telling."""
        mask = None if options.mask is None else resize(options.mask, picture.size)
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
