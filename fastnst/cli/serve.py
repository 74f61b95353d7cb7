"""``fastnst serve``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastnst.cli.console import OneLineParser, give, say
from fastnst.errors import EXIT_DONE, ConfigError

if TYPE_CHECKING:
    from fastnst.page.site import File


def run(argv: Sequence[str]) -> int:
    """Serve the page to this machine's browsers, or write it into a folder."""
    arguments = _parser().parse_args(argv)
    if arguments.port is not None and not 0 <= arguments.port <= 65535:
        raise ConfigError(f"--port is a number from 0 to 65535, not {arguments.port}")
    files = _files(arguments.models)
    if arguments.build is not None:
        from fastnst.page.build import write_folder

        written = write_folder(files, arguments.build)
        say(f"{len(files)} files, {written / 1e6:.0f} MB, for any web server")
        give(str(arguments.build))
        return EXIT_DONE
    from fastnst.page.server import open_server

    with open_server(files, arguments.port) as server:
        give(server.url)
        say("photographs stay in the browser; Ctrl-C ends it")
        if arguments.open:
            import webbrowser

            webbrowser.open(server.url)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return EXIT_DONE


def _files(models: Path | None) -> dict[str, File]:
    from fastnst.page.runtime import runtime_folder
    from fastnst.page.site import site
    from fastnst.page.styles import page_styles

    styles = page_styles(models, say)
    return site(styles, runtime_folder(say))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        "fastnst serve",
        description="A page that stylizes photographs in the browser, on 127.0.0.1: nothing leaves "
        "the machine.",
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help="default: 8765, or the next that is free; 0: any"
    )
    parser.add_argument(
        "--models", type=Path, metavar="FOLDER",
        help="a folder of checkpoints (.ckpt) and exported models (.onnx) to show beside the "
        "gallery",
    )  # fmt: skip
    parser.add_argument(
        "--build", type=Path, metavar="FOLDER",
        help="write the page there instead, as static files for any web server",
    )  # fmt: skip
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    return parser
