"""The transfer networks as OpenVINO graphs, built node by node from a checkpoint's arrays.

No converter, no PyTorch. ``fastnst.networks.architecture`` says what the networks are.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnst.networks.architecture import (
    BINOMIAL,
    EPSILON,
    GAIN,
    RANGE,
    Blur,
    Bounded,
    Conv,
    FromLevels,
    Layer,
    Norm,
    Relu,
    Residual,
    Shuffle,
    Skip,
    ToLevels,
    Unshuffle,
    Upsample,
)
from fastnst.strips.cuts import Cut, whole_cut

if TYPE_CHECKING:
    import openvino as ov

TELEMETRY = "openvino_telemetry"
# What is set aside for an import is so for all threads.
_importing = threading.Lock()
# OpenVINO's names of NumPy's types.
OPENVINO = {"float32": "f32", "float16": "f16", "uint8": "u8"}
# Positions of a band whose mean is taken at once. OpenVINO's own reductions, in MVN too, add up all
# positions one after the other in float32, and are wrong by 0.2 % after two million.
BAND = 65_536
# Positions up to which that is little beside bfloat16's own rounding; MVN is faster.
ROUGH = 1_000_000
# A norm's scale and shift by its name.
Scales = Mapping[str, tuple[np.ndarray, np.ndarray]]


def installed() -> bool:
    """Whether OpenVINO is there to be imported."""
    return importlib.util.find_spec("openvino") is not None


def openvino() -> ModuleType:
    """OpenVINO without the package by which its converter, never called here, reports its use."""
    with _importing:
        here = sys.modules.get(TELEMETRY)
        # Its import fails, which is foreseen.
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]
        try:
            return importlib.import_module("openvino")
        finally:
            if here is None:
                del sys.modules[TELEMETRY]
            else:
                sys.modules[TELEMETRY] = here


class Graph:
    """Builds layers from ``weights``, arrays by their names.

    A norm whose scale and shift are in ``scales`` is no more than those. ``exact`` ones are as
    precise as float32 is.
    """

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        scales: Scales | None = None,
        exact: bool = True,
    ) -> None:
        self.openvino: Any = openvino()
        self.ops: Any = importlib.import_module("openvino.opset13")
        self.weights, self.scales, self.exact = weights, scales or {}, exact

    def whole(self, layers: Sequence[Layer], height: int, width: int) -> ov.Model:
        """The network with its pixels (1, H, W, 3), uint8, at both ends."""
        pixels = self.source([1, height, width, 3], np.uint8)
        x = self.run(self.inward(pixels), layers, list(map(whole_cut, layers)))
        return self.model([self.outward(x, "uint8")], [pixels])

    def model(self, results: Sequence[Any], inputs: Sequence[Any]) -> ov.Model:
        """From ``inputs`` to ``results``."""
        return self.openvino.Model(list(results), list(inputs), "fastnst")

    def source(self, shape: Sequence[int], dtype: Any) -> Any:
        """An input (1, H, W, C)."""
        return self.ops.parameter(list(shape), dtype)

    def inward(self, x: Any) -> Any:
        """(1, H, W, C) of any type as float32 (1, C, H, W)."""
        return self.ops.transpose(self.ops.convert(x, "f32"), np.array([0, 3, 1, 2]))

    def outward(self, x: Any, dtype: str) -> Any:
        """(1, C, H, W) as (1, H, W, C) of another type."""
        return self.ops.convert(self.ops.transpose(x, np.array([0, 2, 3, 1])), OPENVINO[dtype])

    def run(self, x: Any, layers: Sequence[Layer], cuts: Sequence[Cut]) -> Any:
        """``layers`` one after the other."""
        for layer, cut in zip(layers, cuts, strict=True):
            x = self.layer(x, layer, cut)
        return x

    def layer(self, x: Any, layer: Layer, cut: Cut) -> Any:  # noqa: C901
        """One layer on (1, C, H, W)."""
        ops = self.ops
        match layer:
            case Conv():
                return self.conv(x, layer, cut)
            case Norm():
                return self.norm(x, layer)
            case Relu():
                return ops.relu(x)
            case Residual():
                return ops.add(self.part(x, cut), self.run(x, layer.body, cut.body))
            case Skip():
                beside = self.conv(self.part(x, cut), layer.conv, Cut())
                return ops.add(self.run(x, layer.body, cut.body), beside)
            case Upsample():
                return self.part(self.double(x), cut)
            case Unshuffle():
                return ops.space_to_depth(x, "depth_first", 2)
            case Shuffle():
                return self.part(ops.depth_to_space(x, "depth_first", 2), cut)
            case Blur():
                return self.blur(x, cut)
            case Bounded():
                bounded = ops.tanh(ops.multiply(x, np.float32(GAIN)))
                return ops.add(ops.multiply(bounded, np.float32(RANGE)), np.float32(0.5))
            case FromLevels():
                return ops.multiply(x, np.float32(1 / 255))
            case ToLevels():
                levels = ops.clamp(ops.multiply(x, np.float32(255)), 0.0, 255.0)
                return ops.round(levels, "half_to_even")
        raise TypeError(f"no graph for {layer}")

    def conv(self, x: Any, layer: Conv, cut: Cut) -> Any:
        """A convolution of what its cut leaves."""
        kernel, strides = self.weights[f"{layer.name}.weight"], [layer.stride, layer.stride]
        dilations = [layer.dilation, layer.dilation]
        x = self.mirrored(x, layer.reach, cut)
        x = self.ops.convolution(x, kernel, strides, [0, 0], [0, 0], dilations)
        return self.ops.add(x, self.channels(f"{layer.name}.bias"))

    def norm(self, x: Any, layer: Norm) -> Any:
        """Instance norm, or its scale and shift where they are known."""
        ops = self.ops
        if layer.name in self.scales:
            scale, shift = (value.reshape(1, -1, 1, 1) for value in self.scales[layer.name])
            return ops.add(ops.multiply(x, scale), shift)
        weight, bias = (self.channels(f"{layer.name}.{name}") for name in ("weight", "bias"))
        _, _, height, width = x.get_output_shape(0)
        if not self.exact and height * width <= ROUGH:
            x = ops.mvn(x, np.array([2, 3]), True, EPSILON, "inside_sqrt")
            return ops.add(ops.multiply(x, weight), bias)
        apart, _, variance = self.moments(x)
        scale = ops.divide(weight, ops.sqrt(ops.add(variance, np.float32(EPSILON))))
        return ops.add(ops.multiply(apart, scale), bias)

    def blur(self, x: Any, cut: Cut) -> Any:
        """``BINOMIAL`` both ways."""
        kernel = np.outer(BINOMIAL, BINOMIAL).astype(np.float32)
        kernels = np.broadcast_to(kernel, (3, 1, 1, 3, 3)).copy()
        x = self.mirrored(x, 1, cut)
        return self.ops.group_convolution(x, kernels, [1, 1], [0, 0], [0, 0], [1, 1])

    def mirrored(self, x: Any, pad: int, cut: Cut) -> Any:
        """``pad`` mirrored columns on either side, and the cut's rows."""
        begin, end = np.array([0, 0, cut.above, pad]), np.array([0, 0, cut.below, pad])
        return self.part(self.ops.pad(x, begin, end, "reflect"), cut)

    def part(self, x: Any, cut: Cut) -> Any:
        """The rows that the cut takes."""
        if cut.rows is None:
            return x
        first, after, one, rows = (
            np.array([value]) for value in (cut.first, cut.first + cut.rows, 1, 2)
        )
        return self.ops.slice(x, first, after, one, rows)

    def double(self, x: Any) -> Any:
        """Nearest neighbour by 2."""
        return self.ops.interpolate(
            x, np.array([2.0, 2.0], np.float32), "nearest", "scales",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor",
            axes=np.array([2, 3]),
        )  # fmt: skip

    def channels(self, name: str) -> np.ndarray:
        """An array (C,) as (1, C, 1, 1)."""
        return self.weights[name].reshape(1, -1, 1, 1).astype(np.float32)

    def moments(self, x: Any) -> tuple[Any, Any, Any]:
        """(1, C, H, W) less each channel's mean; the mean; the variance."""
        mean = self.mean(x)
        apart = self.ops.subtract(x, mean)
        return apart, mean, self.mean(self.ops.multiply(apart, apart))

    def mean(self, x: Any) -> Any:
        """The mean of each channel, band by band."""
        ops, both = self.ops, np.array([2, 3])
        _, _, height, width = x.get_output_shape(0)
        rows = max(1, BAND // width)
        if rows >= height:
            return ops.reduce_mean(x, both, True)
        bands = [min(rows, height - start) for start in range(0, height, rows)]
        parts = ops.variadic_split(x, np.array(2), np.array(bands)).outputs()
        means = ops.concat([ops.reduce_mean(part, both, True) for part in parts], 2)
        share = np.array(bands, np.float32).reshape(1, 1, -1, 1) / np.float32(height)
        return ops.reduce_sum(ops.multiply(means, share), both, True)
