"""The network of pytorch/examples, written from its description, for comparison."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def their_weights(width: int = 6, blocks: int = 5, seed: int = 0) -> dict[str, Tensor]:
    """Random weights by pytorch/examples' names, with what PyTorch 0.3 saved beside them."""
    generator = torch.Generator().manual_seed(seed)
    w = width
    convolutions = {"conv1": (3, w, 9), "conv2": (w, 2 * w, 3), "conv3": (2 * w, 4 * w, 3)}
    convolutions |= {
        f"res{block}.conv{i}": (4 * w, 4 * w, 3) for block in range(1, blocks + 1) for i in (1, 2)
    }
    convolutions |= {"deconv1": (4 * w, 2 * w, 3), "deconv2": (2 * w, w, 3), "deconv3": (w, 3, 9)}
    norms = {"in1": w, "in2": 2 * w, "in3": 4 * w, "in4": 2 * w, "in5": w}
    norms |= {f"res{block}.in{i}": 4 * w for block in range(1, blocks + 1) for i in (1, 2)}
    found = {}
    for name, (channels, features, kernel) in convolutions.items():
        # Results around the middle of 0..255, now and then beyond it.
        scale = 300 if name == "deconv3" else 1
        shape = (features, channels, kernel, kernel)
        spread = scale / (channels * kernel**2) ** 0.5
        found[f"{name}.conv2d.weight"] = torch.randn(shape, generator=generator) * spread
        found[f"{name}.conv2d.bias"] = torch.full((features,), 120.0 if scale > 1 else 0.1)
    for name, features in norms.items():
        found[f"{name}.weight"] = 0.5 + torch.rand(features, generator=generator)
        found[f"{name}.bias"] = torch.randn(features, generator=generator) * 0.2
        found[f"{name}.running_mean"] = torch.zeros(features)
        found[f"{name}.running_var"] = torch.ones(features)
    return found


def their_pass(weights: dict[str, Tensor], levels: np.ndarray, blocks: int = 5) -> np.ndarray:
    """What its network makes of levels (H, W, 3): written from its description, for comparison."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{name}.conv2d.weight"]
        pad = kernel.shape[-1] // 2
        padded = F.pad(x, (pad, pad, pad, pad), mode="reflect")
        return F.conv2d(padded, kernel, weights[f"{name}.conv2d.bias"], stride)

    def norm(x: Tensor, name: str) -> Tensor:
        return F.instance_norm(x, weight=weights[f"{name}.weight"], bias=weights[f"{name}.bias"])

    y = torch.from_numpy(levels.copy()).permute(2, 0, 1)[None].float()
    for i, stride in ((1, 1), (2, 2), (3, 2)):
        y = norm(conv(y, f"conv{i}", stride), f"in{i}").relu()
    for i in range(1, blocks + 1):
        inner = norm(conv(y, f"res{i}.conv1"), f"res{i}.in1").relu()
        y = y + norm(conv(inner, f"res{i}.conv2"), f"res{i}.in2")
    for i in (1, 2):
        y = F.interpolate(y, scale_factor=2, mode="nearest")
        y = norm(conv(y, f"deconv{i}"), f"in{i + 3}").relu()
    return conv(y, "deconv3")[0].clamp(0, 255).permute(1, 2, 0).numpy()
