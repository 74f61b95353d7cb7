"""Whose paintings the shipped styles learned: checkpoints/styles.toml, the one list of them."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass

from fastnst.checkpoint.shipped import FOLDERS

# Where a long word of a title may be broken.
SOFT_HYPHEN = "\u00ad"


@dataclass(frozen=True)
class Painting:
    """A painting: ``label`` is its title with soft hyphens, ``full`` the whole of it where that is
    longer; ``year`` is empty where it isn't known; ``note`` says what is odd about the title;
    ``scan`` is where the file is from.
    """

    label: str
    painter: str
    died: int
    scan: str
    year: str = ""
    full: str = ""
    note: str = ""

    @property
    def title(self) -> str:
        """The whole title, such as "The Great Wave off Kanagawa"."""
        return self.full or self.label.replace(SOFT_HYPHEN, "")


@functools.cache
def paintings() -> dict[str, Painting]:
    """The paintings of the gallery by their styles' names; none where nothing is shipped."""
    files = (folder / "styles.toml" for folder in FOLDERS)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return {}
    listed = tomllib.loads(file.read_text(encoding="utf-8"))
    scans = {name: " ".join(text.split()) for name, text in listed["scans"].items()}
    return {
        name: Painting(row.pop("title"), scan=scans[row.pop("scan")], **row)
        for name, row in listed["styles"].items()
    }


def painting_of(name: str) -> Painting | None:
    """The painting of a shipped style, also of one for clips or on a larger network
    (``wave-video``); None for any other.
    """
    return paintings().get(name) or paintings().get(name.rpartition("-")[0])
