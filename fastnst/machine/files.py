"""Files written whole or not at all, and their digests. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SCHEME = re.compile(r"(?:^|/)((?:https?|ftps?|s3|gs|file):/)(?:/)?(.*)", re.IGNORECASE | re.DOTALL)
# Where the system keeps what is open already.
STREAMS = re.compile(r"/dev/(stdout|stderr|fd/)|/proc/(self|thread-self|\d+)/fd/")
# How a disk says that it can't flush what was written.
NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY)
# What ``atomic_write`` calls a file until it is whole, and seconds after which it is nobody's.
LEFT = re.compile(r"\..{1,40}\.[0-9a-f]{8}\.part", re.DOTALL)
LEFT_SECONDS = 24 * 3600
# Seconds for the reader of a pipe to come.
PATIENCE = 60.0


def address_of(path: Path) -> str:
    """The address that someone has given in a path's place, or nothing."""
    found = SCHEME.search(str(path))
    if not found:
        return ""
    # A path has only one of two slashes left, and of a file's three.
    slashes = "//" if found[1].lower() == "file:/" else "/"
    return f"{found[1]}{slashes}{found[2].lstrip('/')}"


@contextlib.contextmanager
def atomic_write(target: Path, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary file that takes ``target``'s place when the block ends without an error.

    Written beside the target, so that no other file system is involved; flushed to the disk before
    it is renamed. After an error the old file is untouched and the new one gone. A pipe or a
    character device (``is_stream``) stays where it is and is written to at the end. Raises OSError;
    FileExistsError where, without ``overwrite``, somebody else has written ``target`` meanwhile.
    """
    target = Path(target)
    if is_stream(target):
        with tempfile.TemporaryFile() as file:
            yield file
            _pour(file, target)
        return
    # File systems count bytes, of which a character may take four.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.part")
    # 0o666 less the umask, as any program's new file; tempfile's 0o600 would surprise.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            _sync(file.fileno())
        if overwrite:
            os.replace(temporary, target)
        else:
            _rename_to_new(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def is_stream(path: Path) -> bool:
    """Whether a path leads to no place for a file, but to a pipe, a device or a socket."""
    # As /dev/stdout is, wherever the shell has let it lead.
    if STREAMS.match(os.path.abspath(path)):
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def is_taken(path: Path) -> bool:
    """Whether there is something at a path already that a result would replace."""
    return os.path.exists(path) and not is_stream(path)


def _pour(file: BinaryIO, target: Path) -> None:
    """Write a file's content into a pipe or a character device. Raises OSError."""
    mode = os.stat(target).st_mode
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OSError(errno.EINVAL, "is a disk or a socket")
    file.seek(0)
    with _joined_pipe(target) if stat.S_ISFIFO(mode) else open(target, "wb") as stream:
        shutil.copyfileobj(file, stream)


def _joined_pipe(target: Path) -> BinaryIO:
    """A pipe that somebody reads, or is about to: to open one that nobody reads waits for ever."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > end:
                raise OSError(errno.ENXIO, "a pipe that nobody reads") from None
            time.sleep(0.05)
        else:
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "wb")


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


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Disks of other machines, and those of FUSE, may not know how to.
        if error.errno not in NO_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    # Makes the rename itself last through a power cut; Windows has no such call. Where a disk can't
    # do it, or the folder may not be opened, the file is written all the same.
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(OSError):
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
    if address := address_of(folder):
        raise OSError(errno.EINVAL, f"{address} is an address; write a file and send it there")
    folder.mkdir(parents=True, exist_ok=True)
    _remove_left(folder)
    probe = folder / f".fastnst-{secrets.token_hex(4)}.part"
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    probe.unlink()


def _remove_left(folder: Path) -> None:
    """Remove what writers that were killed have left of a file, more than a day ago."""
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for item in found:
            if LEFT.fullmatch(item.name) and time.time() - item.stat().st_mtime > LEFT_SECONDS:
                os.unlink(item.path)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason(error: OSError) -> str:
    """Why an OSError happened, without its number and path."""
    return error.strerror or str(error)
