"""``fastnst gallery``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from fastnst.checkpoint.shipped import shipped_models
from fastnst.cli.console import OneLineParser, Options, StatusLine, add_device, say
from fastnst.errors import EXIT_DONE, CheckpointError, ConfigError

# Tiles in a row of the sheet, the photograph among them.
COLUMNS = 4


def run(argv: Sequence[str]) -> int:
    """A photograph in every shipped style, on one sheet."""
    parser = OneLineParser(
        "fastnst gallery", description="One photograph in every style that comes with fastnst.",
        example="fastnst gallery photo.jpg",
    )  # fmt: skip
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="the picture to stylize")
    parser.add_argument(
        "--output", type=Path, metavar="FILE",
        help="the contact sheet to write (default: PHOTO-gallery.png in the current folder)",
    )  # fmt: skip
    add_sheet(parser, size=512)
    add_device(parser)
    arguments = parser.parse_args(argv)
    models = shipped_models()
    if not models:
        raise CheckpointError("no styles come with this installation of fastnst")
    output = arguments.output or Path(f"{arguments.photo.stem}-gallery.png")
    make_sheet(arguments.photo, models, output, arguments)
    return EXIT_DONE


def add_sheet(parser: Options, size: int) -> None:
    """Options of a contact sheet, whose tiles have a long side of ``size`` pixels by default."""
    parser.add_argument("--overwrite", action="store_true", help="replace an existing sheet")
    parser.add_argument(
        "--size", type=int, default=size, metavar="PIXELS",
        help=f"long side of each tile in pixels (default: {size})",
    )  # fmt: skip


def make_sheet(
    photo: Path, models: Mapping[str, Path], output: Path, arguments: argparse.Namespace
) -> None:
    """Paint a photograph with each of ``models``, and write the sheet. Raises FastnstError."""
    if not 1 <= arguments.size <= 4096:
        raise ConfigError(f"--size must be from 1 to 4096, not {arguments.size}")
    from fastnst.image import check_output, limit_long_side, read_picture, write_picture
    from fastnst.image.contact_sheet import Tile, contact_sheet
    from fastnst.stylize.stylizer import Stylizer

    check_output(output, arguments.overwrite)
    picture = limit_long_side(read_picture(photo, large_to=arguments.size), arguments.size)
    tiles = [Tile(picture, photo.stem)]
    status = StatusLine()
    for name, path in models.items():
        stylizer = Stylizer.load(
            path, arguments.device, arguments.engine, precision=arguments.precision
        )
        tiles.append(Tile(stylizer.picture(picture), name))
        status.show(f"{len(tiles) - 1} of {len(models)}: {name}")
    status.end()
    rows = [tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)]
    write_picture(contact_sheet(rows), output)
    say(f"contact sheet: {output}")
