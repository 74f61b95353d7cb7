"""``fastnst export``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastnst.checkpoint.shipped import find_model
from fastnst.cli.console import OneLineParser, add_mix, add_model, give, say
from fastnst.errors import EXIT_DONE

if TYPE_CHECKING:
    from fastnst.export.verify import Difference

WEIGHTS = {"auto": None, "float16": True, "float32": False}


def run(argv: Sequence[str]) -> int:
    """Write a checkpoint's network as an ONNX file."""
    arguments = _parser().parse_args(argv)
    from fastnst.checkpoint.mixing import read_mixture
    from fastnst.checkpoint.numpy_reader import read_arrays
    from fastnst.export.write import ExportOptions, check_target, export_onnx

    mix = [(find_model(model), share) for model, share in arguments.style_mix]
    mixture = read_mixture(read_arrays, find_model(arguments.model), mix)
    for line in mixture.news:
        say(line)
    target = arguments.output or Path(f"{mixture.name}.{arguments.format}")
    check_target(target, arguments.overwrite)
    unit = "levels of 255" if arguments.io == "uint8-hwc" else "of 0..1"

    def tell(found: Difference) -> None:
        far = f"at most {found.most:.2g}, {found.mean:.1g} on average, {unit}"
        say(f"{found.height:>4} x {found.width:<4} to PyTorch in float64: {far}")

    options = ExportOptions(arguments.io, WEIGHTS[arguments.weights], arguments.overwrite)
    written = export_onnx(mixture, target, options, tell)
    say(f"{written / 1e6:.2f} MB, every size from 1 x 1 up")
    give(str(target))
    return EXIT_DONE


def _parser() -> OneLineParser:
    parser = OneLineParser(
        "fastnst export",
        description="Write a network as an ONNX file, for programs without fastnst. Before it gets "
        "its name it is run by ONNX Runtime at odd sizes and held against PyTorch.",
        example="fastnst export wave",
    )
    add_model(parser)
    add_mix(parser)
    parser.add_argument(
        "--format", choices=("onnx",), default="onnx", help="onnx, the one there is"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="default: STYLE.onnx in this folder"
    )
    parser.add_argument(
        "--io", choices=("uint8-hwc", "float-nchw"), default="uint8-hwc",
        help="what the file takes and gives: bytes (height, width, 3), as decoders have them "
        "(default), or float32 (batch, 3, height, width), 0..1",
    )  # fmt: skip
    parser.add_argument(
        "--weights", choices=tuple(WEIGHTS), default="auto",
        help="how they are stored; float16 is half the file, the arithmetic float32 with either "
        "(default: auto, float16 where that changes nothing)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    return parser
