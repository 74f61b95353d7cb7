"""Contact sheets: pictures in rows and columns, each with its label below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

GAP = 8
TEXT = 14
PAPER, INK = "white", "black"


@dataclass(frozen=True)
class Tile:
    """A picture of mode RGB and the lines of text below it; without a picture, text alone."""

    picture: Image.Image | None
    label: str = ""


def contact_sheet(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """All tiles on white, columns as wide and rows as high as their largest tile.

    A label wider than its column makes the column wider. Rows may differ in length.
    """
    font = ImageFont.load_default(TEXT)
    line = TEXT + 4
    columns = max(len(row) for row in rows)
    widths = [max(_width(row[i], font) for row in rows if i < len(row)) for i in range(columns)]
    heights = [
        max(_picture_height(tile) for tile in row)
        + line * max(len(tile.label.splitlines()) for tile in row)
        for row in rows
    ]
    size = sum(widths) + GAP * (columns + 1), sum(heights) + GAP * (len(rows) + 1)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        picture_height = max(_picture_height(tile) for tile in row)
        left = GAP
        for tile, width in zip(row, widths, strict=False):
            if tile.picture is not None:
                sheet.paste(tile.picture, (left, top))
            draw.multiline_text((left, top + picture_height + 1), tile.label, INK, font, spacing=2)
            left += width + GAP
        top += height + GAP
    return sheet


def _picture_height(tile: Tile) -> int:
    return 0 if tile.picture is None else tile.picture.height


def _width(tile: Tile, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    text = max((font.getlength(line) for line in tile.label.splitlines()), default=0)
    return max(0 if tile.picture is None else tile.picture.width, int(text) + 1)
