"""Clips without an index or without times of their own: transport streams, program streams, AVI."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from making import decoded, frames_of, make_clip, packets_of

av = pytest.importorskip("av", reason="clips take the extra video")

from fastnst.errors import ClipReadError  # noqa: E402
from fastnst.video.clips import ClipJob, frame_at, stylize_clip  # noqa: E402
from fastnst.video.clock import ShownAt  # noqa: E402
from fastnst.video.options import ClipOptions  # noqa: E402

# Bytes of a transport stream's packet.
PACKET = 188


def copied(source: Path, target: Path, **options) -> str:
    return stylize_clip(ClipJob(source, target, ClipOptions(**options)), lambda p: p)


def times_of(path: Path) -> list[float]:
    return [float(time) for time, _ in packets_of(path, "video")]


def stream_of(path: Path, codec: str = "libx264", count: int = 100) -> Path:
    """Noise, in each frame a little brighter than in the one before, 25 a second, a key frame in
    30. Program streams tell exact times only of frames that are larger than 2 KB.
    """
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        video.options, video.bit_rate = {"g": "30", "bf": "2"}, 4_000_000
        for number in range(count):
            pixels = (rng.integers(0, 40, (96, 128, 3)) + 2 * number).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
    return path


def numbers_of(frames: list[np.ndarray]) -> list[int]:
    """Which of those frames they are, to about one."""
    return [round((float(pixels.mean()) - 20) / 2) for pixels in frames]


@pytest.mark.parametrize("name", ["in.ts", "in.mpg", "in.avi"])
def test_a_part_loses_no_frame_before_the_next_key_frame(name, tmp_path):
    codec = {".ts": "libx264", ".mpg": "mpeg2video", ".avi": "mpeg4"}[name[2:]]
    source = stream_of(tmp_path / name, codec)
    for start, first in ((0.6, 15), (1.0, 25), (3.0, 75)):
        assert copied(source, tmp_path / "out.mkv", start=start, codec="ffv1") == ""
        found = numbers_of(decoded(tmp_path / "out.mkv"))
        assert len(found) in (100 - first, 101 - first)
        assert abs(found[0] - first) <= 2
        assert times_of(tmp_path / "out.mkv")[0] <= 0.05
        picture = np.asarray(frame_at(source, start)[0])
        assert abs(numbers_of([picture])[0] - first) <= 2
    assert abs(numbers_of([np.asarray(frame_at(source, 0)[0])])[0]) <= 1


def test_frames_of_avi_that_are_coded_out_of_order_are_shown_evenly(tmp_path):
    with av.open(str(tmp_path / "in.avi"), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.options = {"bf": "3", "b-pyramid": "normal"}
        for pixels in frames_of(30):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
    assert copied(tmp_path / "in.avi", tmp_path / "out.mkv") == ""
    times = times_of(tmp_path / "out.mkv")
    assert np.diff(times) == pytest.approx([0.04] * 29, abs=0.002)
    assert times[0] < 0.1


def test_times_are_guessed_as_ffmpeg_does():
    steady = [(0, -2), (1, -1), (2, 0), (3, 1)]
    assert [ShownAt(True)(*one) for one in steady] == [0, 1, 2, 3]
    guess = ShownAt(True)
    assert [guess(*one) for one in [(1, 2), (4, 3), (3, 4), (5, 5), (2, 6)]] == [1, 4, 4, 5, 6]
    assert ShownAt(True)(None, 7) == 7
    assert ShownAt(False)(7, None) == 7


def test_frames_without_a_time_are_put_at_the_clips_rate(tmp_path, monkeypatch):
    source = make_clip(tmp_path / "in.mkv", frames_of(5))
    monkeypatch.setattr(ShownAt, "__call__", lambda *_: None)
    monkeypatch.setattr(av.VideoFrame, "duration", 0, raising=False)
    assert copied(source, tmp_path / "out.mkv") == "5 frames have no time: put at 25 a second"
    assert times_of(tmp_path / "out.mkv") == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])


@pytest.mark.parametrize("resumable", [False, True])
def test_a_clock_that_has_come_around_hides_nothing(resumable, tmp_path):
    """A transport stream's has 33 bits, and comes around each day; here a second into the clip."""
    plain, source = stream_of(tmp_path / "plain.ts", count=50), tmp_path / "in.ts"
    with av.open(str(plain)) as given, av.open(str(source), "w") as container:
        copy = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream, shift = copy, 2**33 - 90000
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                container.mux(packet)
    with av.open(str(source)) as container:
        assert container.start_time < 0
    copied(source, tmp_path / "out.mp4", resumable=resumable)
    assert len(decoded(tmp_path / "out.mp4")) == 50
    copied(source, tmp_path / "out.mp4", start=1.0, resumable=resumable)
    assert len(decoded(tmp_path / "out.mp4")) in (25, 26)


def packets_with(data: bytes, kind: int) -> list[int]:
    """Where packets of an elementary stream lie in a transport stream; video is 256, sound 257."""
    return [
        place
        for place in range(0, len(data), PACKET)
        if int.from_bytes(data[place + 1 : place + 3], "big") & 0x1FFF == kind
    ]


@pytest.mark.parametrize(
    ("kind", "first", "line"),
    [
        (256, False, "packets have lost something on their way"),
        (256, True, "packets have lost something on their way"),
        (257, False, "1 damaged packets of its other streams are left out"),
        (257, True, "damaged: 1 gaps in its sound"),
    ],
)
def test_lost_packets_are_told(kind, first, line, tmp_path):
    """Of a frame, of sound, and with them when these are."""
    source = make_clip(tmp_path / "in.ts", frames_of(40, 160, 120), sound="aac")
    whole = source.read_bytes()
    places = packets_with(whole, kind)
    begins = [number for number, place in enumerate(places) if whole[place + 1] & 0x40]
    place = places[begins[len(begins) // 2] + (not first)]
    source.write_bytes(whole[:place] + whole[place + PACKET :])
    assert line in copied(source, tmp_path / "out.mkv")
    assert len(decoded(tmp_path / "out.mkv")) in (39, 40)
    times = [float(time) for time, _ in packets_of(tmp_path / "out.mkv", "audio")]
    assert times[-1] - times[0] > 1.4
    assert len(times) > 55


def test_a_recording_that_never_comes_to_a_key_frame(tmp_path):
    whole = make_clip(tmp_path / "whole.ts", frames_of(60, 320, 240)).read_bytes()
    third = len(whole) // PACKET // 3 * PACKET
    (tmp_path / "in.ts").write_bytes(whole[third + 50 : 2 * third + 77])
    with pytest.raises(ClipReadError, match="holds no frame that can be decoded"):
        copied(tmp_path / "in.ts", tmp_path / "out.mkv")


@pytest.mark.parametrize(
    ("degrees", "done"), [(30, 0), (60, 90), (-30, 0), (0.5, None), (90, None)]
)
def test_turns_by_other_than_quarters_are_told(degrees, done, tmp_path):
    source = make_clip(tmp_path / "in.mp4", frames_of(2))
    data = bytearray(source.read_bytes())
    across, along = (round(65536 * f(math.radians(degrees))) for f in (math.cos, math.sin))
    matrix = across, along, 0, -along, across, 0, 0, 0, 1 << 30
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *matrix)
    source.write_bytes(data)
    told = copied(source, tmp_path / "out.mp4")
    if done is None:
        assert told == ""
    else:
        assert told == f"turned by {done} degrees, not by {degrees}: only quarter turns are applied"


def test_a_stream_of_data_is_told_or_kept(tmp_path):
    """Such as a drone's, of where it was."""
    with av.open(str(tmp_path / "in.ts"), "w") as container:
        video, data = container.add_stream("libx264", rate=25), container.add_data_stream("klv")
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number, pixels in enumerate(frames_of(5)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            packet = av.Packet(b"place %d" % number)
            packet.stream, packet.time_base = data, Fraction(1, 25)
            packet.pts = packet.dts = number
            container.mux(packet)
        container.mux(video.encode(None))
    told = copied(tmp_path / "in.ts", tmp_path / "out.mkv")
    assert told == ".mkv can't hold its stream of data: left out"
    assert copied(tmp_path / "in.ts", tmp_path / "out.mov") == ""
    kept = [content for _, content in packets_of(tmp_path / "out.mov", "data")]
    assert kept == [b"place %d" % number for number in range(4)]
