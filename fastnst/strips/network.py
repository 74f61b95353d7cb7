"""A transfer network on a picture larger than memory, exactly: in strips, norms over the whole.

Instance norm couples all pixels, so tiles that are normalized by themselves differ from each other.
Here every norm's mean and variance are gathered over the whole picture first, in passes over strips
of full width; the features at the coarsest scale are kept, and each strip is computed with as many
rows around it as its convolutions see. The result is the network's own in
float32, but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from fastnst.machine.memory import is_out_of_memory
from fastnst.networks.architecture import EPSILON, Layer, Norm, Residual, Skip, without_skips
from fastnst.strips.cuts import Cut, halo, strip_cuts
from fastnst.strips.rows import KeptRows, PictureRows, Rows

# Rows of the finest scale in a strip, where the caller doesn't say, and the fewest in any.
STRIP = 256
LEAST = 8
# The fewest at coarser scales, where there are as many.
COARSE = 16

Scales = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Part:
    """Layers one after the other, and how each is cut."""

    layers: tuple[Layer, ...] = ()
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True)
class Segment:
    """What becomes of a strip in one pass: ``parts`` are one for each source, whose results are
    added and go through ``after``.

    ``kept`` is the type of the features that are returned, None for none; ``measured`` asks for
    their moments.
    """

    parts: tuple[Part, ...]
    after: Part
    kept: str | None
    measured: bool


class Strip(NamedTuple):
    """A segment's result: features (rows, W, C), and mean and variance of each channel (C,)."""

    features: np.ndarray | None
    mean: np.ndarray | None
    variance: np.ndarray | None


class Backend(Protocol):
    """What computes segments, in float32."""

    def prepare(
        self, segment: Segment, scales: Scales, sources: Sequence[np.ndarray]
    ) -> Callable[[Sequence[np.ndarray]], Strip]:
        """The segment as a function of arrays (rows, W, C) of the shapes and types of ``sources``.

        The norms' scales and shifts are in ``scales``. What a call returns lasts until the next.
        """


class Moments:
    """Mean and variance of each channel over all strips, in float64 (Chan et al. 1979)."""

    def __init__(self) -> None:
        self.rows = 0
        self.mean = self.squares = np.zeros(1)

    def add(self, rows: int, strip: Strip) -> None:
        """Take a strip of ``rows`` rows in."""
        assert strip.mean is not None
        assert strip.variance is not None
        apart = strip.mean.astype(np.float64) - self.mean
        together = self.rows + rows
        self.mean = self.mean + apart * rows / together
        within = strip.variance.astype(np.float64) * rows
        self.squares = self.squares + within + apart**2 * self.rows * rows / together
        self.rows = together

    def scale(self, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The norm with this weight and bias as a scale and a shift, float32 (C,)."""
        scale = weight / np.sqrt(self.squares / self.rows + EPSILON)
        return scale.astype(np.float32), (bias - self.mean * scale).astype(np.float32)


class StripNetwork:
    """A transfer network that works through a picture in strips of ``rows`` rows.

    ``layers`` are ``fastnst.networks.architecture.chain``'s and ``weights`` its arrays. Between the
    passes the features at the coarsest scale are kept in ``dtype``: float32, or float16 for half
    the memory. With ``spare`` there is memory for two of them, and no residual block's convolution
    is computed twice. Where memory runs out, ``rows`` are halved and it goes on.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        weights: Mapping[str, np.ndarray],
        backend: Backend,
        rows: int = STRIP,
        dtype: str = "float32",
        spare: bool = True,
    ) -> None:
        # What a skip adds before ``after``, where there is no norm, is worked out of the picture
        # again: kept, its features would take more than all others.
        self.skip: tuple[Layer, ...] = ()
        self.after: tuple[Layer, ...] = ()
        for place, layer in enumerate(layers):
            if isinstance(layer, Skip):
                self.skip, self.after = (*layers[:place], layer.conv), tuple(layers[place + 1 :])
        chain = without_skips(layers)
        blocks = [place for place, layer in enumerate(chain) if isinstance(layer, Residual)]
        self.encoder = chain[: blocks[0]]
        self.blocks = [layer for layer in chain if isinstance(layer, Residual)]
        self.decoder = chain[blocks[-1] + 1 : len(chain) - len(self.after)]
        self.weights, self.backend = weights, backend
        self.rows, self.dtype, self.spare = rows, dtype, spare

    def __call__(self, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Stylize a picture, uint8 (H, W, 3), both sides at least ``SMALLEST``.

        ``decode`` gives it, once; its memory is given back before the network's takes most, unless
        a skip reads it again.
        """
        self.scales: Scales = {}
        picture = PictureRows(decode())
        shape, self._height = picture.pixels.shape, picture.height
        kept, ahead = self._encode(picture)
        skipped = (picture,) if self.skip else ()
        del picture
        beside = KeptRows(*kept.values.shape, self.dtype) if self.spare else None
        for block in self.blocks:
            if beside is None:
                self._residual(kept, ahead, block)
            else:
                self._residual_beside(kept, ahead, block, beside)
            ahead = ()
        del beside
        result = PictureRows(np.empty(shape, np.uint8))
        self._measure(kept, self.decoder)
        self._pass((kept, *skipped), self.decoder, None, result, self.skip, self.after)
        return result.pixels

    def _encode(self, picture: PictureRows) -> tuple[KeptRows, tuple[Layer, ...]]:
        """The features that the encoder's last norm sees, and what is left to do with them."""
        last = max(i for i, layer in enumerate(self.encoder) if isinstance(layer, Norm))
        norm = self.encoder[last]
        assert isinstance(norm, Norm)
        self._measure(picture, self.encoder[:last])
        height, width = (_after(self.encoder, side) for side in (picture.height, picture.width))
        kept = KeptRows(height, width, norm.channels, self.dtype)
        self._pass((picture,), self.encoder[:last], norm, kept)
        return kept, self.encoder[last:]

    def _residual(self, kept: KeptRows, ahead: tuple[Layer, ...], block: Residual) -> None:
        """A block in place: its convolutions are computed again for each norm."""
        for place, layer in enumerate(block.body):
            if isinstance(layer, Norm):
                self._pass((kept,), ahead + block.body[:place], layer)
        self._pass((kept,), (*ahead, block), into=kept)

    def _residual_beside(
        self, kept: KeptRows, ahead: tuple[Layer, ...], block: Residual, beside: KeptRows
    ) -> None:
        """A block whose body is worked out in ``beside``, from norm to norm."""
        source, since = kept, ahead
        for layer in block.body:
            if isinstance(layer, Norm):
                self._pass((source,), since, layer, beside)
                source, since = beside, ()
            since = (*since, layer)
        self._pass((kept, beside), ahead, into=kept, beside=since)

    def _measure(self, source: Rows, layers: tuple[Layer, ...]) -> None:
        """Gather the scales of all norms among ``layers``."""
        for place, layer in enumerate(layers):
            if isinstance(layer, Norm):
                self._pass((source,), layers[:place], layer)

    def _pass(
        self,
        sources: tuple[Rows, ...],
        layers: tuple[Layer, ...],
        norm: Norm | None = None,
        into: Rows | None = None,
        beside: tuple[Layer, ...] = (),
        after: tuple[Layer, ...] = (),
    ) -> None:
        """``layers`` over all strips, for the scale of the ``norm`` that follows, ``into`` rows.

        What the layers ``beside`` make of a second source is added, and goes through ``after``.
        """
        ways = list(zip((layers, beside), sources, strict=False))
        between = _after(layers, sources[0].height)
        height = _after(after, between)
        edge = halo(layers) if into in sources else 0
        kept = None if into is None else "uint8" if isinstance(into, PictureRows) else self.dtype
        run = _Runner(self.backend, self.scales)
        moments, start = Moments(), 0
        while start < height:
            end = min(height, start + self._rows_at(height))
            low, high, cuts = strip_cuts(after, between, start, end, mirrored=False)
            rows, parts = zip(*(_needed(*way, low, high) for way in ways), strict=True)
            segment = Segment(parts, Part(after, cuts), kept, norm is not None)
            try:
                strip = run(segment, [s.read(*r) for s, r in zip(sources, rows, strict=True)])
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or self.rows <= LEAST:
                    raise
                self.rows = max(LEAST, self.rows // 2)
                run = _Runner(self.backend, self.scales)
                continue
            if into is not None:
                assert strip.features is not None
                into.write(start, strip.features, edge)
            if norm is not None:
                moments.add(end - start, strip)
            start = end
        if isinstance(into, KeptRows):
            into.settle()
        if norm is not None:
            values = (self.weights[f"{norm.name}.{name}"] for name in ("weight", "bias"))
            self.scales[norm.name] = moments.scale(*values)

    def _rows_at(self, height: int) -> int:
        """Rows of a strip of features of ``height`` rows: few, for the processor's caches, but not
        so few that most are a halo's.
        """
        return max(int(self.rows * height / self._height), min(self.rows, COARSE), LEAST // 2)


class _Runner:
    """Segments of one pass; those between the borders are alike and prepared once."""

    def __init__(self, backend: Backend, scales: Scales) -> None:
        self.backend, self.scales = backend, scales
        self._like: object = None
        self._prepared: Callable[[Sequence[np.ndarray]], Strip] | None = None

    def __call__(self, segment: Segment, sources: Sequence[np.ndarray]) -> Strip:
        like = (segment, [source.shape for source in sources])
        if self._prepared is None or self._like != like:
            # The last one's memory first.
            self._prepared = None
            self._prepared = self.backend.prepare(segment, self.scales, sources)
            self._like = like
        return self._prepared(sources)


def _needed(
    layers: tuple[Layer, ...], source: Rows, start: int, end: int
) -> tuple[tuple[int, int], Part]:
    """The rows of a source that rows ``start`` to ``end`` after ``layers`` need, and how."""
    mirrored = isinstance(source, KeptRows)
    low, high, cuts = strip_cuts(layers, source.height, start, end, mirrored)
    return (low, high), Part(layers, cuts)


def _after(layers: Sequence[Layer], side: int) -> int:
    for layer in layers:
        side = layer.side_after(side)
    return side
