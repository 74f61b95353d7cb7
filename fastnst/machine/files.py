"""Files written whole or not at all, and their digests. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def atomic_write(target: Path, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary file that takes ``target``'s place when the block ends without an error.

    Written beside the target, so that no other file system is involved; flushed to the disk before
    it is renamed. After an error the old file is untouched and the new one gone. Raises OSError;
    FileExistsError where, without ``overwrite``, somebody else has written ``target`` meanwhile.
    """
    target = Path(target)
    # File systems count bytes, of which a character may take four.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.part")
    # 0o666 less the umask, as any program's new file; tempfile's 0o600 would surprise.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(temporary, target)
        else:
            _rename_to_new(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _rename_to_new(temporary: Path, target: Path) -> None:
    """Rename; FileExistsError where there is a ``target`` already."""
    try:
        # In one step, so that of two who do it at once one is told.
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links.
        if target.exists():
            raise FileExistsError(errno.EEXIST, "File exists", str(target)) from None
        os.replace(temporary, target)
    else:
        temporary.unlink()


def _sync_folder(folder: Path) -> None:
    # Makes the rename itself last through a power cut; Windows has no such call.
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_writable(folder: Path) -> None:
    """Make a folder where there is none, and prove by a file that it can be written to.

    Permission bits alone don't tell: they mean nothing to root, and nothing of a read-only disk.
    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".fastnst-{secrets.token_hex(4)}.part"
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    probe.unlink()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason(error: OSError) -> str:
    """Why an OSError happened, without its number and path."""
    return error.strerror or str(error)
