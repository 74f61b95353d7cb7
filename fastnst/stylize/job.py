"""A picture to stylize, and how its result is to be called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastnst.image import PictureFile
from fastnst.machine.files import is_taken


@dataclass(frozen=True)
class Job:
    """One picture or clip to stylize; ``named`` where the user named the file itself, neither its
    folder nor, as ``*.png`` does the second time, its result beside it.
    """

    source: PictureFile
    target: PictureFile
    named: bool

    @property
    def is_there(self) -> bool:
        """Whether there is a file at its target already."""
        return isinstance(self.target, Path) and is_taken(self.target)


@dataclass(frozen=True)
class FileJob(Job):
    """A job from a file of the disk to another."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Wanted:
    """How results are to be called: after ``output``, a file or a folder, which it is in any case
    with ``into_folder``; without one after the style. ``overwrite`` says that they may replace
    what is there, ``still`` that one frame of each clip is asked for.
    """

    output: Path | None
    style_name: str
    into_folder: bool = False
    overwrite: bool = False
    still: bool = False

    @property
    def names_file(self) -> bool:
        """Whether ``output`` may be the name of a file."""
        return self.output is not None and not self.into_folder and not self.output.is_dir()
