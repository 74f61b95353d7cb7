"""What is shown of frame after frame: strokes that move along, without ghosts."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from helpers import make_picture
from PIL import Image

for needed in ("av", "cv2"):
    pytest.importorskip(needed, reason="the extra 'video' is not installed")
from fastnst.errors import ConfigError  # noqa: E402
from fastnst.video.clips import ClipJob, _settings  # noqa: E402
from fastnst.video.options import USUAL_SMOOTH, ClipOptions  # noqa: E402
from fastnst.video.smooth import CUT, Smoother  # noqa: E402


def textured(height: int, width: int) -> np.ndarray:
    """Blotches of all sizes (height, width, 3), so that motion shows everywhere."""
    rng, result = np.random.default_rng(0), np.zeros((height, width, 3))
    for cell in (4, 8, 16, 32):
        coarse = rng.integers(0, 60, (height // cell + 2, width // cell + 2, 3), np.uint8)
        fine = Image.fromarray(coarse).resize(
            (coarse.shape[1] * cell, coarse.shape[0] * cell), Image.Resampling.BICUBIC
        )
        result += np.asarray(fine)[:height, :width]
    return result.astype(np.uint8)


def noisy(rng, level=100):
    return (level + rng.integers(-2, 3, (64, 64, 3))).astype(np.uint8)


def test_noise_is_calmed_and_what_moves_leaves_no_trail():
    rng = np.random.default_rng(0)
    smoother, shown = Smoother(0.8), []
    for _ in range(30):
        painted = rng.integers(90, 110, (64, 64, 3), np.uint8)
        shown.append(smoother(noisy(rng), painted).astype(float))
    assert np.std(shown[-1] - shown[-2]) < 0.45 * np.std(rng.integers(90, 110, 9999)) * 2**0.5
    for step in (2, 8):
        smoother = Smoother(1.0)
        for place in range(10, 80, step):
            photo = np.full((64, 96, 3), 20, np.uint8)
            photo[:, place:] = 220
            shown = smoother(photo, photo).astype(int)
            around = slice(place - step, place + step)
            assert np.abs(shown - photo)[:, around].max() < 3, (step, place)


def test_what_a_painter_makes_of_noise_is_calmed_and_a_cut_begins_anew():
    rng = np.random.default_rng(0)
    still = np.asarray(make_picture(96, 64)).astype(int)

    def noisy() -> np.ndarray:
        return np.clip(still + rng.normal(0, 1.5, still.shape), 0, 255).astype(np.uint8)

    # A painter that makes much of little, as networks do.
    smoother, shown, painted = Smoother(1.0), [], []
    for _ in range(12):
        frame = noisy()
        painted.append(np.clip((frame.astype(int) - still) * 6 + 128, 0, 255).astype(np.uint8))
        shown.append(smoother(frame, painted[-1]))
    calm, wild = (
        np.std([f.astype(float) for f in kind[6:]], 0).mean() for kind in (shown, painted)
    )
    assert calm < 0.4 * wild
    cut = 255 - noisy()
    assert np.array_equal(smoother(cut, cut), cut)


@pytest.mark.parametrize("step", [(1, 0), (0, 3), (-2, 1)])
def test_strokes_move_along_with_what_is_shown(step):
    """A painter whose strokes know nothing of the picture flickers less by the share that stays."""
    rng, wide = np.random.default_rng(1), textured(160, 200)
    across, down = step
    shown, share = [], 0.8
    smoother = Smoother(share)
    for number in range(8):
        left, top = 40 + number * across, 30 + number * down
        photo = wide[top : top + 96, left : left + 128]
        painted = np.clip(photo + rng.normal(0, 12, photo.shape), 0, 255).astype(np.uint8)
        shown.append(smoother(photo, painted).astype(float))

    def apart(before, after):
        moved = np.roll(before, (-down, -across), (0, 1))
        return (after - moved)[16:-16, 16:-16].std()

    # Of what is new a frame takes 1 - 0.76.
    assert apart(*shown[-2:]) < 0.3 * 12 * 2**0.5
    assert np.abs(shown[-1] - photo)[16:-16, 16:-16].mean() < 8


def test_what_comes_in_at_the_edge_is_painted_anew():
    wide, smoother = textured(64, 200), Smoother(1.0)
    for left in (40, 46):
        photo = wide[:, left : left + 96]
        painted = np.full_like(photo, 2 * left)
        shown = smoother(photo, painted)
    assert (shown[8:-8, -4:] == 92).all()
    assert shown[8:-8, 20:60].mean() < 91.5


def test_where_strokes_reach_further_than_what_moves_the_trail_fades_in_a_few_frames():
    """A box on a wall, painted with a rim around it where the wall stands still."""
    smoother = Smoother(USUAL_SMOOTH)
    for place in (20, 28, 36, 44, 44, 44, 44):
        photo, painted = np.full((2, 96, 160, 3), 200, np.uint8)
        painted[28:68, place - 20 : place + 40] = 255
        photo[40:56, place : place + 20] = painted[40:56, place : place + 20] = 90
        shown = smoother(photo, painted).astype(int)
    # Of 1,600 places that the rim has left.
    assert (np.abs(shown - painted).max(axis=2) > 10).sum() < 100


def test_a_fine_texture_that_moves_by_parts_of_what_is_looked_at_is_followed():
    """By a pixel: half of one where motion is looked for, so that what it is compared with is
    between pixels there.
    """
    rng = np.random.default_rng(2)
    fine = np.kron(rng.integers(0, 120, (80, 100, 3), np.uint8), np.ones((2, 2, 1), np.uint8))
    wide = textured(160, 200) // 2 + fine
    smoother, shown = Smoother(0.8), []
    for number in range(6):
        photo = wide[30:126, 40 + number : 168 + number]
        painted = np.clip(photo + rng.normal(0, 12, photo.shape), 0, 255).astype(np.uint8)
        shown.append(smoother(photo, painted).astype(float))
    jump = (shown[-1][:, :-1] - shown[-2][:, 1:])[16:-16, 16:-16].std()
    assert jump < 0.33 * 12 * 2**0.5


def test_at_a_cut_nothing_stays_even_where_both_scenes_are_the_same():
    smoother, rng = Smoother(1.0), np.random.default_rng(0)
    for painted in (0, 255):
        photo = np.full((96, 128, 3), 16, np.uint8)
        photo[24:72] = rng.integers(0, 256, (48, 128, 3))
        shown = smoother(photo, np.full_like(photo, painted))
    assert (shown == 255).all()


def test_a_cut_begins_anew_and_what_stands_still_comes_to_rest():
    smoother = Smoother(1.0)
    dark, light = (np.full((32, 32, 3), level, np.uint8) for level in (10, 10 + int(CUT) + 2))
    smoother(dark, dark)
    assert (smoother(light, light) == light).all()
    # A small step of what is painted is not kept for ever by rounding.
    for _ in range(200):
        shown = smoother(light, light + 1)
    assert (shown == light + 1).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (40, 30), (33, 200)])
@pytest.mark.parametrize("enlarged", [1, 0.5, 2])
def test_frames_of_any_size_and_painted_at_another(size, enlarged):
    smoother = Smoother(0.8)
    painted = np.full((*(max(1, int(side * enlarged)) for side in size), 3), 7, np.uint8)
    for level in (100, 101, 102):
        assert (smoother(np.full((*size, 3), level, np.uint8), painted) == painted).all()


def test_a_size_that_changes_begins_anew():
    smoother = Smoother(1.0)
    for size in (48, 64):
        photo = np.full((size, size, 3), 50, np.uint8)
        assert (smoother(photo, photo + np.uint8(size)) == 50 + size).all()


def test_0_changes_nothing_and_takes_no_opencv(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    smoother, rng = Smoother(0.0), np.random.default_rng(0)
    for _ in range(3):
        painted = noisy(rng)
        assert smoother(noisy(rng), painted) is painted


def test_without_opencv_the_default_is_none_and_asking_for_it_is_told(monkeypatch, tmp_path):
    assert ClipOptions().share() == USUAL_SMOOTH
    monkeypatch.delitem(sys.modules, "cv2")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert (ClipOptions().share(), ClipOptions(smooth=0.0).share()) == (0, 0)
    with pytest.raises(ConfigError, match="smooth needs OpenCV: pip install av"):
        ClipOptions(smooth=0.5).share()
    (tmp_path / "cv2.py").write_text("raise ImportError('no libGL')")
    for asked in (None, 0.5):
        with pytest.raises(ConfigError, match="no libGL"):
            ClipOptions(smooth=asked).share()


def test_a_run_with_opencv_does_not_go_on_where_one_without_it_ended(monkeypatch, tmp_path):
    """The default is another there, and so are the frames."""
    source = tmp_path / "a.mp4"
    source.write_bytes(b"x")
    told = [_settings(ClipJob(source, source, ClipOptions()), "h264")["--smooth"]]
    monkeypatch.delitem(sys.modules, "cv2")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    told.append(_settings(ClipJob(source, source, ClipOptions()), "h264")["--smooth"])
    assert told == [str(USUAL_SMOOTH), "0.0"]
