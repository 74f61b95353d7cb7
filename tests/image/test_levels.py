"""Numbers other than bytes: every kind shows the same ramp, and what was guessed is said."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers import make_model
from PIL import Image

from fastnst.cli import main
from fastnst.image import decode_opened, read_decoded

GREY = np.tile(np.linspace(0, 1, 256), (16, 1))
RAMP = np.arange(256)
UNKNOWN = "the range of its numbers is not known"


def write_tiff(path: Path, values: np.ndarray, photometric: int = 1, packed: bool = False) -> Path:
    """A TIFF of one strip, written here, since Pillow writes few of these kinds."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    height, width, bands = (*values.shape, 1)[:3]
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    data = zlib.compress(data) if packed else data
    shorts = {
        258: [8 * values.itemsize] * bands, 259: [8 if packed else 1], 262: [photometric],
        277: [bands], 284: [1], 339: [kind] * bands,
    }  # fmt: skip
    longs = {256: [width], 257: [height], 273: [0], 278: [height], 279: [len(data)]}
    if bands == 4 and photometric == 2:
        shorts[338] = [2]
    start = 8 + 2 + 12 * (len(shorts) + len(longs)) + 4
    entries, beyond = b"", b""
    for tag, numbers in sorted((shorts | longs).items()):
        letter = "H" if tag in shorts else "I"
        value = struct.pack(f"<{len(numbers)}{letter}", *numbers)
        if len(value) > 4:
            value, beyond = struct.pack("<I", start + len(beyond)), beyond + value
        entries += struct.pack("<HHI", tag, 3 if tag in shorts else 4, len(numbers))
        entries += b"STRP" if tag == 273 else value.ljust(4, b"\0")
    entries = entries.replace(b"STRP", struct.pack("<I", start + len(beyond)))
    head = struct.pack("<2sHIH", b"II", 42, 8, len(shorts) + len(longs))
    path.write_bytes(head + entries + bytes(4) + beyond + data)
    return path


def write_png(path: Path, values: np.ndarray) -> Path:
    """A PNG of 16 bits."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    height, width, bands = values.shape
    colours = {2: 4, 3: 2, 4: 6}[bands]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colours, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + body)
    return path


def highlights(amount: float) -> np.ndarray:
    brighter = GREY.copy()
    brighter[:2, :2] = amount
    return brighter


def scaled(top: float, dtype: str) -> np.ndarray:
    return (GREY * top).round().astype(dtype)


# What is stored, and what is said of it.
GREYS = {
    "float 1": (GREY.astype("f4"), ""),
    "float, a highlight of 1.02": (highlights(1.02).astype("f4"), ""),
    "float, a highlight of 3": (highlights(3).astype("f4"), "up to 3; those above 1 are white"),
    "float 4": ((GREY * 4).astype("f4"), UNKNOWN),
    "float 255": ((GREY * 255).astype("f4"), ""),
    "float 65535": ((GREY * 65535).astype("f4"), ""),
    "float -1 to 1": ((GREY * 2 - 1).astype("f4"), UNKNOWN),
    "signed 8": ((RAMP - 128).repeat(16).reshape(256, 16).T.astype("i1"), UNKNOWN),
    "signed 16": ((GREY * 65535 - 32768).round().astype("i2"), UNKNOWN),
    "signed 16, none below 0": (scaled(32767, "i2"), ""),
    "signed 32": (scaled(70000, "i4"), UNKNOWN),
    "unsigned 32": (scaled(2**32 - 1, "u4"), ""),
    "16 in 32": (scaled(65535, "i4"), ""),
    "12 in 32": (scaled(4095, "i4"), "4095 of"),
    "16": (scaled(65535, "u2"), ""),
    "14 in 16": (scaled(16383, "u2"), "read as 14 bits"),
    "12 in 16": (scaled(4095, "u2"), "its greatest number is 4095 of 65535; read as 12 bits"),
    "10 in 16": (scaled(1023, "u2"), "read as 10 bits"),
    "8 in 16": (scaled(255, "u2"), "read as 8 bits"),
}


@pytest.mark.parametrize("name", GREYS)
def test_greys_of_every_kind_show_the_same_ramp(name, tmp_path):
    values, told = GREYS[name]
    path = write_tiff(tmp_path / "x.tif", values)
    decoded = read_decoded(path)
    with Image.open(path) as image:
        opened = decode_opened(image)
    for found in (decoded, opened):
        assert np.abs(np.asarray(found.picture)[8, :, 0].astype(int) - RAMP).max() <= 1
        assert len(found.news) == bool(told)
        assert told in " ".join(found.news)


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_white_that_is_0_is_no_negative_whatever_the_numbers(dtype, tmp_path):
    values = (1 - GREY).astype("f4") if dtype == "f4" else 4095 - scaled(4095, "u2")
    found = read_decoded(write_tiff(tmp_path / "x.tif", values, photometric=0))
    assert np.abs(np.asarray(found.picture)[8, :, 0].astype(int) - RAMP).max() <= 1


def test_what_is_no_number_is_black_and_what_is_endless_white(tmp_path):
    values = GREY.astype("f4")
    values[0, :3] = (np.nan, np.inf, -np.inf)
    found = np.asarray(read_decoded(write_tiff(tmp_path / "x.tif", values)).picture)
    assert found[0, :3, 0].tolist() == [0, 255, 0]
    assert np.abs(found[8, :, 0].astype(int) - RAMP).max() <= 1
    for still in (np.full((4, 4), 5.0), np.full((4, 4), np.nan), np.zeros((4, 4))):
        path = write_tiff(tmp_path / "still.tif", still.astype("f4"))
        assert np.asarray(read_decoded(path).picture).max() == 0


@pytest.mark.parametrize("top", [255, 1023, 4095, 16382])
@pytest.mark.parametrize("kind", ["rgb.tif", "rgb packed.tif", "cmyk.tif", "rgb.png", "rgba.png"])
def test_colour_of_fewer_bits_in_16_is_read_as_what_it_is(kind, top, tmp_path):
    colour = np.dstack([GREY, GREY[:, ::-1], GREY])
    path = tmp_path / kind
    if kind.startswith("cmyk"):
        inks = np.dstack([1 - colour, 0 * GREY])
        write_tiff(path, (inks * top).round().astype("u2"), photometric=5)
    elif kind.startswith("rgba"):
        write_png(path, np.dstack([(colour * top).round(), 0 * GREY + 65535]).astype("u2"))
    elif path.suffix == ".png":
        write_png(path, (colour * top).round().astype("u2"))
    else:
        write_tiff(path, (colour * top).round().astype("u2"), 2, packed="packed" in kind)
    found = read_decoded(path)
    expected = np.dstack([RAMP, RAMP[::-1], RAMP])
    assert np.abs(np.asarray(found.picture)[8].astype(int) - expected[0]).max() <= 1
    assert f"of 65535; read as {top.bit_length()} bits" in found.news[0]
    assert found.alpha is None


def test_colour_of_16_bits_that_uses_them_and_what_is_black_stay_as_they_are(tmp_path):
    colour = np.dstack([GREY, GREY[:, ::-1], GREY])
    found = read_decoded(write_png(tmp_path / "x.png", (colour * 65535).round().astype("u2")))
    assert np.abs(np.asarray(found.picture)[8, :, 0].astype(int) - RAMP).max() <= 1
    black = read_decoded(write_png(tmp_path / "black.png", np.zeros((9, 8, 3), "u2")))
    assert np.asarray(black.picture).max() == 0
    assert (found.news, black.news) == ((), ())


def test_grey_with_alpha_of_12_bits_in_16_is_not_black(tmp_path):
    values = np.dstack([scaled(4095, "u2"), np.full(GREY.shape, 65535)])
    found = read_decoded(write_png(tmp_path / "x.png", values))
    # Pillow gives the high half of each number alone.
    assert np.abs(np.asarray(found.picture)[8, :, 0].astype(int) - RAMP).max() <= 17
    assert "read as 12 bits" in found.news[0]


def test_apply_says_what_it_took_for_white(tmp_path, capsys):
    path = write_tiff(tmp_path / "x.tif", (GREY * 4).astype("f4"))
    model = make_model(tmp_path)
    assert main(["apply", str(model), str(path), "--output", str(tmp_path / "o.png")]) == 0
    assert f"x.tif: {UNKNOWN}; the least (0) is read as black" in capsys.readouterr().err
