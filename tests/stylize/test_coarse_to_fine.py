"""Large pictures by a network of a line, on bytes: what is painted is known in closed form."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

import fastnst
from fastnst.engines.openvino_graph import installed
from fastnst.stylize import coarse_to_fine
from fastnst.stylize.bands import BAND, resampled
from fastnst.stylize.coarse_to_fine import painted, steps, with_edges
from fastnst.stylize.effects import Effects, luminance
from tests.stylize.by_bytes import apply, identity, invert, noise, smooth


@pytest.fixture
def amounts(monkeypatch):
    """By how much edges would have been made steeper, had they not been left as they were."""
    found = []

    def left(pixels, amount):
        found.append(amount)
        return pixels

    monkeypatch.setattr(coarse_to_fine, "with_edges", left)
    return found


@pytest.mark.parametrize(
    ("size", "enlarged", "expected"),
    [
        ((2048, 4096), 4, [(256, 512), (512, 1024), (1024, 2048), (2048, 4096)]),
        ((600, 800), 1.5, [(267, 356), (400, 533), (600, 800)]),
        ((3000, 4000), 6, [(204, 272), (500, 667), (1225, 1633), (3000, 4000)]),
        ((1, 1), 10, [(1, 1)] * 5),
        ((700, 900), 3, [(78, 100), (233, 300), (700, 900)]),
    ],
)
def test_steps_begin_small_and_end_at_the_picture(size, enlarged, expected):
    found = steps(size, enlarged)
    assert found[1] == tuple(max(1, round(side / enlarged)) for side in size)
    assert found[-1] == size
    assert found == expected
    for before, after in itertools.pairwise(found):
        assert all(b <= a <= 3.1 * b for b, a in zip(before, after, strict=True))


@pytest.mark.parametrize("enlarged", [1.3, 2, 4, 7.5])
def test_a_network_that_changes_nothing_leaves_the_photographs_luminance(enlarged, amounts):
    photo = noise(130, 170, low=90, high=160)
    found = apply(identity, photo, Effects(stroke_size=enlarged))
    error = np.abs(luminance(found.astype(np.float32) - photo))
    # Filters that are no exact halves of the spectrum, and bytes, cost noise of 20 levels this.
    assert error.mean() < 2
    grey = np.repeat(photo[..., :1], 3, axis=-1)
    assert (
        np.abs(apply(identity, grey, Effects(stroke_size=enlarged)).astype(int) - grey).mean() < 2
    )


def test_coarse_octaves_are_those_that_were_painted_small():
    seen = []

    def network(size, decode):
        decode()
        seen.append(size)
        # The first time a pattern; later nothing of it, another colour.
        return smooth(*size) if len(seen) == 1 else np.full((*size, 3), 40, np.uint8)

    found = apply(network, noise(512, 640), Effects(stroke_size=4))
    assert seen == [(128, 160), (256, 320), (512, 640)]
    wanted = resampled(smooth(128, 160), (512, 640)).astype(int)
    inner = (slice(16, -16), slice(16, -16))
    assert np.abs(found.astype(int) - wanted)[inner].max() <= 4


def test_fine_octaves_are_those_that_were_painted_large():
    checks = (np.indices((256, 256)).sum(axis=0) % 2 * 60)[..., None].astype(np.uint8)

    def network(size, decode):
        return np.full((*size, 3), 90, np.uint8) + (checks if size == (256, 256) else 0)

    found = apply(network, noise(256, 256), Effects(stroke_size=2)).astype(int)
    inner = found[8:-8, 8:-8]
    # The pattern about the colour that was painted small.
    assert set(np.unique(inner)) <= set(range(58, 63)) | set(range(118, 123))


@pytest.mark.parametrize("enlarged", [0.1, 0.5, 10, "auto"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_tiny_pictures_take_any_stroke_size(size, enlarged):
    apply(invert, noise(*size), Effects(stroke_size=enlarged))


def test_small_strokes_are_painted_large_and_shrunk():
    seen = []

    def network(size, decode):
        seen.append(size)
        return decode()

    apply(network, noise(40, 48), Effects(stroke_size=0.5))
    assert seen == [(80, 96)]


@pytest.mark.parametrize("size", [(100, 30), (BAND + 1, 33), (700, 50), (1500, 20)])
def test_bands_leave_no_seam(size):
    pixels = smooth(600, 40) // 2 + noise(600, 40) // 4
    whole = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC)
    found = resampled(pixels, size)
    assert np.abs(found.astype(int) - np.asarray(whole)).max() <= 1


def test_a_picture_that_is_used_up_is_let_go_before_the_last_pass():
    held = [noise(64, 64)]

    def network(size, decode):
        pixels = decode()
        assert bool(held) == (size != (64, 64))
        return pixels.copy()

    painted(network, held, 4, used_up=True)
    assert not held


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_large_picture_looks_like_its_preview(engine):
    if engine == "openvino" and not installed():
        pytest.skip("OpenVINO is not installed")
    wave = fastnst.load("wave", "cpu", engine)
    photo = Image.open(Path(fastnst.__file__).parent / "demo" / "cat.jpg")
    large, small = photo.resize((1350, 900)), photo.resize((768, 512))
    preview = np.asarray(wave(small)).astype(int)
    apart = [
        np.abs(np.asarray(wave(large, stroke_size=size).resize(small.size)) - preview).mean()
        for size in ("auto", 1)
    ]
    assert apart[0] < 0.5 * apart[1]


def test_edges_become_steeper_by_what_a_blur_takes_away_and_never_beyond_their_sides():
    # A ramp of four pixels between two fields, the same in every row.
    line = np.array([10, 10, 10, 50, 100, 150, 190, 190, 190])
    ramp = np.broadcast_to(line[None, :, None], (600, 9, 3)).astype(np.uint8)
    found = with_edges(ramp, 1)
    assert (found == found[:1]).all()
    own = np.pad(line.astype(float), 2, "edge")
    blurred = sum(own[at : at + 9] * weight for at, weight in enumerate((1, 4, 6, 4, 1))) / 16
    wanted = np.rint(2 * line - blurred)
    np.testing.assert_array_equal(found[0, 3:6, 0], wanted[3:6])
    # Beside the ramp the same would be a halo: below 10 and above 190.
    assert wanted[2] < 10
    assert wanted[6] > 190
    np.testing.assert_array_equal(found[0, [0, 1, 2, 6, 7, 8], 0], line[[0, 1, 2, 6, 7, 8]])
    half = with_edges(ramp, 0.5)[0, 3, 0]
    assert abs(half - (1.5 * 50 - 0.5 * blurred[3])) <= 0.5


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (BAND + 1, 7), (3 * BAND, 33)])
def test_edges_stay_between_the_pixels_around(size):
    pixels = noise(*size)
    found = with_edges(pixels, 1)
    assert found.shape == pixels.shape
    np.testing.assert_array_equal(with_edges(pixels, 0), pixels)
    padded = Image.fromarray(np.pad(pixels, ((1, 1), (1, 1), (0, 0)), "edge"))
    for extreme, within in (
        (ImageFilter.MinFilter, np.less_equal),
        (ImageFilter.MaxFilter, np.greater_equal),
    ):
        bound = np.asarray(padded.filter(extreme(3)))[1:-1, 1:-1]
        assert within(bound, found).all()


def test_bands_leave_no_seam_in_edges():
    pixels = noise(3 * BAND, 20)
    rows = slice(BAND - 20, BAND + 20)
    np.testing.assert_array_equal(
        with_edges(pixels, 1)[rows][5:-5], with_edges(pixels[rows], 1)[5:-5]
    )


def test_edges_of_a_picture_a_little_larger_become_a_little_steeper(amounts):
    for enlarged in (0.5, 1, 1.01, 2, 6):
        apply(identity, smooth(120, 120), Effects(stroke_size=enlarged))
    assert amounts == pytest.approx([np.log2(1.01), 1, 1])
