"""Less than the full style, painted: by a network between the style's and a photograph's.

A blend of the photograph and the result shows both, one through the other. Networks that started
from the same one can be mixed in their weights instead (``fastnst.checkpoint.mixing``), and one of
them paints photographs as they are. What lies between it and a style paints as it does, only less:
colours stay full and edges single. Instance norm takes a photograph's own colours and contrast
away; what the photograph's network lacks for that is given back, by the photograph's share. At a
strength of 0 that is the photograph itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fastnst.checkpoint.mixing import Part, mixed
from fastnst.engines.engine import Engine
from fastnst.stylize.bands import Pixels, Size, each_band
from fastnst.stylize.coarse_to_fine import Network, painted
from fastnst.stylize.effects import Effects, finished

# Of weights half way little of the style is seen: the style's share is the strength to this power,
# by which results come about as near to the painting as a blend's (scripts/compare_strengths).
POWER = 0.75


class Weaker:
    """A style at less than its full strength: ``style`` and ``photograph`` are the weights of both
    ends, ``build`` makes an engine of weights.

    Threads may share one.
    """

    def __init__(self, build: Callable[[Any], Engine], style: Part, photograph: Part) -> None:
        self._build, self._style, self._photograph = build, style, photograph
        self._lock = threading.Lock()
        # By share of the style: the photograph's own network, and the strength asked for last.
        self._engines: dict[float, Engine] = {}

    def engine(self, share: float) -> Engine:
        """The network whose weights have the style's by a share, 0..1."""
        with self._lock:
            if share not in self._engines:
                weights = mixed(self._style, [self._photograph], [1 - share])
                for other in [other for other in self._engines if other and share]:
                    del self._engines[other]
                self._engines[share] = self._build(weights)
            return self._engines[share]

    def stylized(
        self,
        passes: Callable[[Engine], Network],
        size: Size,
        decode: Callable[[], Pixels],
        effects: Effects,
        mask: Pixels | None = None,
    ) -> Pixels:
        """``fastnst.stylize.effects.stylized`` at a strength between 0 and 1; ``passes`` are those
        of an engine.
        """
        photo = decode()
        enlarged = effects.enlarged(size)
        share = effects.strength**POWER
        result = painted(passes(self.engine(share)), [photo], enlarged)
        plain = painted(passes(self.engine(0)), [photo], enlarged)
        _give_back(result, photo, plain, 1 - share)
        del plain
        return finished(result, photo, replace(effects, strength=1.0), mask)


def _give_back(result: Pixels, photo: Pixels, plain: Pixels, share: float) -> None:
    """Add to ``result`` a share of what ``plain`` lacks of ``photo``, all of one size."""

    def band(rows: slice) -> None:
        lacking = photo[rows].astype(np.float32) - plain[rows]
        result[rows] = np.rint(result[rows] + np.float32(share) * lacking).clip(0, 255)

    each_band(len(photo), band)
