"""``fastnst gallery``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastnst.checkpoint.shipped import shipped_models
from fastnst.cli.console import OneLineParser, StatusLine, add_device, say
from fastnst.errors import EXIT_DONE, CheckpointError, ConfigError

# Tiles in a row of the sheet, the photograph among them.
COLUMNS = 4


def run(argv: Sequence[str]) -> int:
    """A photograph in every shipped style, on one sheet."""
    parser = OneLineParser(
        "fastnst gallery", description="One photograph in every style that comes with fastnst."
    )
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="the picture to stylize")
    parser.add_argument(
        "--output", type=Path, metavar="FILE",
        help="the contact sheet to write (default: PHOTO-gallery.png in the current folder)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an existing sheet")
    parser.add_argument(
        "--size", type=int, default=512, help="long side of each tile in pixels (default: 512)"
    )
    add_device(parser)
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.size <= 4096:
        raise ConfigError(f"--size must be from 1 to 4096, not {arguments.size}")
    models = shipped_models()
    if not models:
        raise CheckpointError("no styles come with this installation of fastnst")
    from fastnst.image import check_output, limit_long_side, read_picture, write_picture
    from fastnst.image.contact_sheet import Tile, contact_sheet
    from fastnst.stylize.stylizer import Stylizer

    output = arguments.output or Path(f"{arguments.photo.stem}-gallery.png")
    check_output(output, arguments.overwrite)
    photo = limit_long_side(read_picture(arguments.photo, large_to=arguments.size), arguments.size)
    tiles = [Tile(photo, arguments.photo.stem)]
    status = StatusLine()
    for name, path in models.items():
        stylizer = Stylizer.load(
            path, arguments.device, arguments.engine, precision=arguments.precision
        )
        tiles.append(Tile(stylizer.picture(photo), name))
        status.show(f"{len(tiles) - 1} of {len(models)}: {name}")
    status.end()
    rows = [tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)]
    write_picture(contact_sheet(rows), output)
    say(f"contact sheet: {output}")
    return EXIT_DONE
