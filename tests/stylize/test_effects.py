"""Effects by a network of a line, on bytes: what they do is known in closed form."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastnst
from fastnst.engines.openvino_graph import installed
from fastnst.errors import ConfigError
from fastnst.stylize.effects import (
    BAND,
    SHORT_SIDE,
    Effects,
    finished,
    luminance,
    painted,
    resampled,
    steps,
    stylized,
    with_colors_of,
)

PLAIN = Effects(stroke_size=1)


def invert(size, decode):
    pixels = decode()
    assert pixels.shape == (*size, 3)
    return 255 - pixels


def identity(size, decode):
    return decode().copy()


def noise(*size, low=0, high=256, seed=0):
    return np.random.default_rng(seed).integers(low, high, (*size, 3), dtype=np.uint8)


def smooth(height, width):
    """Waves of 64 pixels and more, whose every octave is far below the finest."""
    rows, columns = np.mgrid[:height, :width] / 64 * 2 * np.pi
    waves = [np.sin(rows), np.sin(columns / 2), np.cos((rows + columns) / 3)]
    return np.rint(127 + 60 * np.stack(waves, -1)).astype(np.uint8)


def apply(network, photo, effects, mask=None):
    before = photo.copy()
    found = stylized(network, photo.shape[:2], lambda: photo, effects, mask)
    np.testing.assert_array_equal(photo, before)
    assert found.shape == photo.shape
    assert found.dtype == np.uint8
    return found


def test_strength_blends_from_the_photograph_to_the_style():
    photo = noise(300, 48)
    blends = [apply(invert, photo, Effects(share, stroke_size=1)) for share in (0, 0.5, 1)]
    np.testing.assert_array_equal(blends[0], photo)
    assert np.abs(blends[1].astype(float) - 127.5).max() <= 0.5
    np.testing.assert_array_equal(blends[2], 255 - photo)


def test_a_mask_is_stylized_where_it_is_white():
    photo, mask = noise(300, 48), np.zeros((300, 48), np.uint8)
    mask[:, :24] = 255
    found = apply(invert, photo, PLAIN, mask)
    np.testing.assert_array_equal(found[:, :24], 255 - photo[:, :24])
    np.testing.assert_array_equal(found[:, 24:], photo[:, 24:])
    faint = apply(invert, photo, PLAIN, np.full((300, 48), 51, np.uint8)).astype(float)
    assert np.abs(faint - (0.8 * photo + 0.2 * (255.0 - photo))).max() <= 0.5


def test_keep_colors_takes_the_luminance_alone():
    rng = np.random.default_rng(0)
    photo, result = (100 + 50 * rng.random((9, 9, 3), np.float32) for _ in range(2))
    found = with_colors_of(result, photo)
    np.testing.assert_allclose(luminance(found), luminance(result), atol=1e-3)
    # Colour differences are the photograph's.
    np.testing.assert_allclose(
        found[..., 0] - found[..., 1], photo[..., 0] - photo[..., 1], atol=1e-3
    )
    whole = finished(result.astype(np.uint8), photo.astype(np.uint8), Effects(keep_colors=True))
    assert np.abs(whole - found).max() <= 2


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
def test_a_network_that_changes_nothing_leaves_the_photographs_luminance(enlarged):
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


def test_strokes_keep_their_share_of_large_pictures_alone():
    assert Effects().enlarged((SHORT_SIDE, 9000)) == 1
    assert Effects().enlarged((3 * SHORT_SIDE, 9000)) == 3
    assert Effects(stroke_size=2).enlarged((3 * SHORT_SIDE, 9000)) == 2
    photo = noise(SHORT_SIDE, SHORT_SIDE + 1)
    np.testing.assert_array_equal(apply(invert, photo, Effects()), 255 - photo)


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"strength": 1.1}, {"strength": float("nan")}, {"stroke_size": 0}, {"stroke_size": -1},
        {"stroke_size": "large"}, {"stroke_size": float("inf")},
    ],
)  # fmt: skip
def test_effects_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Effects(**wrong)


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
