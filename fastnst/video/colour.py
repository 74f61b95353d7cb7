"""Colours of a clip: its matrix and range, the same both ways, and tags that say so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from fastnst.errors import ClipReadError
from fastnst.video.hdr import TRANSFERS, to_standard

Pixels = NDArray[np.uint8]

# Numbers of ITU-T H.273, by FFmpeg's names. Matrices:
RGB, BT709, UNSPECIFIED, BT601 = 0, 1, 2, 6
# swscale's number by that of the matrix. 10 is BT.2020 with constant luminance, which nobody has.
SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
# Ranges.
LIMITED, FULL = 1, 2
# Sides from which a clip that doesn't say is BT.709, as players take it.
HD_WIDTH, HD_HEIGHT = 1280, 577
# Without these a grey edge is off by three levels, and chroma is that of every second pixel.
EXACT = (
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
)  # fmt: skip
ALPHA = frozenset(("yuva", "rgba", "bgra", "argb", "abgr", "gbra", "ya8", "ya16"))


@dataclass(frozen=True)
class Colours:
    """How a clip's numbers mean colours: matrix, range, primaries and transfer (ITU-T H.273)."""

    matrix: int
    range: int
    primaries: int
    transfer: int

    @property
    def hdr(self) -> str:
        """What kind of high dynamic range it is, or nothing."""
        return TRANSFERS.get(self.transfer, "")

    def written(self) -> Colours:
        """Those of the result: limited range, standard dynamic range."""
        if self.hdr:
            return Colours(BT709, LIMITED, 1, 1)
        return replace(self, range=LIMITED)


def colours_of(frame: VideoFrame) -> Colours:
    """A frame's colours, what it doesn't say taken as players take it.

    Raises ClipReadError for a matrix that isn't known here.
    """
    told: Any = frame
    matrix, range = int(told.colorspace), int(told.color_range)
    if frame.format.is_rgb or matrix in (RGB, UNSPECIFIED):
        hd = frame.width >= HD_WIDTH or frame.height >= HD_HEIGHT
        matrix = BT709 if hd else BT601
    if matrix not in SWSCALE:
        raise ClipReadError(f"its colours are coded by a matrix that isn't known here ({matrix})")
    if range not in (LIMITED, FULL):
        range = FULL if frame.format.is_rgb or "yuvj" in frame.format.name else LIMITED
    return Colours(matrix, range, int(told.color_primaries), int(told.color_trc))


def has_alpha(format: VideoFormat) -> bool:
    """Whether frames of a pixel format have transparency."""
    return any(format.name.startswith(name) for name in ALPHA)


class ToRGB:
    """Frames to sRGB (H, W, 3), in the size given; HDR is mapped."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame, colours: Colours) -> Pixels:
        """A frame's pixels."""
        width, height = self.size
        rgb = self._reformatter.reformat(
            frame, width, height, "rgb48le" if colours.hdr else "rgb24",
            src_colorspace=SWSCALE[colours.matrix], src_color_range=colours.range,
            dst_color_range=FULL, interpolation=EXACT,
        )  # fmt: skip
        pixels: Any = rgb.to_ndarray()
        result: Pixels = to_standard(pixels, colours.transfer) if colours.hdr else pixels
        return result


class FromRGB:
    """sRGB (H, W, 3) to frames of a pixel format."""

    def __init__(self, format: str, colours: Colours) -> None:
        self.format, self.colours = format, colours
        self._reformatter = VideoReformatter()

    def __call__(self, pixels: Pixels) -> VideoFrame:
        """A frame of the pixels."""
        frame = VideoFrame.from_ndarray(pixels, format="rgb24")
        if self.format == "bgr0":
            return self._reformatter.reformat(frame, format=self.format)
        return self._reformatter.reformat(
            frame, format=self.format, src_color_range=FULL,
            dst_colorspace=SWSCALE[self.colours.matrix], dst_color_range=self.colours.range,
            interpolation=EXACT,
        )  # fmt: skip
