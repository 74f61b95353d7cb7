"""Clips of recorders, editors and old cameras: their times and their sound come through."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from making import frames_of, make_clip, packets_of

av = pytest.importorskip("av", reason="clips take the extra video")

from fastnst.errors import ClipReadError, ClipWriteError  # noqa: E402
from fastnst.video.clips import ClipJob, stylize_clip  # noqa: E402
from fastnst.video.options import ClipOptions  # noqa: E402


def copied(source: Path, target: Path, options: ClipOptions | None = None) -> str:
    return stylize_clip(ClipJob(source, target, options or ClipOptions()), lambda p: p)


def times_of(path: Path, kind: str = "video") -> list[float]:
    return [float(time) for time, _ in packets_of(path, kind)]


def heard(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate(
            [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
        )  # fmt: skip


def moved(source: Path, target: Path, seconds: float) -> Path:
    """A clip's packets with other times."""
    with av.open(str(source)) as given, av.open(str(target), "w") as container:
        streams = {s.index: container.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                shift = round(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                container.mux(packet)
    return target


@pytest.mark.parametrize("later", [0, 3600])
def test_a_clock_that_jumps_goes_on(later, tmp_path):
    """A recording put after another: its clock goes back, or an hour ahead, in mid-stream."""
    one = make_clip(tmp_path / "one.ts", frames_of(25), sound="aac")
    # Nothing but the clock is other.
    other = moved(one, tmp_path / "other.ts", later) if later else one
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + other.read_bytes())
    for suffix in (".mkv", ".mp4"):
        told = copied(both, tmp_path / f"out{suffix}")
        assert told == "its clock jumps: made one that goes on"
        gaps = np.diff(times_of(tmp_path / f"out{suffix}"))
        assert len(gaps) == 49
        assert np.abs(gaps - 0.04).max() < 0.05
        voices = np.diff(times_of(tmp_path / f"out{suffix}", "audio"))
        assert len(voices) > 2 * 0.9 * len(times_of(one, "audio")) - 2
        assert voices.min() > 0
        assert voices.max() < 0.1
    assert copied(one, tmp_path / "out.mkv") == ""


def test_a_matroska_clip_that_begins_late_is_not_cut_short(tmp_path):
    # Its header says when it ends by its own clock, and not how long it lasts.
    times = [7000 + 40 * number for number in range(50)]
    source = make_clip(tmp_path / "in.mkv", frames_of(50), times, sound="aac")
    assert copied(source, tmp_path / "out.mkv") == ""
    assert times_of(tmp_path / "out.mkv") == pytest.approx([t / 1000 for t in times])
    # And one that is cut short still is told so.
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(ClipReadError, match="cut short"):
        copied(source, tmp_path / "cut.mkv")


def test_frames_that_last_seconds_are_not_cut_short(tmp_path):
    # With frames that look ahead the last packet is decoded long before it is shown.
    times = [2000 * number for number in range(5)]
    source = make_clip(tmp_path / "in.mp4", frames_of(5), times)
    assert copied(source, tmp_path / "out.mp4") == ""
    assert times_of(tmp_path / "out.mp4") == pytest.approx([t / 1000 for t in times])


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_what_an_edit_list_hides_stays_hidden(suffix, tmp_path):
    """A clip cut by an editor that codes nothing anew: a second lies before its beginning."""
    whole = make_clip(tmp_path / "whole.mp4", frames_of(50), sound="aac")
    source = moved(whole, tmp_path / "in.mp4", -1)
    assert min(times_of(source, "audio")) < -0.9
    copied(source, tmp_path / f"out{suffix}")
    shown = times_of(tmp_path / f"out{suffix}")
    assert len(shown) == 25
    early = shown[0] - times_of(tmp_path / f"out{suffix}", "audio")[0]
    assert 0 <= early < 0.15


def test_a_cameras_timecode_is_kept(tmp_path):
    source = tmp_path / "in.mov"
    with av.open(str(source), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.metadata["timecode"] = "01:02:03:04"
        for pixels in frames_of(5):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
    with av.open(str(source)) as container:
        assert [stream.type for stream in container.streams] == ["video", "data"]
    assert copied(source, tmp_path / "out.mov") == ""
    with av.open(str(tmp_path / "out.mov")) as container:
        assert [s.metadata.get("timecode") for s in container.streams] == ["01:02:03:04"] * 2
    # That of a part would be another.
    assert copied(source, tmp_path / "part.mov", ClipOptions(start=0.08)) == ""
    with av.open(str(tmp_path / "part.mov")) as container:
        assert len(container.streams) == 1


@pytest.mark.parametrize("resumable", [False, True])
def test_sound_that_no_container_holds_is_coded_anew(resumable, tmp_path):
    """Old cameras' and phones', which would else be lost."""
    source = tmp_path / "in.avi"
    with av.open(str(source), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        voice = container.add_stream("adpcm_ms", rate=8000, layout="mono")
        for pixels in frames_of(25):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        wave = (9000 * np.sin(np.arange(8000) * 0.3)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        for part in (frame, None):
            container.mux(voice.encode(part))
    told = copied(source, tmp_path / "out.mkv", ClipOptions(resumable=resumable))
    assert told == "its audio adpcm_ms, which .mkv can't hold, is coded anew as FLAC"
    before = heard(source)
    assert np.abs(before.astype(int)).max() > 8000
    assert np.array_equal(heard(tmp_path / "out.mkv"), before)
    times = times_of(tmp_path / "out.mkv", "audio")
    assert times[0] == 0
    assert 0.4 < times[-1] < 1.1
    with pytest.raises(ClipWriteError, match=r"can't hold the clip's sound .*out\.mkv can"):
        copied(source, tmp_path / "out.mp4")


def test_what_is_of_another_kind_is_told(tmp_path):
    source = tmp_path / "in.mp4"
    make_clip(tmp_path / "in.h264", frames_of(5)).rename(source)
    with pytest.raises(ClipReadError, match=r"not a readable clip \(of another kind\)"):
        copied(source, tmp_path / "out.mp4")
