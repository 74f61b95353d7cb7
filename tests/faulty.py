"""Files made to do harm, and colour profiles with what they mean, byte by byte."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + extra + pixels + _chunk(b"IEND", b"")


def _tiff(width: int, height: int, pages: int = 1) -> bytes:
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1),
            (262, 3, 1, 1), (273, 4, 1, 0), (277, 3, 1, 1), (278, 4, 1, height),
            (279, 4, 1, 100)]  # fmt: skip
    size = 2 + 12 * len(tags) + 4
    data = b"II*\0" + struct.pack("<I", 8)
    for page in range(1, pages + 1):
        data += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags)
        data += struct.pack("<I", 8 + page * size if page < pages else 0)
    return data + b"\0" * 200


def _gif(canvas: int, frame: int, count: int = 1) -> bytes:
    one = b"," + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\2\2\x44\1\0"
    palette = b"\0\0\0\xff\xff\xff"
    header = struct.pack("<HHBBB", canvas, canvas, 0x80, 0, 0)
    return b"GIF89a" + header + palette + one * count + b";"


def _bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + info + b"\0" * 100


def _saved(format: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, format)
    return buffer.getvalue()


def _jpeg(width: int, height: int) -> bytes:
    data = _saved("JPEG")
    size = data.index(b"\xff\xc0") + 5
    return data[:size] + struct.pack(">HH", height, width) + data[size + 4 :]


def _avif(side: int) -> bytes:
    data = _saved("AVIF")
    size = data.index(b"ispe") + 8
    return data[:size] + struct.pack(">II", side, side) + data[size + 8 :]


def _webp(side: int) -> bytes:
    canvas = struct.pack("<I", side - 1)[:3] * 2
    frame = _saved("WEBP")[12:]
    place = b"\0" * 6 + b"\x0f\0\0" * 2 + b"\0" * 4
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + canvas
    body += b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    body += b"ANMF" + struct.pack("<I", 16 + len(frame)) + place + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


_ZEROS = zlib.compress(b"\0" * 100_000_000, 9)
_MANY = "pixels are more than fastnst reads"
# Name -> content and what is said of it.
BOMBS: dict[str, tuple[bytes, str]] = {
    "60k.png": (_png(60_000, 60_000), _MANY),
    "ztxt.png": (_png(8, 8, _chunk(b"zTXt", b"a\0\0" + _ZEROS)), "read ()"),
    "iccp.png": (
        _png(8, 8, _chunk(b"iCCP", b"a\0\0" + _ZEROS)),
        "read ('its colour profile is larger",
    ),
    "canvas.gif": (_gif(65535, 65535), _MANY),
    "frame.gif": (_gif(8, 65535), _MANY),
    "frames.gif": (_gif(1, 1, 100_000), "first of 100000 frames"),
    "2to31.tif": (_tiff(2**31, 2**31), _MANY),
    "row.tif": (_tiff(2**31 - 1, 1), _MANY),
    "pages.tif": (_tiff(4, 4, 20_000), "first of more than 1000 frames"),
    "2to31.bmp": (_bmp(2**31 - 1, 2**31 - 1), _MANY),
    "65k.jpg": (_jpeg(65_000, 65_000), _MANY),
    "17k.avif": (_avif(17_000), "unknown format"),
    "16k.webp": (_webp(16_384), _MANY),
    "1m.ppm": (b"P6 1000000 1000000 255\n", _MANY),
}


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _profile(space: bytes, kind: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2."""
    place, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        body += b"\0" * (-len(body) % 4)
        table += name + struct.pack(">II", place + len(data), len(body))
        data += body
    head = struct.pack(">I", place + len(data)) + b"test" + b"\2\x10\0\0" + kind + space
    head += connection + b"\0" * 12 + b"acsp" + b"\0" * 28 + _fixed(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _text(text: bytes) -> bytes:
    body = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0"
    return body + b"\0" * 78


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


_D65, _D50 = np.array([0.9504, 1, 1.0888]), np.array([0.9642, 1, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))


def _matrix(primaries) -> np.ndarray:
    """Linear RGB of these primaries (white D65) to XYZ under D50."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    at_d65 = xyz * np.linalg.solve(xyz, _D65)
    scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ _D65))
    return np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ at_d65


def rgb_profile(primaries, gamma: float) -> bytes:
    """The profile of a display with these primaries, white D65."""
    columns = _matrix(primaries).T
    tags = {b"desc": _text(b"test"), b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_D50)}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True):
        tags[name] = b"XYZ \0\0\0\0" + _fixed(*column)
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))
    return _profile(b"RGB ", b"mntr", b"XYZ ", tags)


def decoded_by(rgb: np.ndarray, primaries, gamma: float) -> np.ndarray:
    """Levels (H, W, 3) of sRGB that ``rgb`` (H, W, 3), 0..255, means under ``rgb_profile``."""
    linear = (rgb / 255) ** gamma @ (np.linalg.inv(_matrix(SRGB)) @ _matrix(primaries)).T
    linear = linear.clip(0, 1)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return curve * 255


def grey_profile(gamma: float) -> bytes:
    white = b"XYZ \0\0\0\0" + _fixed(*_D50)
    tags = {b"desc": _text(b"grey"), b"wtpt": white, b"kTRC": _curve(gamma)}
    return _profile(b"GRAY", b"mntr", b"XYZ ", tags)


def cmyk_profile() -> bytes:
    """White paper, a yellow ink of Lab (90, 0, 40), any full black (20, 0, 0), no other ink."""
    identity = b"".join(_fixed(*row) for row in np.eye(3))
    ramp = bytes(range(256))
    corners = b""
    for corner in range(16):
        lightness, b = (20, 0) if corner & 1 else (90, 40) if corner & 2 else (100, 0)
        corners += bytes([round(lightness * 2.55), 128, 128 + b])
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + corners + ramp * 3
    white = b"XYZ \0\0\0\0" + _fixed(*_D50)
    tags = {b"desc": _text(b"inks"), b"wtpt": white, b"A2B0": lut}
    return _profile(b"CMYK", b"prtr", b"Lab ", tags)


def box_profile(profile: bytes, size: int) -> bytes:
    """``profile`` with zeros behind it that its header counts in."""
    return struct.pack(">I", size) + profile[4:].ljust(size - 4, b"\0")
