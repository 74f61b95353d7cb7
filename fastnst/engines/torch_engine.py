"""The transfer networks on PyTorch: on GPUs, and on CPUs where there is no OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastnst.engines.torch_segments import TorchSegments
from fastnst.image.tensors import to_picture, to_tensor
from fastnst.networks.architecture import Layer, chain
from fastnst.networks.modules import build_network
from fastnst.strips.network import Scales, Segment, Strip


class TorchEngine:
    """A transfer network on ``device``, in float32; see ``fastnst.engines.engine.Engine``.

    Raises RuntimeError where the weights are not those of ``kind`` and ``options``.
    """

    name, precision = "torch", "float32"

    def __init__(
        self,
        kind: str,
        options: Mapping[str, int],
        weights: Mapping[str, np.ndarray],
        device: torch.device,
    ) -> None:
        self.layers: Sequence[Layer] = chain(kind, options)
        self.weights, self.device = weights, device
        tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
        network = build_network(kind, options)
        network.load_state_dict(tensors)
        self.network = network.eval().to(device)
        self._segments = TorchSegments(tensors)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Stylize uint8 (H, W, 3), RGB, sRGB; the result has the same shape and type."""
        stylized = self.tensors(to_tensor(Image.fromarray(pixels)))
        return np.array(to_picture(stylized))

    def tensors(self, image: Tensor) -> Tensor:
        """Pictures (B, 3, H, W), RGB, sRGB, 0..1, of any device and type; the result has the same.

        Raises ValueError for another shape and for values that are no finite numbers in 0..1.
        """
        if image.ndim != 4 or image.shape[1] != 3 or 0 in image.shape:
            raise ValueError(f"a picture has the shape (B, 3, H, W), not {tuple(image.shape)}")
        # One bad number would spread over the whole picture through instance norm.
        if not bool(((image >= 0) & (image <= 1)).all()):
            raise ValueError("a picture's values are finite numbers in 0..1")
        laid_out = image.to(self.device, torch.float32, memory_format=torch.channels_last)
        with torch.inference_mode():
            result: Tensor = self.network(laid_out)
        return result.to(image.device, image.dtype)

    def prepare(
        self, segment: Segment, scales: Scales, sources: Sequence[np.ndarray]
    ) -> Callable[[Sequence[np.ndarray]], Strip]:
        """A strip's part of the network, on the CPU; see ``fastnst.strips.network.Backend``."""
        return self._segments.prepare(segment, scales, sources)

    def release(self) -> None:
        """Nothing is kept between calls."""
