"""ONNX Runtime for browsers: npm's package of one version, fetched once and checked.

MIT licence, Microsoft; the package itself has no licence file, so it is written beside.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
from pathlib import Path

from fastnst.errors import DownloadError
from fastnst.machine.cache import cache_folder
from fastnst.machine.download import Progress, Source, download
from fastnst.machine.files import atomic_write, reason

VERSION = "1.30.0"
SOURCE = Source(
    f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz",
    "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    33_106_585,
)
# The build for WebAssembly alone. That for GPUs is twice as large, and nobody has measured here
# what it gains.
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
LICENCE = f"""ONNX Runtime Web {VERSION}, https://github.com/microsoft/onnxruntime

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def runtime_folder() -> Path:
    """Where the runtime lies, or will."""
    return cache_folder() / f"onnxruntime-web-{VERSION}"


def is_there() -> bool:
    """Whether it lies there."""
    return all((runtime_folder() / name).is_file() for name in (*FILES, "LICENSE"))


def get_runtime(progress: Progress | None = None) -> Path:
    """The folder of the runtime, fetched where it isn't there. Raises DownloadError."""
    folder = runtime_folder()
    if is_there():
        return folder
    advice = f"put {SOURCE.url} (SHA-256 {SOURCE.sha256}) unpacked into {folder}"
    if os.environ.get("FASTNST_OFFLINE"):
        raise DownloadError(f"the browser's runtime: FASTNST_OFFLINE is set; {advice}")
    part = folder / f"{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        download(SOURCE, part, progress)
        with tarfile.open(part) as archive:
            for name in FILES:
                packed = archive.extractfile(f"package/dist/{name}")
                assert packed is not None
                _put(folder / name, packed.read())
        # Last: it says that the others are whole.
        _put(folder / "LICENSE", LICENCE.encode())
    except DownloadError as error:
        raise DownloadError(f"the browser's runtime: {error}; {advice}") from error
    except OSError as error:
        raise DownloadError(f"the browser's runtime: {folder}: {reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return folder


def _put(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content)
