"""What there is to stylize: files, folders and lists of the disk."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fastnst.errors import ConfigError
from fastnst.image import written_suffix
from fastnst.machine.notify import Notify
from fastnst.photos.folders import look_below, matching, passed_over, same_folder
from fastnst.photos.lists import LIST, read_list
from fastnst.stylize.job import Wanted
from fastnst.video.options import INSTALL, is_clip, is_installed, written_clip_suffix


@dataclass(frozen=True)
class Source:
    """A picture or a clip, its path ``below`` the folder that it was found in, and that input
    itself; ``still`` where one frame of a clip is asked for.
    """

    path: Path
    below: Path
    given: Path
    still: bool = False

    @property
    def suffix(self) -> str:
        """The suffix of its result."""
        if not is_clip(self.path):
            return written_suffix(self.path)
        return ".png" if self.still else written_clip_suffix(self.path)

    @property
    def named(self) -> bool:
        return self.path is self.given

    @property
    def folder(self) -> Path:
        """The folder that it was found in, or that of its file."""
        return self.path.parent if self.named else self.given

    def target(self, output: Path | None, style_name: str, whole: bool = False) -> Path:
        """What it becomes; ``whole`` keeps its suffix in the name, before the result's own."""
        path, below = self.path, self.below
        if output is None:
            return path.with_name(f"{path.name if whole else path.stem}-{style_name}{self.suffix}")
        return output / below.with_name((below.name if whole else below.stem) + self.suffix)


def expanded(given: Path) -> list[Path]:
    """The files of a list (``@FILE``) or of a pattern that the shell has left as it is, else the
    path itself.
    """
    # os.path: a path too long to exist is no error here, but the reader's or the writer's.
    if str(given).startswith(LIST) and not os.path.exists(given):
        return read_list(Path(str(given).removeprefix(LIST)))
    if os.path.exists(given) or not glob.has_magic(str(given)):
        return [given]
    return matching(str(given)) or [given]


def sources_of(inputs: Sequence[Path], wanted: Wanted, notify: Notify) -> list[Source]:
    """The pictures and clips of files and folders, each once, however often it was given; missing
    files too. ``notify`` gets a line on what folders hold besides. Raises ConfigError for a folder
    without any.
    """
    seen: dict[tuple[str, Path], Source] = {}
    for source in _found(inputs, wanted.output, notify):
        key = (os.path.abspath(source.path), source.below)
        seen.setdefault(key, replace(source, still=wanted.still))
    return list(seen.values())


def _found(inputs: Sequence[Path], output: Path | None, notify: Notify) -> Iterator[Source]:
    passed: Counter[str] = Counter()
    for path in inputs:
        if not os.path.isdir(path):
            yield Source(path, Path(path.name), path)
            continue
        # The folder of the results may lie in that of the photographs.
        inside = output is not None and not same_folder(path, output)
        found = look_below(path, without=output if inside else None)
        files = sorted(found.pictures + found.clips)
        if not is_installed():
            files = found.pictures
            found.passed += Counter({f"clip: {INSTALL} to read them": len(found.clips)})
        if not files:
            told = found.told()
            raise ConfigError(
                f"{path}: no pictures in this folder or below it" + (f"; {told}" if told else "")
            )
        passed += found.passed
        for file in files:
            yield Source(file, file.relative_to(path), path)
    if passed:
        notify(passed_over(passed))
