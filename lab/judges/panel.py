"""All judges together, over the same photographs, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean

from PIL import Image

from fastnst.errors import DataError
from fastnst.image import limit_long_side, read_picture
from fastnst.photos.collection import find_photos, pick_evenly
from fastnst.validate.likeness import Signature, kept, likeness, signature
from judges.edges import edges
from judges.faces import Detector, count_found
from judges.hues import hues
from judges.recognition import Classifiers, recognized

Pictures = Mapping[str, Image.Image]

# Pixels of the long side: about what people look at, and what the figures of others were taken at.
SIDE = 640


@dataclass(frozen=True)
class Verdict:
    """What the judges say of one candidate: means over photographs; None where nothing is known.

    likeness is 0 for the painting; all others are 1 for the photograph itself. faces is the share
    of the photographs' faces that are found.
    """

    likeness: float | None
    kept: float
    top5: float
    like: float
    found: float
    edges: float
    hues: float
    faces: float | None

    def text(self) -> str:
        """The figures, in the columns of ``HEADING``."""
        values = (getattr(self, name) for name in COLUMNS)
        return "".join(f"{'-' if value is None else format(value, '.3f'):>9}" for value in values)


COLUMNS = tuple(field.name for field in fields(Verdict))
HEADING = "".join(f"{name:>9}" for name in COLUMNS)


class Panel:
    """The judges, who have seen the photographs: ``subjects`` for all but the faces of ``people``;
    pictures of mode RGB by name. Raises ConfigError where a judge is not installed.
    """

    def __init__(self, subjects: Pictures, people: Pictures) -> None:
        self.subjects, self.people = subjects, people
        self.classifiers, self.detector = Classifiers(), Detector()
        self.recognized = self.classifiers.see(list(subjects.values()))
        self.faces = {name: self.detector.certain(one) for name, one in people.items()}
        self.signatures = {name: signature(one) for name, one in subjects.items()}

    @property
    def photographs(self) -> dict[str, Image.Image]:
        """All of them by name."""
        return {**self.subjects, **self.people}

    @property
    def count_faces(self) -> int:
        return sum(map(len, self.faces.values()))

    def judge(self, results: Pictures, painting: Signature | None) -> Verdict:
        """The verdict on results by the photographs' names."""
        pairs = [(results[name], photo) for name, photo in self.subjects.items()]
        seen = self.classifiers.see([result for result, _ in pairs])
        recognition = recognized(seen, self.recognized)
        return Verdict(
            self._likeness(results, painting),
            fmean(kept(*pair) for pair in pairs),
            recognition.top5, recognition.like, recognition.found,
            fmean(edges(*pair) for pair in pairs),
            fmean(hues(*pair) for pair in pairs),
            self._faces(results),
        )  # fmt: skip

    def _likeness(self, results: Pictures, painting: Signature | None) -> float | None:
        if painting is None:
            return None
        return fmean(
            likeness(signature(results[name]), painting, own)
            for name, own in self.signatures.items()
        )

    def _faces(self, results: Pictures) -> float | None:
        found = sum(
            count_found(expected, self.detector.faces(results[name]))
            for name, expected in self.faces.items()
            if expected
        )
        return found / self.count_faces if self.count_faces else None


def read_photographs(
    data: str, names: Path | None = None, count: int | None = None
) -> dict[str, Image.Image]:
    """Photographs of a folder, list or glob by their files' names without suffix, 640 pixels long
    at most; of those only the ones that the text file ``names`` has, one a line, and of these
    ``count`` at even distances. Raises DataError where one is not there, ImageReadError.
    """
    files = {path.stem: path for path in find_photos(data)}
    if names is not None:
        wanted = _names(names)
        missing = [name for name in wanted if name not in files]
        if missing:
            raise DataError(f"{data}: has no photograph {missing[0]}, which {names} names")
        files = {name: files[name] for name in wanted}
    chosen = pick_evenly(list(files.values()), len(files) if count is None else count)
    return {path.stem: limit_long_side(read_picture(path), SIDE) for path in chosen}


def _names(file: Path) -> Sequence[str]:
    try:
        lines: Iterable[str] = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise DataError(f"{file}: can't be read as a list of names ({error})") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
