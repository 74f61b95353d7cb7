"""How much a result flickers where a picture moves in a way that is known: no flow is estimated."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastnst.checkpoint.contents import Checkpoint
from fastnst.engines.engine import open_engine
from fastnst.errors import ImageReadError
from fastnst.image import read_picture, resize_part, resize_short_side

Pixels = NDArray[np.uint8]
Network = Callable[[Pixels], Pixels]
# A frame, and how far its content has moved since the one before: (x, y) becomes (x, y) * zoom
# from the middle of the window, less (across, down).
Motion = tuple[float, float, float]

# Sides of a frame, frames of each motion, and pixels at the border that don't count: there each
# pass of a network sees a mirrored picture instead of the next frame's.
WINDOW, FRAMES, MARGIN = 256, 4, 24
# Pixels of the photograph around the first frame.
AROUND = 20
NOISE, BRIGHTER = 2, 1.01
STILL: Motion = (0.0, 0.0, 1.0)
# What moves by what a frame.
MOTIONS: dict[str, Motion] = {
    "pan 1": (1, 0, 1), "pan 4": (4, 0, 1), "pan 1.3/0.7": (1.3, 0.7, 1), "zoom 1 %": (0, 0, 1.01),
    "noise": STILL, "brightness": STILL,
}  # fmt: skip
CASES = tuple(MOTIONS)
# Those that a validation measures, on so many photographs: a camera that moves, or stands.
VALIDATED, PHOTOGRAPHS = ("pan 1", "pan 1.3/0.7", "noise"), 4


def flicker(network: Network, photographs: Sequence[Image.Image], case: str) -> tuple[float, float]:
    """Root mean square change, in levels of 255, of what a network paints of one frame to the next,
    less the motion; and the same of the frames themselves, which is the floor.

    ``network`` is from bytes (H, W, 3) to bytes, ``photographs`` are of mode RGB, at least
    ``WINDOW + 2 * AROUND`` pixels at each side, ``case`` one of ``CASES``. Means over photographs
    and pairs of frames. A network that gives grey has none: look at its contrast beside it.
    """
    found = []
    for number, photograph in enumerate(photographs):
        shown = list(frames(photograph, case, number))
        painted = [network(frame) for frame in shown]
        found += [
            (_change(*after, case), _change(*before, case))
            for after, before in zip(pairwise(painted), pairwise(shown), strict=True)
        ]
    change, floor = np.mean(found, axis=0)
    return float(change), float(floor)


def measure_flicker(checkpoint: Checkpoint, files: Sequence[Path]) -> dict[str, float]:
    """``flicker`` of a checkpoint for each of ``VALIDATED``, on the first of these photographs that
    can be read; nothing where none can. Raises CheckpointError.
    """
    weights = {name: value.numpy() for name, value in checkpoint.weights.items()}
    engine = open_engine("auto", "cpu", checkpoint.info["network"], weights, path=checkpoint.path)
    least = WINDOW + 2 * AROUND
    photographs: list[Image.Image] = []
    for path in files:
        with contextlib.suppress(ImageReadError):
            photographs.append(resize_short_side(read_picture(path, least), least))
        if len(photographs) == PHOTOGRAPHS:
            break
    if not photographs:
        return {}
    return {case: round(flicker(engine, photographs, case)[0], 3) for case in VALIDATED}


def frames(photograph: Image.Image, case: str, seed: int = 0) -> Iterator[Pixels]:
    """The frames (WINDOW, WINDOW, 3) of a motion over a photograph's middle."""
    rng = np.random.default_rng(seed)
    across, down, zoom = MOTIONS[case]
    left, top = (side // 2 - WINDOW // 2 for side in photograph.size)
    for step in range(FRAMES + 1):
        # The later frames' middle lies farther to the right and below; zoomed they show less.
        side = WINDOW / zoom**step
        x, y = (
            place + (WINDOW - side) / 2 + step * move
            for place, move in ((left, across), (top, down))
        )
        if side == WINDOW and x == int(x) and y == int(y):
            frame = np.asarray(photograph.crop((int(x), int(y), int(x) + WINDOW, int(y) + WINDOW)))
        else:
            box = (x, y, x + side, y + side)
            resized = resize_part(photograph, (WINDOW, WINDOW), box)
            frame = np.asarray(resized)
        if case == "noise":
            frame = frame + rng.integers(-NOISE, NOISE + 1, frame.shape)
        elif case == "brightness" and step % 2:
            frame = np.rint(frame * BRIGHTER)
        yield frame.clip(0, 255).astype(np.uint8)


def _change(before: Pixels, after: Pixels, case: str) -> float:
    across, down, zoom = MOTIONS[case]
    if zoom != 1:
        moved = _warped(before, (0, 0), zoom)
    elif across == int(across) and down == int(down):
        moved = np.roll(before, (-int(down), -int(across)), (0, 1))
    else:
        moved = _warped(before, (across, down), 1)
    inside = (slice(MARGIN, -MARGIN),) * 2
    change = after[inside].astype(np.float32) - moved[inside]
    return float(np.sqrt(np.square(change).mean()))


def _warped(frame: Pixels, move: tuple[float, float], zoom: float) -> Pixels:
    """A frame as the next one shows it, cubic."""
    middle = WINDOW / 2
    offsets = [middle - middle / zoom + amount for amount in move]
    matrix = (1 / zoom, 0, offsets[0], 0, 1 / zoom, offsets[1])
    warped = Image.fromarray(frame).transform(
        (WINDOW, WINDOW), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    return np.asarray(warped)
