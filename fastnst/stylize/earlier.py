"""Which of the inputs are results of an earlier run."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastnst.machine.notify import Notify
from fastnst.photos.results import has_photograph, is_marked, stems_of, told_of
from fastnst.stylize.job import FileJob, Wanted
from fastnst.stylize.sources import Source


def split(sources: Sequence[Source], wanted: Wanted) -> tuple[list[Source], list[Source]]:
    """The sources without those that an earlier run has made of another one of them, and these.

    Such a result is called PHOTO-STYLE beside its photograph, or lies in a folder of its own below
    that of the photographs, and has the mark that results have; of this very style the name says
    enough, unless a photograph of that name could be lost.
    """
    stems = stems_of((source.folder, source.below) for source in sources)
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
        named = has_photograph((source.folder, source.below), stems)
        known = by_name or (named and is_marked(source.path))
        (results if known else kept).append(source)
    return kept, results


def tell_of_results(results: Sequence[Source], jobs: Sequence[FileJob], notify: Notify) -> None:
    """A line on the results that were passed over."""
    # Of those that this run would make it is told that they are kept.
    targets = {os.path.abspath(job.target) for job in jobs}
    others = [source.path for source in results if os.path.abspath(source.path) not in targets]
    if others:
        notify(told_of(others))
