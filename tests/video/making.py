"""Clips that tests make for themselves."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICKS = Fraction(1, 1000)
SAMPLES, RATE = 1024, 48000


def frames_of(count: int, width: int = 64, height: int = 48, seed: int = 0) -> list[np.ndarray]:
    """Frames (H, W, 3): a smooth picture that moves to the left by three pixels each time."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 256, (height // 8 + 2, (width + 3 * count) // 8 + 2, 3), np.uint8)
    wide = np.kron(cells, np.ones((8, 8, 1), np.uint8))[:height]
    return [np.ascontiguousarray(wide[:, 3 * i : 3 * i + width]) for i in range(count)]


def make_clip(
    path: Path,
    frames: Sequence[np.ndarray],
    pts: Sequence[int] | None = None,
    codec: str = "libx264",
    format: str = "yuv420p",
    sound: str = "",
    tags: dict[str, int] | None = None,
) -> Path:
    """Write frames, at ``pts`` in thousandths of a second, with a sine as sound where asked."""
    pts = list(pts) if pts is not None else [40 * i for i in range(len(frames))]
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = format
        video.time_base = video.codec_context.time_base = TICKS
        if codec == "libx264":
            video.options = {"crf": "4"}
        for name, value in (tags or {}).items():
            setattr(video.codec_context, name, value)
        voice = container.add_stream(sound, rate=RATE) if sound else None
        for pixels, place in zip(frames, pts, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = place, TICKS
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if voice is not None:
            for block in range((pts[-1] - pts[0]) * RATE // 1000 // SAMPLES):
                phase = (np.arange(SAMPLES) + SAMPLES * block) * 2 * np.pi * 440 / RATE
                wave = np.repeat(np.sin(phase)[None].astype(np.float32), 2, 0)
                heard = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
                heard.sample_rate, heard.time_base = RATE, Fraction(1, RATE)
                heard.pts = SAMPLES * block + pts[0] * RATE // 1000
                container.mux(voice.encode(heard))
            container.mux(voice.encode(None))
    return path


def packets_of(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Time and content of each packet of a kind of stream, by time."""
    with av.open(str(path)) as container:
        found = [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux()
            if packet.size and packet.stream.type == kind
        ]
    return sorted(found, key=lambda one: one[0])


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
