"""The transfer networks on OpenVINO: several times as fast on CPUs, and without PyTorch's start-up.

The graph is built here, node by node, from a checkpoint's arrays: no converter, no PyTorch.
``fastnst.networks`` says what it must compute, and the tests hold the two together.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnst.errors import ConfigError

if TYPE_CHECKING:
    import openvino as ov

TELEMETRY = "openvino_telemetry"
EPSILON = 1e-5  # torch.nn.InstanceNorm2d's
# fastnst.networks: TransferNetwork.multiple and smallest, BoundedOutput.GAIN.
MULTIPLE = 4
SMALLEST = 16
GAIN = 0.05
# Pixels below which float32 computes: norms over few positions magnify bfloat16's rounding.
EXACT_BELOW = 65_536
BINOMIAL = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]).astype(np.float32)


def installed() -> bool:
    """Whether OpenVINO is there to be imported."""
    return importlib.util.find_spec("openvino") is not None


def _openvino() -> ModuleType:
    """OpenVINO without the package by which its converter, never called here, reports its use."""
    here = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # Its import fails, which is foreseen.
    try:
        return importlib.import_module("openvino")
    finally:
        if here is None:
            del sys.modules[TELEMETRY]
        else:
            sys.modules[TELEMETRY] = here


def choose_engine(name: str, device: str) -> str:
    """The engine for ``name``, "auto", "torch" or "openvino", on ``device``, as users name it.

    "auto" takes OpenVINO where it is installed and the CPU computes. Raises ConfigError.
    """
    if name == "auto":
        on_cpu = device == "cpu" or (device == "auto" and not _has_accelerator())
        return "openvino" if on_cpu and installed() else "torch"
    if name == "openvino":
        if not installed():
            raise ConfigError("--engine openvino: not installed; pip install openvino")
        if device not in ("auto", "cpu"):
            raise ConfigError(f"--engine openvino works on the CPU, not on {device}")
    return name


def _has_accelerator() -> bool:
    """Whether PyTorch may find a GPU, without asking it, which takes longer than a picture."""
    return sys.platform == "darwin" or any(
        Path(path).exists() for path in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
    )


class Engine:
    """A transfer network compiled for the CPU: pixels in, pixels out.

    ``weights`` are its arrays by their names in a ``TransferNetwork``. Raises KeyError or
    ValueError where they are not those of ``kind`` and ``options``.
    """

    def __init__(
        self, kind: str, options: Mapping[str, int], weights: Mapping[str, np.ndarray]
    ) -> None:
        self._core = _openvino().Core()
        self._threads = _threads()
        self._model = _Graph(weights).model(kind, **options)
        self._shape: tuple[int, int] | None = None
        self._compiled: ov.CompiledModel | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Stylize uint8 (H, W, 3), RGB, sRGB; the result has the same shape and type."""
        height, width = pixels.shape[:2]
        padded = pad_to_multiple(pixels)
        shape = (padded.shape[0], padded.shape[1])
        if self._compiled is None or self._shape != shape:
            # For one size it computes faster than for any, and compiling takes a tenth of a second.
            self._model.reshape([1, *shape, 3])
            settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": self._threads}
            if shape[0] * shape[1] < EXACT_BELOW:
                settings["INFERENCE_PRECISION_HINT"] = "f32"
            self._compiled = self._core.compile_model(self._model, "CPU", settings)
            self._shape = shape
        stylized: np.ndarray = self._compiled(padded[None])[0][0, :height, :width]
        return stylized


def _threads() -> int:
    """As many as PyTorch takes: OMP_NUM_THREADS, or the processor's own."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() else 0


def pad_to_multiple(pixels: np.ndarray) -> np.ndarray:
    """``fastnst.networks.pad_to_multiple`` of (H, W, 3)."""
    wanted = [max(SMALLEST, -(-side // MULTIPLE) * MULTIPLE) for side in pixels.shape[:2]]
    for axis, (side, target) in enumerate(zip(pixels.shape[:2], wanted, strict=True)):
        if target > side:
            widths = [(0, 0)] * 3
            widths[axis] = (0, target - side)
            pixels = np.pad(pixels, widths, mode="reflect" if side > 1 else "edge")
    return np.ascontiguousarray(pixels)


class _Graph:
    """Builds the networks of ``fastnst.networks`` as OpenVINO graphs."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        from openvino import opset13

        self.ops: Any = opset13
        self.weights = weights

    def model(self, kind: str, width: int = 0, blocks: int = 5) -> ov.Model:
        """The network with its pixels (1, H, W, 3), uint8, at both ends."""
        ops = self.ops
        pixels = ops.parameter([1, -1, -1, 3], np.uint8, name="pixels")
        x = ops.multiply(ops.convert(pixels, "f32"), np.float32(1 / 255))
        x = ops.transpose(x, np.array([0, 3, 1, 2]))
        x = self.fast(x, blocks) if kind == "fast" else self.johnson(x, blocks)
        x = ops.multiply(ops.tanh(ops.multiply(x, np.float32(GAIN))), np.float32(150))
        x = ops.clamp(ops.add(x, np.float32(127.5)), 0.0, 255.0)
        x = ops.transpose(x, np.array([0, 2, 3, 1]))
        x = ops.convert(ops.round(x, "half_to_even"), "u8")
        return _openvino().Model([x], [pixels], kind)

    def fast(self, x: Any, blocks: int) -> Any:
        ops = self.ops
        x = self.conv_norm(ops.space_to_depth(x, "depth_first", 2), "body.1.1", "body.2")
        x = self.conv_norm(ops.relu(x), "body.4.1", "body.5", stride=2)
        x = self.residuals(ops.relu(x), 7, blocks)
        end = 7 + blocks
        x = self.conv_norm(self.double(x), f"body.{end + 1}.1", f"body.{end + 2}")
        x = self.conv(ops.relu(x), f"body.{end + 4}.conv.1")
        x = self.mirrored(ops.depth_to_space(x, "depth_first", 2), 1)
        blur = np.broadcast_to(BINOMIAL, (3, 1, 1, 3, 3)).copy()
        return ops.group_convolution(x, blur, [1, 1], [0, 0], [0, 0], [1, 1])

    def johnson(self, x: Any, blocks: int) -> Any:
        ops = self.ops
        x = ops.relu(self.conv_norm(x, "body.0.1", "body.1"))
        x = ops.relu(self.conv_norm(x, "body.3.1", "body.4", stride=2))
        x = ops.relu(self.conv_norm(x, "body.6.1", "body.7", stride=2))
        x = self.residuals(x, 9, blocks)
        end = 9 + blocks
        x = ops.relu(self.conv_norm(self.double(x), f"body.{end + 1}.1", f"body.{end + 2}"))
        x = self.conv_norm(self.double(x), f"body.{end + 5}.1", f"body.{end + 6}")
        return self.conv(ops.relu(x), f"body.{end + 8}.1")

    def residuals(self, x: Any, first: int, blocks: int) -> Any:
        ops = self.ops
        for block in range(first, first + blocks):
            name = f"body.{block}.body"
            inner = ops.relu(self.conv_norm(x, f"{name}.0.1", f"{name}.1"))
            x = ops.add(x, self.conv_norm(inner, f"{name}.3.1", f"{name}.4"))
        return x

    def conv_norm(self, x: Any, conv: str, norm: str, stride: int = 1) -> Any:
        ops = self.ops
        x = ops.mvn(self.conv(x, conv, stride), np.array([2, 3]), True, EPSILON, "inside_sqrt")
        x = ops.multiply(x, self.channels(f"{norm}.weight"))
        return ops.add(x, self.channels(f"{norm}.bias"))

    def conv(self, x: Any, name: str, stride: int = 1) -> Any:
        ops, kernel = self.ops, self.weights[f"{name}.weight"]
        x = self.mirrored(x, kernel.shape[-1] // 2)
        x = ops.convolution(x, kernel, [stride, stride], [0, 0], [0, 0], [1, 1])
        return ops.add(x, self.channels(f"{name}.bias"))

    def mirrored(self, x: Any, pad: int) -> Any:
        widths = np.array([0, 0, pad, pad])
        return self.ops.pad(x, widths, widths, "reflect")

    def double(self, x: Any) -> Any:
        return self.ops.interpolate(
            x, np.array([2.0, 2.0], np.float32), "nearest", "scales",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor",
            axes=np.array([2, 3]),
        )  # fmt: skip

    def channels(self, name: str) -> np.ndarray:
        return self.weights[name].reshape(1, -1, 1, 1).astype(np.float32)
