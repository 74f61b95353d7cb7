"""Pictures that are cut, broken, huge, odd or no pictures at all: a result, or one line."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from faulty import BOMBS, box_profile, cmyk_profile, decoded_by, grey_profile, rgb_profile
from helpers import ROOT, encoded, make_model, make_picture
from PIL import EpsImagePlugin, ExifTags, Image, ImageCms, PdfParser, PngImagePlugin, PsdImagePlugin

import fastnst
from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_PARTIAL, EXIT_USAGE, ImageReadError
from fastnst.image import decode_opened, read_decoded, read_picture, upright_size
from fastnst.stylize.stylizer import Stylizer

SCRIPTS = ROOT / "scripts"
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM")
# Their decoders give what there is; those of the others want the file whole.
PARTIAL = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "PPM")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


def levels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


# A1: cut short.


@pytest.mark.parametrize("format", FORMATS)
def test_a_cut_picture_is_refused_and_on_request_what_is_there_is_read(format, tmp_path):
    picture = make_picture(160, 120, 1)
    data, path, found = encoded(picture, format), tmp_path / "cut", 0
    whole = None
    for i in range(16):
        path.write_bytes(data[: len(data) * i // 16])
        with pytest.raises(ImageReadError) as caught:
            read_decoded(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        with contextlib.suppress(ImageReadError):
            decoded = read_decoded(path, allow_truncated=True)
            assert decoded.picture.size == (160, 120)
            assert "a part of it is missing" in decoded.news[0]
            found, whole = found + 1, decoded.picture
    assert (found >= 12) == (format in PARTIAL)
    if format in ("JPEG", "PNG", "TIFF", "PPM"):
        # Of the last, 15 of 16 rows are there, and grey is below them.
        assert whole is not None
        assert np.abs(levels(whole)[:100] - levels(picture)[:100]).mean() < 3
        assert np.abs(levels(whole)[-1] - 128).max() <= 3


def test_cut_files_in_a_folder_cost_a_line_each_and_the_rest_is_done(model, tmp_path, capsys):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.png", "c.jpg"):
        data = encoded(make_picture(64, 48), "PNG" if name == "a.png" else "JPEG")
        (folder / name).write_bytes(data[: len(data) * 3 // 4])
    make_picture(64, 48).save(folder / "b.png")
    arguments = ["apply", str(model), str(folder), "--output", str(output)]
    assert main(arguments) == EXIT_PARTIAL
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[2].rpartition("/")[2] for line in told if "error" in line] == [
        "a.png", "c.jpg",
    ]  # fmt: skip
    assert [path.name for path in output.iterdir()] == ["b.png"]
    assert main([*arguments, "--allow-truncated"]) == EXIT_DONE
    assert "a.png: cut short or damaged" in capsys.readouterr().err
    assert {path.name for path in output.iterdir()} == {"a.png", "b.png", "c.jpg"}


# A2: mutants.

LONG = pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])
MUTANTS = """
import importlib.machinery, importlib.util, json, pathlib, random, resource, signal, sys, tempfile
from fastnst.errors import ImageReadError
from fastnst.image import read_decoded
loader = importlib.machinery.SourceFileLoader("fuzz", sys.argv[1])
fuzz = importlib.util.module_from_spec(importlib.util.spec_from_loader("fuzz", loader))
loader.exec_module(fuzz)
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
pictures, rng, counts = fuzz.seeds(), random.Random(7), {"read": 0, "refused": 0}
path = pathlib.Path(tempfile.mkdtemp(dir=sys.argv[2])) / "mutant"
for number in range(int(sys.argv[3])):
    path.write_bytes(fuzz.mutant(pictures[number % len(pictures)][1], rng))
    signal.alarm(5)
    try:
        assert read_decoded(path, max_pixels=10**7).picture.mode == "RGB"
        counts["read"] += 1
    except ImageReadError as error:
        assert "\\n" not in str(error)
        counts["refused"] += 1
    signal.alarm(0)
print(json.dumps(counts))
"""


@pytest.mark.skipif(not (SCRIPTS / "fuzz").exists(), reason="scripts are not here")
@pytest.mark.parametrize("count", [2000, LONG])
def test_mutants_are_read_or_refused_and_never_crash_hang_or_fill_the_memory(count, tmp_path):
    child = subprocess.run(
        [sys.executable, "-c", MUTANTS, str(SCRIPTS / "fuzz"), str(tmp_path), str(count)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr[-500:]
    counts = json.loads(child.stdout)
    assert counts["read"] + counts["refused"] == count
    assert min(counts.values()) > count / 20


# A4: bombs.

ONE_BY_ONE = """
import json, resource, sys, time
from pathlib import Path
import PIL.ImageCms
from fastnst.errors import ImageReadError
from fastnst.image import MAX_PIXELS, read_decoded
for path in map(Path, sys.argv[1:]):
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        told = f"read {read_decoded(path, max_pixels=MAX_PIXELS).news}"
    except ImageReadError as error:
        told = str(error)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([path.name, told, time.process_time() - started, (after - before) * 1024]))
"""


def test_bombs_are_refused_from_their_headers_in_little_time_and_memory(tmp_path):
    for name, (content, _) in BOMBS.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in BOMBS]
    child = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE, *paths], capture_output=True, text=True, check=True
    )
    rows = [json.loads(line) for line in child.stdout.splitlines()]
    assert [row[0] for row in rows] == list(BOMBS)
    for name, told, seconds, grown in rows:
        assert BOMBS[name][1] in told, (name, told)
        assert seconds < 1, (name, seconds)
        assert grown < 100e6, (name, grown)


# A5: what is no picture.


def test_a_wrong_suffix_does_not_matter(tmp_path):
    (tmp_path / "x.jpg").write_bytes(encoded(make_picture(9, 8), "PNG"))
    assert read_picture(tmp_path / "x.jpg").size == (9, 8)


OTHERS = {
    "empty.png": b"",
    "byte.png": b"\x89",
    "text.jpg": b"hello",
    "page.html.jpg": b"<!doctype html><title>404</title>",
    "a.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
    "a.pdf": b"%PDF-1.7\n%%EOF\n",
    "a.psd": b"8BPS\0\1" + b"\0" * 6 + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + b"\0" * 12,
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_picture_costs_a_line_and_reaches_no_other_parser(name, tmp_path, monkeypatch):
    path = tmp_path / name
    path.write_bytes(OTHERS[name])
    reached = []

    def parser(*args: object, **kwargs: object) -> None:
        reached.append(args)
        raise SyntaxError

    for plugin in (EpsImagePlugin.EpsImageFile, PsdImagePlugin.PsdImageFile):
        monkeypatch.setattr(plugin, "_open", parser)
    monkeypatch.setattr(PdfParser.PdfParser, "__init__", parser)
    with pytest.raises(ImageReadError, match="unknown format") as caught:
        read_picture(path)
    assert str(path) in str(caught.value)
    assert not reached


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_folders_pipes_sockets_devices_and_dangling_links_are_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # Names of sockets are short.
    os.mkfifo("pipe.jpg")
    Path("dangling.jpg").symlink_to("nowhere.jpg")
    Path("folder.jpg").mkdir()
    Path("zero.jpg").symlink_to("/dev/zero")
    monkeypatch.setattr(Image, "open", lambda *a, **k: pytest.fail("opened"))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.jpg")
        for name, message in {
            "pipe.jpg": "a device or a pipe",
            "socket.jpg": "a device or a pipe",
            "zero.jpg": "a device or a pipe",
            "dangling.jpg": "no such file",
            "folder.jpg": "is a folder",
        }.items():
            with pytest.raises(ImageReadError, match=message):
                read_picture(Path(name))


def test_a_file_that_may_not_be_read_is_told_with_the_reason(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(encoded(make_picture(9, 8), "PNG"))

    def denied(*args: object, **kwargs: object) -> None:
        # Root may read everything, so that a mode would prove nothing.
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", denied)
    with pytest.raises(ImageReadError, match=r"x\.png: .*Permission denied"):
        read_picture(path)


# A6: modes. The references are computed here.


def ramp() -> np.ndarray:
    """(8, 64, 3), every channel another ramp."""
    rows, columns = np.mgrid[0:8, 0:64]
    return np.stack([columns * 4, 255 - columns * 4, rows * 30], 2).astype(np.uint8)


def test_colours_of_every_mode_are_right_to_two_levels(tmp_path):
    rgb = ramp()
    alpha = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8), (8, 64))
    grey = rgb[..., 0]
    over = alpha[..., None] / 255
    white = rgb * over + 255 * (1 - over)
    grey_white = np.repeat((grey[..., None] * over + 255 * (1 - over)), 3, 2)
    greys = np.repeat(grey[..., None], 3, 2)
    palette = Image.fromarray(grey // 64 * 64).quantize(4)
    rgba = Image.fromarray(np.dstack([rgb, alpha]))
    key = Image.fromarray(np.where(grey[..., None] > 128, 255, rgb * 0 + 9).astype(np.uint8))
    cases = [
        (Image.fromarray(rgb), ".png", {}, rgb),
        (rgba, ".png", {}, white),
        (rgba, ".webp", {"lossless": True, "exact": True}, white),
        (Image.fromarray(grey), ".png", {}, greys),
        (Image.fromarray(np.dstack([grey, alpha])), ".png", {}, grey_white),
        (Image.fromarray(grey > 99), ".png", {}, (greys > 99) * 255),
        (palette, ".png", {}, greys // 64 * 64),
        (palette.convert("PA"), ".tif", {}, greys // 64 * 64),
        # A colour that stands for transparency.
        (key, ".png", {"transparency": (9, 9, 9)}, rgb * 0 + 255),
        (Image.fromarray(grey.astype(np.uint16) * 257), ".png", {}, greys),
        (Image.fromarray(grey.astype(np.uint16) * 257), ".tif", {}, greys),
        (Image.fromarray(grey.astype(np.int32) * 257), ".tif", {}, greys),
        (Image.fromarray((grey / 255).astype(np.float32)), ".tif", {}, greys),
        (Image.fromarray(np.dstack([255 - rgb, grey * 0]), "CMYK"), ".tif", {}, rgb),
    ]
    for number, (picture, suffix, options, expected) in enumerate(cases):
        path = tmp_path / f"{number}{suffix}"
        picture.save(path, **options)
        found = levels(read_picture(path))
        assert np.abs(found - expected).max() <= 2, (number, picture.mode, suffix)


def test_an_inverted_cmyk_jpeg_of_photoshop_is_read_the_right_way_round(tmp_path):
    # Pillow writes CMYK JPEGs inverted with Adobe's marker, as Photoshop does: transform 0.
    ink = np.full((16, 16, 4), (0, 255, 255, 0), np.uint8)
    data = encoded(Image.fromarray(ink, "CMYK"), "JPEG", quality=95)
    path = tmp_path / "cmyk.jpg"
    path.write_bytes(data)
    assert np.abs(levels(read_picture(path)) - (255, 0, 0)).max() <= 3
    # With transform 2 the numbers are YCCK. Inverted ink has no light: luma 0 is white paper.
    adobe = data.index(b"Adobe") + 11
    assert data[adobe] == 0
    neutral = np.full((16, 16, 4), (255, 127, 127, 0), np.uint8)
    ycck = bytearray(encoded(Image.fromarray(neutral, "CMYK"), "JPEG", quality=95))
    ycck[ycck.index(b"Adobe") + 11] = 2
    path.write_bytes(ycck)
    assert levels(read_picture(path)).min() >= 250


def test_16_bit_colour_is_read_as_8_bit(tmp_path):
    rgb = ramp()
    rows = (rgb.astype(">u2") * 257).tobytes()
    stride = 64 * 6
    scan = b"".join(b"\0" + rows[i : i + stride] for i in range(0, len(rows), stride))
    header = struct.pack(">IIBBBBB", 64, 8, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(scan)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks
    )
    (tmp_path / "x.png").write_bytes(data)
    assert np.abs(levels(read_picture(tmp_path / "x.png")) - rgb).max() <= 1


# A7: orientation (test_image.py has the other formats).


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_avif_is_applied_once(orientation, tmp_path):
    upright = Image.new("RGB", (32, 16), "blue")
    upright.paste("red", (0, 0, 8, 8))
    t = Image.Transpose
    undo = [None, t.FLIP_LEFT_RIGHT, t.ROTATE_180, t.FLIP_TOP_BOTTOM, t.TRANSPOSE, t.ROTATE_90,
            t.TRANSVERSE, t.ROTATE_270][orientation - 1]  # fmt: skip
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(tmp_path / "x.avif", exif=exif.tobytes(), quality=95)
    found = read_decoded(tmp_path / "x.avif")
    assert found.picture.size == (32, 16)
    assert found.picture.getpixel((2, 2))[0] > 200
    assert found.picture.getpixel((29, 13))[2] > 200
    assert b"\x12\x01\x03" not in found.exif


def test_two_exif_blocks_and_a_foreign_orientation_do_no_harm(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    block = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    app1 = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    data = encoded(make_picture(32, 16), "JPEG")
    (tmp_path / "twice.jpg").write_bytes(data[:2] + app1 * 2 + data[2:])
    assert read_picture(tmp_path / "twice.jpg").size == (16, 32)
    exif[ExifTags.Base.Orientation] = 99
    make_picture(32, 16).save(tmp_path / "odd.jpg", exif=exif.tobytes())
    assert read_picture(tmp_path / "odd.jpg").size == (32, 16)


# A8: colour profiles. faulty.decoded_by computes what they mean.

P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))


@pytest.mark.parametrize("primaries", [P3, ADOBE], ids=["Display P3", "Adobe RGB"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_is_converted_by_its_primaries(primaries, mode, tmp_path):
    # Muted colours, which sRGB has as well.
    rgb = (ramp() // 3 + 80).astype(np.uint8)
    picture = Image.fromarray(rgb)
    if mode == "RGBA":
        picture.putalpha(255)
    if mode == "P":
        picture = picture.quantize(32)
        rgb = np.asarray(picture.convert("RGB"))
    path = tmp_path / "x.png"
    picture.save(path, icc_profile=rgb_profile(primaries, 2.2))
    expected = decoded_by(rgb, primaries, 2.2)
    found = levels(read_picture(path))
    assert np.abs(found - expected).max() <= 2
    assert np.abs(rgb - expected).max() > 8


def test_grey_and_cmyk_profiles_are_converted(tmp_path):
    grey = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (4, 1))
    Image.fromarray(grey).save(tmp_path / "g.png", icc_profile=grey_profile(1.0))
    # A gamma of 1 is linear light, which sRGB's curve makes lighter.
    linear = grey / 255
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    found = levels(read_picture(tmp_path / "g.png"))[..., 0]
    # In the dark, where that curve is steep, LittleCMS interpolates.
    assert np.abs(found - expected * 255)[:, 4:].max() <= 2
    inks = np.zeros((1, 3, 4), np.uint8)
    inks[0, 1, 2] = inks[0, 2, 3] = 255
    path = tmp_path / "c.tif"
    Image.fromarray(inks, "CMYK").save(path, icc_profile=cmyk_profile())
    paper, yellow, black = levels(read_picture(path))[0]
    assert paper.min() == 255
    # Lab (90, 0, 40) in sRGB; without its profile the ink were (255, 255, 0).
    assert np.abs(yellow - (246, 224, 148)).max() <= 5
    assert black.max() < 50


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_profile_that_cannot_be_used_is_told_and_the_picture_read_as_srgb(suffix, tmp_path):
    picture, path = make_picture(40, 30), tmp_path / f"x{suffix}"
    good = rgb_profile(P3, 2.2)
    for wrong in (b"no profile", good[:200], good[:128] + b"\xff" * 300, grey_profile(2.2)):
        picture.save(path, icc_profile=wrong)
        decoded = read_decoded(path)
        with Image.open(path) as plain:
            assert np.array_equal(levels(decoded.picture), levels(plain.convert("RGB")))
        assert decoded.news == ("its colour profile is damaged or for another mode; read as sRGB",)


def test_a_profile_of_ten_megabytes_is_read_and_of_twenty_packed_left_out_and_told(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    large = box_profile(srgb, 10_000_000)
    picture = make_picture(40, 30)
    picture.save(tmp_path / "x.jpg", icc_profile=large, quality=95)
    assert read_decoded(tmp_path / "x.jpg").news == ()
    # Packed in a PNG it may be a bomb, of which Pillow by itself takes no more than a megabyte.
    p3 = box_profile(rgb_profile(P3, 2.2), 10_000_000)
    picture.save(tmp_path / "x.png", icc_profile=p3)
    expected = decoded_by(levels(picture), P3, 2.2)
    assert np.abs(levels(read_picture(tmp_path / "x.png")) - expected).max() <= 2
    picture.save(tmp_path / "x.png", icc_profile=box_profile(srgb, 20_000_000))
    decoded = read_decoded(tmp_path / "x.png")
    assert decoded.news == ("its colour profile is larger than 16 MB; read as sRGB",)
    assert np.array_equal(levels(decoded.picture), levels(picture))


def long_text(kind: str, mega: int) -> PngImagePlugin.PngInfo:
    """So many megabytes of text for a PNG."""
    told, text = PngImagePlugin.PngInfo(), f"{kind} " * (mega * 1_000_000 // len(kind))
    if kind == "international":
        told.add_itxt("XML:com.adobe.xmp", text, zip=True)
    else:
        told.add_text("workflow", text, zip=kind == "packed")
    return told


def with_texts_last(content: bytes) -> bytes:
    """A PNG whose text stands behind its pixels."""
    place = 8
    while content[place + 5 : place + 8] not in (b"EXt", b"TXt"):
        place += struct.unpack_from(">I", content, place)[0] + 12
    end = place + struct.unpack_from(">I", content, place)[0] + 12
    return content[:place] + content[end:-12] + content[place:end] + content[-12:]


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("mega", [3, 70])
@pytest.mark.parametrize("kind", ["packed", "plain", "international"])
def test_text_beside_a_png_however_long_is_no_fault_of_the_picture(kind, mega, end, tmp_path):
    picture, path = make_picture(40, 30).rotate(90, expand=True), tmp_path / "x.png"
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 8
    content = encoded(picture, "PNG", exif=turned, pnginfo=long_text(kind, mega))
    path.write_bytes(with_texts_last(content) if end else content)
    decoded = read_decoded(path)
    assert np.array_equal(levels(decoded.picture), levels(picture.rotate(90, expand=True)))
    assert decoded.news == ()
    assert upright_size(path) == (40, 30)
    if end and mega == 3:
        # Pillow meets it when a caller's image is loaded.
        with Image.open(path) as image:
            assert np.array_equal(levels(decode_opened(image).picture), levels(decoded.picture))


def test_a_text_that_turns_the_picture_turns_it_beside_a_long_one(tmp_path):
    told = PngImagePlugin.PngInfo()
    told.add_text("workflow", "long" * 10_000_000, zip=True)
    told.add_itxt("XML:com.adobe.xmp", '<rdf tiff:Orientation="6"/>')
    make_picture(40, 30).save(tmp_path / "x.png", pnginfo=told)
    assert read_picture(tmp_path / "x.png").size == (30, 40)


def test_transparency_survives_a_profile(tmp_path):
    rgb = Image.fromarray(np.where(ramp() > 128, 255, 9).astype(np.uint8))
    rgb.save(tmp_path / "x.png", transparency=(9, 9, 9), icc_profile=rgb_profile(P3, 2.2))
    alpha = read_decoded(tmp_path / "x.png").alpha
    assert alpha is not None
    assert alpha.getextrema() == (0, 255)


# A9: sizes.

SIZES = [
    *((side, side) for side in range(1, 13)), (1, 5000), (5000, 1), (2, 700), (700, 3),
    *((a, b) for a in (17, 19, 31, 97) for b in (13, 29, 61)),
    *((32 + a, 36 + b) for a in range(4) for b in range(4)),
]  # fmt: skip


def test_every_size_comes_back(model):
    stylizer = Stylizer.load(model, "cpu", "torch")
    compiled = Stylizer.load(model, "cpu", "auto")
    for number, size in enumerate(SIZES):
        assert stylizer.picture(make_picture(*size)).size == size
        if number % 5 == 0:
            assert compiled.picture(make_picture(*size)).size == size


# A10: more frames than one.


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_of_several_frames_is_read_and_the_others_told(format, tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"x.{format.lower()}"
    frames[0].save(path, format, save_all=True, append_images=frames[1:])
    decoded = read_decoded(path)
    assert decoded.news == ("first of 3 frames",)
    red, green, blue = decoded.picture.getpixel((8, 8))
    assert (red > 200, green < 60, blue < 60) == (True, True, True)


# A11: what a file says beside its picture.

SECRET = b"Tell-tale-7"


def chatty(tmp_path: Path) -> list[Path]:
    """Files with XMP, comments, text and provenance blocks that all hold ``SECRET``."""
    picture, exif = make_picture(24, 16), Image.Exif()
    exif[ExifTags.Base.Artist] = SECRET.decode()
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + SECRET + b"</x:xmpmeta>"
    paths = [tmp_path / name for name in ("a.jpg", "b.png", "c.webp", "d.gif", "e.tif", "f.jpg")]
    picture.save(paths[0], exif=exif.tobytes(), xmp=xmp, comment=SECRET)
    provenance = struct.pack(">I", len(SECRET)) + b"caBX" + SECRET
    provenance += struct.pack(">I", zlib.crc32(b"caBX" + SECRET))
    data = encoded(picture, "PNG", exif=exif.tobytes())
    end = data.index(b"IDAT") - 4
    text = b"tEXt" + b"Comment\0" + SECRET
    text = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    paths[1].write_bytes(data[:end] + provenance + text + data[end:])
    picture.save(paths[2], exif=exif.tobytes(), xmp=xmp)
    picture.save(paths[3], comment=SECRET)
    picture.save(paths[4], exif=exif.tobytes(), description=SECRET.decode())
    block = b"\xff\xeb" + struct.pack(">H", len(SECRET) + 2) + SECRET  # APP11, as C2PA's.
    data = encoded(picture, "JPEG")
    paths[5].write_bytes(data[:2] + block + data[2:])
    return paths


def test_nothing_that_a_file_says_gets_into_the_result_unasked(model, tmp_path):
    sources = chatty(tmp_path)
    assert all(SECRET in path.read_bytes() for path in sources)
    output = tmp_path / "out"
    arguments = ["apply", str(model), *map(str, sources), "--output", str(output)]
    # Two of them have one name but for the suffix.
    for metadata in ("none", "icc"):
        assert main([*arguments, "--metadata", metadata, "--overwrite"]) == EXIT_DONE
        results = sorted(output.iterdir())
        assert len(results) == len(sources)
        assert not [path for path in results if SECRET in path.read_bytes()]
    assert main([*arguments, "--metadata", "keep", "--overwrite"]) == EXIT_DONE
    kept = {path.name for path in output.iterdir() if SECRET in path.read_bytes()}
    assert kept == {"a.jpg", "b.png", "c.webp", "e.tif"}


# A12: names.

NAMES = [
    "a b.jpg", "neu\nline.jpg", "-dash.jpg", "%s{}.jpg", "ünï💥.jpg", "\x1b[2J.jpg", "'\"$x`.jpg",
    "x" * 251 + ".jpg", "好" * 83 + ".jpg",
]  # fmt: skip


def test_odd_names_work_and_are_printed_without_moving_the_cursor(model, tmp_path, capsys):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    paths = [os.fsencode(folder / name) for name in NAMES]
    paths.append(os.fsencode(folder) + b"/\xff\xfe.jpg")
    for path in paths:
        Path(os.fsdecode(path)).write_bytes(encoded(make_picture(8, 8), "JPEG"))
    arguments = ["apply", str(model), str(folder), "--output", str(output), "--json"]
    assert main(arguments) == EXIT_DONE
    assert {path.name for path in output.iterdir()} == {os.fsdecode(p)[len(str(folder)) + 1 :]
                                                        for p in paths}  # fmt: skip
    told = capsys.readouterr()
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert {row["source"] for row in rows} == {os.fsdecode(path) for path in paths}
    for path in paths:
        Path(os.fsdecode(path)).write_bytes(b"broken")
    assert main([*arguments, "--overwrite"]) == EXIT_USAGE
    errors = capsys.readouterr().err
    assert errors.count("\n") == len(paths)
    assert "\x1b" not in errors
    assert all(line.startswith("fastnst: error: ") for line in errors.splitlines())


def test_a_name_that_begins_with_a_dash_stands_after_two(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_picture(8, 8).save("-dash.jpg")
    assert main(["apply", str(model), "--output", "o.png", "--", "-dash.jpg"]) == EXIT_DONE
    assert Path("o.png").is_file()


def test_names_that_are_too_long_cost_a_line(model, tmp_path, capsys):
    long = tmp_path / ("x" * 250 + ".jpg")
    make_picture(8, 8).save(long)
    # Beside the input, with the style's name in it, it would be longer than names can be.
    for name in (str(long), str(tmp_path / ("y" * 300)), str(tmp_path / ("z" * 5000))):
        assert main(["apply", str(model), name]) == EXIT_USAGE
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert told.startswith("fastnst: error: ")


# A13: arrays.


def test_numbers_that_are_no_picture_are_refused_before_the_network(model, monkeypatch):
    paint = fastnst.load(model, device="cpu")
    stylizer = Stylizer.load(model, "cpu", "torch")

    def computed(*args: object) -> None:
        raise AssertionError("the network was reached")

    monkeypatch.setattr(stylizer.engine.network, "forward", computed)
    monkeypatch.setattr(paint.stylizer, "engine", computed)
    rng = np.random.default_rng(0)
    for _ in range(200):
        height, width = rng.integers(1, 12, 2)
        array = rng.random((height, width, 3)).astype(rng.choice(["f2", "f4", "f8"]))
        wrong = rng.choice([np.nan, np.inf, -np.inf, -0.5, 1.5, -300, 300])
        array[rng.integers(height), rng.integers(width), rng.integers(3)] = wrong
        with pytest.raises(ValueError, match=r"0\.\.1"):
            paint(array)
        with pytest.raises(ValueError, match=r"0\.\.1"):
            stylizer(torch.from_numpy(array.astype("f4")).permute(2, 0, 1)[None])


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((0, 5, 3)), np.zeros((5, 0, 3), np.uint8), np.zeros((5, 5, 3), np.int64),
        np.zeros((5, 5, 3), np.uint16), np.zeros((5, 5, 5), np.uint8), np.zeros((2, 5, 5, 3)),
        np.zeros((5, 5), np.complex64), np.zeros((5, 5), object), np.zeros((5, 5), "U1"),
    ],
    ids=lambda array: f"{array.shape}-{array.dtype}",
)  # fmt: skip
def test_arrays_of_other_shapes_and_types_are_refused(wrong, model):
    with pytest.raises(ValueError, match="a picture"):
        fastnst.load(model, device="cpu")(wrong)
