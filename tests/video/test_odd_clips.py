"""Clips that are damaged, or unlike what is usual: one line each, and nothing silently wrong."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from making import decoded, frames_of, make_clip, packets_of

av = pytest.importorskip("av", reason="clips take the extra video")

from fastnst.errors import ClipReadError, ClipWriteError, ConfigError  # noqa: E402
from fastnst.video.clips import ClipJob, frame_at, stylize_clip  # noqa: E402
from fastnst.video.options import ClipOptions  # noqa: E402


def copied(source: Path, target: Path, options: ClipOptions | None = None, **more) -> str:
    return stylize_clip(ClipJob(source, target, options or ClipOptions(), **more), lambda p: p)


def transparent(path: Path, codec: str, format: str) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, format
        for pixels in frames_of(5):
            half = np.dstack([pixels, np.full(pixels.shape[:2], 128, np.uint8)])
            container.mux(video.encode(av.VideoFrame.from_ndarray(half, format="rgba")))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "format"),
    [("in.webm", "libvpx-vp9", "yuva420p"), ("in.mov", "qtrle", "argb")],
)
def test_transparency_that_is_lost_is_told(name, codec, format, tmp_path):
    source = transparent(tmp_path / name, codec, format)
    assert copied(source, tmp_path / "out.mkv") == "its transparency is left out"


def test_frames_that_the_decoder_patches_up_are_told(tmp_path):
    source = make_clip(tmp_path / "in.mp4", frames_of(60))
    whole = source.read_bytes()
    with av.open(str(source)) as container:
        places = [(p.pos, p.size) for p in container.demux() if p.size]
    dice, patched = random.Random(1), []
    for _ in range(60):
        damaged = bytearray(whole)
        place, size = dice.choice(places)
        for _ in range(3):
            damaged[place + dice.randrange(5, size)] ^= 1 << dice.randrange(8)
        source.write_bytes(damaged)
        try:
            with av.open(str(source)) as container:
                flags = [frame.is_corrupt for frame in container.decode(video=0)]
                if any(flags):
                    patched.append(copied(source, tmp_path / "out.mkv"))
        except (av.FFmpegError, ClipReadError):
            continue
    assert len(patched) > 3
    assert all("frames are patched up from others" in news for news in patched)


def test_a_matrix_that_is_not_known_is_told_with_the_clips_name(tmp_path):
    source = make_clip(tmp_path / "in.mkv", frames_of(3), tags={"colorspace": 8})
    with pytest.raises(ClipReadError, match=r"in\.mkv: its colours are coded by a matrix"):
        copied(source, tmp_path / "out.mkv")


def test_a_file_without_a_stream(tmp_path):
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(ClipReadError, match="no pictures that move, nor anything else"):
        copied(tmp_path / "in.mp4", tmp_path / "out.mp4")


def test_frames_that_are_too_large_are_refused_before_one_is_decoded(tmp_path):
    source = make_clip(tmp_path / "in.mp4", frames_of(3))
    with pytest.raises(ClipReadError, match=r"64 x 48 pixels are more .*--max-pixels"):
        copied(source, tmp_path / "out.mp4", max_pixels=3000)
    with pytest.raises(ClipReadError, match="--max-pixels"):
        frame_at(source, 0, max_pixels=3000)
    assert copied(source, tmp_path / "out.mp4", max_pixels=64 * 48) == ""


@pytest.mark.parametrize("seconds", [1, 0.2])
def test_sound_without_speakers_is_refused_by_mp4_before_anything_is_painted(seconds, tmp_path):
    # Matroska doesn't say which speakers PCM is for, and MP4 wants to know it, at its very end.
    frames = frames_of(int(25 * seconds))
    source = make_clip(tmp_path / "in.mkv", frames, sound="pcm_s24le")
    with pytest.raises(ClipWriteError, match=r"can't hold the clip's sound \(audio pcm_s24le\)"):
        stylize_clip(ClipJob(source, tmp_path / "out.mp4", ClipOptions()), None)
    assert copied(source, tmp_path / "out.mov") == ""
    # A camera's MOV does say it.
    source = make_clip(tmp_path / "camera.mov", frames, sound="pcm_s16le")
    assert copied(source, tmp_path / "camera.mp4") == ""
    before, after = (
        b"".join(sound for _, sound in packets_of(path, "audio"))
        for path in (source, tmp_path / "camera.mp4")
    )
    assert before == after != b""


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (ClipOptions(preset="quick"), "presets of libx264 are ultrafast .* placebo, not quick"),
        (ClipOptions("vp9", preset="fast"), "presets of libvpx-vp9 are 0 to 8, not fast"),
        (ClipOptions(quality=60), "the quality of libx264 goes to 51, and not to 60"),
    ],
)
def test_what_an_encoder_does_not_know_is_told_by_name(options, line, tmp_path, capfd):
    source = make_clip(tmp_path / "in.mp4", frames_of(3))
    with pytest.raises(ConfigError, match=line):
        stylize_clip(ClipJob(source, tmp_path / "out.mkv", options), None)
    assert capfd.readouterr() == ("", "")


def test_times_below_0_and_a_single_frame(tmp_path):
    times = [-200 + 40 * number for number in range(12)]
    source = make_clip(tmp_path / "in.mkv", frames_of(12), times, codec="ffv1", format="bgr0")
    before = [time for time, _ in packets_of(source, "video")]
    assert copied(source, tmp_path / "out.mkv", ClipOptions("ffv1")) == ""
    assert [time for time, _ in packets_of(tmp_path / "out.mkv", "video")] == before
    source = make_clip(tmp_path / "one.mp4", frames_of(1))
    assert copied(source, tmp_path / "one-out.mp4") == ""
    assert len(decoded(tmp_path / "one-out.mp4")) == 1
