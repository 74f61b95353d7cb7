"""Which of the inputs are results of an earlier run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fastnst.image import is_own
from fastnst.machine.notify import Notify
from fastnst.stylize.job import FileJob, Wanted
from fastnst.stylize.sources import Source
from fastnst.video.options import is_clip, is_installed


def split(sources: Sequence[Source], wanted: Wanted) -> tuple[list[Source], list[Source]]:
    """The sources without those that an earlier run has made of another one of them, and these.

    Such a result is called PHOTO-STYLE beside its photograph, or lies in a folder of its own below
    that of the photographs, and has the mark that results have; of this very style the name says
    enough, unless a photograph of that name could be lost.
    """
    stems = {(source.folder, str(source.below.with_suffix(""))) for source in sources}
    stems |= {(source.folder, str(source.below)) for source in sources}
    targets = {
        os.path.abspath(source.target(None, wanted.style_name, whole))
        for source in sources
        for whole in (False, True)
    }
    kept: list[Source] = []
    results: list[Source] = []
    for source in sources:
        by_name = os.path.abspath(source.path) in targets
        by_name = by_name and wanted.output is None and not wanted.overwrite
        known = by_name or (_has_photograph(source, stems) and _is_own(source.path))
        (results if known else kept).append(source)
    return kept, results


def tell_of_results(results: Sequence[Source], jobs: Sequence[FileJob], notify: Notify) -> None:
    """A line on the results that were passed over."""
    # Of those that this run would make it is told that they are kept.
    targets = {os.path.abspath(job.target) for job in jobs}
    others = [source.path for source in results if os.path.abspath(source.path) not in targets]
    if others:
        were = (
            "1 result of an earlier run was"
            if len(others) == 1
            else (f"{len(others)} results of earlier runs were")
        )
        notify(f"{were} passed over: {others[0]}" + (", ..." if len(others) > 1 else ""))


def _is_own(path: Path) -> bool:
    """Whether fastnst has written a file, as far as its mark tells."""
    if not is_clip(path):
        return is_own(path)
    if not is_installed():
        return False
    from fastnst.video.probe import is_own_clip

    return is_own_clip(path)


def _has_photograph(source: Source, stems: set[tuple[Path, str]]) -> bool:
    """Whether there is a picture among the sources that this one may be the result of."""
    folder, below = source.folder, source.below.with_suffix("")
    dashes = [place for place, letter in enumerate(below.name) if letter == "-" and place]
    names = [str(below.with_name(below.name[:dash])) for dash in dashes]
    names += [str(Path(*below.parts[depth:])) for depth in range(1, len(below.parts))]
    return any((folder, name) in stems for name in names)
