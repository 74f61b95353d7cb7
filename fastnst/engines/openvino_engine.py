"""The transfer networks on OpenVINO: several times as fast on CPUs, and without PyTorch's start-up.

``fastnst.networks.modules`` computes the same in PyTorch, and the tests hold the two together.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnst.engines.choose import is_exact
from fastnst.engines.openvino_graph import Graph, openvino
from fastnst.machine.threads import asked_threads
from fastnst.networks.architecture import MULTIPLE, SMALLEST, Layer, chain, weight_shapes
from fastnst.strips.network import Scales, Segment, Strip

if TYPE_CHECKING:
    import openvino as ov

# Pixels of the sizes, all together, that stay ready to compute.
KEPT_PIXELS = 4_000_000
# Requests of a size that wait for the next call, each with room for a picture and its result.
KEPT_REQUESTS = 4


def core() -> ov.Core:
    """OpenVINO's Core, one for the process.

    Each replaces the stack that signals are handled on and puts back the one before: several that
    end in another order than they began leave one that is gone, and the next signal is the last.
    """
    with _starting:
        return _core()


# A cache alone would let two threads start one each.
_starting = threading.Lock()


@functools.cache
def _core() -> ov.Core:
    return openvino().Core()


class OpenVinoEngine:
    """A transfer network compiled for the CPU, for any number of threads; see
    ``fastnst.engines.engine.Engine``.

    ``weights`` are its arrays by their names in a ``TransferNetwork``; ``precision`` is
    ``is_exact``'s. Raises KeyError or ValueError where they are not those of ``kind`` and
    ``options``.
    """

    name = "openvino"

    def __init__(
        self,
        kind: str,
        options: Mapping[str, int],
        weights: Mapping[str, np.ndarray],
        precision: str = "auto",
    ) -> None:
        self._core = core()
        self.layers: Sequence[Layer] = chain(kind, options)
        self.weights, self.precision = weights, precision
        # Weights that don't fit are found now, not at the first picture. OpenVINO would repeat
        # those of one number, and never look at one too many.
        if weight_shapes(self.layers) != {name: value.shape for name, value in weights.items()}:
            raise ValueError("weights of other names or shapes")
        Graph(weights).whole(self.layers, SMALLEST, SMALLEST)
        # By the sides they are for, the last used one last.
        self._sized: dict[tuple[int, int], _Sized] = {}
        self._lock = threading.Lock()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Stylize uint8 (H, W, 3), RGB, sRGB; the result has the same shape and type."""
        height, width = pixels.shape[:2]
        padded = pad_to_multiple(pixels)
        stylized = self._for(*padded.shape[:2])(padded[None])
        return stylized[0, :height, :width]

    def _for(self, height: int, width: int) -> _Sized:
        """The network for one size: it computes faster so than for any."""
        sides = (height, width)
        with self._lock:
            kept = self._sized
            found = kept.pop(sides, None)
            if found is None:
                # Compiling takes a tenth of a second, which turns of a camera would cost each
                # time; large sizes take more memory than time.
                while kept and height * width + sum(h * w for h, w in kept) > KEPT_PIXELS:
                    del kept[next(iter(kept))]
                found = _Sized(functools.partial(self._compile, height, width))
            kept[sides] = found
        return found

    def _compile(self, height: int, width: int) -> ov.CompiledModel:
        exact = is_exact(height * width, self.precision)
        model = Graph(self.weights, exact=exact).whole(self.layers, height, width)
        return compiled(self._core, model, exact)

    def release(self) -> None:
        """Give back the memory of the sizes that were computed, once the calls have ended."""
        with self._lock:
            self._sized.clear()

    def prepare(
        self, segment: Segment, scales: Scales, sources: Sequence[np.ndarray]
    ) -> Callable[[Sequence[np.ndarray]], Strip]:
        """A strip's part of the network; see ``fastnst.strips.network.Backend``."""
        graph = Graph(self.weights, scales)
        inputs = [graph.source((1, *source.shape), source.dtype.type) for source in sources]
        found = [
            graph.run(graph.inward(source), part.layers, part.cuts)
            for source, part in zip(inputs, segment.parts, strict=True)
        ]
        x = functools.reduce(graph.ops.add, found)
        x = graph.run(x, segment.after.layers, segment.after.cuts)
        results = list(graph.moments(x)[1:]) if segment.measured else []
        if segment.kept is not None:
            results.append(graph.outward(x, segment.kept))
        strip = compiled(self._core, graph.model(results, inputs), exact=True)

        def run(sources: Sequence[np.ndarray]) -> Strip:
            found = strip([s[None] for s in sources], share_inputs=True, share_outputs=True)
            arrays = [found[place] for place in range(len(results))]
            features = arrays.pop()[0] if segment.kept is not None else None
            mean, variance = (a.reshape(-1) for a in arrays) if arrays else (None, None)
            return Strip(features, mean, variance)

        return run


class _Sized:
    """The network for one size, compiled at the first call, which others of that size wait for.

    A request holds the pixels of one call, so each call takes one of its own: one that waits, or
    else a new one. A few wait for the next calls, however many there were at once.
    """

    def __init__(self, compile_: Callable[[], ov.CompiledModel]) -> None:
        self._compile = compile_
        self._model: ov.CompiledModel | None = None
        self._waiting: list[ov.InferRequest] = []
        self._lock = threading.Lock()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        with self._lock:
            if self._model is None:
                self._model = self._compile()
            waiting = self._waiting
            request = waiting.pop() if waiting else self._model.create_infer_request()
        # The result is a copy: the request may be another thread's in a moment.
        result: np.ndarray = request.infer([pixels], share_inputs=True, share_outputs=False)[0]
        with self._lock:
            if len(self._waiting) < KEPT_REQUESTS:
                self._waiting.append(request)
        return result


def compiled(core: Any, model: ov.Model, exact: bool) -> ov.CompiledModel:
    """A model for the CPU; ``exact`` in float32, else in the type that the hardware does best."""
    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": asked_threads()}
    if exact:
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    return core.compile_model(model, "CPU", settings)


def pad_to_multiple(pixels: np.ndarray) -> np.ndarray:
    """``fastnst.networks.modules.pad_to_multiple`` of (H, W, 3)."""
    wanted = [max(SMALLEST, -(-side // MULTIPLE) * MULTIPLE) for side in pixels.shape[:2]]
    for axis, (side, target) in enumerate(zip(pixels.shape[:2], wanted, strict=True)):
        if target > side:
            widths = [(0, 0)] * 3
            widths[axis] = (0, target - side)
            pixels = np.pad(pixels, widths, mode="reflect" if side > 1 else "edge")
    return np.ascontiguousarray(pixels)
