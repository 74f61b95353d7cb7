"""Clips whose container says that players show a part of their frames."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av", reason="clips take the extra video")

from helpers import make_model  # noqa: E402
from making import decoded, frames_of, make_clip  # noqa: E402

from fastnst.cli import main  # noqa: E402
from fastnst.errors import EXIT_DONE  # noqa: E402
from fastnst.video.crop import NONE, margins  # noqa: E402

WAY = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")
GREEN = (0, 255, 0)


def clap(width: int, height: int, right: int = 0, down: int = 0, by: int = 1) -> bytes:
    """A clean aperture: its size and how far its middle is from that of the frame, over ``by``."""
    numbers = (width, by, height, by, right, by, down, by)
    return struct.pack(">I4s8i", 40, b"clap", *numbers)


def with_box(path: Path, box: bytes) -> Path:
    """A box put at the end of the first track's sample entry; all above grow by it."""
    data, begin, places = path.read_bytes(), 0, []
    assert data.index(b"mdat") < data.index(b"moov")
    end = len(data)
    for name in WAY:
        at = begin
        while data[at + 4 : at + 8] != name:
            at += struct.unpack_from(">I", data, at)[0]
        places.append(at)
        end = at + struct.unpack_from(">I", data, at)[0]
        begin = at + 8 + (8 if name == b"stsd" else 0)
    grown = bytearray(data[:end] + box + data[end:])
    for at in places:
        struct.pack_into(">I", grown, at, struct.unpack_from(">I", grown, at)[0] + len(box))
    path.write_bytes(grown)
    return path


def framed(left: int, top: int, right: int, bottom: int) -> list[np.ndarray]:
    """Frames of 64 x 48 whose margins are green."""
    frames = frames_of(4)
    for frame in frames:
        frame[:top] = frame[48 - bottom :] = GREEN
        frame[:, :left] = frame[:, 64 - right :] = GREEN
    return frames


def green(frame: np.ndarray) -> float:
    """The share of pixels that are; at the margins some run out of them."""
    levels = frame.astype(int)
    return float(((levels[..., 1] > 200) & (levels[..., 0] < 60) & (levels[..., 2] < 60)).mean())


@pytest.mark.parametrize(
    ("box", "found"),
    [
        (clap(64, 32), (0, 8, 0, 8)),
        (clap(48, 32, 4, -6), (12, 2, 4, 14)),
        (clap(96, 64, -8, 0, by=2), (4, 8, 12, 8)),
        (clap(64, 48), NONE),
        (clap(80, 48), NONE),
        (clap(0, 48), NONE),
        (clap(32, 32, 40, 0), NONE),
        (clap(64, 32, by=0), NONE),
        (clap(64, 32)[:20], NONE),
        (struct.pack(">I4s", 8, b"free"), NONE),
    ],
)
def test_a_clean_aperture_is_what_is_shown(box, found, tmp_path):
    path = with_box(make_clip(tmp_path / "a.mp4", frames_of(2)), box)
    assert margins(path, 0) == found
    assert margins(path, 1) == NONE


def test_what_is_not_to_be_seen_is_neither_painted_nor_shown(tmp_path, capsys):
    path = make_clip(tmp_path / "a.mp4", framed(12, 2, 4, 14))
    assert green(decoded(path)[0]) > 0.3
    with_box(path, clap(48, 32, 4, -6))
    model, output = str(make_model(tmp_path)), tmp_path / "out.mp4"
    command = ["apply", model, str(path), "--strength", "0", "--smooth", "0", "--output"]
    assert main([*command, str(output)]) == EXIT_DONE
    assert "cropped to 48 x 32, as its container has it" in capsys.readouterr().err
    frames = decoded(output)
    assert frames[0].shape == (32, 48, 3)
    assert max(green(frame) for frame in frames) < 0.03
    # The margins' colour runs into what is beside them, so of all frames its own is the nearest.
    shown = [frame[2:34, 12:60].astype(int) for frame in framed(12, 2, 4, 14)]
    apart = [float(np.abs(frames[1].astype(int) - frame).mean()) for frame in shown]
    assert apart.index(min(apart)) == 1
    assert margins(output, 0) == NONE
    assert main([*command, str(tmp_path / "out.png"), "--frame", "0"]) == EXIT_DONE


def element(number: int, content: bytes, length: int = 1) -> bytes:
    """An element of Matroska, its size in so many bytes."""
    size = len(content) | 1 << (7 * length)
    return (
        number.to_bytes((number.bit_length() + 7) // 8, "big")
        + size.to_bytes(length, "big")
        + content
    )


def matroska(*tracks: bytes, unknown: bool = False) -> bytes:
    head = element(0x1A45DFA3, element(0x4282, b"matroska"))
    body = element(0xEC, bytes(30)) + element(0x1654AE6B, b"".join(tracks), 8)
    body += element(0x1F43B675, b"clusters", 4)
    segment = element(0x18538067, body, 8)
    return head + (segment[:4] + b"\1" + b"\xff" * 7 + segment[12:] if unknown else segment)


def track(kind: int, *crops: tuple[int, int]) -> bytes:
    video = element(0xB0, b"\x40") + element(0xBA, b"\x30")
    video += b"".join(element(number, bytes([0, value])) for number, value in crops)
    return element(
        0xAE, element(0xD7, b"\1") + element(0x83, bytes([kind])) + element(0xE0, video), 2
    )


@pytest.mark.parametrize("unknown", [False, True])
def test_pixel_crop_of_matroska_is_what_is_not_shown(unknown, tmp_path):
    path = tmp_path / "a.mkv"
    cropped = track(1, (0x54BB, 8), (0x54AA, 6), (0x54CC, 2), (0x54DD, 4))
    path.write_bytes(matroska(track(2), track(1), cropped, unknown=unknown))
    assert margins(path, 0) == NONE
    assert margins(path, 1) == (2, 8, 4, 6)


def test_real_files_of_ffmpegs_have_none(tmp_path):
    for suffix in (".mp4", ".mkv", ".mov", ".avi"):
        assert margins(make_clip(tmp_path / f"a{suffix}", frames_of(2)), 0) == NONE


def test_damaged_files_say_nothing_at_once(tmp_path):
    path = with_box(make_clip(tmp_path / "a.mp4", frames_of(2)), clap(64, 32))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 30):
            damaged[place] = int(rng.integers(0, 256))
        path.write_bytes(damaged[: int(rng.integers(1, len(whole)))])
        assert len(margins(path, 0)) == 4
    path.write_bytes(matroska(track(1))[:-40] + bytes(30))
    assert margins(path, 0) == NONE
    path.write_bytes(b"")
    assert margins(path, 0) == NONE
