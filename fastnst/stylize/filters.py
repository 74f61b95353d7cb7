"""A checkpoint as a Python function, for pictures in whatever form the caller has them."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from fastnst.checkpoint.shipped import find_model
from fastnst.errors import PictureError
from fastnst.stylize.effects import Effects
from fastnst.stylize.given import Picture, opened
from fastnst.stylize.stylizer import Stylizer

# The column of a batch that holds the pictures, as Ray Data's read_images names it.
COLUMN = "image"


class Filter:
    """Call it with a picture, get the stylized picture as a PIL image.

    A picture is a path, a PIL image of any mode, a file's bytes or an open file, or an array
    (H, W, 3) or (H, W), uint8 or float 0..1, RGB, or what NumPy makes one of. A PIL image comes out
    as its file does: upright by its EXIF data, in sRGB by its colour profile, grey of 16 bits in
    full range, transparency kept unless all is opaque; the image itself stays as it is. A mapping
    of arrays, as Ray Data's ``map_batches`` hands them, comes back with the pictures of its column
    "image" (N, H, W, 3) stylized, uint8.

    Threads may share a filter. One that was pickled or deep-copied reads its checkpoint again when
    it is first used, with the same options (device, engine, mix), and that raises CheckpointError
    where the file is gone or has changed. (Not when it is unpickled: where a worker of
    ``multiprocessing.Pool`` fails at that, the pool waits for ever.)
    """

    def __init__(self, stylizer: Stylizer) -> None:
        self._again, self._lock = stylizer.again, threading.Lock()
        self._stylizer: Stylizer | None = stylizer

    @property
    def stylizer(self) -> Stylizer:
        """What computes. Raises CheckpointError in a copy."""
        with self._lock:
            if self._stylizer is None:
                self._stylizer = self._again()
            return self._stylizer

    def __copy__(self) -> Filter:
        shared = type(self).__new__(type(self))
        shared.__dict__.update(self.__dict__)
        return shared

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_stylizer": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str],
        device: str = "auto",
        engine: str = "auto",
        mix: Mapping[str, float] | None = None,
    ) -> Filter:
        """See ``fastnst.load``."""
        parts = [(find_model(Path(other)), share) for other, share in (mix or {}).items()]
        return cls(Stylizer.load(find_model(Path(model)), device, engine, parts))

    @overload
    def __call__(self, picture: Picture, **effects: Any) -> Image.Image: ...
    @overload
    def __call__(self, picture: Mapping[str, Any], **effects: Any) -> dict[str, Any]: ...
    def __call__(
        self, picture: Picture | Mapping[str, Any], **effects: Any
    ) -> Image.Image | dict[str, Any]:
        """Stylize; ``effects`` are the fields of ``fastnst.stylize.effects.Effects``.

        Raises ImageReadError for a file or a PIL image, PictureError, which is a ValueError, for
        anything else that is no picture.
        """
        chosen = Effects(**effects)
        if not isinstance(picture, Mapping):
            return self._one(picture, chosen)
        if COLUMN not in picture:
            raise PictureError(f"a mapping without '{COLUMN}', under which its pictures are to be")
        stylized = [np.asarray(self._one(array, chosen)) for array in picture[COLUMN]]
        return {**picture, COLUMN: np.stack(stylized)}

    def _one(self, picture: Picture, effects: Effects) -> Image.Image:
        rgb, alpha = opened(picture)
        stylized = self.stylizer.picture(rgb, effects)
        if alpha is not None:
            stylized.putalpha(alpha)
        return stylized
