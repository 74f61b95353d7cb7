"""From picture to picture with a trained network."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from fastnst.checkpoint.mixing import Part, check_shares, doubts, mixed, mixture_name
from fastnst.checkpoint.shipped import Origin
from fastnst.engines.choose import choose_engine, is_exact
from fastnst.engines.openvino_engine import Engine, open_engine, read_arrays
from fastnst.image import (
    Decoded,
    limit_long_side,
    read_decoded,
    resize,
    srgb_profile,
    write_picture,
)
from fastnst.machine.memory import is_out_of_memory
from fastnst.networks.architecture import SMALLEST, chain
from fastnst.strips.network import STRIP, StripNetwork
from fastnst.strips.plan import ARRAY, Plan, plan_picture, plan_strips
from fastnst.stylize.effects import BAND, Effects, Pixels, Size, stylized

# PyTorch, and whatever imports it, is imported where it computes: it takes longer to start than a
# picture takes on the other engine.
if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fastnst.networks.modules import TransferNetwork

PLAIN = Effects()
# Other checkpoints of a mixture, and the share of each.
Mix = Sequence[tuple[Path, float]]
Origins = Sequence[tuple[Origin, float]]


@dataclass(frozen=True)
class FileOptions:
    """What becomes of a file besides the style.

    ``max_size`` shrinks to this long side first; files of more than ``max_pixels`` are refused,
    and files that were cut short unless ``allow_truncated``.
    ``mask`` is a picture, stylized where it is white.
    ``tile`` and ``max_memory`` (bytes in all) are ``fastnst.strips.plan.plan_picture``'s.
    ``metadata`` that the result takes along: "none", "icc" (that its colours are sRGB) or "keep"
    (the EXIF data too, with the place it was taken at).
    """

    max_size: int | None = None
    max_pixels: int | None = None
    effects: Effects = PLAIN
    mask: Image.Image | None = None
    tile: Literal["auto", "off"] | int = "auto"
    max_memory: int | None = None
    metadata: Literal["none", "icc", "keep"] = "icc"
    allow_truncated: bool = False


@dataclass(frozen=True)
class Finished:
    """A stylized picture with all that its file takes along, and what is worth telling of it."""

    picture: Image.Image
    alpha: Image.Image | None
    exif: bytes
    profile: bytes
    news: str

    def write(self, target: Path, overwrite: bool = True) -> None:
        """Write the file. Raises ImageWriteError."""
        write_picture(self.picture, target, self.alpha, self.exif, self.profile, overwrite)


class Stylizer:
    """A checkpoint ready to use: give it a picture, get the stylized picture.

    >>> stylizer = Stylizer.load(Path("checkpoints/wave.ckpt"))
    >>> stylized = stylizer.picture(Image.open("photo.jpg").convert("RGB"))

    ``engine`` is "torch" or "openvino" (``fastnst.engines.choose.choose_engine``), ``precision``
    ``fastnst.engines.choose.is_exact``'s. Called with tensors it is PyTorch's network alone;
    pictures are the engine's, with effects. ``mix`` are other checkpoints and the share that each
    has in the weights (``fastnst.checkpoint.mixing``); ``doubts`` is what is to be told of them.
    Threads may share one. Pickled or deep-copied it is made ``again`` from the same files and
    options, and raises CheckpointError where they are gone or have changed. Raises CheckpointError
    or ConfigError.
    """

    def __init__(
        self,
        path: Path,
        device: str = "auto",
        engine: str = "auto",
        mix: Mix = (),
        precision: str = "auto",
    ) -> None:
        self.path = Path(path)
        self._device_name = device
        self._mix = tuple(mix)
        check_shares([share for _, share in self._mix])
        self._compiled: Engine | None = None
        self._lock = threading.Lock()
        self.doubts = ""
        if choose_engine(engine, device) == "openvino":
            self.info, weights = self._mixed(read_arrays)
            self._compiled = open_engine(self.path, self.info, weights, precision)
        else:
            self.info = self._checkpoint.info
            # A network that doesn't fit is found now, not at the first picture.
            self.network  # noqa: B018
        described = self.info["network"]
        self.kind: str = described["kind"]
        self.layers = chain(self.kind, described["options"])
        # PyTorch applies in float32 alone.
        self.precision = precision if self.engine == "openvino" else "float32"
        origins = [(Origin.of(other), share) for other, share in self._mix]
        self.again = partial(_again, Origin.of(self.path), device, engine, origins, precision)

    def __reduce__(self) -> tuple[Callable[[], Stylizer], tuple[()]]:
        return self.again, ()

    def __copy__(self) -> Stylizer:
        return self  # Nothing changes it.

    @classmethod
    def load(
        cls,
        path: Path,
        device: str = "auto",
        engine: str = "auto",
        mix: Mix = (),
        precision: str = "auto",
    ) -> Stylizer:
        """The stylizer of a checkpoint, or of a mixture of several."""
        return cls(path, device, engine, mix, precision)

    def _mixed(self, read: Callable[[Path], Part]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The first checkpoint's description and the weights of the mixture."""
        first, others = read(self.path), [read(path) for path, _ in self._mix]
        shares = [share for _, share in self._mix]
        self.name = mixture_name(first, others, shares)
        self.doubts = doubts(first, others)
        return dict(first.info), mixed(first, others, shares) if others else dict(first.weights)

    @property
    def engine(self) -> str:
        """Which engine computes."""
        return "torch" if self._compiled is None else "openvino"

    @cached_property
    def device(self) -> torch.device:
        """Where PyTorch computes."""
        from fastnst.machine.device import choose_device

        return choose_device("cpu" if self._compiled is not None else self._device_name)

    @cached_property
    def _checkpoint(self) -> Any:
        from fastnst.checkpoint.contents import load_checkpoint

        checkpoint = load_checkpoint(self.path)

        def read(path: Path) -> Part:
            found = checkpoint if path == self.path else load_checkpoint(path)
            return Part(path, found.info, found.weights)

        _, weights = self._mixed(read)
        return dataclasses.replace(checkpoint, weights=weights)

    @property
    def network(self) -> TransferNetwork:
        """The network in PyTorch."""
        with self._lock:
            return self._network

    @cached_property
    def _network(self) -> TransferNetwork:
        network: TransferNetwork = self._checkpoint.network().eval().to(self.device)
        return network

    def __call__(self, image: Tensor) -> Tensor:
        """Pictures (B, 3, H, W), RGB, sRGB, 0..1, through the network in PyTorch, of any device and
        type; the result has the same.

        Raises ValueError for another shape and for values that are no finite numbers in 0..1.
        """
        import torch

        if image.ndim != 4 or image.shape[1] != 3 or 0 in image.shape:
            raise ValueError(f"a picture has the shape (B, 3, H, W), not {tuple(image.shape)}")
        # One bad number would spread over the whole picture through instance norm.
        if not bool(((image >= 0) & (image <= 1)).all()):
            raise ValueError("a picture's values are finite numbers in 0..1")
        laid_out = image.to(self.device, torch.float32, memory_format=torch.channels_last)
        with torch.inference_mode():
            result: Tensor = self.network(laid_out)
        return result.to(image.device, image.dtype)

    def picture(
        self, picture: Image.Image, effects: Effects = PLAIN, mask: Image.Image | None = None
    ) -> Image.Image:
        """Stylize a picture of mode RGB, each pass of the network in one go; ``mask``, of its size,
        where it is white.
        """

        def network(_: Size, decode: Callable[[], Pixels]) -> Pixels:
            return self.whole(decode())

        size = picture.height, picture.width
        weights = None if mask is None else np.asarray(mask.convert("L"))
        result = stylized(network, size, lambda: np.asarray(picture), effects, weights)
        return Image.fromarray(result)

    def whole(self, pixels: Pixels) -> Pixels:
        """A pass of the network over a picture (H, W, 3) in one go, on the engine."""
        if self._compiled is not None:
            return self._compiled(pixels)
        from fastnst.image.tensors import to_picture, to_tensor

        return np.array(to_picture(self(to_tensor(Image.fromarray(pixels)))))

    def stylize_file(self, source: Path, target: Path, options: FileOptions | None = None) -> str:
        """Stylize a file into another, keeping its transparency.

        Returns what is worth telling of it, such as an animation's other frames being left out, or
        nothing. Raises ImageReadError or ImageWriteError.
        """
        options = options or FileOptions()
        finished = self.stylize_decoded(
            read_decoded(source, None, options.max_pixels, options.allow_truncated), options
        )
        finished.write(target)
        return finished.news

    def stylize_decoded(self, decoded: Decoded, options: FileOptions) -> Finished:
        """Stylize a decoded file, whose picture may be used up, for it to be written."""
        picture, alpha = decoded.picture, decoded.alpha
        if options.max_size is not None:
            picture = limit_long_side(picture, options.max_size)
            alpha = None if alpha is None else resize(alpha, picture.size)
        stylized, news = self._stylize_picture(picture, options)
        news += decoded.news
        exif = decoded.exif if options.metadata == "keep" else b""
        profile = b"" if options.metadata == "none" else srgb_profile()
        return Finished(stylized, alpha, exif, profile, "; ".join(news))

    def _stylize_picture(
        self, picture: Image.Image, options: FileOptions
    ) -> tuple[Image.Image, list[str]]:
        """The stylized picture, for which the given one is used up, and what is worth telling."""
        size = picture.height, picture.width
        passes = _Passes(self, options, size)
        mask = options.mask
        weights = None if mask is None else _pixels(resize(mask.convert("L"), picture.size))
        decode = partial(_pixels, picture)
        result = stylized(passes, size, decode, options.effects, weights)
        return Image.fromarray(result), passes.news

    def strips(self, plan: Plan) -> StripNetwork:
        """The network in strips, on the engine."""
        assert plan.rows is not None
        how = (plan.rows, plan.dtype, plan.spare)
        if self._compiled is not None:
            self._compiled.release()
            return StripNetwork(self.layers, self._compiled.weights, self._compiled, *how)
        from fastnst.engines.torch_segments import TorchSegments

        weights = {name: value.cpu() for name, value in self.network.state_dict().items()}
        arrays = {name: value.numpy() for name, value in weights.items()}
        return StripNetwork(self.layers, arrays, TorchSegments(weights), *how)


class _Passes:
    """Passes of a stylizer's network for a picture of a size, in one go or in strips, as memory
    allows; ``news`` is what is worth telling of them.
    """

    def __init__(self, stylizer: Stylizer, options: FileOptions, full: Size) -> None:
        self.stylizer, self.options, self.full = stylizer, options, full
        self.news: list[str] = []

    def __call__(self, size: Size, decode: Callable[[], Pixels]) -> Pixels:
        stylizer, options = self.stylizer, self.options
        height, width = size
        sides = (stylizer.layers, width, height)
        exact = is_exact(width * height, stylizer.precision)
        # The photograph, where it is needed once more.
        needed = size != self.full or options.effects.blends or options.mask is not None
        others = ARRAY * self.full[0] * self.full[1] if needed else 0
        plan = plan_picture(
            *sides, options.max_memory, options.tile, stylizer.engine, exact, others
        )
        if plan.rows is None or min(size) < SMALLEST:
            # In a list, so that strips may have it to themselves.
            held = [decode()]
            decode = held.pop
            try:
                return stylizer.whole(held[0])
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or options.tile == "off":
                    raise
            # Out of the handler, which would keep the failed attempt's memory.
            self.news.append("not enough memory for the whole picture")
            plan = plan_strips(*sides, STRIP, engine=stylizer.engine, held=others)
        assert plan.rows is not None
        strips = stylizer.strips(plan)
        result = strips(decode)
        if strips.rows < plan.rows:
            self.news.append(f"not enough memory for strips of {plan.rows} rows")
        self.news.append(f"in strips of {strips.rows} rows, about {plan.bytes / 1e9:.1f} GB")
        return result


def _pixels(picture: Image.Image) -> Pixels:
    """A picture's bytes, copied in parts, since NumPy's own way takes them twice; it is closed."""
    bands = np.asarray(picture.crop((0, 0, 1, 1))).shape[2:]
    pixels = np.empty((picture.height, picture.width, *bands), np.uint8)
    for top in range(0, picture.height, BAND):
        box = (0, top, picture.width, min(picture.height, top + BAND))
        pixels[box[1] : box[3]] = np.asarray(picture.crop(box))
    picture.close()
    return pixels


def _again(origin: Origin, device: str, engine: str, mix: Origins, precision: str) -> Stylizer:
    """A stylizer like one before, perhaps in another process. Raises CheckpointError."""
    others = [(other.file(), share) for other, share in mix]
    return Stylizer(origin.file(), device, engine, others, precision)
