"""Which file becomes which."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fastnst.errors import ConfigError, ImageWriteError
from fastnst.image import PictureFile, check_writable_format
from fastnst.image.encode import WRITE_FORMATS
from fastnst.machine.files import is_stream, make_writable, reason
from fastnst.machine.notify import Notify, silent
from fastnst.photos.folders import is_below, look_below
from fastnst.stylize.earlier import split, tell_of_results
from fastnst.stylize.job import FileJob, Wanted
from fastnst.stylize.sources import Source, expanded, sources_of
from fastnst.video.options import CONTAINERS, check_writable_clip, is_clip

NAMES_OF_FILES = frozenset((*WRITE_FORMATS, *CONTAINERS))


def plan_jobs(inputs: Sequence[Path], wanted: Wanted, notify: Notify = silent) -> list[FileJob]:
    """Which file becomes which, before anything is written.

    A folder stands for the pictures and clips in it and below, whose tree the output repeats. The
    output is a file for a single input file if it has a suffix, else a folder; without one, the
    results of files lie beside them as NAME-STYLE.SUFFIX. Where inputs from several folders have
    one name, their results keep the folders in which they differ; where only their formats differ
    (a.gif, a.png) those whose format changes keep its name (a.gif.png). What is given twice is done
    once. Results of earlier runs among the inputs are left out, and ``notify`` gets a line on them
    and on whatever else was passed over. Missing inputs are left for the reader to report.

    Raises DataError for a list that can't be read; ConfigError where two inputs would become one
    file, an input would be replaced, a folder has no ``output`` or several inputs have a file for
    one; ImageWriteError or ClipWriteError for a suffix or a folder that can't be written.
    """
    output = wanted.output
    inputs = [path for given in inputs for path in expanded(given)]
    single = len(inputs) == 1 and not os.path.isdir(inputs[0])
    if output is not None and single and wanted.names_file and output.suffix:
        check_suffix(inputs[0], output, wanted.still)
        jobs = [FileJob(inputs[0], output, True)]
    else:
        check_folder(inputs, wanted)
        sources, results = split(sources_of(inputs, wanted, notify), wanted)
        jobs = _jobs(sources, wanted, results)
        tell_of_results(results, jobs, notify)
        _tell_of_strangers(inputs, output, jobs, notify)
    _refuse_collisions(jobs)
    # Beside an input that isn't there is no place to be made.
    made = [job.target for job in jobs if output or os.path.exists(job.source)]
    make_folders({target.parent for target in made if not is_stream(target)})
    return jobs


def check_suffix(source: PictureFile, target: PictureFile, still: bool = False) -> None:
    """Raises ImageWriteError, or ClipWriteError, unless the target's suffix is one that the result
    of the source can have.
    """
    moves = is_clip(source) and not still
    (check_writable_clip if moves else check_writable_format)(target)


def check_folder(inputs: Sequence[PictureFile], wanted: Wanted) -> None:
    """Raises ConfigError unless the output can be a folder for the results of these inputs."""
    output = wanted.output
    if output is not None and output.exists() and not output.is_dir():
        kind = "file" if output.is_file() else "pipe or a device"
        raise ConfigError(f"{output}: is a {kind}, but a folder is needed for several pictures")
    if output is not None and wanted.names_file and output.suffix.lower() in NAMES_OF_FILES:
        raise ConfigError(
            f"{output}: names one file, but there are several; name a folder, or end it with / "
            "if it is one"
        )
    if output is None and any(isinstance(path, Path) and os.path.isdir(path) for path in inputs):
        raise ConfigError("a folder of pictures needs a folder for the results: --output PATH")


def _tell_of_strangers(
    inputs: Sequence[Path],
    output: Path | None,
    jobs: Sequence[FileJob],
    notify: Notify,
) -> None:
    """That pictures in the folder of the results are no inputs, where there are others in it."""
    if output is None or not any(os.path.isdir(path) and is_below(output, path) for path in inputs):
        return
    targets = {os.path.abspath(job.target) for job in jobs}
    found = look_below(output).pictures if output.is_dir() else []
    others = sum(os.path.abspath(path) not in targets for path in found)
    if others:
        notify(
            f"{output}: is the folder of the results; {others} other pictures in it are no inputs"
        )


def _jobs(sources: Sequence[Source], wanted: Wanted, results: Sequence[Source]) -> list[FileJob]:
    """A job for each source; where several from different folders would become one file, the inputs
    that they belong to keep the folders below the deepest that they have in common.
    """
    output, style_name, sources = wanted.output, wanted.style_name, list(sources)
    targets = [source.target(output, style_name) for source in sources]
    folders: dict[Path, set[Path]] = {}
    for source, target in zip(sources, targets, strict=True):
        folders.setdefault(target, set()).add(source.path.parent)
    alike = {
        source.given
        for source, target in zip(sources, targets, strict=True)
        if len(folders[target]) > 1
    }
    if alike and output is not None:
        try:
            common = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in alike])
        except ValueError:  # On several drives.
            common = ""
        for number, source in enumerate(sources):
            if common and source.given in alike:
                below = Path(os.path.relpath(os.path.abspath(source.path), common))
                sources[number] = replace(source, below=below)
    targets = told_apart(sources, output, style_name)
    known = {os.path.abspath(source.path) for source in results}
    return [
        FileJob(source.path, target, source.named and os.path.abspath(target) not in known)
        for source, target in zip(sources, targets, strict=True)
    ]


def told_apart(sources: Sequence[Source], output: Path | None, style_name: str) -> list[Path]:
    """What each source becomes. Where several would become one file, those whose format changes
    keep its name: a.gif and a.png become a.gif.png and a.png.
    """
    targets = [source.target(output, style_name) for source in sources]
    # Of one case: some file systems take A.jpg and a.jpg for one.
    keys = [str(target).casefold() for target in targets]
    counts = Counter(keys)
    for number, source in enumerate(sources):
        if counts[keys[number]] > 1 and source.path.suffix.lower() != source.suffix.lower():
            targets[number] = source.target(output, style_name, whole=True)
    return targets


def _refuse_collisions(jobs: Sequence[FileJob]) -> None:
    sources = {job.source.resolve(): job.source for job in jobs}
    taken: dict[Path, Path] = {}
    for job in jobs:
        target = job.target.resolve()
        if target in sources:
            raise ConfigError(f"{job.target}: the output would replace an input; choose another")
        if target in taken:
            raise ConfigError(
                f"{taken[target]} and {job.source} would both become {job.target}; "
                "stylize them in two runs"
            )
        taken[target] = job.source


def make_folders(folders: set[Path]) -> None:
    """Raises ImageWriteError where one can't be made or written to."""
    for folder in sorted(folders):
        try:
            make_writable(folder)
        except OSError as error:
            raise ImageWriteError(f"{folder}: can't be written to ({reason(error)})") from error
