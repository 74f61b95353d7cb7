"""``fastnst styles``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastnst.checkpoint.painters import painting_of
from fastnst.checkpoint.shipped import named_models, shipped_models
from fastnst.cli.console import OneLineParser, add_device, give
from fastnst.cli.gallery import add_sheet, make_sheet
from fastnst.errors import EXIT_DONE, CheckpointError, ConfigError

# The photograph of the sheet.
EXAMPLE = Path(__file__).parents[1] / "demo" / "cat.jpg"
# What is told of those beside the gallery, by the ends of their names.
BESIDE = {"video": "calmer in clips", "johnson": "on a larger network, 7 times as slow"}


def run(argv: Sequence[str]) -> int:
    """List the shipped styles, on a sheet of thumbnails too on request."""
    arguments = _parser().parse_args(argv)
    rows = [_row(name, path) for name, path in named_models().items()]
    if not rows:
        raise CheckpointError("no styles come with this installation of fastnst")
    if arguments.sheet is not None:
        if not EXAMPLE.exists():
            raise ConfigError("--sheet: no photograph comes along; try fastnst gallery PHOTO")
        make_sheet(EXAMPLE, shipped_models(), arguments.sheet, arguments)
    if arguments.json:
        give(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        width = max(len(row["name"]) for row in rows)
        give("\n".join(f"{row['name']:<{width}}  {_told(row)}" for row in rows))
    return EXIT_DONE


def _parser() -> OneLineParser:
    parser = OneLineParser(
        "fastnst styles",
        description="The styles that come with fastnst: what each is called, whose painting it "
        "learned, and how large its file is. Any of them can be applied by its name, such as: "
        "fastnst apply wave photo.jpg",
    )
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE",
        help="also paint a photograph of a cat in each of the gallery's, on one sheet",
    )  # fmt: skip
    add_sheet(parser, size=192)
    add_device(parser)
    return parser


def _row(name: str, path: Path) -> dict[str, Any]:
    painting = painting_of(name)
    kind = name.rpartition("-")[2]
    return {
        "name": name,
        "title": painting.title if painting else "",
        "painter": painting.painter if painting else "",
        "year": painting.year if painting else "",
        "note": BESIDE.get(kind, "") if name not in shipped_models() else "",
        "bytes": path.stat().st_size,
    }


def _told(row: dict[str, Any]) -> str:
    size = f"{row['bytes'] / 1e6:.1f} MB"
    painting = ", ".join(row[part] for part in ("title", "painter", "year") if row[part])
    return f"{size}  {painting}" + (f" ({row['note']})" if row["note"] else "")
