"""Pictures as bytes, in bands of rows: many at once, and little memory beside the picture's."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastnst.image.resize import resize_part
from fastnst.machine.threads import threads

# A picture, sRGB, (H, W, 3), or a mask, (H, W).
Pixels = NDArray[np.uint8]
# Rows and columns.
Size = tuple[int, int]

# Rows of a band.
BAND = 256
# Pixels of a picture on either side of a place that cubic resampling looks at, in its coarser grid.
REACH = 3


def each_band(height: int, work: Callable[[slice], None], of: int = BAND) -> None:
    """``work`` on all bands ``of`` so many rows, as many at once as there are processors: NumPy and
    Pillow let others compute meanwhile.
    """
    bands = [slice(top, min(height, top + of)) for top in range(0, height, of)]
    if len(bands) == 1:
        return work(bands[0])
    with ThreadPoolExecutor(threads()) as pool:
        # Fetched, so that an error is raised.
        list(pool.map(work, bands))
    return None


def resampled(pixels: Pixels, size: Size) -> Pixels:
    """A picture (H, W, 3) or (H, W) at another size, cubic with antialiasing."""
    if pixels.shape[:2] == size:
        return pixels
    result = np.empty((*size, *pixels.shape[2:]), np.uint8)

    def band(rows: slice) -> None:
        result[rows] = resampled_rows(pixels, size, rows)

    each_band(size[0], band)
    return result


def resampled_rows(pixels: Pixels, size: Size, rows: slice) -> Pixels:
    """Those rows of ``resampled``, without a copy of the whole."""
    height, width = pixels.shape[:2]
    scale = height / size[0]
    top, bottom = rows.start * scale, min(height, rows.stop * scale)
    reach = REACH * max(1.0, scale)
    low, high = max(0, math.floor(top - reach)), min(height, math.ceil(bottom + reach))
    part = Image.fromarray(np.ascontiguousarray(pixels[low:high]))
    box = (0, top - low, width, bottom - low)
    wanted = (size[1], rows.stop - rows.start)
    return np.asarray(resize_part(part, wanted, box))
