"""All files of the page by their addresses, whether a server or a folder gives them out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastnst import __version__
from fastnst.page.runtime import FILES, NOTICE, compressed
from fastnst.page.styles import DEMO, Style, listing

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
}
# Where there is a GPU these are fetched; otherwise never.
FOR_GPUS = ("webgpu", "asyncify")


@dataclass(frozen=True)
class File:
    """A file of the page: its content, or where that lies, and whether its address has its hash;
    ``packed`` is where it lies compressed by gzip.
    """

    content: bytes | Path
    hashed: bool = False
    packed: Path | None = None

    def read(self) -> bytes:
        """Its content. Raises OSError."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


Site = Mapping[str, File]


def site(styles: list[Style], runtime: Path) -> dict[str, File]:
    """The page's files by their addresses, relative, such as ``models/wave-1f0c9a2b.onnx``."""
    files = {path.name: File(path) for path in sorted(STATIC.iterdir()) if path.is_file()}
    for name in (*FILES, NOTICE):
        packed = compressed(runtime / name) if name.endswith(".wasm") else None
        files[f"runtime/{name}"] = File(runtime / name, packed=packed)
    places = []
    for style in styles:
        stem = f"{_safe(style.name)}-{style.digest[:8]}"
        model, thumbnail = f"models/{stem}.onnx", f"thumbnails/{stem}.jpg"
        files[model] = File(style.model, hashed=True)
        files[thumbnail] = File(style.thumbnail)
        places.append((model, thumbnail))
    files["styles.json"] = File(listing(styles, places))
    files["demo/photograph.jpg"] = File(DEMO)
    files["demo/stylized.jpg"] = File(styles[0].demo)
    return files


def offline(files: Site) -> bytes:
    """The service worker with the list of what it keeps, named by all of their contents."""
    kept = [
        name
        for name in sorted(files)
        if name != "service-worker.js" and not any(part in name for part in FOR_GPUS)
    ]
    digest = hashlib.sha256(__version__.encode())
    for name in kept:
        digest.update(name.encode() + files[name].read())
    head = f"const VERSION = {json.dumps(digest.hexdigest()[:16])};\n"
    head += f"const FILES = {json.dumps(kept, indent=1)};\n"
    return head.encode() + files["service-worker.js"].read()


def _safe(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)[:60]
