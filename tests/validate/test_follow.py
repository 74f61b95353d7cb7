"""Motion found by blocks: what is known is found, and what is new is not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fastnst.validate.follow import REACH, follow


def picture(seed: int = 0) -> Image.Image:
    cells = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8)
    return Image.fromarray(cells).resize((400, 320), Image.Resampling.BICUBIC)


def window(photo: Image.Image, x: float, y: float) -> np.ndarray:
    box = (x, y, x + 160, y + 128)
    return np.asarray(photo.resize((160, 128), Image.Resampling.BICUBIC, box))


@pytest.mark.parametrize("move", [(0, 0), (3, -2), (-REACH, REACH), (0.5, 0.25), (-4.25, 1.5)])
def test_a_pan_is_found_to_a_quarter_of_a_pixel(move):
    across, down = move
    photo = picture()
    before, after = window(photo, 100, 100), window(photo, 100 + across, 100 + down)
    motion = follow(before, after)
    inside = motion.found[16:-16, 16:-16]
    assert inside.all()
    assert not motion.found[:16].any()
    assert not motion.found[:, -16:].any()
    rows, columns = np.indices(after.shape[:2])
    for taken, place, amount in ((motion.rows, rows, down), (motion.columns, columns, across)):
        right = np.isclose((taken - place)[motion.found], amount, atol=0.01)
        assert right.mean() > 0.9
    assert motion.change(before, after) < (0.01 if move == (int(across), int(down)) else 1.5)


def test_what_a_network_adds_is_all_that_is_left():
    photo = picture()
    before, after = window(photo, 100, 100), window(photo, 105, 98)
    motion = follow(before, after)
    # Every second column brighter by 20 levels, wherever the picture is, which moved by an odd one.
    bars = np.where(np.arange(160) % 2, 20, 0)[None, :, None]
    painted = [(frame // 2 + bars).astype(np.uint8) for frame in (before, after)]
    assert motion.change(*painted) == pytest.approx(20, abs=0.01)


def test_another_picture_is_not_found():
    motion = follow(window(picture(0), 100, 100), window(picture(1), 100, 100))
    assert not motion.found.any()
    assert np.isnan(motion.change(window(picture(0), 0, 0), window(picture(1), 0, 0)))
