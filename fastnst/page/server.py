"""The page served to this machine alone."""

from __future__ import annotations

import functools
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fastnst.errors import ConfigError
from fastnst.machine.files import reason

ADDRESS = "127.0.0.1"
# Names under which a browser on this machine asks for it. Another's page may get itself a name that
# leads here, and would then read what the page does: its requests tell that name.
HOSTS = ("127.0.0.1", "localhost")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self' blob:; worker-src 'self' blob:; "
    "media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # Threads of WebAssembly take a page that shares nothing with others.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class _Handler(SimpleHTTPRequestHandler):
    """Files of a folder, to those who asked for this machine."""

    extensions_map = {  # noqa: RUF012
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
    }
    server_version, sys_version = "fastnst", ""
    protocol_version = "HTTP/1.1"

    def send_head(self) -> Any:
        host = self.headers.get("Host", "").rpartition(":")
        if (host[0] or host[2]) not in HOSTS:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "not the name of this machine")
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> Any:
        self.send_error(HTTPStatus.NOT_FOUND, "no such file")

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: who looks at which picture is nobody's business."""


def open_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of the page in ``folder`` on ``port`` (0: any that is free), to be run.

    Raises ConfigError where the port is taken.
    """
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        server = ThreadingHTTPServer((ADDRESS, port), handler)
    except (OSError, OverflowError) as error:
        why = reason(error) if isinstance(error, OSError) else "no port"
        raise ConfigError(f"--port {port}: can't be listened on ({why})") from error
    server.daemon_threads = True
    return server


def address_of(server: ThreadingHTTPServer) -> str:
    """What to open in a browser."""
    return f"http://{ADDRESS}:{server.server_address[1]}/"
