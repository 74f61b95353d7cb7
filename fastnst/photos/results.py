"""Results of earlier runs among photographs, which are nobody's photographs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fastnst.image import is_own
from fastnst.video.options import is_clip, is_installed

# A file by the folder that it was found in and its path below that.
Place = tuple[Path, Path]


def stems_of(places: Iterable[Place]) -> set[tuple[Path, str]]:
    """What ``has_photograph`` knows files by: with their suffixes and without."""
    found: set[tuple[Path, str]] = set()
    for folder, below in places:
        found |= {(folder, str(below.with_suffix(""))), (folder, str(below))}
    return found


def has_photograph(place: Place, stems: set[tuple[Path, str]]) -> bool:
    """Whether there is a picture, by its ``stems``, that this one may be the result of by its name:
    PHOTO-STYLE beside it, or in a folder of its own below that of the photographs.
    """
    folder, below = place[0], place[1].with_suffix("")
    dashes = [at for at, letter in enumerate(below.name) if letter == "-" and at]
    names = [str(below.with_name(below.name[:dash])) for dash in dashes]
    names += [str(Path(*below.parts[depth:])) for depth in range(1, len(below.parts))]
    return any((folder, name) in stems for name in names)


def is_marked(path: Path) -> bool:
    """Whether fastnst has written a file, as far as its mark tells."""
    if not is_clip(path):
        return is_own(path)
    if not is_installed():
        return False
    from fastnst.video.probe import is_own_clip

    return is_own_clip(path)


def results_among(places: Sequence[Place]) -> set[Path]:
    """The files that earlier runs have made of others of them. Only those whose names may be a
    result's are opened.
    """
    stems = stems_of(places)
    return {
        folder / below
        for folder, below in places
        if has_photograph((folder, below), stems) and is_marked(folder / below)
    }


def told_of(results: Sequence[Path]) -> str:
    """A line on results that were passed over."""
    count = len(results)
    were = (
        "1 result of an earlier run was" if count == 1 else f"{count} results of earlier runs were"
    )
    return f"{were} passed over: {results[0]}" + (", ..." if count > 1 else "")
