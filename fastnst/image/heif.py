"""HEIC, the photographs of iPhones: the extra ``heif``."""

from __future__ import annotations

import importlib.util
from typing import Any

from fastnst.errors import ImageReadError
from fastnst.image.in_memory import PictureFile, for_pillow
from fastnst.machine.parts import install

SUFFIXES = frozenset((".heic", ".heif", ".hif"))
INSTALL = install("heif")


def is_there() -> bool:
    """Whether HEIC can be read here; nothing is imported to know it."""
    return importlib.util.find_spec("pi_heif") is not None


def opened(file: PictureFile) -> Any:
    """The file as a Pillow image whose pixels are decoded later, upright as libheif turns it.

    Raises ImageReadError without the extra, SyntaxError and the like for a broken file.
    """
    try:
        from pi_heif import HeifImageFile
    except (ImportError, OSError) as error:
        raise ImageReadError(f"{file}: a HEIC picture; {INSTALL} to read it") from error
    # Called by itself: to register it would change Pillow for the whole process.
    return HeifImageFile(for_pillow(file))
