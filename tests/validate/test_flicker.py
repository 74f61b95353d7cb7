"""Flicker by known motion: none of what moves along, all of what doesn't."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import make_picture

from fastnst.validate.flicker import AROUND, CASES, WINDOW, flicker, frames

SIDE = WINDOW + 2 * AROUND


@pytest.fixture(scope="module")
def photographs():
    return [make_picture(SIDE + 30 * number, SIDE, number) for number in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_the_picture_itself_has_its_floor_and_whole_pans_have_none(case, photographs):
    change, floor = flicker(lambda pixels: pixels, photographs, case)
    assert change == floor
    if case in ("pan 1", "pan 4"):
        assert change == 0
    # Of two frames' noise, each uniform over five levels: the root of 2 * 2.
    if case == "noise":
        assert change == pytest.approx(2, rel=0.05)
    elif case != "brightness":
        assert change < 2.5


def by_place(pixels):
    """Tells pixels apart by their place modulo 4, as a network does that computes at a quarter."""
    painted = pixels.astype(int)
    painted[:, ::4] += 40
    return painted.clip(0, 255).astype(np.uint8)


def test_what_is_tied_to_a_place_flickers_unless_it_moves_by_just_that(photographs):
    grey = [picture.point(lambda level: level // 2) for picture in photographs]
    # Half of the columns change by 40.
    assert flicker(by_place, grey, "pan 1")[0] == pytest.approx(40 * 0.5**0.5, rel=1e-3)
    assert flicker(by_place, grey, "pan 4")[0] == 0


def test_what_moves_along_does_not_flicker(photographs):
    def inverted(pixels):
        return 255 - pixels

    for case in CASES:
        change, floor = flicker(inverted, photographs, case)
        assert change == pytest.approx(floor, rel=0.05, abs=0.05)


def test_frames_are_a_window_of_the_photograph(photographs):
    first, second, *_ = frames(photographs[0], "pan 4")
    assert first.shape == (WINDOW, WINDOW, 3)
    assert (first[:, 4:] == second[:, :-4]).all()
    zoomed = list(frames(photographs[0], "zoom 1 %"))
    assert (zoomed[0] != zoomed[1]).any()
