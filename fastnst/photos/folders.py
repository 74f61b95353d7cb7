"""Folders of pictures: what is taken, what is left out, and what is worth telling of that."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastnst.image import heif, is_read, raw
from fastnst.video.options import is_clip

# Folders that programs fill with thumbnails, with what was deleted and with what is not theirs:
# NAS's (Synology, QNAP), macOS's archives, Windows. Hidden ones are left out anyway.
NOT_PHOTOS = frozenset((
    "@eadir", "__macosx", "@recycle", "#recycle", "#snapshot", "@recently-snapshot", "@tmp",
    "$recycle.bin", "system volume information", "lost+found",
))  # fmt: skip
OTHER_PICTURES = {".jxl": "JPEG XL", ".jp2": "JPEG 2000", ".psd": "PSD", ".svg": "SVG"}


@dataclass
class Found:
    """Pictures of a folder and below, clips, and how many files of a kind were passed over."""

    pictures: list[Path] = field(default_factory=list)
    clips: list[Path] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)

    def told(self) -> str:
        """A line on what was passed over, or nothing."""
        return passed_over(self.passed)


def look_below(folder: Path, without: Path | None = None) -> Found:
    """The pictures and clips in a folder and below it, sorted, but for what is hidden and
    ``NOT_PHOTOS``.

    Folders that links lead to are looked into once each, real ones before them; links to the
    folder itself or to those above it are not. ``without`` is a folder that is left out.
    """
    found = Found()
    for base, name in _files(folder, without):
        suffix = os.path.splitext(name)[1]
        if is_read(suffix):
            found.pictures.append(Path(base) / name)
        elif is_clip(Path(name)):
            found.clips.append(Path(base) / name)
        elif kind := _kind(suffix.lower()):
            found.passed[kind] += 1
    found.pictures.sort()
    found.clips.sort()
    return found


def pictures_below(folder: Path) -> Iterator[Path]:
    """``look_below``'s pictures alone."""
    yield from look_below(folder).pictures


def matching(pattern: str) -> list[Path]:
    """The files that a pattern of ``glob``'s names, sorted, or folders where it names no files.

    ``**`` stands for folders as ``look_below`` finds them: glob itself would go round in links that
    lead back. What lies in folders that hold nobody's photographs is taken where the pattern has
    their names.
    """
    parts = Path(pattern).parts
    if "**" not in parts:
        found = (Path(match) for match in sorted(glob.glob(pattern)))
        return [match for match in found if not _by_chance(match, pattern)]
    place = parts.index("**")
    before, rest = str(Path(*parts[:place])), parts[place:]
    files: list[Path] = []
    folders: dict[Path, None] = {}
    for top in sorted(glob.glob(before)) if glob.has_magic(before) else [before]:
        for base, name in _files(Path(top), named=rest):
            below = Path(base).relative_to(top)
            if _fits((*below.parts, name), rest):
                files.append(Path(base) / name)
            elif _fits(below.parts, rest):
                folders[Path(base)] = None
    return sorted(files or folders)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[depth:], pattern[1:]) for depth in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _by_chance(match: Path, pattern: str) -> bool:
    """Whether a match lies in a folder that holds no photographs, and that nobody has named."""
    return any(is_left_out(part) and part not in pattern for part in match.parts[:-1])


def passed_over(passed: Counter[str]) -> str:
    """A line on how many files of each kind, ``Found.passed``, were passed over, or nothing."""
    told = []
    for kind, count in sorted(passed.items()):
        were = "file was" if count == 1 else "files were"
        what, _, remedy = kind.partition(": ")
        told.append(f"{count} {what} {were} passed over: {remedy}")
    return "; ".join(told)


def is_left_out(name: str) -> bool:
    """Whether a folder or file of this name is nobody's photograph."""
    return name.startswith(".") or name.lower() in NOT_PHOTOS


def _kind(suffix: str) -> str:
    if suffix in heif.SUFFIXES:
        return f"HEIC: {heif.INSTALL} to read them"
    if suffix in raw.SUFFIXES:
        return "raw: fastnst reads none; develop them into TIFF or JPEG"
    other = OTHER_PICTURES.get(suffix)
    return f"{other}: fastnst reads none; export them as JPEG or PNG" if other else ""


def _files(
    folder: Path, without: Path | None = None, named: Container[str] = ()
) -> Iterator[tuple[str, str]]:
    above = {_identity(str(place)) for place in (folder.resolve(), *folder.resolve().parents)}
    seen = {_identity(str(without))} - {None} if without is not None else set()
    waiting = [str(folder)]
    while waiting:
        top = waiting.pop(0)
        for base, folders, files in os.walk(top):
            identity = _identity(base)
            if identity in seen:
                folders.clear()
                continue
            seen.add(identity)
            inside = sorted(name for name in folders if name in named or not is_left_out(name))
            links = [name for name in inside if os.path.islink(os.path.join(base, name))]
            folders[:] = [name for name in inside if name not in links]
            targets = (os.path.join(base, name) for name in links)
            waiting += [link for link in targets if _identity(link) not in above]
            for name in sorted(files):
                if name in named or not is_left_out(name):
                    yield base, name


def same_folder(one: Path, other: Path) -> bool:
    """Whether two paths lead to one folder."""
    return _identity(str(one)) is not None and _identity(str(one)) == _identity(str(other))


def is_below(folder: Path, top: Path) -> bool:
    """Whether a folder lies below another, itself excepted."""
    return top.resolve() in folder.resolve().parents


def _identity(folder: str) -> tuple[int, int] | None:
    """What tells a folder from all others, whatever path leads to it; None where there's none."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino
