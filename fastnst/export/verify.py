"""An exported network held against PyTorch in float64, at sizes that others get wrong.

Float64, because at large sizes PyTorch's own float32 is further off than ONNX Runtime's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnst.errors import ConfigError
from fastnst.export.onnx_graph import INPUT, Io
from fastnst.machine.parts import install

# Height and width: the smallest, thinner than the padding, no multiples of 4, either way round.
SIZES = ((1, 1), (3, 50), (17, 2), (64, 64), (257, 131), (131, 257), (383, 510))
# Largest difference of a result in 0..1; and of a picture of few pixels, where a norm divides
# float32's rounding of nearly equal numbers by next to nothing.
TOLERANCE, TOLERANCE_FEW = 1e-4, 2e-2
FEW = 4
# In levels: what falls on either side of a half is rounded either way.
LEVELS = 1
LEVELS_FEW = 3


@dataclass(frozen=True)
class Difference:
    """How far a result (``height`` x ``width``) is from PyTorch's: at most, and on average, of 0..1
    or, of bytes, in levels of 255.
    """

    height: int
    width: int
    most: float
    mean: float
    bound: float

    @property
    def passes(self) -> bool:
        """Whether that is rounding alone."""
        # Not "most > bound", which NaN would pass.
        return self.most <= self.bound


def differences(
    content: bytes,
    network: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    io: Io,
) -> list[Difference]:
    """An ONNX file's results against those of the network of this description and these weights.

    Raises ConfigError without ONNX Runtime, or where it refuses the file.
    """
    run, exact = onnx_runtime(content), _reference(network, weights)
    bound: float
    found = []
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        pixels = _picture(rng, height, width)
        few = height * width < FEW
        expected = exact(pixels)
        if io == "uint8-hwc":
            result = run(pixels).astype(np.float64)
            expected, bound = np.round(expected * 255), LEVELS_FEW if few else LEVELS
        else:
            picture = (pixels / np.float32(255)).astype(np.float32).transpose(2, 0, 1)[None]
            result = run(picture)[0].transpose(1, 2, 0).astype(np.float64)
            bound = TOLERANCE_FEW if few else TOLERANCE
        apart = np.abs(result - expected) if result.shape == expected.shape else np.array([np.inf])
        found.append(Difference(height, width, float(apart.max()), float(apart.mean()), bound))
    return found


def onnx_runtime(content: bytes, threads: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """An ONNX file as a function of its input, on so many threads (0: all). Raises ConfigError."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f"the package onnxruntime is not installed: {install('export')}"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    # Its errors have no common class but Exception.
    except Exception as error:
        raise ConfigError(f"ONNX Runtime refuses the graph ({str(error)[:200]})") from error

    def run(array: np.ndarray) -> np.ndarray:
        result: np.ndarray = session.run(None, {INPUT: array})[0]
        return result

    return run


def _reference(
    network: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """Bytes (H, W, 3) to the network's result 0..1 (H, W, 3), in PyTorch and float64."""
    import torch

    from fastnst.networks.modules import build_network

    module = build_network(network["kind"], network["options"])
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    module = module.double().eval()

    def run(pixels: np.ndarray) -> np.ndarray:
        picture = torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float64) / 255)
        with torch.inference_mode():
            result: np.ndarray = module(picture)[0].permute(1, 2, 0).numpy()
        return result

    return run


def _picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Bytes (H, W, 3) with colours, edges and grain."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / a + columns / b) for a, b in ((9, 23), (31, -7), (-13, 17))]
    smooth = 128 + 90 * np.stack(waves, axis=-1)
    smooth[height // 3 : height // 2, width // 4 : width // 2] = (230, 40, 60)
    grain = rng.normal(0, 8, smooth.shape)
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)
