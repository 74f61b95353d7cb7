"""Faces: does a detector of faces still find those of the photograph?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from fastnst.errors import ConfigError

# Left, top, right, bottom in pixels.
Box = tuple[float, float, float, float]

# Of the photographs' faces those count that are beyond doubt: by width in pixels, and the
# detector's probability.
LEAST_WIDTH, LEAST_PROBABILITY = 24, 0.99
# Intersection over union from which on two faces are one.
SAME = 0.4


class Detector:
    """MTCNN (Zhang et al. 2016) with facenet-pytorch's weights. Raises ConfigError where that is
    not installed.
    """

    def __init__(self) -> None:
        try:
            from facenet_pytorch import MTCNN
        except ImportError as error:
            raise ConfigError(f"no face detector is installed ({error}); run lab/setup") from error
        self.network: Any = MTCNN(keep_all=True)

    def certain(self, photograph: Image.Image) -> list[Box]:
        """The faces of a photograph that are to be found again."""
        return [
            box
            for box, probability in self._detected(photograph)
            if probability >= LEAST_PROBABILITY and box[2] - box[0] >= LEAST_WIDTH
        ]

    def faces(self, picture: Image.Image) -> list[Box]:
        """All faces of a picture of mode RGB."""
        return [box for box, _ in self._detected(picture)]

    def _detected(self, picture: Image.Image) -> list[tuple[Box, float]]:
        # With nothing to look at it fails instead of finding none.
        try:
            boxes, probabilities = self.network.detect(picture)
        except RuntimeError as error:
            if "non-empty" not in str(error):
                raise
            return []
        if boxes is None:
            return []
        return [
            ((float(box[0]), float(box[1]), float(box[2]), float(box[3])), float(probability))
            for box, probability in zip(boxes, probabilities, strict=True)
        ]


def count_found(expected: Sequence[Box], boxes: Sequence[Box]) -> int:
    """How many of the faces expected are among the boxes, each of which is one face's at most."""
    left, found = list(boxes), 0
    for face in expected:
        best = max(left, key=lambda box: overlap(face, box), default=None)
        if best is not None and overlap(face, best) >= SAME:
            left.remove(best)
            found += 1
    return found


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0..1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(width, 0.0) * max(height, 0.0)
    union = _area(one) + _area(other) - both
    return both / union if union > 0 else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
