"""How players turn and mirror frames, as phones' clips have it."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def turn_of(frame: VideoFrame) -> tuple[int, int, int, int]:
    """How players turn a frame: (a, b, c, d) of ISO's matrix, x' = ax + cy and y' = bx + dy, each
    -1, 0 or 1; as it is where there is none, or one that does more than turn and mirror.
    """
    a, b, c, d = ((n > 0x8000) - (n < -0x8000) for n in _matrix(frame))
    return (a, b, c, d) if abs(a * d - b * c) == 1 and a * b == 0 else (1, 0, 0, 1)


def slant_of(frame: VideoFrame) -> str:
    """What is to be told of a frame that is to be shown turned by more or less than ``turn_of``
    has it, by over a degree.
    """
    a, b, _, _ = _matrix(frame)
    across, along, _, _ = turn_of(frame)
    wanted, done = (math.degrees(math.atan2(y, x)) for y, x in ((b, a), (along, across)))
    if abs((wanted - done + 180) % 360 - 180) <= 1:
        return ""
    return f"turned by {done:g} degrees, not by {wanted:.0f}: only quarter turns are applied"


def _matrix(frame: VideoFrame) -> tuple[int, ...]:
    """a, b, c and d of a frame's matrix, in parts of 65,536."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 0x10000, 0, 0, 0x10000
    numbers = struct.unpack("=9i", bytes(data)[:36])
    return (*numbers[0:2], *numbers[3:5])


def upright(pixels: Pixels, turn: tuple[int, int, int, int]) -> Pixels:
    """Pixels (H, W, 3) turned and mirrored by ``turn_of``'s matrix."""
    a, b, c, d = turn
    if a == 0:
        pixels = pixels.swapaxes(0, 1)
    if a + c < 0:
        pixels = pixels[:, ::-1]
    if b + d < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
