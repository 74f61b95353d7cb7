"""What stylizes: a checkpoint, a shipped style, a peer, or a folder of pictures that are made."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import fastnst
from fastnst.checkpoint.contents import load_checkpoint
from fastnst.checkpoint.shipped import find_model
from fastnst.errors import ConfigError, DataError
from fastnst.image import read_picture, resize
from fastnst.photos.collection import pictures_below
from fastnst.validate.likeness import Signature, signature
from fastnst.validate.paintings import stored_signature

Pictures = dict[str, Image.Image]
Stylize = Callable[[Mapping[str, Image.Image]], Pictures]

# Peers that know a style for which they have a folder of weights, and what they call our paintings;
# and peers that take any painting.
TRAINED, ANY = "lengstrom", "microast"
THEIR_NAMES = {"the_scream": "scream", "shipwreck": "wreck"}


@dataclass(frozen=True)
class Candidate:
    """A row or a column: its name, its painting's name and, where known, looks; from photographs
    by name to results by name, of the photographs' sizes.
    """

    name: str
    style: str
    painting: Signature | None
    stylize: Stylize


@dataclass(frozen=True)
class Places:
    """Where peers and paintings lie: a folder with ``lengstrom.py``, ``lengstrom/STYLE``,
    ``microast.py`` and ``microast``; a folder of paintings by their styles' names.
    """

    peers: Path | None = None
    paintings: Path | None = None

    def painting(self, style: str) -> Path | None:
        """The painting of a style's name, None where there is none."""
        if self.paintings is None:
            return None
        return next((one for one in pictures_below(self.paintings) if one.stem == style), None)


def candidate(given: str, places: Places) -> Candidate:
    """The one that a user names: ``lengstrom:STYLE``, ``microast:STYLE`` (a painting of
    ``places``), a folder, a checkpoint, a shipped style. Raises FastnstError.
    """
    kind, _, style = given.partition(":")
    if style and kind in (TRAINED, ANY):
        return _peer(kind, style, places)
    if Path(given).is_dir():
        return _named(given, Path(given).name, None, places, lambda photos: _made(given, photos))
    checkpoint = load_checkpoint(find_model(Path(given)))
    paint = fastnst.load(checkpoint.path)

    def stylize(photos: Mapping[str, Image.Image]) -> Pictures:
        return {name: paint(photo) for name, photo in photos.items()}

    return _named(given, checkpoint.style_name, stored_signature(checkpoint), places, stylize)


def blended(results: Pictures, photos: Mapping[str, Image.Image], share: float) -> Pictures:
    """Results with a share of their photographs over them: legibility that costs no training."""
    return {name: Image.blend(one, photos[name], share) for name, one in results.items()}


def _named(
    name: str, style: str, known: Signature | None, places: Places, stylize: Stylize
) -> Candidate:
    """A candidate with its painting: that of the folder goes before the checkpoint's summary."""
    file = places.painting(style)
    return Candidate(name, style, signature(read_picture(file)) if file else known, stylize)


def _made(folder: str, photos: Mapping[str, Image.Image]) -> Pictures:
    """The pictures of a folder that have the photographs' names, at their sizes."""
    files = {path.stem: path for path in pictures_below(Path(folder))}
    missing = [name for name in photos if name not in files]
    if missing:
        raise DataError(f"{folder}: has no picture named {missing[0]}, as a photograph is")
    return {name: resize(read_picture(files[name]), one.size) for name, one in photos.items()}


def _peer(kind: str, style: str, places: Places) -> Candidate:
    if places.peers is None:
        raise ConfigError(f"{kind}:{style}: say where the peers are with --peers FOLDER")
    program, weights = places.peers / f"{kind}.py", places.peers / kind
    arguments = [program, weights / THEIR_NAMES.get(style, style)]
    if kind == ANY:
        painting = places.painting(style)
        if painting is None:
            raise ConfigError(f"{kind}:{style}: --paintings FOLDER has no painting of that name")
        arguments = [program, weights, painting]
    if not program.exists() or not arguments[1].exists():
        raise DataError(f"{kind}:{style}: {places.peers} has no such peer")
    run = [str(argument) for argument in arguments]
    return _named(f"{kind}:{style}", style, None, places, lambda photos: _by_program(run, photos))


def _by_program(arguments: list[str], photos: Mapping[str, Image.Image]) -> Pictures:
    """Results of ``python ARGUMENTS OUTPUT/ PHOTO ...``, which writes pictures of their names."""
    with tempfile.TemporaryDirectory() as folder:
        sources = [Path(folder) / f"{name}.png" for name in photos]
        for source, photo in zip(sources, photos.values(), strict=True):
            photo.save(source, compress_level=1)
        output = Path(folder) / "results"
        command = [sys.executable, *arguments, str(output), *map(str, sources)]
        subprocess.run(command, check=True)
        return _made(str(output), photos)
