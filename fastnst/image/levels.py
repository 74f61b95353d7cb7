"""Which numbers are black and white, in pictures that don't hold bytes.

Floats, signed and wide integers have no range that every program agrees on, and sensors' 10, 12 or
14 bits are often stored in 16. What can be told from the numbers is taken, and said.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

# Tags of TIFF: bits of a sample, what 0 stands for, and the samples' kind (2: signed integers).
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
# The greatest numbers that mean white, those of 8, 10, 12, 14, 15 and 16 bits.
INTEGERS = (255, 1023, 4095, 16383, 32767, 65535)
FLOATS = (1.0, 255.0, 65535.0)
# A picture whose brightest pixel is darker than this share of white is taken for one of fewer bits.
DARK = 0.25
NEARLY_ALL = 0.9
# Floats outside of a range that it is taken for all the same: highlights, and what sharpening left.
OUTSIDE = 0.02
# So many numbers are enough to see how they lie.
SAMPLE = 1_000_000


@dataclass(frozen=True)
class Span:
    """The numbers that are black and white, and what to say of them, if anything."""

    black: float
    white: float
    note: str = ""

    def to_bytes(self, values: np.ndarray) -> np.ndarray:
        """Numbers of any kind as uint8 of the same shape; what is no number is black."""
        shares = (values.astype(np.float64) - self.black) / ((self.white - self.black) or 1.0)
        shares = np.nan_to_num(shares, nan=0.0, posinf=1.0, neginf=0.0)
        return np.round(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def span_of(values: np.ndarray, bits: int | None = None) -> Span:
    """What is black and white in an array of any shape; ``bits`` of an integer without its sign,
    where a file says them.
    """
    if values.dtype.kind == "f":
        return _of_floats(values)
    low, high = (int(end) for end in (values.min(initial=0), values.max(initial=0)))
    of_type = int(np.iinfo(values.dtype).max).bit_length()
    return _of_integers(low, high, bits or of_type)


def _of_integers(low: int, high: int, bits: int) -> Span:
    if low < 0 or high > INTEGERS[-1]:
        # Of all the numbers that 32 bits hold, few programs use more than they need.
        all_of_them = low >= 0 and high > (2**bits - 1) * NEARLY_ALL
        return Span(0, 2**bits - 1) if all_of_them else _unknown(low, high)
    white = 2 ** min(bits, 16) - 1
    if high > white * DARK:
        return Span(0, white)
    fewer = next(white for white in INTEGERS if white >= high)
    told = f"its greatest number is {high} of {white}; read as {fewer.bit_length()} bits"
    return Span(0, fewer, told if fewer < white and high else "")


def _of_floats(values: np.ndarray) -> Span:
    every = max(1, values.size // SAMPLE)
    numbers = values.reshape(-1)[::every].astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return Span(0, 1)
    low, most, high = np.quantile(numbers, (OUTSIDE, 1 - OUTSIDE, 1))
    for white in FLOATS:
        if low >= -white * OUTSIDE and most <= white and (white == 1 or high > white * DARK):
            # A little above is rounding, or what resampling leaves.
            bright = high > white * (1 + 5 * OUTSIDE)
            told = f"its numbers go up to {high:.4g}; those above {white:g} are white"
            return Span(0, white, told if bright else "")
    return _unknown(float(numbers.min()), float(high))


def _unknown(low: float, high: float) -> Span:
    return Span(
        low,
        high,
        f"the range of its numbers is not known; the least ({low:.6g}) is read as black and the "
        f"greatest ({high:.6g}) as white",
    )


@dataclass(frozen=True)
class Samples:
    """What a TIFF's tags say of its numbers: bits, kind (2: signed), and whether 0 is white."""

    bits: int | None = None
    kind: int = 1
    inverted: bool = False


def samples_of(image: Any) -> Samples:
    """What an image's file says of its numbers; a copy doesn't know it any more."""
    if image.format != "TIFF" or not hasattr(image, "tag_v2"):
        return Samples()
    bits, kind, zero = (_first(image.tag_v2.get(tag)) for tag in (BITS, SAMPLE_FORMAT, PHOTOMETRIC))
    # Pillow turns round what is of bytes, and leaves the others as they are.
    return Samples(bits, kind or 1, zero == 0 and image.mode not in ("1", "L"))


def settle_grey(image: Any, samples: Samples) -> list[str]:
    """Grey other than bytes, in place: white becomes 65535 of what has 16 bits (mode I;16), and 255
    (L) of floats and of what is signed or wider. Returns what to say of it.
    """
    values = _numbers(image, samples)
    if values is None:
        return []
    of_16 = image.mode.startswith("I;16")
    span = span_of(values, samples.bits and samples.bits - (samples.kind == 2))
    if samples.inverted:
        span = Span(span.white, span.black, span.note)
    if not of_16:
        _become(image, span.to_bytes(values), "L")
        # What its profile says is of numbers that are gone.
        image.info.pop("icc_profile", None)
    elif (span.black, span.white) != (0, INTEGERS[-1]):
        wide = (values.astype(np.float64) - span.black) / (span.white - span.black) * INTEGERS[-1]
        _become(image, np.round(wide).clip(0, INTEGERS[-1]).astype(np.uint16), "I;16")
    return [span.note] if span.note else []


def of_16_bits(image: Any) -> bool:
    """Whether Pillow is about to read a colour picture's 16 bits as 8."""
    return bool(image.tile) and ";16" in _raw_mode(image.tile[0]) and image.mode[0] != "I"


def settle_colour(image: Any, again: Callable[[], Any]) -> list[str]:
    """Colour ``of_16_bits`` that is nearly black, in place, as of those bits that it uses.

    Pillow has left out the low half of each number; ``again`` opens the file anew for them. Returns
    what to say of it.
    """
    bands = image.getbands()
    colours = len(bands) - (bands[-1] in ("A", "a"))
    if max(image.getchannel(band).getextrema()[1] for band in range(colours)) >= 256 * DARK:
        return []
    with again() as other:
        other.tile = [_with_low_halves(tile) for tile in other.tile]
        numbers = np.asarray(image).astype(np.uint16) * 256
        # Pillow doesn't know grey with alpha in that order.
        with contextlib.suppress(ValueError):
            numbers += np.asarray(other)
    span = span_of(numbers[..., :colours])
    if not span.note:
        return []
    parts = [span.to_bytes(numbers[..., :colours])]
    if colours < len(bands):
        alpha = numbers[..., colours:]
        parts.append(span_of(alpha).to_bytes(alpha))
    image.im = Image.fromarray(np.concatenate(parts, -1), image.mode).im
    return [span.note]


def _with_low_halves(tile: Any) -> Any:
    """What tells Pillow to take the low half of each number of 16 bits, where it takes the high."""
    colours, _, order = _raw_mode(tile).partition(";16")
    # What libtiff decodes is in the machine's own order, whatever the file's.
    if tile.codec_name == "libtiff":
        order = "L" if sys.byteorder == "little" else "B"
    swapped = f"{colours};16{'B' if order == 'L' else 'L'}"
    return tile._replace(args=swapped if isinstance(tile.args, str) else (swapped, *tile.args[1:]))


def _raw_mode(tile: Any) -> str:
    return str(tile.args if isinstance(tile.args, str) else tile.args[0])


def _numbers(image: Any, samples: Samples) -> np.ndarray | None:
    """A grey picture's numbers as they were meant; nothing of pictures of bytes."""
    if image.mode == "L" and samples.kind == 2:
        return np.asarray(image).view(np.int8)
    # Pillow has no integers without a sign that wide.
    if image.mode == "I" and samples.bits == 32 and samples.kind == 1:
        return np.asarray(image).view(np.uint32)
    is_wide = image.mode in ("I", "F") or image.mode.startswith("I;16")
    return np.asarray(image) if is_wide else None


def _become(image: Any, values: np.ndarray, mode: str) -> None:
    image.im = Image.fromarray(values).im
    image._mode = mode


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value
