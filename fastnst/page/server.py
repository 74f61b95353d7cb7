"""A server of the page's files to this machine's browsers, and to nobody else.

Its addresses are a fixed list: there are no folders to list and no paths to leave.
"""

from __future__ import annotations

import errno
import hashlib
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from fastnst.errors import ConfigError
from fastnst.machine.files import reason
from fastnst.page.site import INDEX, TYPES, File, Site

ADDRESS = "127.0.0.1"
PORT = 8765
# How many ports after the first one are tried.
TRIED = 20
# A page can ask for nothing but this server, whatever a model's or a picture's author has in mind.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob:; media-src 'self' blob:; connect-src 'self' blob:; "
    "worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    # Threads in the browser share memory, which takes a page that shares nothing with others.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Seconds that a silent connection keeps its thread.
SILENCE = 60


class PageServer(ThreadingHTTPServer):
    """Gives out ``files`` on 127.0.0.1: at ``port``, or where that is taken, 0 being any.

    Raises ConfigError where it can't.
    """

    daemon_threads = True

    def __init__(self, files: Site, port: int) -> None:
        self.files = files
        self.tags: dict[str, str] = {}
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OverflowError as error:
            raise ConfigError(f"--port is a number from 0 to 65535, not {port}") from error
        except OSError as error:
            told = ConfigError(f"--port {port}: {reason(error)}")
            told.taken = error.errno == errno.EADDRINUSE  # type: ignore[attr-defined]
            raise told from error

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def knows_host(self, host: str | None) -> bool:
        """Whether a request's Host is this machine: a stranger's name may have been pointed here,
        for the stranger's page to read what this one gives out.
        """
        return host in {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}

    def tag(self, name: str, content: bytes) -> str:
        """The entity tag of a file."""
        if name not in self.tags:
            self.tags[name] = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return self.tags[name]


def open_server(files: Site, port: int | None = None) -> PageServer:
    """A server at ``port``; by default at ``PORT`` or the next free one. Raises ConfigError."""
    if port is not None:
        return PageServer(files, port)
    for candidate in range(PORT, PORT + TRIED):
        try:
            return PageServer(files, candidate)
        except ConfigError as error:
            if not getattr(error, "taken", False):
                raise
    return PageServer(files, 0)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version = "fastnst"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = SILENCE

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is for what the user does."""

    def _answer(self, with_body: bool) -> None:
        if not self.server.knows_host(self.headers.get("Host")):
            return self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
        name = unquote(urlsplit(self.path).path).removeprefix("/") or INDEX
        file = self.server.files.get(name)
        if file is None:
            return self._refuse(HTTPStatus.NOT_FOUND)
        packed = file.packed if self._takes_gzip() else None
        try:
            content = file.read() if packed is None else packed.read_bytes()
        except OSError:
            return self._refuse(HTTPStatus.NOT_FOUND)
        self._give(name, file, content, packed is not None, with_body)
        return None

    def _takes_gzip(self) -> bool:
        accepted = self.headers.get("Accept-Encoding", "").replace(" ", "").split(",")
        return "gzip" in accepted

    def _give(
        self, name: str, file: File, content: bytes, is_packed: bool, with_body: bool
    ) -> None:
        tag = self.server.tag(f"{name}.gz" if is_packed else name, content)
        known = self.headers.get("If-None-Match") == tag
        self.send_response(HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK)
        self._headers()
        # A hashed address has one content for ever; the others are asked for anew.
        lasting = "max-age=31536000, immutable" if file.hashed else "no-cache"
        self.send_header("Cache-Control", lasting)
        self.send_header("ETag", tag)
        if file.packed is not None:
            self.send_header("Vary", "Accept-Encoding")
        if is_packed and not known:
            self.send_header("Content-Encoding", "gzip")
        if not known:
            self.send_header("Content-Type", TYPES[PurePosixPath(name).suffix])
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body and not known:
            self.wfile.write(content)

    def _refuse(self, status: HTTPStatus) -> None:
        content = f"{status.value} {status.phrase}\n".encode()
        self.send_response(status)
        self._headers()
        self.send_header("Content-Type", TYPES[".txt"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
