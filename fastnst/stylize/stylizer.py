"""From picture to picture with a trained network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fastnst.checkpoint.mixing import Part, alike, doubts, read_mixture
from fastnst.checkpoint.numpy_reader import read_arrays
from fastnst.checkpoint.shipped import Origin, photograph_model
from fastnst.engines.engine import Engine, open_engine
from fastnst.image import Decoded, limit_long_side, read_decoded, resize, srgb_profile
from fastnst.stylize.bands import Pixels, Size
from fastnst.stylize.coarse_to_fine import Network
from fastnst.stylize.effects import Effects, stylized
from fastnst.stylize.file_options import PLAIN, FileOptions, Finished
from fastnst.stylize.passes import Passes, taken_pixels
from fastnst.stylize.strength import Weaker

# PyTorch, and whatever imports it, is imported where it computes: it takes longer to start than a
# picture takes on the other engine.
if TYPE_CHECKING:
    from torch import Tensor

    from fastnst.engines.torch_engine import TorchEngine

# Other checkpoints of a mixture, and the share of each.
Mix = Sequence[tuple[Path, float]]
Origins = Sequence[tuple[Origin, float]]


class Stylizer:
    """A checkpoint ready to use: give it a picture, get the stylized picture.

    >>> stylizer = Stylizer(Path("checkpoints/wave.ckpt"))
    >>> stylized = stylizer.picture(Image.open("photo.jpg").convert("RGB"))

    ``engine`` is "torch" or "openvino" (``fastnst.engines.choose.choose_engine``) and becomes the
    ``fastnst.engines.engine.Engine`` of that name; ``precision`` is
    ``fastnst.engines.choose.is_exact``'s. ``mix`` are other checkpoints and the share that each has
    in the weights (``fastnst.checkpoint.mixing``); ``news`` is what is worth telling of them.
    Pictures go through the engine, with effects; tensors through PyTorch's network alone.

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
        path = Path(path)
        found = read_mixture(read_arrays, path, mix)
        self.info, self.name, self.news = dict(found.info), found.name, found.news
        network = found.info["network"]
        self.kind: str = network["kind"]

        def build(network: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Engine:
            return open_engine(engine, device, network, weights, precision, path)

        self.engine = build(network, found.weights)
        self._style, self._build = Part(path, found.info, found.weights), build
        origins = [(Origin.of(other), share) for other, share in mix]
        self.again = partial(_again, Origin.of(path), device, engine, origins, precision)
        self._lock = threading.Lock()

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

    def __reduce__(self) -> tuple[Callable[[], Stylizer], tuple[()]]:
        return self.again, ()

    def __copy__(self) -> Stylizer:
        return self  # Nothing changes it.

    def __call__(self, image: Tensor) -> Tensor:
        """``fastnst.engines.torch_engine.TorchEngine.tensors``, whichever the engine is."""
        with self._lock:
            engine = self._torch
        return engine.tensors(image)

    @cached_property
    def _torch(self) -> TorchEngine:
        from fastnst.engines.torch_engine import TorchEngine

        if isinstance(self.engine, TorchEngine):
            return self.engine
        network = self.info["network"]
        found = open_engine("torch", "cpu", network, self.engine.weights)
        assert isinstance(found, TorchEngine)
        return found

    def picture(
        self, picture: Image.Image, effects: Effects = PLAIN, mask: Image.Image | None = None
    ) -> Image.Image:
        """Stylize a picture of mode RGB, each pass of the network in one go; ``mask``, of its size,
        where it is white.
        """

        def passes(engine: Engine) -> Network:
            return lambda _, decode: engine(decode())

        size = picture.height, picture.width
        weights = None if mask is None else np.asarray(mask.convert("L"))
        decode = partial(np.asarray, picture)
        return Image.fromarray(self._painted(passes, size, decode, effects, weights))

    def stylize_file(
        self, source: Path, target: Path, options: FileOptions | None = None
    ) -> tuple[str, ...]:
        """Stylize a file into another, keeping its transparency.

        Returns what is worth telling of it, such as an animation's other frames being left out.
        Raises ImageReadError or ImageWriteError.
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
        result, news = self.stylized_pixels(picture, options)
        exif = decoded.exif if options.metadata == "keep" else b""
        profile = b"" if options.metadata == "none" else srgb_profile()
        return Finished(Image.fromarray(result), alpha, exif, profile, (*news, *decoded.news))

    def stylized_pixels(
        self, picture: Image.Image, options: FileOptions
    ) -> tuple[Pixels, list[str]]:
        """The stylized picture (H, W, 3), for which the given one, of mode RGB, is used up, and
        what is worth telling: passes in one go or in strips, as memory allows.
        """
        size = picture.height, picture.width
        mask = options.mask
        weights = None if mask is None else taken_pixels(resize(mask.convert("L"), picture.size))
        passes, decode = Passes(options, size), partial(taken_pixels, picture)
        result = self._painted(passes.of, size, decode, options.effects, weights)
        return result, passes.news

    def _painted(
        self,
        passes: Callable[[Engine], Network],
        size: Size,
        decode: Callable[[], Pixels],
        effects: Effects,
        mask: Pixels | None,
    ) -> Pixels:
        if 0 < effects.strength < 1:
            with self._lock:
                weaker = self._weaker
            if weaker is not None:
                return weaker.stylized(passes, size, decode, effects, mask)
        return stylized(passes(self.engine), size, decode, effects, mask)

    @cached_property
    def _weaker(self) -> Weaker | None:
        """None where nothing says that the style started where the photograph's network did."""
        path = photograph_model(self.kind)
        if path is None or self.news:
            return None
        style, photograph = alike([self._style, read_arrays(path)])
        network = style.info["network"]
        if photograph.info["network"] != network or doubts(style, [photograph]):
            return None
        return Weaker(partial(self._build, network), style, photograph)


def _again(origin: Origin, device: str, engine: str, mix: Origins, precision: str) -> Stylizer:
    """A stylizer like one before, perhaps in another process. Raises CheckpointError."""
    others = [(other.file(), share) for other, share in mix]
    return Stylizer(origin.file(), device, engine, others, precision)
