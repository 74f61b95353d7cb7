"""What a picture looks like to the loss: its features and what sums them up, and its edges.

The TensorFlow recipe shows its reader both; see configs/optimize/tensorflow-adam.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from fastnst.image import to_picture, write_picture
from fastnst.image.contact_sheet import Tile, contact_sheet
from fastnst.machine.files import atomic_write
from fastnst.objective.objective import Objective
from fastnst.optimize.records import beside

SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])


def summary(values: Tensor) -> dict[str, object]:
    """Shape, minimum, maximum and mean."""
    values = values.float()
    return {
        "shape": list(values.shape),
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(values.mean()),
    }


@torch.no_grad()
def picture_statistics(loss: Objective, picture: Tensor) -> dict[str, dict[str, object]]:
    """Summaries of the features at each layer of ``loss``, and of each style layer's statistics.

    picture: (1, 3, H, W), RGB, 0..1. Keys are ``relu3_1`` and, as the form of the loss has it,
    ``gram relu3_1`` or ``mean relu3_1`` and ``covariance relu3_1``.
    """
    config = loss.config
    layers = (*config.content_layers, *config.style_layers)
    picture = picture.to(loss.backbone.mean.device)
    found = loss.backbone(picture, layers, config.pooling, config.padding)
    summed_up = {
        f"{name} {layer}": values
        for layer in config.style_layers
        for name, values in loss.form.summary.of(found[layer]).items()
    }
    return {name: summary(values) for name, values in (*found.items(), *summed_up.items())}


def high_pass(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbours across (B, 3, H, W - 1) and down (B, 3, H - 1, W)."""
    return picture.diff(dim=3), picture.diff(dim=2)


def sobel_edges(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's derivatives across and down, (B, 3, H, W) each, the border mirrored."""
    padded = F.pad(picture, (1, 1, 1, 1), mode="reflect")
    kernels = [kernel.expand(3, 1, 3, 3).to(picture) for kernel in (SOBEL, SOBEL.T)]
    across, down = (F.conv2d(padded, kernel, groups=3) for kernel in kernels)
    return across, down


def write_statistics(
    loss: Objective,
    content: Tensor,
    stylized: Tensor,
    styles: Sequence[Tensor],
    output: Path,
) -> None:
    """Write OUTPUT.statistics.json and OUTPUT.edges.png for pictures (1, 3, H, W), 0..1."""
    statistics = {
        "content": picture_statistics(loss, content),
        "style": [picture_statistics(loss, style) for style in styles],
        "stylized": picture_statistics(loss, stylized),
    }
    with atomic_write(beside(output, "statistics.json")) as file:
        file.write((json.dumps(statistics, indent=2) + "\n").encode())
    rows = [
        _edge_tiles(name, picture) for name, picture in (("before", content), ("after", stylized))
    ]
    write_picture(contact_sheet(rows), beside(output, "edges.png"))


def _edge_tiles(name: str, picture: Tensor) -> list[Tile]:
    passed = [edges * 2 + 0.5 for edges in high_pass(picture)]
    sobel = [edges / 4 + 0.5 for edges in sobel_edges(picture)]
    labels = ("high-pass across", "high-pass down", "Sobel across", "Sobel down")
    return [
        Tile(to_picture(picture), name),
        *(
            Tile(to_picture(edges), f"{name}: {label}")
            for edges, label in zip((*passed, *sobel), labels, strict=True)
        ),
    ]
