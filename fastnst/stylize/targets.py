"""Which file becomes which, and which inputs are results of an earlier run."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fastnst.errors import ConfigError, ImageWriteError
from fastnst.image import PictureFile, check_writable_format, is_own, written_suffix
from fastnst.image.encode import WRITE_FORMATS
from fastnst.machine.files import make_writable, reason
from fastnst.machine.notify import Notify, silent
from fastnst.photos.folders import is_below, look_below, matching, passed_over, same_folder
from fastnst.photos.lists import LIST, read_list
from fastnst.stylize.job import FileJob, Wanted
from fastnst.video.options import (
    CONTAINERS,
    INSTALL,
    check_writable_clip,
    is_clip,
    is_installed,
    written_clip_suffix,
)

NAMES_OF_FILES = frozenset((*WRITE_FORMATS, *CONTAINERS))


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


def plan_jobs(inputs: Sequence[Path], wanted: Wanted, notify: Notify = silent) -> list[FileJob]:
    """Which file becomes which, before anything is written.

    A folder stands for the pictures and clips in it and below, whose tree the output repeats. The
    output is a file for a single input file if it has a suffix, else a folder; without one, the
    results of files lie beside them as NAME-STYLE.SUFFIX. Where inputs from several folders have
    one name, their results keep the folders in which they differ; where only their formats differ
    (a.gif, a.png) those whose format changes keep its name (a.gif.png). What is given twice is done
    once. Results of earlier runs among
    the inputs are left out, and ``notify`` gets a line on them and on whatever else was passed
    over. Missing inputs are left for the reader to report.

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
        sources = [replace(one, still=wanted.still) for one in _sources(inputs, output, notify)]
        sources = _once(sources)
        sources, results = _split(sources, wanted)
        jobs = _jobs(sources, wanted, results)
        _tell_of_results(results, jobs, notify)
        _tell_of_strangers(inputs, output, jobs, notify)
    _refuse_collisions(jobs)
    # Beside an input that isn't there is no place to be made.
    make_folders({job.target.parent for job in jobs if output or os.path.exists(job.source)})
    return jobs


def check_suffix(source: PictureFile, target: PictureFile, still: bool = False) -> None:
    """Raises ImageWriteError, or ClipWriteError, unless the target's suffix is one that the result
    of the source can have.
    """
    moves = is_clip(source) and not still
    (check_writable_clip if moves else check_writable_format)(target)


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


def check_folder(inputs: Sequence[PictureFile], wanted: Wanted) -> None:
    """Raises ConfigError unless the output can be a folder for the results of these inputs."""
    output = wanted.output
    if output is not None and output.is_file():
        raise ConfigError(f"{output}: is a file, but a folder is needed for several pictures")
    if output is not None and wanted.names_file and output.suffix.lower() in NAMES_OF_FILES:
        raise ConfigError(
            f"{output}: names one file, but there are several; name a folder, or end it with / "
            "if it is one"
        )
    if output is None and any(isinstance(path, Path) and os.path.isdir(path) for path in inputs):
        raise ConfigError("a folder of pictures needs a folder for the results: --output PATH")


def _sources(inputs: Sequence[Path], output: Path | None, notify: Notify) -> Iterator[Source]:
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
            found.passed += Counter({f"clip: {INSTALL} reads them": len(found.clips)})
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


def _once(sources: Sequence[Source]) -> list[Source]:
    """Each source once, however often it was given."""
    seen: dict[tuple[str, Path], Source] = {}
    for source in sources:
        seen.setdefault((os.path.abspath(source.path), source.below), source)
    return list(seen.values())


def _target(source: Source, output: Path | None, style_name: str, whole: bool = False) -> Path:
    """What a source becomes; ``whole`` keeps its suffix in the name, before the result's own."""
    path, below, suffix = source.path, source.below, source.suffix
    if output is None:
        return path.with_name(f"{path.name if whole else path.stem}-{style_name}{suffix}")
    return output / below.with_name((below.name if whole else below.stem) + suffix)


def _split(sources: Sequence[Source], wanted: Wanted) -> tuple[list[Source], list[Source]]:
    """The sources without those that an earlier run has made of another one of them, and these.

    Such a result is called PHOTO-STYLE beside its photograph, or lies in a folder of its own below
    that of the photographs, and has the mark that results have; of this very style the name says
    enough, unless a photograph of that name could be lost.
    """
    stems = {(source.folder, str(source.below.with_suffix(""))) for source in sources}
    stems |= {(source.folder, str(source.below)) for source in sources}
    targets = {
        os.path.abspath(_target(source, None, wanted.style_name, whole))
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


def _is_own(path: Path) -> bool:
    """Whether fastnst has written a file, as far as its mark tells."""
    if not is_clip(path):
        return is_own(path)
    if not is_installed():
        return False
    from fastnst.video.probe import is_own_clip

    return is_own_clip(path)


def _tell_of_results(results: Sequence[Source], jobs: Sequence[FileJob], notify: Notify) -> None:
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


def _has_photograph(source: Source, stems: set[tuple[Path, str]]) -> bool:
    """Whether there is a picture among the sources that this one may be the result of."""
    folder, below = source.folder, source.below.with_suffix("")
    dashes = [place for place, letter in enumerate(below.name) if letter == "-" and place]
    names = [str(below.with_name(below.name[:dash])) for dash in dashes]
    names += [str(Path(*below.parts[depth:])) for depth in range(1, len(below.parts))]
    return any((folder, name) in stems for name in names)


def _jobs(sources: Sequence[Source], wanted: Wanted, results: Sequence[Source]) -> list[FileJob]:
    """A job for each source; where several from different folders would become one file, the inputs
    that they belong to keep the folders below the deepest that they have in common.
    """
    output, style_name, sources = wanted.output, wanted.style_name, list(sources)
    targets = [_target(source, output, style_name) for source in sources]
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
    targets = [_target(source, output, style_name) for source in sources]
    # Of one case: some file systems take A.jpg and a.jpg for one.
    keys = [str(target).casefold() for target in targets]
    counts = Counter(keys)
    for number, source in enumerate(sources):
        if counts[keys[number]] > 1 and source.path.suffix.lower() != source.suffix.lower():
            targets[number] = _target(source, output, style_name, whole=True)
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
