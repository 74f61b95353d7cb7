"""The transfer networks as ONNX graphs, built node by node from a checkpoint's arrays.

One graph for every size from 1 x 1 up: padding, crop and levels are inside. PyTorch's exporter
is not used: it gave graphs that were silently wrong at sizes that are no multiples of 4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fastnst.errors import ConfigError
from fastnst.machine.parts import install
from fastnst.networks.architecture import (
    BINOMIAL,
    EPSILON,
    GAIN,
    MULTIPLE,
    RANGE,
    SMALLEST,
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
    chain,
)

# What the graph takes and gives: bytes (H, W, 3), as decoders have them, or PyTorch's (B, 3, H, W),
# float32, 0..1.
Io = Literal["uint8-hwc", "float-nchw"]
IOS: tuple[Io, ...] = ("uint8-hwc", "float-nchw")
INPUT, OUTPUT = "image", "stylized"
# Read by ONNX Runtime since 1.14 and by the browsers' one.
OPSET, IR_VERSION = 18, 9


def onnx_model(
    kind: str,
    options: Mapping[str, int],
    weights: Mapping[str, np.ndarray],
    io: Io = "uint8-hwc",
    half: bool = False,
    properties: Mapping[str, str] | None = None,
) -> bytes:
    """The network of ``kind`` and ``options`` as an ONNX file.

    ``weights`` are its arrays by their names (``fastnst.networks.architecture.weight_shapes``);
    ``half`` stores the kernels in float16, a cast back before each: half the file, the arithmetic
    float32 as before. ``properties`` go into the file's metadata. Raises ConfigError without the
    package onnx.
    """
    graph = _Graph(weights, half)
    layers = chain(kind, options)[1:-1]
    channels = graph.layers(graph.pixels_in(io), layers)
    graph.pixels_out(channels, io)
    return graph.file({"fastnst.io": io, **(properties or {})})


def is_half(weights: Mapping[str, np.ndarray]) -> bool:
    """Whether float16 holds every weight as it is."""
    return all(np.array_equal(value.astype(np.float16), value) for value in weights.values())


def described(kind: str, options: Mapping[str, int]) -> str:
    """A network's kind and options as text, for a file's metadata."""
    return json.dumps({"kind": kind, "options": dict(options)}, sort_keys=True)


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        told = f"the package onnx is not installed: {install('export')}"
        raise ConfigError(told) from error
    return onnx


class _Graph:
    """Nodes one after the other; a value is its name, and ``channels`` are the last layer's."""

    def __init__(self, weights: Mapping[str, np.ndarray], half: bool) -> None:
        self.onnx, self.weights, self.half = _onnx(), weights, half
        self.nodes: list[Any] = []
        self.arrays: dict[str, Any] = {}
        self.channels = 3
        self.height = self.width = ""

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """One node of one result; the result's name."""
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def array(self, value: Any, dtype: Any) -> str:
        """A constant; equal ones are stored once."""
        array = np.ascontiguousarray(value, dtype)
        name = f"constant{len(self.arrays)}"
        for known, tensor in self.arrays.items():
            if tensor.dtype == array.dtype and np.array_equal(tensor, array):
                return known
        self.arrays[name] = array
        return name

    def whole(self, *values: int) -> str:
        """Integers (N,)."""
        return self.array(values, np.int64)

    # The ends of the graph.

    def pixels_in(self, io: Io) -> str:
        """The input, padded by mirroring to sides that the network takes, as (B, 3, H, W), 0..1."""
        sides = (0, 1) if io == "uint8-hwc" else (2, 3)
        shape = self.node("Shape", INPUT)
        self.height, self.width = (
            self.node("Gather", shape, self.whole(side), axis=0) for side in sides
        )
        x = INPUT
        for axis, side in zip(sides, (self.height, self.width), strict=True):
            x = self.node("Gather", x, self._mirrored_places(side), axis=axis)
        if io == "float-nchw":
            return x
        x = self.node("Cast", x, to=self.onnx.TensorProto.FLOAT)
        x = self.node("Unsqueeze", self.node("Transpose", x, perm=[2, 0, 1]), self.whole(0))
        return self.node("Mul", x, self.array(1 / 255, np.float32))

    def _mirrored_places(self, side: str) -> str:
        """Which positions of a side of ``side`` (1,) its padded one shows: 0 1 2 1 0 1 2 ...

        A side of 3 is mirrored with the period 4, one of 1 repeats itself.
        """
        parts = self.node(
            "Div",
            self.node("Add", side, self.whole(MULTIPLE - 1)),
            self.whole(MULTIPLE),
        )
        padded = self.node("Mul", parts, self.whole(MULTIPLE))
        padded = self.node("Max", padded, self.whole(SMALLEST))
        nothing = self.array(0, np.int64)
        one = self.array(1, np.int64)
        end = self.node("Squeeze", padded, self.whole(0))
        places = self.node("Range", nothing, end, one)
        twice = self.node("Mul", self.node("Sub", side, self.whole(1)), self.whole(2))
        period = self.node("Max", twice, self.whole(1))
        places = self.node("Mod", places, period)
        return self.node("Min", places, self.node("Sub", period, places))

    def pixels_out(self, x: str, io: Io) -> None:
        """The output, cropped to the input's sides, in its form."""
        nothing = self.array(0, np.float32)
        if io == "uint8-hwc":
            levels = self.array(255, np.float32)
            x = self.node("Clip", self.node("Mul", x, levels), nothing, levels)
            x = self.node("Squeeze", self.node("Round", x), self.whole(0))
            x = self.node("Cast", self.node("Transpose", x, perm=[1, 2, 0]), to=2)  # uint8
        else:
            x = self.node("Clip", x, nothing, self.array(1, np.float32))
        axes = self.whole(0, 1) if io == "uint8-hwc" else self.whole(2, 3)
        ends = self.node("Concat", self.height, self.width, axis=0)
        cropped = self.onnx.helper.make_node("Slice", [x, self.whole(0, 0), ends, axes], [OUTPUT])
        self.nodes.append(cropped)

    def file(self, properties: Mapping[str, str]) -> bytes:
        """The file of what was built."""
        helper, types = self.onnx.helper, self.onnx.TensorProto
        if properties["fastnst.io"] == "uint8-hwc":
            form = (types.UINT8, ["height", "width", 3])
        else:
            form = (types.FLOAT, ["batch", 3, "height", "width"])
        graph = helper.make_graph(
            self.nodes,
            "fastnst",
            [helper.make_tensor_value_info(INPUT, *form)],
            [helper.make_tensor_value_info(OUTPUT, *form)],
            [self.onnx.numpy_helper.from_array(value, name) for name, value in self.arrays.items()],
        )
        model = helper.make_model(
            graph,
            producer_name="fastnst",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, dict(properties))
        self.onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content

    # Layers on (B, C, H, W).

    def layers(self, x: str, layers: Sequence[Layer]) -> str:
        """``layers`` one after the other."""
        for layer in layers:
            x = self.layer(x, layer)
            self.channels = layer.channels_after(self.channels)
        return x

    def layer(self, x: str, layer: Layer) -> str:  # noqa: C901
        """One layer."""
        match layer:
            case Conv():
                return self.conv(x, layer)
            case Norm():
                scale, bias = (self.float32(f"{layer.name}.{name}") for name in ("weight", "bias"))
                return self.node("InstanceNormalization", x, scale, bias, epsilon=EPSILON)
            case Relu():
                return self.node("Relu", x)
            case Residual():
                return self.node("Add", x, self.layers(x, layer.body))
            case Skip():
                return self.node("Add", self.layers(x, layer.body), self.conv(x, layer.conv))
            case Upsample():
                return self.double(x)
            case Unshuffle():
                return self.unshuffle(x)
            case Shuffle():
                return self.node("DepthToSpace", x, blocksize=2, mode="CRD")
            case Blur():
                return self.blur(x)
            case Bounded():
                inner = self.node("Tanh", self.node("Mul", x, self.array(GAIN, np.float32)))
                outer = self.node("Mul", inner, self.array(RANGE, np.float32))
                return self.node("Add", outer, self.array(0.5, np.float32))
            case FromLevels() | ToLevels():
                return x
        raise TypeError(f"no node for {layer}")

    def conv(self, x: str, layer: Conv) -> str:
        """A convolution whose border sees the mirrored picture."""
        kernel = self.weights[f"{layer.name}.weight"]
        if self.half:
            stored = self.array(kernel, np.float16)
            weight = self.node("Cast", stored, to=self.onnx.TensorProto.FLOAT)
        else:
            weight = self.float32(f"{layer.name}.weight")
        bias = self.float32(f"{layer.name}.bias")
        x = self.mirrored(x, layer.reach)
        steps, dilations = [layer.stride] * 2, [layer.dilation] * 2
        return self.node("Conv", x, weight, bias, strides=steps, dilations=dilations)

    def float32(self, name: str) -> str:
        """A weight as it is."""
        return self.array(self.weights[name], np.float32)

    def mirrored(self, x: str, pad: int) -> str:
        """``pad`` mirrored rows and columns on each side."""
        if not pad:
            return x
        return self.node("Pad", x, self.whole(0, 0, pad, pad, 0, 0, pad, pad), mode="reflect")

    def double(self, x: str) -> str:
        """Nearest neighbour by 2."""
        scales = self.array([1, 1, 2, 2], np.float32)
        return self.node(
            "Resize", x, "", scales,
            mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        )  # fmt: skip

    def unshuffle(self, x: str) -> str:
        """2 x 2 pixels to channels, in PyTorch's order, by kernels of a single 1.

        ONNX's SpaceToDepth orders them otherwise, and browsers' GPUs don't have it.
        """
        kernels = np.zeros((self.channels, 2, 2, self.channels, 2, 2))
        for channel in range(self.channels):
            for row in (0, 1):
                for column in (0, 1):
                    kernels[channel, row, column, channel, row, column] = 1
        flat = kernels.reshape(4 * self.channels, self.channels, 2, 2)
        return self.node("Conv", x, self.array(flat, np.float32), strides=[2, 2])

    def blur(self, x: str) -> str:
        """``BINOMIAL`` both ways, each channel by itself."""
        kernel = np.broadcast_to(np.outer(BINOMIAL, BINOMIAL), (self.channels, 1, 3, 3))
        return self.node(
            "Conv", self.mirrored(x, 1), self.array(kernel, np.float32), group=self.channels
        )
