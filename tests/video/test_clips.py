"""Clips: times, sound, sizes, turns and colours come through, and nothing half-written is left."""

from __future__ import annotations

import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import contents, make_picture, modules_after, one_line
from PIL import Image

from fastnst.checkpoint.contents import save_checkpoint
from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_USAGE, ClipReadError, ClipWriteError
from fastnst.video.options import ClipOptions

av = pytest.importorskip("av", reason="the extra 'video' is not installed")
from fastnst.video.clips import ClipJob, stylize_clip  # noqa: E402

LOSSLESS = ClipOptions(codec="ffv1")


def same(pixels: np.ndarray) -> np.ndarray:
    return pixels


def photo(width: int = 64, height: int = 48, seed: int = 0) -> np.ndarray:
    return np.asarray(make_picture(width, height, seed))


def make_clip(
    path: Path,
    frames: list[np.ndarray],
    pts: list[int] | None = None,
    time_base: Fraction = Fraction(1, 1000),
    codec: str = "ffv1",
    sound: str = "",
    **colours: int,
) -> Path:
    """A clip of these frames at these times, with a tone where a codec for it is given."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height = width, height
        stream.pix_fmt = {"ffv1": "bgr0"}.get(codec, "yuv444p")
        stream.time_base = stream.codec_context.time_base = time_base
        for name, value in colours.items():
            setattr(stream.codec_context, name, value)
        if codec == "libx264":
            stream.options = {"crf": "4", "preset": "ultrafast", "bf": "2"}
        tone = out.add_stream(sound, rate=48000) if sound else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            if colours:
                frame = frame.reformat(
                    format=stream.pix_fmt, dst_colorspace={1: 1, 6: 5}[colours["colorspace"]],
                    dst_color_range=colours["color_range"],
                )  # fmt: skip
            frame.pts = pts[number] if pts else 40 * number
            frame.time_base = time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if tone is not None:
            wave = np.sin(np.arange(48000 * len(frames) // 25) * 0.05).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
            heard.sample_rate, heard.pts = 48000, 0
            for part in (heard, None):
                out.mux(tone.encode(part))
    return path


def read(path: Path) -> tuple[list[tuple[Fraction, np.ndarray]], list[tuple[Fraction, bytes]]]:
    """A clip's frames with their times, and its sound's packets with theirs."""
    with av.open(str(path)) as clip:
        base = clip.streams.video[0].time_base
        frames = [(f.pts * base, f.to_ndarray(format="rgb24")) for f in clip.decode(video=0)]
    with av.open(str(path)) as clip:
        packets = [
            (p.pts * p.time_base, bytes(p))
            for p in (clip.demux(audio=0) if clip.streams.audio else [])
            if p.pts is not None and p.size
        ]
    return frames, packets


def test_times_and_sound_come_through_as_they_were(tmp_path):
    """Gaps of 10 to 89 ms, the first frame not at 0, frames that look ahead, sound to the byte."""
    rng = np.random.default_rng(0)
    pts = (500 + np.cumsum(rng.integers(10, 90, 12))).tolist()
    frames = [np.roll(photo(), 2 * n, axis=1) for n in range(12)]
    source = make_clip(tmp_path / "a.mkv", frames, pts, codec="libx264", sound="aac")
    target = tmp_path / "b.mkv"
    stylize_clip(ClipJob(source, target, LOSSLESS), same)
    before, heard = read(source)
    after, heard_after = read(target)
    assert [time for time, _ in after] == [time for time, _ in before]
    assert [int(time * 1000) for time, _ in after] == pts
    assert len(heard) > 10
    assert heard_after == heard
    # H.264's chroma apart, what was lossless is the same picture.
    assert np.abs(after[5][1].astype(int) - before[5][1]).max() <= 3


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
def test_each_container_keeps_times_and_length(suffix, tmp_path):
    frames = [photo(64, 48, n) for n in range(8)]
    source = make_clip(tmp_path / "a.mkv", frames)
    stylize_clip(ClipJob(source, tmp_path / f"b{suffix}", ClipOptions()), same)
    after, _ = read(tmp_path / f"b{suffix}")
    assert [round(float(time) * 1000) for time, _ in after] == [40 * n for n in range(8)]


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (321, 241), (2, 90)])
def test_odd_sizes_are_not_sheared(size, tmp_path):
    """A vertical edge is at the same column of every row."""
    width, height = size
    edge = np.zeros((height, width, 3), np.uint8)
    edge[:, width // 2 :] = 220
    source = make_clip(tmp_path / "a.mkv", [edge] * 3)
    for options, target in ((LOSSLESS, "b.mkv"), (ClipOptions(quality=1), "c.mp4")):
        if target == "c.mp4" and min(size) < 16:
            continue
        told = stylize_clip(ClipJob(source, tmp_path / target, options), same)
        assert ("odd" in told) == (target == "c.mp4")
        (_, found), *_ = read(tmp_path / target)[0]
        assert found.shape == edge.shape
        assert np.abs(found.astype(int) - edge).max() <= 6


def turned(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Give an MP4's first track a display matrix (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (n * 0x10000 for n in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [((1, 0, 0, 1), 0), ((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)],
)
def test_turned_clips_are_painted_upright_and_say_no_more_of_it(matrix, turns, tmp_path):
    """(0, 1, -1, 0) is how a phone held upright writes it: x to the bottom, y to the left."""
    marked = photo(64, 48)
    source = make_clip(tmp_path / "a.mp4", [marked] * 2, codec="libx264")
    turned(source, matrix)
    seen: list[np.ndarray] = []

    def look(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels)
        return pixels

    stylize_clip(ClipJob(source, tmp_path / "b.mkv", LOSSLESS), look)
    expected = np.rot90(marked, turns)
    assert seen[0].shape == expected.shape
    assert np.abs(seen[0].astype(int) - expected).mean() < 4
    with av.open(str(tmp_path / "b.mkv")) as clip:
        frame = next(clip.decode(video=0))
        assert frame.rotation == 0
        assert (frame.height, frame.width) == expected.shape[:2]


@pytest.mark.parametrize("colorspace", [1, 6])
@pytest.mark.parametrize("color_range", [1, 2])
def test_colours_are_those_of_the_clips_matrix_and_range(colorspace, color_range, tmp_path):
    """Red is not orange: BT.601 and BT.709, limited and full, in and out again."""
    colours = np.array([[220, 20, 30], [20, 200, 40], [30, 40, 210], [128, 128, 128]], np.uint8)
    plain = np.repeat(np.repeat(colours[None], 64, 0), 24, 1)
    source = make_clip(
        tmp_path / "a.mp4", [plain] * 2, codec="libx264", colorspace=colorspace,
        color_range=color_range, color_primaries=1, color_trc=1,
    )  # fmt: skip
    seen: list[np.ndarray] = []
    stylize_clip(
        ClipJob(source, tmp_path / "b.mp4", ClipOptions(quality=4)),
        lambda pixels: (seen.append(pixels), pixels)[1],
    )
    middles = seen[0][32, 12::24].astype(int)
    assert np.abs(middles - colours).max() <= 3, middles
    with av.open(str(tmp_path / "b.mp4")) as clip:
        frame = next(clip.decode(video=0))
        assert (int(frame.colorspace), int(frame.color_range)) == (colorspace, 1)
        found = frame.reformat(
            format="rgb24", src_colorspace={1: 1, 6: 5}[colorspace], src_color_range=1
        ).to_ndarray()
    assert np.abs(found[32, 12::24].astype(int) - colours).max() <= 5


def test_a_frame_becomes_what_apply_makes_of_it(tmp_path):
    model, source = tmp_path / "m.ckpt", tmp_path / "a.mkv"
    save_checkpoint(contents(), model)
    frames = [photo(90, 70, n) for n in range(3)]
    make_clip(source, frames)
    options = ["--strength", "0.7", "--keep-colors", "--device", "cpu"]
    target = tmp_path / "b.mkv"
    arguments = ["apply", str(model), str(source), "--codec", "ffv1", "--output", str(target)]
    assert main([*arguments, *options]) == EXIT_DONE
    for number, (_, found) in enumerate(read(target)[0]):
        still, expected = tmp_path / f"{number}.png", tmp_path / f"{number}-out.png"
        Image.fromarray(frames[number]).save(still)
        assert main(["apply", str(model), str(still), "--output", str(expected), *options]) == 0
        assert np.array_equal(found, np.asarray(Image.open(expected)))


def test_a_folder_of_pictures_and_clips_and_the_rest_of_it_the_next_time(tmp_path, capsys):
    model, folder, out = tmp_path / "m.ckpt", tmp_path / "in", tmp_path / "out"
    save_checkpoint(contents(), model)
    folder.mkdir()
    make_picture(40, 30).save(folder / "p.png")
    make_clip(folder / "c.mkv", [photo(32, 32)] * 2)
    arguments = ["apply", str(model), str(folder), "--output", f"{out}/"]
    assert main(arguments) == EXIT_DONE
    assert {path.name for path in out.iterdir()} == {"p.png", "c.mkv"}
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "c.mkv").unlink()
    assert main(arguments) == EXIT_DONE
    assert (out / "p.png").stat().st_mtime_ns == before[out / "p.png"]
    assert (out / "c.mkv").exists()


def test_a_part_and_a_single_frame(tmp_path):
    frames = [np.full((16, 16, 3), 20 * n, np.uint8) for n in range(10)]
    source = make_clip(tmp_path / "a.mkv", frames)
    part = ClipOptions(codec="ffv1", start=0.12, end=0.24)
    stylize_clip(ClipJob(source, tmp_path / "b.mkv", part), same)
    found = [(float(time), int(pixels[0, 0, 0])) for time, pixels in read(tmp_path / "b.mkv")[0]]
    assert found == [(0.0, 60), (0.04, 80), (0.08, 100)]
    model, still = tmp_path / "m.ckpt", tmp_path / "f.png"
    save_checkpoint(contents(), model)
    arguments = ["apply", str(model), str(source), "--frame", "0.21", "--output", str(still)]
    assert main([*arguments, "--strength", "0"]) == EXIT_DONE
    assert np.asarray(Image.open(still))[0, 0].tolist() == [100, 100, 100]


def test_a_painter_that_fails_leaves_nothing(tmp_path):
    source, target = make_clip(tmp_path / "a.mkv", [photo()] * 6), tmp_path / "b.mp4"
    done: list[int] = []

    def fails(pixels: np.ndarray) -> np.ndarray:
        done.append(1)
        if len(done) == 4:
            raise KeyboardInterrupt
        return pixels

    with pytest.raises(KeyboardInterrupt):
        stylize_clip(ClipJob(source, target, ClipOptions()), fails)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("fault", ["picture", "cut", "sound alone", "empty", "noise"])
def test_what_is_no_clip_is_told_in_a_line_and_writes_nothing(fault, tmp_path, capsys):
    model, source, target = tmp_path / "m.ckpt", tmp_path / "a.mp4", tmp_path / "b.mp4"
    save_checkpoint(contents(), model)
    if fault == "picture":
        make_picture(30, 20).save(tmp_path / "a.png")
        (tmp_path / "a.png").rename(source)
    elif fault == "cut":
        make_clip(source, [photo(64, 48, n) for n in range(10)], codec="libx264")
        source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    elif fault == "sound alone":
        with av.open(str(source), "w") as out:
            stream: Any = out.add_stream("aac", rate=48000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), "fltp", "mono")
            frame.sample_rate = 48000
            for part in (frame, None):
                out.mux(stream.encode(part))
    else:
        rng = np.random.default_rng(0)
        source.write_bytes(b"" if fault == "empty" else rng.bytes(3000))
    assert main(["apply", str(model), str(source), "--output", str(target)]) == EXIT_USAGE
    assert "a.mp4" in one_line(capsys)
    assert not target.exists()
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


def test_sound_that_a_container_can_not_hold_is_named_with_one_that_can(tmp_path):
    source = make_clip(tmp_path / "a.mkv", [photo()] * 3, sound="pcm_s16le")
    with pytest.raises(ClipWriteError, match=r"can't hold the clip's sound.*\.mkv can"):
        stylize_clip(ClipJob(source, tmp_path / "b.webm", ClipOptions()), same)
    assert list(tmp_path.iterdir()) == [source]


def test_without_pyav_a_line_names_the_extra_and_pictures_never_load_it(
    tmp_path, monkeypatch, capsys
):
    model, picture = tmp_path / "m.ckpt", tmp_path / "p.png"
    save_checkpoint(contents(), model)
    make_picture(20, 20).save(picture)
    modules, _ = modules_after("apply", str(model), str(picture), "--device", "cpu")
    assert "av" not in modules
    source = make_clip(tmp_path / "a.mkv", [photo()])
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["apply", str(model), str(source)]) == EXIT_USAGE
    assert "pip install av opencv-python-headless" in one_line(capsys)


def test_high_dynamic_range_is_named_and_mapped(tmp_path):
    """PQ's code for 100 cd/m2 of grey, about half of all codes, is no darkness."""
    grey = np.full((64, 64, 3), 130, np.uint8)
    source = make_clip(
        tmp_path / "a.mp4", [grey] * 2, codec="libx264", colorspace=1, color_range=1,
        color_primaries=9, color_trc=16,
    )  # fmt: skip
    seen: list[np.ndarray] = []
    told = stylize_clip(
        ClipJob(source, tmp_path / "b.mp4", ClipOptions()),
        lambda pixels: (seen.append(pixels), pixels)[1],
    )
    assert "PQ" in told
    assert 90 < seen[0].mean() < 255
    with av.open(str(tmp_path / "b.mp4")) as clip:
        assert int(next(clip.decode(video=0)).color_trc) != 16


def test_times_that_are_not_there_are_told(tmp_path):
    source = make_clip(tmp_path / "a.mkv", [photo()] * 5)
    late = ClipOptions(start=5, end=6)
    with pytest.raises(ClipReadError, match="no frame lies between"):
        stylize_clip(ClipJob(source, tmp_path / "b.mkv", late), same)
    assert list(tmp_path.iterdir()) == [source]
