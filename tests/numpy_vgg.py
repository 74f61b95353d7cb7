"""A VGG trunk in NumPy, float64, from VGG's definition: the tests' independent reference."""

from __future__ import annotations

import numpy as np

from fastnst.objective.backbone import Backbone


def reference_features(
    backbone: Backbone,
    image: np.ndarray,
    layers: list[str],
    pooling: str = "max",
    padding: str = "zeros",
) -> dict[str, np.ndarray]:
    """Features of pictures (B, 3, H, W), 0..1, with the weights of an embedded trunk.

    Names are as the backbone's: with "/2" of the mean of each 2 x 2 pixels, "rgb" the picture.
    """
    found = {}
    for divisor in (1, 2, 4):
        suffix = "" if divisor == 1 else f"/{divisor}"
        names = [name for name in layers if name.removeprefix(name.partition("/")[0]) == suffix]
        rows, columns = (side // divisor for side in image.shape[2:])
        cells = image[:, :, : rows * divisor, : columns * divisor]
        cells = cells.reshape(*image.shape[:2], rows, divisor, columns, divisor)
        small = cells.mean(axis=(3, 5))
        wanted = [name.partition("/")[0] for name in names]
        features = {"rgb": small}
        if set(wanted) - {"rgb"}:
            deep = [name for name in wanted if name != "rgb"]
            features |= _of_size(backbone, small, deep, pooling, padding)
        found |= {name + suffix: features[name] for name in wanted}
    return found


def _of_size(
    backbone: Backbone, image: np.ndarray, layers: list[str], pooling: str, padding: str
) -> dict[str, np.ndarray]:
    """Features of the picture as it is.

    Replicated are the picture and the input of the second block, so far that all convolutions of
    the block see what they need, and in deeper blocks the input of each convolution.
    """
    x = image[:, ::-1] * 255 - np.array([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1)
    found, block, valid, beyond = {}, "", False, 0
    for name in backbone.trunk.convolutions():
        if name[4] != block:
            if block:
                x = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
                quads = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2)
                x = quads.max(axis=(3, 5)) if pooling == "max" else quads.mean(axis=(3, 5))
            block = name[4]
            valid = padding == "replicate" and block in "12"
            # Rows and columns beyond the border: each of the block's convolutions takes one away.
            beyond = 2 if valid else 0
            x = np.pad(x, ((0, 0), (0, 0), (beyond, beyond), (beyond, beyond)), mode="edge")
        conv = backbone.convolutions[name]
        weight, bias = conv.weight.double().numpy(), conv.bias.double().numpy()
        if not valid:
            mode = "edge" if padding == "replicate" else "constant"
            x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode=mode)
        beyond = max(beyond - 1, 0)
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        x = np.einsum("bchwij,ocij->bohw", windows, weight, optimize=True)
        x = x + bias.reshape(1, -1, 1, 1)
        inner = slice(beyond, -beyond or None)
        found[name] = x[:, :, inner, inner]
        x = np.maximum(x, 0)
        found["relu" + name[4:]] = x[:, :, inner, inner]
        if all(layer in found for layer in layers):
            break
    return {layer: found[layer] for layer in layers}
