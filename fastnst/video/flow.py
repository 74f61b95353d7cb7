"""Optical flow: where what a frame shows was in the one before. By OpenCV's DIS (Kroeger et al.
2016, Fast Optical Flow using Dense Inverse Search), which needs no training and no GPU.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

# What OpenCV takes for none, which its types don't know.
NONE: Any = None
# Sides below which nothing is looked for, in pixels: DIS compares patches of 8 x 8.
LEAST = 32
# Of the flow at each scale. The preset's 5 take half of the time, and make nothing calmer.
REFINEMENTS = 2


def half(picture: NDArray[Any]) -> tuple[int, int]:
    """Rows and columns of half a picture's size, at which motion is looked for."""
    return max(1, picture.shape[0] // 2), max(1, picture.shape[1] // 2)


def resized(picture: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """A picture or field (H, W) or (H, W, C) at ``size``, rows and columns: means of what each
    pixel covers where it becomes smaller, linear where it grows.
    """
    if picture.shape[:2] == size:
        return picture
    smaller = size[0] <= picture.shape[0] and size[1] <= picture.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    result: NDArray[Any] = cv2.resize(picture, size[::-1], interpolation=way)
    return result


def flow(before: Pixels, after: Pixels) -> Floats:
    """How far to the right and below each pixel of ``after`` was in ``before``, both (H, W, 3):
    (H, W, 2) in pixels; 0 where frames are too small to tell.
    """
    if min(after.shape[:2]) < LEAST:
        return np.zeros((*after.shape[:2], 2), np.float32)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(1)
    search.setVariationalRefinementIterations(REFINEMENTS)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (after, before)]
    return np.asarray(search.calc(grey[0], grey[1], NONE), np.float32)


def enlarged(field: Floats, size: tuple[int, int]) -> Floats:
    """A flow for frames of ``size``, rows and columns, from that of smaller ones."""
    by = np.array([size[1] / field.shape[1], size[0] / field.shape[0]], np.float32)
    return np.asarray(resized(field * by, size))


def moved(frame: NDArray[Any], field: Floats, fine: bool = False) -> NDArray[Any]:
    """A frame (H, W, 3) as the next one shows it, by a flow (H, W, 2): linear, or ``fine``, cubic,
    which keeps what is moved again and again from blurring. Its edge goes on beyond it.
    """
    places = field + _grid(*field.shape[:2])
    way = cv2.INTER_CUBIC if fine else cv2.INTER_LINEAR
    result: NDArray[Any] = cv2.remap(frame, places, NONE, way, borderMode=cv2.BORDER_REPLICATE)
    return result


@lru_cache(maxsize=2)
def _grid(height: int, width: int) -> Floats:
    """Each pixel's own column and row (H, W, 2)."""
    rows, columns = np.indices((height, width), np.float32)
    return np.stack([columns, rows], axis=-1)


def difference(before: Pixels, after: Pixels) -> Floats:
    """Of two frames (H, W, 3), in levels (H, W): the mean over the channels."""
    apart = cv2.absdiff(before, after).astype(np.float32)
    return np.asarray(cv2.transform(apart, np.full((1, 3), 1 / 3, np.float32)))


def blended(before: NDArray[Any], after: Pixels, share: Floats) -> NDArray[Any]:
    """``share`` (H, W), 0..1, of ``before`` and the rest of ``after``, both (H, W, 3), in the type
    of ``before``.
    """
    after = after.astype(before.dtype, copy=False)
    return np.asarray(cv2.blendLinear(before, after, share, 1 - share))


def rounded(values: Floats) -> Pixels:
    """Levels as bytes."""
    return np.asarray(cv2.convertScaleAbs(np.maximum(values, 0)))


def enters(field: Floats) -> NDArray[np.bool_]:
    """Which pixels (H, W) come from beyond the edge."""
    height, width = field.shape[:2]
    columns = field[..., 0] + np.arange(width, dtype=np.float32)
    rows = field[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    result: NDArray[np.bool_] = (
        (columns < 0) | (columns > width - 1) | (rows < 0) | (rows > height - 1)
    )
    return result


def steepness(frame: Pixels) -> Floats:
    """By how many levels a frame (H, W, 3), in grey, changes from pixel to pixel (H, W): across and
    down together. What is moved by so much of a pixel wrongly differs by as much of it.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    across, down = (
        np.abs(cv2.Sobel(grey, cv2.CV_32F, dx, dy, scale=1 / 8)) for dx, dy in ((1, 0), (0, 1))
    )
    result: Floats = across + down
    return result


def around(values: NDArray[Any], side: int) -> Floats:
    """Means (H, W) or (H, W, C) over ``side`` x ``side`` pixels around each."""
    result: Floats = cv2.blur(values, (side, side)).astype(np.float32, copy=False)
    return result
