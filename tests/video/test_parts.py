"""Threads beside the caller's, and high dynamic range by its definitions."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fastnst.errors import ConfigError
from fastnst.video.beside import ROOM, Ahead, Behind
from fastnst.video.hdr import PEAK, WHITE, light_of_hlg, light_of_pq, pq_of, rolled_off, to_standard
from fastnst.video.options import ClipOptions


def test_items_are_drawn_ahead_but_few_of_them():
    drawn, looked = [], threading.Event()

    def source():
        for number in range(50):
            drawn.append(number)
            if number == ROOM:
                looked.set()
            yield number

    with Ahead(source()) as items:
        looked.wait(5)
        assert next(items) == 0
        assert len(drawn) <= ROOM + 3
        assert list(items) == list(range(1, 50))


def test_errors_of_either_thread_are_raised_in_the_callers():
    def broken():
        yield 1
        raise ConfigError("read")

    with pytest.raises(ConfigError, match="read"), Ahead(broken()) as items:
        assert list(items) == [1]

    def work(item):
        raise ConfigError("written")

    def leave(items):
        with Behind(work) as behind:
            for item in items:
                behind.put(item)

    for items in (range(50), [1]):
        with pytest.raises(ConfigError, match="written"):
            leave(items)


def test_an_error_of_the_caller_ends_both():
    before = threading.active_count()

    def interrupted():
        with Ahead(range(10**9)), Behind(lambda _: None) as behind:
            behind.put(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert threading.active_count() == before


def test_pq_and_hlg_are_those_of_their_standards():
    # ITU-R BT.2408, table 1: PQ's and HLG's signal of reference white and of 18 % grey.
    assert pq_of(np.array(203.0)) == pytest.approx(0.58, abs=0.002)
    assert pq_of(np.array(26.0)) == pytest.approx(0.38, abs=0.002)
    codes = np.linspace(0, 1, 50)
    assert np.allclose(pq_of(light_of_pq(codes)), codes, atol=1e-6)
    scene = light_of_hlg(np.array([0.0, 0.5, 0.75, 1.0]))
    assert scene[1] == pytest.approx(1 / 12, rel=1e-6)
    assert 1000 * scene[2] ** 1.2 == pytest.approx(203, rel=0.01)
    assert scene[3] == pytest.approx(1, rel=1e-5)


def test_what_is_mapped_rises_to_white_and_stays_grey():
    light = np.linspace(0, PEAK, 400)
    curve = rolled_off(light)
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == pytest.approx(WHITE, rel=1e-3)
    assert np.allclose(curve[light < 90], light[light < 90])
    ramp = np.repeat(np.linspace(0, 65535, 256).astype(np.uint16)[None, :, None], 3, 2)
    for transfer in (16, 18):
        mapped = to_standard(ramp, transfer)[0].astype(int)
        assert (np.diff(mapped, axis=0) >= 0).all()
        assert np.ptp(mapped, axis=1).max() <= 1
        assert mapped[0].tolist() == [0, 0, 0]
        assert mapped[-1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "wrong",
    [
        {"codec": "mp3"}, {"quality": 64}, {"smooth": 1.1}, {"start": 2.0, "end": 1.0},
        {"frame": 1.0, "start": 0.5},
    ],
)  # fmt: skip
def test_options_out_of_range(wrong):
    with pytest.raises(ConfigError):
        ClipOptions(**wrong)
