"""High dynamic range to the standard one: PQ and HLG (ITU-R BT.2100) to sRGB, by tables."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Transfer characteristics (ITU-T H.273) that are mapped, and what they are called.
TRANSFERS = {16: "PQ", 18: "HLG"}
# cd/m2: what HDR programmes are graded to, and their white paper (ITU-R BT.2408), which is the
# white of the result.
PEAK, WHITE = 1000.0, 203.0
# BT.2020's primaries to BT.709's, both linear (ITU-R BT.2087).
TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
# Entries of a table: 12 bits, as the best sources have.
ENTRIES = 4096
# SMPTE ST 2084.
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128


def to_standard(codes: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """A frame (H, W, 3) of R'G'B' in BT.2020, 0..65535, as sRGB (H, W, 3), 0..255.

    ``transfer`` is 16 (PQ) or 18 (HLG). Light up to half of white paper's stays as it is; what is
    brighter is rolled off up to 1000 cd/m2 (the curve of ITU-R BT.2390-10, section 5.4.1, on each
    channel); beyond that it is white.
    """
    light = _tables()[TRANSFERS[transfer]][codes >> 4]
    if transfer == 18:
        # The system gamma that makes of the scene's light that of a display of 1000 cd/m2.
        light = light * (light @ LUMINANCE)[..., None] ** np.float32(0.2)
    shown = (light @ TO_709.T).clip(0, 1)
    # By the square root, since the eye tells dark tones apart.
    places = np.sqrt(shown, out=shown)
    places *= ENTRIES - 1
    result: NDArray[np.uint8] = _tones()[np.rint(places).astype(np.uint16)]
    return result


def pq_of(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ's code 0..1 of light in cd/m2."""
    power = (light / 10000) ** M1
    code: NDArray[np.float64] = ((C1 + C2 * power) / (1 + C3 * power)) ** M2
    return code


def light_of_pq(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m2 of PQ's code 0..1."""
    power = code ** (1 / M2)
    light: NDArray[np.float64] = 10000 * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)
    return light


def light_of_hlg(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scene's light 0..1 of HLG's code 0..1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light: NDArray[np.float64] = np.where(
        code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12
    )
    return light


def rolled_off(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light up to ``PEAK`` as light up to ``WHITE``, cd/m2: BT.2390's curve, in PQ's codes."""
    peak, white = pq_of(np.array(PEAK)), pq_of(np.array(WHITE)) / pq_of(np.array(PEAK))
    code = pq_of(light) / peak
    knee = 1.5 * white - 0.5
    t = ((code - knee) / (1 - knee)).clip(0, 1)
    shoulder = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * white
    )
    return light_of_pq(np.where(code < knee, code, shoulder) * peak)


@functools.cache
def _tables() -> dict[str, Floats]:
    """Light by code, as a share of ``PEAK``."""
    codes = np.linspace(0, 1, ENTRIES)
    pq = (light_of_pq(codes) / PEAK).clip(0, 1)
    return {"PQ": pq.astype(np.float32), "HLG": light_of_hlg(codes).astype(np.float32)}


@functools.cache
def _tones() -> NDArray[np.uint8]:
    """Levels of sRGB by the square root of light as a share of ``PEAK``."""
    light = rolled_off(np.linspace(0, 1, ENTRIES) ** 2 * PEAK) / WHITE
    light = light.clip(0, 1)
    levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    result: NDArray[np.uint8] = np.rint(levels * 255).astype(np.uint8)
    return result
