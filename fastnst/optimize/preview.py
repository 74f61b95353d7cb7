"""Before training: what the weights do, by short optimizations with the very training loss."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image

from fastnst.config import PreviewConfig
from fastnst.image import (
    check_output,
    read_picture,
    resize_height,
    resize_long_side,
    resize_short_side,
    to_picture,
    to_tensor,
    write_picture,
)
from fastnst.image.contact_sheet import Tile, contact_sheet
from fastnst.machine.device import choose_device
from fastnst.machine.download import Progress as DownloadProgress
from fastnst.machine.notify import Notify, silent
from fastnst.objective.build import build_objective
from fastnst.objective.forms import layers_of
from fastnst.objective.objective import Objective, style_targets
from fastnst.optimize.curves import Extent, descend
from fastnst.optimize.sources import check_size
from fastnst.photos.paintings import read_painting

# Each row of the sheet varies one option by these factors of its value.
FACTORS = {
    "style_weight": (0.2, 1.0, 5.0),
    "style_size": (0.5, 1.0, 2.0),
    "tv_weight": (0.0, 1.0, 10.0),
}


@dataclass(frozen=True)
class Variant:
    """One tile: the options that it is made with, and the one that its row varies."""

    config: PreviewConfig
    varied: str

    @property
    def flag(self) -> str:
        """The flag that fastnst train takes for it."""
        value = getattr(self.config, self.varied)
        return f"--{self.varied.replace('_', '-')} {value:g}"


def variants(config: PreviewConfig) -> list[list[Variant]]:
    """The sheet's rows."""
    return [
        [Variant(_changed(config, name, factor), name) for factor in factors]
        for name, factors in FACTORS.items()
    ]


def _changed(config: PreviewConfig, name: str, factor: float) -> PreviewConfig:
    value = getattr(config, name)
    scaled = round(value * factor) if isinstance(value, int) else float(f"{value * factor:.6g}")
    changes: dict[str, float] = {name: scaled}
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def preview(
    config: PreviewConfig,
    notify: Notify = silent,
    on_step: Callable[[int, int], None] | None = None,
    on_download: DownloadProgress | None = None,
) -> None:
    """Write the contact sheet: content and style on top, then a row for each weight.

    A tile is the content image after ``steps`` iterations of L-BFGS, at ``size``. Its strokes have
    as many pixels as those of a trained network, so a larger picture shows them finer.
    ``on_step(done, all)`` counts iterations. Raises a FastnstError for what the user can mend.
    """
    assert config.content is not None
    check_output(config.output, config.overwrite)
    content = resize_long_side(read_picture(config.content, large_to=config.size), config.size)
    check_size(content, config.content, layers_of(config))
    styles = [read_painting(path, config.style_size, notify) for path in config.style]
    rows = variants(config)
    tiles = _distinct(rows)
    device = choose_device(config.device)
    images = [to_tensor(resize_short_side(style, config.style_size)) for style in styles]
    loss = build_objective(config, images, "float32", on_download, notify).to(device)
    counter = itertools.count(1)
    everything = len(tiles) * (config.steps + 1)
    done: dict[PreviewConfig, Image.Image] = {}
    for tile in tiles:
        done[tile] = _tile(
            loss, tile, content, styles, device,
            lambda: on_step and on_step(next(counter), everything),
        )  # fmt: skip
    head = [
        Tile(content, "content"),
        *(Tile(resize_height(style, content.height), "style") for style in styles),
    ]
    body = [[Tile(done[tile.config], tile.flag) for tile in row] for row in rows]
    write_picture(contact_sheet([head, *body]), config.output)


def _distinct(rows: list[list[Variant]]) -> list[PreviewConfig]:
    """Each configuration once: the middle of every row is the same."""
    return list(dict.fromkeys(tile.config for row in rows for tile in row))


def _tile(
    loss: Objective,
    config: PreviewConfig,
    content: Image.Image,
    styles: list[Image.Image],
    device: torch.device,
    on_iteration: Callable[[], object],
) -> Image.Image:
    sized = [to_tensor(resize_short_side(style, config.style_size)).to(device) for style in styles]
    targets = style_targets(loss.backbone, sized, config, config.style_weights)
    varied = Objective(loss.backbone, targets, config).to(device)
    start = to_tensor(content).to(device)

    def on_step(_: int) -> bool:
        on_iteration()
        return False

    curve = descend(varied, start, start, Extent(config.steps), on_iteration=on_step)
    assert curve.last is not None
    return to_picture(curve.last)
