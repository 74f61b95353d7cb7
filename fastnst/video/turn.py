"""How players turn and mirror frames, as phones' clips have it."""

from __future__ import annotations

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
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    numbers = struct.unpack("=9i", bytes(data)[:36])
    a, b, c, d = ((n > 0x8000) - (n < -0x8000) for n in (*numbers[0:2], *numbers[3:5]))
    return (a, b, c, d) if abs(a * d - b * c) == 1 and a * b == 0 else (1, 0, 0, 1)


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
