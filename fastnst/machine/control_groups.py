"""What Linux lets a process and its neighbours have of the memory: control groups.

Containers, SLURM and systemd set limits for groups that lie in one another, in one of two versions
(the kernel's admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst); the process learns its own group
from /proc and what each group has from files below where they are mounted.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Version:
    """The files of a version: limits in bytes, what is taken, and the file cache in ``memory.stat``
    that the system gives back.
    """

    type: str
    limits: tuple[str, ...]
    used: str
    cache: str


_VERSIONS = {
    True: _Version("cgroup2", ("memory.max", "memory.high"), "memory.current", "inactive_file"),
    False: _Version(
        "cgroup", ("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file"
    ),
}


def free_memory(process: Path = Path("/proc/self")) -> int | None:
    """Bytes that the groups of a process can take yet; None where no group has a limit."""
    found = [
        free
        for is_second, path in _groups(process)
        for folder in _folders(process, _VERSIONS[is_second], path)
        if (free := _free(folder, _VERSIONS[is_second])) is not None
    ]
    return min(found, default=None)


def _groups(process: Path) -> Iterator[tuple[bool, str]]:
    """The process's groups that may limit memory: whether of version 2, and their paths."""
    with contextlib.suppress(OSError):
        for line in (process / "cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" or "memory" in controllers.split(","):
                yield number == "0", path


def _folders(process: Path, version: _Version, path: str) -> Iterator[Path]:
    """The folders of a group and of those that it lies in, as far as they are to be seen here."""
    for root, mounted in _mounts(process, version):
        # A container may see its own group as the root, or be told of folders that it doesn't see.
        is_seen = f"{path}/".startswith(f"{root.rstrip('/')}/")
        below = os.path.relpath(path, root) if is_seen else "."
        folder = Path(os.path.normpath(mounted / below))
        while True:
            yield folder
            if folder == mounted or mounted not in folder.parents:
                break
            folder = folder.parent


def _mounts(process: Path, version: _Version) -> Iterator[tuple[str, Path]]:
    """Where groups are mounted: the group that is the root there, and the folder (proc(5))."""
    with contextlib.suppress(OSError):
        for line in (process / "mountinfo").read_text().splitlines():
            fields, _, rest = line.partition(" - ")
            type, *_, options = rest.split(" ")
            if type == version.type and (type == "cgroup2" or "memory" in options.split(",")):
                root, mounted = (_unescaped(field) for field in fields.split(" ")[3:5])
                yield root, Path(mounted)


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _free(folder: Path, version: _Version) -> int | None:
    """Bytes left in a group; None where it isn't there, or a word says that it has no limit."""
    limits = [limit for name in version.limits if (limit := _number(folder / name)) is not None]
    used = _number(folder / version.used)
    if not limits or used is None:
        return None
    with contextlib.suppress(OSError, ValueError):
        lines = (folder / "memory.stat").read_text().splitlines()
        statistics = dict(line.split(" ", 1) for line in lines)
        used -= min(used, int(statistics.get(version.cache, 0)))
    return max(0, min(limits) - used)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
