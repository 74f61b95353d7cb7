"""Frames between painted ones: strokes lie where the clip shows what they are of."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

for needed in ("av", "cv2"):
    pytest.importorskip(needed, reason="the extra 'video' is not installed")
from making import decoded, frames_of, make_clip, packets_of  # noqa: E402

from fastnst.errors import ConfigError  # noqa: E402
from fastnst.video.between import Between  # noqa: E402
from fastnst.video.clips import ClipJob, stylize_clip  # noqa: E402
from fastnst.video.options import FARTHEST, ClipOptions  # noqa: E402


def never(pixels):
    raise AssertionError("painted")


def textured(height: int = 200, width: int = 260, seed: int = 0) -> np.ndarray:
    """Blotches of all sizes."""
    rng, result = np.random.default_rng(seed), np.zeros((height, width, 3))
    for cell in (5, 10, 20):
        coarse = rng.normal(0, 25, (height // cell + 3, width // cell + 3, 3))
        for axis in (0, 1):
            coarse = np.repeat(coarse, cell, axis)
        for _ in range(cell):
            coarse = (coarse + np.roll(coarse, 1, 0) + np.roll(coarse, 1, 1)) / 3
        result += coarse[cell : cell + height, cell : cell + width] * 2
    return np.clip(result + 128, 0, 255).astype(np.uint8)


def shown_of(photos, painted, every):
    """By a painter that looks a frame up, and which frames it painted."""
    numbers = {id(photo): number for number, photo in enumerate(photos)}
    asked = []

    def paint(photo):
        asked.append(numbers[id(photo)])
        return painted[asked[-1]]

    between, shown = Between(every, paint), []
    for group in between.groups(photos):
        shown += between(group, paint(group[-1]))
    return [frame.astype(float) for frame in shown], asked


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 9, 10, 11])
@pytest.mark.parametrize("every", [1, 2, 3, 10])
def test_each_frame_is_in_one_group_in_order_and_the_last_is_painted(count, every):
    groups = list(Between(every, never).groups(range(count)))
    assert [number for group in groups for number in group] == list(range(count))
    assert all(groups)
    assert len(groups) == (1 + -(-(count - 1) // every) if count else 0)
    assert max(map(len, groups), default=0) <= every


@pytest.mark.parametrize("step", [(0, 0), (1, 0), (3, -2), (-5, 4)])
def test_what_is_painted_moves_with_what_a_clip_shows(step):
    """A painting that moves exactly with the photograph is shown as it would have been painted."""
    photo, painting = textured(seed=1), textured(seed=2)
    photos, painted = [], []
    for number in range(5):
        top, left = (40 + number * by for by in step)
        for frames, picture in ((photos, photo), (painted, painting)):
            frames.append(np.ascontiguousarray(picture[top : top + 128, left : left + 160]))
    shown, asked = shown_of(photos, painted, 4)
    assert asked == [0, 4]
    still = np.abs(painted[2].astype(float) - painted[0])[24:-24, 24:-24].mean()
    for number in (1, 2, 3):
        apart = np.abs(shown[number] - painted[number])[24:-24, 24:-24].mean()
        # What a quarter of a pixel comes to.
        assert apart < (0.01 if step == (0, 0) else 2.5)
        assert step == (0, 0) or apart < 0.35 * still


def test_strokes_go_over_from_one_to_the_next_by_time():
    photo = textured(96, 128)
    photos = [photo.copy() for _ in range(5)]
    painted = [np.full_like(photo, 40 * number) for number in range(5)]
    shown, _ = shown_of(photos, painted, 4)
    for number, frame in enumerate(shown):
        assert np.abs(frame - 40 * number).max() <= 1


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_at_a_cut_each_side_is_shown_as_its_own(cut):
    scenes = textured(96, 128, 3), textured(96, 128, 4)
    photos = [scenes[number >= cut].copy() for number in range(5)]
    painted = [np.full_like(photos[0], 30 if number < cut else 220) for number in range(5)]
    shown, asked = shown_of(photos, painted, 4)
    assert asked == [0, 4]
    for number, frame in enumerate(shown):
        assert abs(np.median(frame) - painted[number][0, 0, 0]) <= 1
        assert (np.abs(frame - painted[number]).max(axis=2) > 30).mean() < 0.03


def test_what_neither_side_shows_is_painted():
    scenes = textured(96, 128, 3), textured(96, 128, 4)
    photos = [scenes[number == 2].copy() for number in range(5)]
    painted = [np.full_like(photos[0], 50 * number) for number in range(5)]
    shown, asked = shown_of(photos, painted, 4)
    assert sorted(asked) == [0, 2, 4]
    assert (shown[2] == 100).all()


def test_where_both_sides_have_lost_a_place_the_nearer_one_is_shown_and_not_a_mixture():
    rng, photos = np.random.default_rng(7), [textured(96, 128) for _ in range(5)]
    for photo in photos:
        photo[30:54, 40:64] = np.kron(rng.integers(0, 256, (4, 4, 3), np.uint8), np.ones((6, 6, 1)))
    painted = [np.full_like(photos[0], 50 * number) for number in range(5)]
    shown, asked = shown_of(photos, painted, 4)
    assert asked == [0, 4]
    for number, nearer in ((1, 0), (3, 200)):
        assert np.abs(np.median(shown[number][34:50, 44:60]) - nearer) < 15
        assert np.abs(np.median(shown[number]) - 50 * number) <= 1


def test_what_comes_from_beyond_an_edge_is_the_other_sides(monkeypatch):
    """By a motion that is given: of a plain wall none is seen."""
    photos = [np.full((64, 96, 3), 100, np.uint8) for _ in range(3)]
    painted = [np.full_like(photos[0], level) for level in (0, 100, 200)]
    across = iter((6, -6))

    def flow(_, after):
        return np.full((*after.shape[:2], 2), (next(across), 0), np.float32)

    monkeypatch.setattr("fastnst.video.flow.flow", flow)
    shown, _ = shown_of(photos, painted, 2)
    assert (shown[1][:, :6] < 3).all()
    assert (shown[1][:, -6:] > 197).all()
    assert (shown[1][:, 24:-24] == 100).all()


def test_what_is_moved_by_parts_of_a_pixel_stays_crisp():
    """Half a pixel, of a painting as fine as a pixel or two, of which a mean loses half."""
    photo, rng = textured(seed=1), np.random.default_rng(0)
    painting = np.kron(rng.integers(60, 200, (67, 87, 3)), np.ones((3, 3, 1)))
    frames: list[list[np.ndarray]] = [[], []]
    for number in range(3):
        for kind, picture in zip(frames, (photo, painting), strict=True):
            part = picture[20:180, 20 + number : 220 + number].astype(float)
            kind.append(part.reshape(80, 2, 100, 2, 3).mean((1, 3)).round().astype(np.uint8))
    shown, _ = shown_of(*frames, 2)

    def detail(frame):
        return np.abs(np.diff(frame.astype(float), axis=1))[16:-16, 16:-16].mean()

    assert detail(shown[1]) > 0.8 * detail(frames[1][1])


def test_what_something_uncovers_is_taken_from_the_side_that_shows_it():
    wall, box = textured(seed=5), np.clip(textured(80, 80, 6).astype(int) + 60, 0, 255)
    photos, places = [], []
    for number in range(4):
        places.append((slice(60, 140), slice(60 + 8 * number, 140 + 8 * number)))
        photos.append(wall.copy())
        photos[-1][places[-1]] = box
    painted = [255 - photo for photo in photos]
    shown, asked = shown_of(photos, painted, 3)
    assert asked == [0, 3]
    for number in (1, 2):
        apart = np.abs(shown[number] - painted[number]).mean(axis=2)
        still = np.abs(painted[0].astype(float) - painted[number]).mean(axis=2)
        # The box is where it belongs, but for its rim, and where the sides have it is the wall.
        assert apart[places[number]].mean() < 0.3 * still[places[number]].mean()
        beside = (slice(60, 140), {1: slice(156, 164), 2: slice(60, 68)}[number])
        assert apart[beside].mean() < 0.3 * still[places[0]].mean()
        apart[50:150, 50:180] = 0
        assert apart.mean() < 0.2


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (33, 47)])
@pytest.mark.parametrize("by", [1, 2])
def test_frames_of_any_size_and_painted_at_another(size, by):
    photos = [np.full((*size, 3), 90, np.uint8) for _ in range(4)]
    painted = [np.full((by * size[0], by * size[1], 3), 7, np.uint8)] * 4
    shown, asked = shown_of(photos, painted, 3)
    assert asked == [0, 3]
    assert all((frame == 7).all() and frame.shape == painted[0].shape for frame in shown)


@pytest.mark.parametrize("smooth", [0, 0.7])
def test_a_clip_keeps_its_frames_times_and_sound_and_fewer_are_painted(smooth, tmp_path):
    frames = frames_of(12, 96, 80)
    times = [0, *np.cumsum(np.random.default_rng(0).integers(20, 60, 11)).tolist()]
    source = make_clip(tmp_path / "in.mp4", frames, times, sound="aac")
    painted, told = [], []

    def paint(pixels):
        painted.append(pixels)
        return 255 - pixels

    targets = tmp_path / "out.mkv", tmp_path / "all.mkv"
    for every, target in zip((4, 1), targets, strict=True):
        options = ClipOptions("ffv1", smooth=smooth, paint_every=every)
        stylize_clip(ClipJob(source, target, options), paint, lambda p: told.append(p.frames))
    assert (len(painted), told[:4]) == (4 + 12, [1, 5, 9, 12])
    streams = [[packets_of(target, kind) for kind in ("video", "audio")] for target in targets]
    assert streams[0][1] == streams[1][1] != []
    times = [[time for time, _ in pictures] for pictures, _ in streams]
    assert len(times[0]) == 12
    assert times[0] == times[1]
    for given, made in zip(decoded(source), decoded(targets[0]), strict=True):
        assert np.abs(255 - given - made.astype(float))[16:-16, 16:-16].mean() < 12


def test_one_frame_at_a_time_is_painted_where_nothing_can_be_followed(tmp_path):
    """Those between in another thread than the rest."""
    rng = np.random.default_rng(0)
    grain = [rng.integers(0, 256, (80, 96, 1), np.uint8) for _ in range(10)]
    frames = [np.repeat(frame, 3, 2) for frame in grain]
    source, busy, threads = make_clip(tmp_path / "in.mp4", frames), [], set()

    def paint(pixels):
        busy.append(None)
        threads.add(threading.get_ident())
        time.sleep(0.01)
        assert len(busy) == 1
        busy.pop()
        return pixels

    options = ClipOptions("ffv1", smooth=0, paint_every=3)
    stylize_clip(ClipJob(source, tmp_path / "out.mkv", options), paint)
    assert len(threads) == 2
    for given, made in zip(decoded(source), decoded(tmp_path / "out.mkv"), strict=True):
        assert np.abs(given - made.astype(float)).mean() < 3


def test_1_paints_all_and_takes_no_opencv(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    photos = [np.full((8, 8, 3), level, np.uint8) for level in range(4)]
    shown, asked = shown_of(photos, photos, 1)
    assert asked == [0, 1, 2, 3]
    assert [frame[0, 0, 0] for frame in shown] == [0, 1, 2, 3]


def test_more_take_opencv_and_are_told_so_before_anything_is_read(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "cv2")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    job = ClipJob(Path("no-such.mp4"), tmp_path / "out.mp4", ClipOptions(smooth=0, paint_every=2))
    with pytest.raises(ConfigError, match="paint_every needs OpenCV: pip install av"):
        stylize_clip(job, never)
    (tmp_path / "cv2.py").write_text("raise ImportError('no libGL')")
    with pytest.raises(ConfigError, match=r"paint_every 1 does without OpenCV, .*no libGL"):
        ClipOptions(paint_every=2).every()
    assert ClipOptions().every() == 1


@pytest.mark.parametrize("wrong", [0, -1, FARTHEST + 1])
def test_a_number_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"paint_every .* from 1 to {FARTHEST}, not {wrong}"):
        ClipOptions(paint_every=wrong)
