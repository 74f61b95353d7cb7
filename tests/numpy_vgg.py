"""A VGG trunk in NumPy, float64, from VGG's definition: the tests' independent reference."""

from __future__ import annotations

import numpy as np

from fastnst.perceptual.backbone import Backbone


def reference_features(
    backbone: Backbone, image: np.ndarray, layers: list[str], pooling: str = "max"
) -> dict[str, np.ndarray]:
    """Features of pictures (B, 3, H, W), 0..1, with the weights of an embedded trunk."""
    x = image[:, ::-1] * 255 - np.array([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1)
    found, block = {}, "1"
    for name in backbone.trunk.convolutions():
        if name[4] != block:
            block = name[4]
            x = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
            quads = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2)
            x = quads.max(axis=(3, 5)) if pooling == "max" else quads.mean(axis=(3, 5))
        conv = backbone.convolutions[name]
        weight, bias = conv.weight.double().numpy(), conv.bias.double().numpy()
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        x = np.einsum("bchwij,ocij->bohw", windows, weight, optimize=True)
        x = x + bias.reshape(1, -1, 1, 1)
        found[name] = x
        x = np.maximum(x, 0)
        found["relu" + name[4:]] = x
        if all(layer in found for layer in layers):
            break
    return {layer: found[layer] for layer in layers}
