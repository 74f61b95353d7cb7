"""Effects by a network of a line, on bytes: what they do is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from fastnst.errors import ConfigError
from fastnst.stylize.effects import SHORT_SIDE, Effects, finished, luminance, with_colors_of
from tests.stylize.by_bytes import apply, invert, noise

PLAIN = Effects(stroke_size=1)


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


def test_strokes_keep_their_share_of_large_pictures_alone():
    assert Effects().enlarged((SHORT_SIDE, 9000)) == 1
    assert Effects().enlarged((3 * SHORT_SIDE, 9000)) == 3
    assert Effects(stroke_size=2).enlarged((3 * SHORT_SIDE, 9000)) == 2
    photo = noise(SHORT_SIDE, SHORT_SIDE + 1)
    np.testing.assert_array_equal(apply(invert, photo, Effects()), 255 - photo)


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
