"""--resumable: a run that is killed goes on where it stopped, to the same result."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import make_picture, one_line
from making import decoded, frames_of, make_clip, packets_of

pytest.importorskip("av", reason="clips take the extra video")

from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_USAGE, ClipReadError, ClipWriteError
from fastnst.video.clips import ClipJob, stylize_clip
from fastnst.video.options import ClipOptions

# Kills itself, as nothing can be caught, at a frame or where the parts are being joined.
PROGRAM = """
import os, signal, sys
from pathlib import Path
from fastnst.video import resume
from fastnst.video.clips import ClipJob, stylize_clip
from fastnst.video.options import ClipOptions

source, target, codec, smooth, at = sys.argv[1:]
painted = 0

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def paint(pixels):
    global painted
    painted += 1
    if str(painted) == at:
        die()
    return 255 - pixels

if at == "join":
    resume.Writer.end = die
options = ClipOptions(codec, smooth=float(smooth), resumable=True)
print(stylize_clip(ClipJob(Path(source), Path(target), options), paint), painted)
"""


def varied(path: Path, seconds: int = 20) -> Path:
    """A clip of a variable rate that doesn't begin at 0, with sound: a camera's noise, and beside
    it something that moves.
    """
    gaps = np.random.default_rng(3).integers(10, 90, seconds * 20)
    times = [500, *(500 + np.cumsum(gaps)).tolist()]
    frames = frames_of(len(times), 16)
    still = np.random.default_rng(4).integers(98, 103, (len(times), 48, 48, 3), np.uint8)
    both = [np.hstack([noise, moves]) for noise, moves in zip(still, frames, strict=True)]
    return make_clip(path, both, times, sound="aac")


def run(source: Path, target: Path, codec: str, smooth: float, at: object) -> tuple[int, str]:
    arguments = [sys.executable, "-c", PROGRAM, source, target, codec, smooth, at]
    child = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    return child.returncode, child.stdout.strip() + child.stderr.strip()


@pytest.mark.parametrize(
    ("codec", "suffix", "smooth"),
    [("auto", ".mp4", 0), ("auto", ".mkv", 0.7), ("ffv1", ".mkv", 0.7)],
)
def test_killed_at_any_moment_it_goes_on_to_the_same_result(codec, suffix, smooth, tmp_path):
    source = varied(tmp_path / "in.mp4")
    whole, target = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    assert run(source, whole, codec, smooth, "never") == (0, "401")
    # In the first part, in the third, on the frame after, and where all is painted.
    for at in (30, 110, 1, "join"):
        assert run(source, target, codec, smooth, at) == (-signal.SIGKILL, "")
        assert not target.exists()
    assert run(source, target, codec, smooth, "never") == (
        0, "went on from 10 parts of a run before 0",
    )  # fmt: skip
    if codec == "ffv1":
        assert packets_of(target, "video") == packets_of(whole, "video")
    # x264 chooses some bits by what happens to lie in its memory (its mb-tree, with B frames),
    # worth 4 levels at the most here, where coding itself costs 9 and another frame 30.
    pairs = zip(decoded(target), decoded(whole), strict=True)
    assert all(np.abs(one - other.astype(float)).mean() < 6 for one, other in pairs)
    assert packets_of(target, "audio") == packets_of(whole, "audio")
    # Against a run that keeps no parts: the same times and sound, and frames where none is lost.
    plain = tmp_path / f"plain{suffix}"
    job = ClipJob(source, plain, ClipOptions(codec, smooth=smooth))
    stylize_clip(job, lambda pixels: 255 - pixels)
    times = [[time for time, _ in packets_of(path, "video")] for path in (target, plain)]
    assert times[0] == times[1]
    assert packets_of(target, "audio") == packets_of(plain, "audio") != []
    if codec == "ffv1":
        assert all(map(np.array_equal, decoded(target), decoded(plain)))
    # A joining that is killed leaves what any writing leaves, a hidden file.
    assert {path.name for path in tmp_path.iterdir() if path.name[0] != "."} == {
        source.name, whole.name, target.name, plain.name,
    }  # fmt: skip


def interrupted(source: Path, target: Path, options: ClipOptions, frames: int) -> Path:
    """A run that ends at a frame; returns the folder of its parts."""
    left = iter(range(frames))

    def paint(pixels):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return 255 - pixels

    with pytest.raises(KeyboardInterrupt):
        stylize_clip(ClipJob(source, target, options, overwrite=True), paint)
    return target.with_name(f"{target.name}.fastnst-parts")


def same(pixels):
    return pixels


def test_a_part_of_a_clip_is_resumed_in_its_own_times(tmp_path):
    source = varied(tmp_path / "in.mp4")
    options = ClipOptions("ffv1", start=2, end=15, resumable=True)
    folder = interrupted(source, tmp_path / "out.mkv", options, 150)
    # 150 frames last 7.5 s, of which three parts of 2 s are finished.
    names = ["000000.part", "000001.part", "000002.part", "000003.shown", "settings.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    stylize_clip(ClipJob(source, tmp_path / "out.mkv", options), same)
    stylize_clip(
        ClipJob(source, tmp_path / "plain.mkv", ClipOptions("ffv1", start=2, end=15)), same
    )
    for kind in ("video", "audio"):
        times = [
            [t for t, _ in packets_of(tmp_path / name, kind)] for name in ("out.mkv", "plain.mkv")
        ]
        assert times[0] == times[1] != []


def test_frames_between_are_the_same_where_a_run_goes_on(tmp_path):
    pytest.importorskip("cv2", reason="clips take the extra video")
    times = np.cumsum(np.random.default_rng(3).integers(30, 70, 160)).tolist()
    source, painted = make_clip(tmp_path / "in.mp4", frames_of(160, 160, 96), times), []

    def paint(pixels):
        painted.append(pixels)
        return 255 - pixels

    options = ClipOptions("ffv1", paint_every=3, resumable=True)
    # Of 8 seconds about 6.
    interrupted(source, tmp_path / "out.mkv", options, 42)
    for target in ("out.mkv", "plain.mkv"):
        news = stylize_clip(ClipJob(source, tmp_path / target, options), paint)
        options = ClipOptions("ffv1", paint_every=3)
        assert ("went on from" in news) == (target == "out.mkv")
    # Most of what lies between is moved there.
    assert len(painted) < 100
    resumed, plain = (decoded(tmp_path / name) for name in ("out.mkv", "plain.mkv"))
    assert len(resumed) == len(plain) == 160
    assert all(map(np.array_equal, resumed, plain))
    found = [[t for t, _ in packets_of(tmp_path / n, "video")] for n in ("out.mkv", "plain.mkv")]
    assert found[0] == found[1]


def test_other_options_another_clip_or_a_damaged_folder_are_told(tmp_path):
    source, target = varied(tmp_path / "in.mp4", 12), tmp_path / "out.mkv"
    options = ClipOptions(quality=30, resumable=True)
    folder = interrupted(source, target, options, 150)
    parts = {path: path.read_bytes() for path in folder.iterdir()}
    for other, line in (
        (ClipOptions(quality=20, resumable=True), "--quality 30, and now it is 20"),
        (ClipOptions("ffv1", quality=30, resumable=True), "--codec auto, and now it is ffv1"),
        (
            ClipOptions(quality=30, paint_every=2, resumable=True),
            "--paint-every 1, and now it is 2",
        ),
        (ClipOptions(quality=30, end=10, resumable=True), "--end None, and now it is 10"),
    ):
        with pytest.raises(ClipWriteError, match=line):
            stylize_clip(ClipJob(source, target, other), same)
    with pytest.raises(ClipWriteError, match="the style none, and now it is wave"):
        stylize_clip(ClipJob(source, target, options, made_of={"the style": "wave"}), same)
    make_clip(source, frames_of(3))
    with pytest.raises(ClipWriteError, match="SHA-256"):
        stylize_clip(ClipJob(source, target, options), same)
    assert {path: path.read_bytes() for path in folder.iterdir()} == parts


@pytest.mark.parametrize("name", ["settings.json", "000000.part", "000002.part", "000003.shown"])
@pytest.mark.parametrize("content", [b"", b"[]\n", b"{}\nabc"])
def test_a_folder_that_a_disk_has_damaged_is_told(name, content, tmp_path):
    source, target = varied(tmp_path / "in.mp4", 9), tmp_path / "out.mkv"
    options = ClipOptions(smooth=0.5, resumable=True)
    folder = interrupted(source, target, options, 150)
    file = folder / name
    assert file.exists()
    for damage in (content, file.read_bytes()[:-9]):
        file.write_bytes(damage)
        with pytest.raises(ClipWriteError, match=f"{name}: damaged; delete the folder"):
            stylize_clip(ClipJob(source, target, options), same)


def test_a_file_in_the_folders_way_is_told(tmp_path):
    source = make_clip(tmp_path / "in.mp4", frames_of(3))
    (tmp_path / "out.mkv.fastnst-parts").touch()
    with pytest.raises(ClipWriteError, match="in the way"):
        stylize_clip(ClipJob(source, tmp_path / "out.mkv", ClipOptions(resumable=True)), same)


def test_what_is_not_of_the_folder_stays_in_it(tmp_path):
    source, target = make_clip(tmp_path / "in.mp4", frames_of(10)), tmp_path / "out.mkv"
    folder = tmp_path / "out.mkv.fastnst-parts"
    folder.mkdir()
    (folder / "diary.txt").write_text("mine")
    stylize_clip(ClipJob(source, target, ClipOptions(resumable=True)), same)
    assert [path.name for path in folder.iterdir()] == ["diary.txt"]


def test_a_clip_without_a_frame_leaves_no_folder(tmp_path):
    source = make_clip(tmp_path / "in.mp4", frames_of(10))
    with pytest.raises(ClipReadError, match="no frame lies between"):
        stylize_clip(
            ClipJob(source, tmp_path / "out.mkv", ClipOptions(start=9, resumable=True)), same
        )
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_by_the_command_another_style_is_told(model, tmp_path, capsys, monkeypatch):
    source, other = make_clip(tmp_path / "in.mp4", frames_of(150)), tmp_path / "mask.png"
    make_picture(64, 48).save(other)
    target = tmp_path / "out.mp4"
    arguments = ["apply", str(model), str(source), "--output", str(target), "--resumable"]
    with monkeypatch.context() as patched:
        patched.setattr(
            "fastnst.video.clips.join",
            lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")),
        )
        assert main(arguments) == EXIT_USAGE
    folder = tmp_path / "out.mp4.fastnst-parts"
    assert "can't be written" in capsys.readouterr().err
    told = json.loads((folder / "settings.json").read_text())
    assert told["--stroke-size"] == "1.0"
    assert main([*arguments, "--strength", "0.5"]) == EXIT_USAGE
    assert "--strength 1.0, and now it is 0.5" in one_line(capsys)
    assert main([*arguments, "--mask", str(other)]) == EXIT_USAGE
    assert "parts of --mask" in one_line(capsys)
    assert main(arguments) == EXIT_DONE
    assert "went on from 3 parts" in capsys.readouterr().err
    assert not folder.exists()
