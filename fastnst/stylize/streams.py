"""The job of a picture that comes or goes by a stream: it needs no file on the way."""

from __future__ import annotations

import os
from pathlib import Path

from fastnst.errors import ConfigError
from fastnst.image import InMemory, PictureFile
from fastnst.image.opening import picture_format
from fastnst.stylize.job import Job, Wanted
from fastnst.stylize.sources import expanded
from fastnst.stylize.targets import check_folder, check_suffix, make_folders

# The suffix of a result by the format of the picture it was made of.
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif",
            "HEIF": ".jpg"}  # fmt: skip
SINGLE = "'-' stands for one picture: give no other input beside it"


def stream_job(source: PictureFile, wanted: Wanted) -> Job:
    """The job of a picture that has come by a stream, or, without ``output``, is to go by one.

    Its target is in memory then. Raises ConfigError unless it is a single picture, and what
    ``fastnst.stylize.targets.plan_jobs`` raises.
    """
    if isinstance(source, Path):
        found = expanded(source)
        if len(found) != 1 or os.path.isdir(found[0]):
            raise ConfigError(SINGLE)
        source = found[0]
    output = wanted.output
    if output is None:
        suffix = SUFFIXES.get(picture_format(source), ".png")
        target: PictureFile = InMemory("stdout", suffix=suffix)
        check_suffix(source, target, wanted.still)
        return Job(source, target, True)
    if not (wanted.names_file and output.suffix):
        check_folder([source], wanted)
        output = output / "stdin.png"
    check_suffix(source, output)
    make_folders({output.parent})
    return Job(source, output, True)
