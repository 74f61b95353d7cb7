"""``fastnst serve``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastnst.checkpoint.shipped import shipped_models
from fastnst.cli.console import OneLineParser, StatusLine, give, say
from fastnst.errors import EXIT_DONE, ConfigError

PORT = 8765


def run(argv: Sequence[str]) -> int:
    """Serve the page to this machine, or write it for any host."""
    arguments = _parser().parse_args(argv)
    models = _models(arguments.models)
    from fastnst.machine.cache import cache_folder
    from fastnst.page.build import build_site
    from fastnst.page.runtime import VERSION, get_runtime, is_there

    status = StatusLine()
    if not is_there():
        say(f"fetching ONNX Runtime for browsers {VERSION} from npm (33 MB), once")
    runtime = get_runtime(
        lambda done, total: status.show(f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")
    )
    status.end()
    folder = arguments.build or cache_folder() / "page"
    build_site(folder, models, runtime, lambda name: status.show(f"preparing {name}"))
    status.end()
    if arguments.build:
        say("serve it over HTTPS; the page's service worker sets the headers that it needs")
        give(str(folder))
        return EXIT_DONE
    from fastnst.page.server import address_of, open_server

    with open_server(folder, arguments.port) as server:
        say("nothing but this machine can reach the page, and no photograph leaves it; Ctrl-C ends")
        give(address_of(server))
        server.serve_forever()
    return EXIT_DONE


def _parser() -> OneLineParser:
    parser = OneLineParser(
        "fastnst serve",
        description="A page in the browser: drop a photograph, choose a style, move a slider. It "
        "computes in the browser, and no photograph leaves the machine.",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"of this machine; 0 for any (default: {PORT})"
    )
    parser.add_argument(
        "--models", type=Path, metavar="FOLDER",
        help="checkpoints of your own, shown before those that come with fastnst",
    )  # fmt: skip
    parser.add_argument(
        "--build", type=Path, metavar="FOLDER",
        help="write the page as static files for any host instead of serving it",
    )  # fmt: skip
    return parser


def _models(folder: Path | None) -> dict[str, Path]:
    """The checkpoints to show, by name. Raises ConfigError for a folder without any."""
    if folder is None:
        return shipped_models()
    own = {path.stem: path for path in sorted(folder.glob("*.ckpt"))}
    if not own:
        raise ConfigError(f"{folder}: holds no checkpoints (*.ckpt)")
    return own | {name: path for name, path in shipped_models().items() if name not in own}
