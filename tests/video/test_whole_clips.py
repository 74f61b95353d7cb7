"""A clip in, a clip out: times, sound, sizes, colours, and nothing that is half done."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers import make_picture, one_line
from PIL import Image

av = pytest.importorskip("av", reason="clips take the extra video")

from av.stream import Disposition  # noqa: E402
from making import decoded, frames_of, make_clip, packets_of  # noqa: E402

from fastnst.cli import main  # noqa: E402
from fastnst.errors import (  # noqa: E402
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_PARTIAL,
    EXIT_USAGE,
    ClipReadError,
    ClipWriteError,
)
from fastnst.video import clips  # noqa: E402
from fastnst.video.clips import ClipJob, frame_at, stylize_clip  # noqa: E402
from fastnst.video.colour import colours_of  # noqa: E402
from fastnst.video.options import ClipOptions  # noqa: E402
from fastnst.video.turn import upright  # noqa: E402

LOSSLESS = ClipOptions(codec="ffv1")


def same(pixels):
    return pixels


def copied(source: Path, target: Path, options: ClipOptions = LOSSLESS, **more) -> str:
    return stylize_clip(ClipJob(source, target, options, **more), same)


def test_times_and_sound_come_through(tmp_path):
    # A variable rate, the first time not 0, frames out of order (x264's B frames).
    gaps = np.random.default_rng(3).integers(10, 90, 40)
    times = [500, *(500 + np.cumsum(gaps)).tolist()]
    source = make_clip(tmp_path / "in.mp4", frames_of(41), times, sound="aac")
    order = [place for place, _ in packets_of(source, "video")]
    assert copied(source, tmp_path / "out.mp4", ClipOptions()) == ""
    assert [place for place, _ in packets_of(tmp_path / "out.mp4", "video")] == order
    assert np.allclose(np.diff([float(place) for place in order]), gaps / 1000)
    heard = packets_of(source, "audio")
    assert heard
    assert packets_of(tmp_path / "out.mp4", "audio") == heard


def test_a_part_begins_at_0_with_its_own_sound(tmp_path):
    frames = frames_of(50)
    source = make_clip(tmp_path / "in.mkv", frames, codec="ffv1", format="bgr0", sound="aac")
    copied(source, tmp_path / "out.mkv", ClipOptions("ffv1", start=0.5, end=1.3))
    found = decoded(tmp_path / "out.mkv")
    wanted = frames[13:33]  # From 0.52 s to 1.28 s.
    assert len(found) == len(wanted)
    assert all((one == other).all() for one, other in zip(found, wanted, strict=True))
    assert float(packets_of(tmp_path / "out.mkv", "video")[0][0]) == pytest.approx(0.02)
    heard = [float(place) for place, _ in packets_of(tmp_path / "out.mkv", "audio")]
    assert 0 <= heard[0] < 0.03
    assert 0.75 < heard[-1] < 0.8


@pytest.mark.parametrize("size", [(17, 33), (321, 241), (64, 48), (2, 2)])
@pytest.mark.parametrize("codec", ["h264", "vp9", "ffv1"])
def test_every_size_is_kept_and_no_row_is_sheared(size, codec, tmp_path):
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, width // 2 :] = 255
    source = make_clip(tmp_path / "in.mkv", [pixels] * 3, codec="ffv1", format="bgr0")
    news = copied(source, tmp_path / "out.mkv", ClipOptions(codec))
    found = decoded(tmp_path / "out.mkv")[-1].astype(int)
    assert found.shape == pixels.shape
    assert (np.abs(found - pixels)[:, [0, -1]] < 40).all()
    if width > 8:
        assert (np.abs(found - pixels)[:, width // 2 + 3 :] < 40).all()
        assert (np.abs(found - pixels)[:, : width // 2 - 3] < 40).all()
    assert ("4:4:4" in news) == (codec == "h264" and width % 2 == 1)


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_turns_and_mirrors_are_those_of_isos_matrix(quarters, mirrored):
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    # Mirrored from left to right, then turned clockwise; x to the right, y down.
    matrix = np.array([[-1, 0], [0, 1]]) if mirrored else np.eye(2, dtype=int)
    for _ in range(quarters):
        matrix = np.array([[0, -1], [1, 0]]) @ matrix
    wanted = np.rot90(pixels[:, ::-1] if mirrored else pixels, -quarters)
    (a, c), (b, d) = matrix.tolist()
    assert (upright(pixels, (a, b, c, d)) == wanted).all()


def test_a_phones_turn_is_applied_to_the_pixels(tmp_path):
    frames = frames_of(3, 64, 48)
    source = make_clip(tmp_path / "in.mp4", frames)
    # The matrix in the track's header, as a phone held upright writes it: a quarter clockwise.
    data = bytearray(source.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">9i", data, place)[0] == 0x10000
    struct.pack_into(">9i", data, place, 0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 1 << 30)
    source.write_bytes(data)
    copied(source, tmp_path / "out.mkv")
    found = decoded(tmp_path / "out.mkv")[0]
    assert np.abs(found.astype(int) - np.rot90(frames[0], -1)).mean() < 12
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert next(container.decode(video=0)).rotation == 0


COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (255, 255, 255), (20, 200, 180)]
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def coded(colour, matrix: int, full: bool) -> np.ndarray:
    """A colour as Y'CbCr, by the definition (ITU-R BT.601, 709, 2020)."""
    red, green, blue = (level / 255 for level in colour)
    kr, kb = WEIGHTS[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    apart = np.array([(blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)])
    chroma = 128 + apart * (255 if full else 224)
    levels = [luma * 255 if full else 16 + luma * 219, *chroma]
    return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)


def plain_clip(path: Path, colour, matrix: int, full: bool, tagged: bool, size=(64, 48)) -> Path:
    """A clip of a colour whose numbers are by the definition, not by FFmpeg's conversion."""
    width, height = size
    planes = coded(colour, matrix, full)
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        if tagged:
            video.codec_context.colorspace = matrix
            video.codec_context.color_range = 2 if full else 1
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane, level in zip(frame.planes, planes, strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        frame.pts = 0
        container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize(
    ("matrix", "full", "tagged", "size"),
    [
        (1, False, True, (64, 48)), (6, False, True, (64, 48)), (9, False, True, (64, 48)),
        (1, True, True, (64, 48)), (6, True, True, (64, 48)),
        (6, False, False, (64, 48)), (1, False, False, (1280, 24)),
    ],
)  # fmt: skip
def test_colours_are_right_within_2_levels_both_ways(matrix, full, tagged, size, tmp_path):
    for number, colour in enumerate(COLOURS):
        source = plain_clip(tmp_path / f"{number}.mkv", colour, matrix, full, tagged, size)
        seen, _ = frame_at(source, 0)
        assert np.abs(np.asarray(seen)[10, 10].astype(int) - colour).max() <= 2
        target = tmp_path / f"{number}-out.mkv"
        copied(source, target, ClipOptions("h264", quality=1))
        with av.open(str(target)) as container:
            frame = next(container.decode(video=0))
        found = colours_of(frame)
        assert (frame.colorspace, frame.color_range) == (found.matrix, 1) == (matrix, 1)
        levels = [np.frombuffer(plane, np.uint8)[0] for plane in frame.planes]
        assert np.abs(np.array(levels, int) - coded(colour, matrix, False)).max() <= 2


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_named_and_mapped(transfer, name, tmp_path):
    tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    frames = [np.full((48, 64, 3), 148, np.uint8)]
    source = make_clip(tmp_path / "in.mkv", frames, format="yuv420p10le", tags=tags)
    news = copied(source, tmp_path / "out.mkv", ClipOptions())
    assert re.search(rf"HDR \({name}\)", news)
    with av.open(str(tmp_path / "out.mkv")) as container:
        frame = next(container.decode(video=0))
    assert (frame.color_trc, frame.color_primaries, frame.colorspace) == (1, 1, 1)


def test_each_frame_is_what_apply_makes_of_it(model, tmp_path):
    frames = frames_of(4, 61, 47)
    source = make_clip(tmp_path / "in.mkv", frames, codec="ffv1", format="bgr0")
    options = ["--strength", "0.8", "--keep-colors", "--stroke-size", "1.5"]
    arguments = ["apply", str(model), str(source), "--codec", "ffv1", *options]
    assert main([*arguments, "--output", str(tmp_path / "out.mkv")]) == EXIT_DONE
    found = decoded(tmp_path / "out.mkv")
    for number, pixels in enumerate(frames):
        Image.fromarray(pixels).save(tmp_path / "still.png")
        still = ["apply", str(model), str(tmp_path / "still.png"), *options, "--overwrite"]
        assert main([*still, "--output", str(tmp_path / "painted.png")]) == EXIT_DONE
        assert (np.asarray(Image.open(tmp_path / "painted.png")) == found[number]).all()
    # And so is the one frame that is asked for.
    one = ["apply", str(model), str(source), "--frame", "0.09", *options]
    assert main(one) == EXIT_DONE
    assert (np.asarray(Image.open(tmp_path / "in-paint.png")) == found[2]).all()


@pytest.mark.parametrize("asked", [[], ["--stroke-size", "auto"]])
def test_strokes_of_frames_are_the_networks_own_unless_told(asked, model, tmp_path):
    frames = [np.asarray(make_picture(530, 550, 3))]
    source = make_clip(tmp_path / "in.mkv", frames, codec="ffv1", format="bgr0")
    arguments = ["apply", str(model), str(source), "--codec", "ffv1", *asked]
    assert main(arguments) == EXIT_DONE
    Image.fromarray(frames[0]).save(tmp_path / "in.png")
    still = ["apply", str(model), str(tmp_path / "in.png"), "--stroke-size", "1", *asked]
    assert main(still) == EXIT_DONE
    wanted = np.asarray(Image.open(tmp_path / "in-paint.png"))
    assert (decoded(tmp_path / "in-paint.mkv")[0] == wanted).all()
    assert main([*arguments, "--frame", "0", "--overwrite"]) == EXIT_DONE
    assert (np.asarray(Image.open(tmp_path / "in-paint.png")) == wanted).all()


def test_a_folder_of_both_and_the_same_command_again(model, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    make_clip(folder / "a.mp4", frames_of(3))
    make_clip(folder / "b.avi", frames_of(3), codec="mpeg4", tags={})
    make_picture(40, 30).save(folder / "c.png")
    (folder / "d.mp4").write_bytes(b"nothing")
    arguments = ["apply", str(model), str(folder), "--output", f"{tmp_path}/out"]
    assert main(arguments) == EXIT_PARTIAL
    assert "d.mp4: not a readable clip" in capsys.readouterr().err
    names = {"a.mp4", "b.mkv", "c.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    (tmp_path / "out" / "a.mp4").unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert main(arguments) == EXIT_PARTIAL
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    # Beside their clips results are known by their names, and by their mark.
    other = model.with_name("other.ckpt")
    other.write_bytes(model.read_bytes())
    for style in (model, other):
        mine = [str(path) for path in sorted(folder.glob("a*.mp4"))]
        assert main(["apply", str(style), *mine]) in (EXIT_DONE, EXIT_PARTIAL)
    assert not list(folder.glob("a-*-*.mp4"))


def test_what_is_no_clip_is_called_what_it_is(model, tmp_path, capsys):
    make_picture(20, 20).save(tmp_path / "photo.png")
    (tmp_path / "photo.png").rename(tmp_path / "photo.mp4")
    whole = make_clip(tmp_path / "whole.mp4", frames_of(30)).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.mkv").touch()
    with av.open(str(tmp_path / "heard.mkv"), "w") as container:
        voice = container.add_stream("aac", rate=48000)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
        )
        silence.sample_rate = 48000
        container.mux([*voice.encode(silence), *voice.encode(None)])
    for name, told in {
        "photo.mp4": "a picture in PNG", "cut.mp4": "cut short", "empty.mkv": "empty",
        "heard.mkv": "no pictures that move, only audio", "none.mp4": "no such file",
    }.items():  # fmt: skip
        assert main(["apply", str(model), str(tmp_path / name)]) == EXIT_USAGE
        assert told in one_line(capsys), name
        assert not list(tmp_path.glob("*-paint*"))
    assert not list(tmp_path.glob(".*.part"))


def with_cover(path: Path, clip: Path, codec: str = "png") -> Path:
    """A clip with a cover picture, as an album's film has it."""
    picture = io.BytesIO()
    make_picture(200, 100).save(picture, "JPEG" if codec == "mjpeg" else "PNG")
    with av.open(str(clip)) as given, av.open(str(path), "w") as container:
        streams = {s.index: container.add_stream_from_template(s) for s in given.streams}
        cover = container.add_mux_stream(codec, width=200, height=100)
        cover.disposition = Disposition.attached_pic
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
        packet = av.Packet(picture.getvalue())
        packet.stream, packet.pts, packet.dts, packet.time_base = cover, 0, 0, Fraction(1, 1000)
        container.mux(packet)
    return path


@pytest.mark.parametrize("codec", ["png", "mjpeg"])
def test_a_cover_is_no_frame_and_comes_along(codec, tmp_path):
    frames = frames_of(20)
    clip = make_clip(tmp_path / "a.mp4", frames, sound="aac")
    source = with_cover(tmp_path / "in.mp4", clip, codec)
    assert copied(source, tmp_path / "out.mp4", ClipOptions(start=0.2)) == ""
    for path, count in ((source, 20), (tmp_path / "out.mp4", 15)):
        with av.open(str(path)) as container:
            moving, cover = container.streams.video
            assert (moving.width, cover.width) == (64, 200)
            assert cover.disposition & Disposition.attached_pic
            assert sum(1 for _ in container.decode(video=0)) == count
    assert copied(source, tmp_path / "out.mkv") == (
        f".mkv can't hold its cover ({codec}): left out"
    )


def test_interlaced_frames_are_made_whole_and_keep_their_times(tmp_path):
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        video.options = {"x264-params": "interlaced=1:tff=1"}
        for number in range(12):
            # Every second row is of a later moment.
            pixels = np.zeros((64, 64, 3), np.uint8)
            pixels[::2, 10 + 2 * number :] = pixels[1::2, 14 + 2 * number :] = 200
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    assert copied(tmp_path / "in.mkv", tmp_path / "out.mkv") == "interlaced: made whole by bwdif"
    before, after = (packets_of(tmp_path / name, "video") for name in ("in.mkv", "out.mkv"))
    assert [place for place, _ in before] == [place for place, _ in after]
    # Rows that stood out like a comb lie together.
    combs = [
        np.abs(np.diff(decoded(tmp_path / name)[6].astype(int), axis=0)).mean()
        for name in ("in.mkv", "out.mkv")
    ]
    assert combs[1] < 0.5 * combs[0]


def test_a_clip_that_ends_before_its_header_says(tmp_path):
    source = make_clip(tmp_path / "in.mkv", frames_of(100), codec="ffv1", format="bgr0")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 3])
    with pytest.raises(ClipReadError, match=r"cut short|damaged"):
        copied(source, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()
    news = copied(source, tmp_path / "out.mkv", allow_truncated=True)
    assert re.search("cut short|damaged", news)
    assert 20 < len(decoded(tmp_path / "out.mkv")) < 40


def test_sound_that_a_container_cant_hold_is_named_before_anything_is_computed(tmp_path):
    source = make_clip(tmp_path / "in.mkv", frames_of(10), sound="aac")
    with pytest.raises(
        ClipWriteError, match=r"can't hold the clip's sound \(audio aac\).*out\.mkv"
    ):
        stylize_clip(ClipJob(source, tmp_path / "out.webm", ClipOptions()), None)
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_end_in_the_middle_leaves_what_was_there(error, tmp_path):
    source, target = make_clip(tmp_path / "in.mp4", frames_of(30)), tmp_path / "out.mp4"
    target.write_bytes(b"before")
    left = iter(range(10))

    def paint(pixels):
        if next(left, None) is None:
            raise error
        return pixels

    with pytest.raises(error):
        stylize_clip(ClipJob(source, target, ClipOptions()), paint)
    assert target.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "out.mp4"}


def test_ctrl_c_ends_apply_with_its_code(model, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(clips, "_progress", interrupted)
    source = make_clip(tmp_path / "in.mp4", frames_of(5))
    assert main(["apply", str(model), str(source)]) == EXIT_INTERRUPTED
    assert not list(tmp_path.glob("*in-*")) + list(tmp_path.glob(".*"))


def test_a_full_disk_is_a_line(tmp_path):
    program = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from fastnst.video.clips import *\nfrom fastnst.video.options import ClipOptions\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))\n"
        "job = ClipJob(Path(sys.argv[1]), Path(sys.argv[2]), ClipOptions('ffv1'))\n"
        "try:\n    stylize_clip(job, lambda p: p)\nexcept Exception as error:\n"
        "    print(type(error).__name__, error)"
    )
    frames = list(np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), np.uint8))
    source = make_clip(tmp_path / "in.mkv", frames, codec="ffv1", format="bgr0")
    arguments = [sys.executable, "-c", program, str(source), str(tmp_path / "out.mkv")]
    told = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    assert told.startswith("ClipWriteError")
    assert "File too large" in told
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv"}


def test_without_pyav_a_line_names_the_extra(model, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    source = make_clip(folder / "a.mp4", frames_of(2))
    make_picture(20, 20).save(folder / "b.png")
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr("fastnst.stylize.sources.is_installed", lambda: False)
    assert main(["apply", str(model), str(source)]) == EXIT_USAGE
    assert "pip install av opencv-python-headless" in one_line(capsys)
    assert main(["apply", str(model), str(folder), "--output", f"{tmp_path}/out"]) == EXIT_DONE
    assert (
        "1 clip file was passed over: pip install av opencv-python-headless"
        in capsys.readouterr().err
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]


def test_pictures_never_load_pyav(model, tmp_path):
    make_picture(20, 20).save(tmp_path / "a.png")
    program = (
        "import sys\nfrom fastnst.cli import main\n"
        "assert main(['apply', *sys.argv[1:]]) == 0\nassert 'av' not in sys.modules"
    )
    arguments = [sys.executable, "-c", program, str(model), str(tmp_path / "a.png")]
    subprocess.run(arguments, check=True, capture_output=True)
