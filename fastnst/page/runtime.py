"""onnxruntime-web, which computes in the browser: fetched once, checked, kept in the cache.

Never from a content delivery network while the page runs: nothing leaves the machine.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import secrets
import shutil
import tarfile
from pathlib import Path

from fastnst.errors import DownloadError
from fastnst.machine.cache import cache_folder
from fastnst.machine.download import Progress, Source, download
from fastnst.machine.files import atomic_write, reason
from fastnst.machine.notify import Notify, silent

VERSION = "1.30.0"
# npm's own tarball.
SOURCE = Source(
    f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz",
    "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    33_106_585,
)
# The build for processors, and the one for GPUs, which a page loads only where there is one.
FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
NOTICE = "LICENSE.txt"
# The package says MIT and holds no licence; this is the one of its repository.
LICENCE = f"""onnxruntime-web {VERSION}, https://github.com/microsoft/onnxruntime

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


def runtime_folder(notify: Notify = silent, on_progress: Progress | None = None) -> Path:
    """The folder of ``FILES`` and ``NOTICE``, fetched where the cache doesn't have them.

    ``notify`` gets one line before that. Raises DownloadError, which says what to do.
    """
    folder = cache_folder() / f"onnxruntime-web-{VERSION}"
    # Renamed into place whole: where it is, all of it is.
    if folder.is_dir():
        return folder
    advice = (
        f"fetch {SOURCE.url} elsewhere and unpack its package/dist into {folder}, or try again "
        "with a network"
    )
    if os.environ.get("FASTNST_OFFLINE"):
        raise DownloadError(f"onnxruntime-web: FASTNST_OFFLINE is set; {advice}")
    notify(
        f"fetching onnxruntime-web {VERSION} from npm, once, {SOURCE.size / 1e6:.0f} MB: what "
        "computes in the browser"
    )
    try:
        _fetch(folder, on_progress)
    except DownloadError as error:
        raise DownloadError(f"onnxruntime-web: {error}; {advice}") from error
    except OSError as error:
        raise DownloadError(f"onnxruntime-web: {folder}: {reason(error)}; {advice}") from error
    return folder


def compressed(file: Path) -> Path | None:
    """``file`` compressed by gzip, beside it, made where it is missing; None where it can't be."""
    target = file.with_name(f"{file.name}.gz")
    try:
        if not target.is_file():
            with atomic_write(target) as written:
                written.write(gzip.compress(file.read_bytes(), mtime=0))
    except OSError:
        return None
    return target


def _fetch(folder: Path, on_progress: Progress | None) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    unpacked = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.part")
    archive = unpacked.with_suffix(".tgz")
    try:
        download(SOURCE, archive, on_progress)
        unpacked.mkdir()
        with tarfile.open(archive) as packed:
            for name in FILES:
                member = packed.extractfile(f"package/dist/{name}")
                if member is None:
                    raise DownloadError(f"{name} is no file of the package")
                with open(unpacked / name, "wb") as file:
                    shutil.copyfileobj(member, file)
        (unpacked / NOTICE).write_text(LICENCE)
        # Another process may have been quicker.
        with contextlib.suppress(FileExistsError):
            os.rename(unpacked, folder)
    except (KeyError, tarfile.TarError) as error:
        raise DownloadError(f"the package is not what it was ({error})") from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
        archive.unlink(missing_ok=True)
