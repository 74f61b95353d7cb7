"""fastnst: train and apply feed-forward style networks.

>>> import fastnst
>>> wave = fastnst.load("wave")
>>> picture = wave("photo.jpg")  # a PIL image
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from fastnst.stylize.filters import Filter

__version__ = "0.1.0"


def load(
    model: str | os.PathLike[str],
    device: str = "auto",
    engine: str = "auto",
    mix: Mapping[str, float] | None = None,
) -> Filter:
    """The filter of a checkpoint's file, or of a style that comes with fastnst, by its name.

    ``engine`` is "torch", "openvino" or "auto", which takes what is fastest here. ``mix`` has other
    styles and the share of each, as in ``{"udnie": 0.4}``. Threads may share the filter; it can be
    pickled (``fastnst.stylize.filters.Filter``).
    Raises CheckpointError or ConfigError.
    """
    # Imported here, so that "import fastnst" costs nothing.
    from fastnst.stylize.filters import Filter

    return Filter.load(model, device, engine, mix)
