"""What looks like a picture and is none, or is another than it seems: told in one line."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from faulty import decoded_by, grey_profile, rgb_profile
from helpers import encoded, files, make_model, make_picture, one_line
from PIL import ExifTags, Image, features

from fastnst.cli import main
from fastnst.errors import EXIT_USAGE, DataError, ImageReadError
from fastnst.image import decode_opened, read_decoded, read_picture, upright_size
from fastnst.image.colours import OTHER_PNG, UNKNOWN
from fastnst.machine.files import address_of
from fastnst.photos.collection import find_photos

SMALL = make_picture(24, 18)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


# Archives, pages, addresses.


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", encoded(SMALL, "PNG"))
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    return buffer.getvalue()


EMPTY_ZIP = b"PK\5\6" + bytes(18)
KINDS = {
    "photos.zip": (zipped(), "a zip archive; unpack it"),
    "empty.zip": (EMPTY_ZIP, "a zip archive"),
    "photos.tar": (tarred(), "a tar archive; unpack it"),
    "photos.tar.gz": (gzip.compress(tarred()), "packed by gzip"),
    "photos.tar.bz2": (bz2.compress(tarred()), "packed by bzip2"),
    "photos.tar.xz": (lzma.compress(tarred()), "packed by xz"),
    "photos.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "a 7z archive"),
    "photos.jpg": (zipped(), "a zip archive"),
    "page.jpg": (b"\n<!DOCTYPE html><title>404</title>", "a page of the web"),
    "page.png": (b"<?xml version='1.0'?><html xmlns='x'>", "a page of the web"),
    "a.svg": (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "an SVG drawing"),
    "a.pdf": (b"%PDF-1.7\n", "a PDF document"),
    "a.psd": (b"8BPS\0\1" + bytes(20), "a Photoshop document"),
    "mp4.jpg": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40), "a clip"),
    "mkv.jpg": (b"\x1aE\xdf\xa3" + bytes(40), "a clip"),
    "avi.jpg": (b"RIFF\0\0\0\0AVI LIST" + bytes(40), "a clip"),
    "flv.jpg": (b"FLV\1\5" + bytes(40), "a clip"),
    "wmv.jpg": (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(40), "a clip"),
    "mpg.jpg": (b"\0\0\1\xba" + bytes(40), "a clip"),
    "ts.jpg": ((b"G" + bytes(187)) * 3, "a clip"),
    "a.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    "lfs.jpg": (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
    "._a.jpg": (b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(60), "what macOS keeps beside a file"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_picture_is_called_what_it_is(name, model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, message = KINDS[name]
    Path(name).write_bytes(content)
    before = files(tmp_path)
    assert main(["apply", str(model), name, "--output", "out.png"]) == EXIT_USAGE
    told = one_line(capsys)
    assert f"{name}: not a readable picture (unknown format: {message}" in told
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar.gz", "a.pdf", "photos.tar.xz"])
def test_an_archive_as_data_is_called_what_it_is(name, tmp_path):
    content, message = KINDS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        find_photos(str(tmp_path / name))


ADDRESSES = ["https://a.b/c/d.jpg", "http://a.b/c.png", "HTTPS://A.B/c.jpg?x=1&y=2",
             "ftp://a.b/c.jpg", "s3://bucket/c.jpg", "file:///home/c.jpg"]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_called_one_and_nothing_is_made(
    address, model, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    assert main(["apply", str(model), address]) == EXIT_USAGE
    assert one_line(capsys).startswith(f"fastnst: error: {address}: an address, and fastnst reads")
    with pytest.raises(DataError, match="an address, and fastnst reads files"):
        find_photos(address.replace("?", ""))
    # In a model's place, too.
    assert main(["apply", address, "a.png"]) == EXIT_USAGE
    assert one_line(capsys).startswith(f"fastnst: error: {address}: an address, and fastnst reads")
    assert files(tmp_path) == before


def test_files_whose_names_look_like_addresses_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("http:").mkdir()
    SMALL.save("http:/x.png")
    assert read_picture(Path("http://x.png")).size == SMALL.size
    for name in ("photos/http.jpg", "a:b.jpg", "xhttp://y", "c:/photos/a.jpg"):
        assert address_of(Path(name)) == ""


# Raw photographs.


def tiff(*directories: list[tuple[int, int, int, bytes]], order: str = "<") -> bytes:
    """A TIFF of directories of (tag, type, count, value of 4 bytes), each a picture of its own."""
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    for entries in directories:
        following = len(data) + 2 + 12 * len(entries) + 4
        last = entries is directories[-1]
        data += struct.pack(order + "H", len(entries))
        data += b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
        data += struct.pack(order + "I", 0 if last else following)
    return data + bytes(200)


def short(tag: int, value: int, order: str = "<") -> tuple[int, int, int, bytes]:
    return tag, 3, 1, struct.pack(order + "HH", value, 0)


def thumbnail(order: str = "<", *more) -> list[tuple[int, int, int, bytes]]:
    """A directory that any decoder for TIFF takes for a picture of 8 x 8."""
    long = lambda tag, value: (tag, 4, 1, struct.pack(order + "I", value))  # noqa: E731
    entries = [long(256, 8), long(257, 8), short(258, 8, order), short(259, 1, order),
               short(262, 1, order), long(273, 100), short(277, 1, order), long(278, 8),
               long(279, 64), *more]  # fmt: skip
    return sorted(entries)


def with_sensor(order: str, photometric: int) -> bytes:
    """A thumbnail first, and a sensor's mosaic below it, as NEF and ARW have them."""
    sub = (330, 4, 1, struct.pack(order + "I", 8 + 2 + 12 * 10 + 4))
    return tiff(thumbnail(order, sub), [short(262, photometric, order)], order=order)


RAW = {
    "a.tif": with_sensor("<", 32803),
    "b.tif": with_sensor(">", 32803),
    "c.tif": with_sensor("<", 34892),
    "d.tif": tiff(thumbnail("<", (50706, 1, 4, bytes([1, 6, 0, 0])))),
    "e.nef": tiff(thumbnail()),
    "f.ARW": tiff(thumbnail()),
    "g.dng": tiff(thumbnail(">"), order=">"),
    "h.cr2": b"II*\0\x10\0\0\0CR\2\0" + bytes(100),
    "i.jpg": b"II*\0\x10\0\0\0CR\2\0" + bytes(100),
    "j.cr3": struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + bytes(100),
    "k.orf": b"IIRO\x08\0\0\0" + bytes(100),
    "l.rw2": b"IIU\0\x18\0\0\0" + bytes(100),
    "m.raf": b"FUJIFILMCCD-RAW 0201" + bytes(100),
    "n.crw": b"II\x1a\0\0\0HEAPCCDR" + bytes(100),
}


@pytest.mark.parametrize("name", RAW)
def test_a_raw_photograph_is_told_apart_from_a_tiff(name, model, tmp_path, capsys):
    path = tmp_path / name
    path.write_bytes(RAW[name])
    assert main(["apply", str(model), str(path)]) == EXIT_USAGE
    assert f"{name}: a raw photograph, which fastnst doesn't read" in one_line(capsys)


def test_tiffs_with_thumbnails_below_are_tiffs(tmp_path):
    below = (330, 4, 1, struct.pack("<I", 8 + 2 + 12 * 10 + 4))
    for data in (tiff(thumbnail()), tiff(thumbnail("<", below), thumbnail())):
        (tmp_path / "x.tif").write_bytes(data)
        assert read_picture(tmp_path / "x.tif").size == (8, 8)
    # One that leads to itself, or nowhere, ends.
    for place in (8, 2**32 - 1, 0):
        entry = (330, 4, 1, struct.pack("<I", place))
        (tmp_path / "x.tif").write_bytes(tiff(thumbnail("<", entry)))
        assert read_picture(tmp_path / "x.tif").size == (8, 8)
    many = (330, 4, 2**31, struct.pack("<I", 8))
    (tmp_path / "x.tif").write_bytes(tiff(thumbnail("<", many)))
    assert read_picture(tmp_path / "x.tif").size == (8, 8)


# Pictures attached to a JPEG.


def multi(tmp_path: Path, kind: int, count: int) -> Path:
    """A JPEG of ``count`` pictures, those behind the first of this kind (CIPA DC-007)."""
    path = tmp_path / "x.jpg"
    others = [make_picture(12, 9, seed) for seed in range(1, count)]
    SMALL.save(path, "MPO", save_all=True, append_images=others)
    data = bytearray(path.read_bytes())
    head = data.index(b"MPF\0") + 4
    # The entries of 16 bytes, each beginning with its attributes, follow on the directory.
    place = head + struct.unpack_from("<I", data, head + 8 + 2 + 12 * 2 + 8)[0]
    for number in range(1, count):
        struct.pack_into("<I", data, place + 16 * number, kind)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", [0, 0x010001, 0x010002, 0x050000])
@pytest.mark.parametrize("count", [2, 3])
def test_previews_and_maps_attached_to_a_jpeg_are_no_frames(kind, count, tmp_path):
    path = multi(tmp_path, kind, count)
    with Image.open(path) as opened:
        assert (opened.format, opened.n_frames) == ("MPO", count)
    decoded = read_decoded(path)
    assert decoded.news == ()
    assert decoded.picture.size == SMALL.size


@pytest.mark.parametrize("kind", [0x020001, 0x020002, 0x020003])
def test_other_views_of_a_scene_are_frames(kind, tmp_path):
    assert read_decoded(multi(tmp_path, kind, 2)).news == ("first of 2 frames",)


# Adobe RGB without a profile.

ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))


def camera(space: int | None, index: str | None) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Obscura"
    tags = {} if space is None else {ExifTags.Base.ColorSpace: space}
    if index is not None:
        tags[ExifTags.IFD.Interop] = {1: index}
    if tags:
        exif[ExifTags.IFD.Exif] = tags
    return exif.tobytes()


def muted() -> np.ndarray:
    rows, columns = np.mgrid[0:8, 0:64]
    ramp = np.stack([columns * 4, 255 - columns * 4, rows * 30], 2)
    return (ramp // 3 + 80).astype(np.uint8)


@pytest.mark.parametrize(
    ("space", "index"), [(0xFFFF, "R03"), (2, None), (None, "R03"), (0xFFFF, "R03\0")]
)
@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_adobe_rgb_is_converted_where_exif_alone_tells_it(space, index, suffix, tmp_path):
    rgb, path = muted(), tmp_path / f"x{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {"quality": 100, "subsampling": 0}
    Image.fromarray(rgb).save(path, exif=camera(space, index), **options)
    decoded = read_decoded(path)
    # A JPEG's own pixels are a little off those that were saved.
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    expected = decoded_by(pixels, ADOBE, 563 / 256)
    found = np.asarray(decoded.picture).astype(int)
    assert np.abs(found - expected).max() <= 2
    assert np.abs(pixels - expected).max() > 8
    assert decoded.news == ()
    # The result is sRGB, and says so.
    kept = Image.Exif()
    kept.load(decoded.exif)
    assert kept[ExifTags.Base.Make] == "Obscura"
    assert kept.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace) == (space and 1)
    assert not kept.get_ifd(ExifTags.IFD.Interop)


@pytest.mark.parametrize(
    ("space", "index", "told"),
    [(1, "R98", ()), (None, None, ()), (1, "R03", ()), (0xFFFF, None, (UNKNOWN,)),
     (0xFFFF, "R98", (UNKNOWN,))],
)  # fmt: skip
def test_other_colours_are_read_as_they_are_and_named_where_unknown(space, index, told, tmp_path):
    rgb = muted()
    Image.fromarray(rgb).save(tmp_path / "x.png", exif=camera(space, index))
    decoded = read_decoded(tmp_path / "x.png")
    assert np.array_equal(np.asarray(decoded.picture), rgb)
    assert decoded.news == told


def test_a_profile_goes_before_what_exif_says(tmp_path):
    rgb = muted()
    p3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
    path = tmp_path / "x.png"
    Image.fromarray(rgb).save(path, exif=camera(0xFFFF, "R03"), icc_profile=rgb_profile(p3, 2.2))
    decoded = read_decoded(path)
    assert decoded.news == ()
    assert np.abs(np.asarray(decoded.picture) - decoded_by(rgb, p3, 2.2)).max() <= 2
    # Grey and inks have no Adobe RGB.
    for mode in ("L", "CMYK"):
        Image.fromarray(rgb).convert(mode).save(tmp_path / "x.jpg", exif=camera(0xFFFF, "R03"))
        with Image.open(tmp_path / "x.jpg") as plain:
            assert read_picture(tmp_path / "x.jpg").tobytes() == plain.convert("RGB").tobytes()


# From linear Display P3 and BT.2020 to linear sRGB, all under D65 (CSS Color 4, 18).
TO_SRGB = {
    12: [[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]],
    9: [[1.6605, -0.5877, -0.0728], [-0.1246, 1.1330, -0.0083], [-0.0182, -0.1006, 1.1187]],
}


def by_matrix(pixels: np.ndarray, matrix: list[list[float]]) -> np.ndarray:
    """Levels by sRGB's curve to light, through a matrix, and back."""
    level = pixels / 255
    light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    light = np.clip(light @ np.array(matrix).T, 0, 1)
    level = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(level * 255)


def numbered(path, primaries: int, transfer: int) -> np.ndarray:
    """An AVIF file whose container says these numbers; the pixels that Pillow reads of it."""
    rgb = muted()
    Image.fromarray(np.repeat(rgb, 4, 0)).save(path, quality=100, subsampling="4:4:4")
    data = bytearray(path.read_bytes())
    place = data.index(b"colrnclx") + 8
    data[place : place + 4] = struct.pack(">HH", primaries, transfer)
    path.write_bytes(data)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
@pytest.mark.parametrize("primaries", [12, 9])
def test_avif_that_tells_its_primaries_by_number_is_converted(primaries, tmp_path):
    path = tmp_path / "x.avif"
    pixels = numbered(path, primaries, 13)
    decoded = read_decoded(path)
    expected = by_matrix(pixels, TO_SRGB[primaries])
    assert np.abs(np.asarray(decoded.picture) - expected).max() <= 3
    assert np.abs(pixels - expected).max() > 8
    assert decoded.news == ()


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG"), (13, ""), (1, "")])
@pytest.mark.parametrize("primaries", [1, 9, 12])
def test_avif_of_high_dynamic_range_is_named(primaries, transfer, name, tmp_path):
    path = tmp_path / "x.avif"
    pixels = numbered(path, primaries, transfer)
    decoded = read_decoded(path)
    assert np.array_equal(np.asarray(decoded.picture), pixels) == (primaries == 1)
    assert [name in told for told in decoded.news] == ([True] if name else [])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(path: Path, *chunks: bytes) -> np.ndarray:
    """A PNG that has these chunks before its pixels; the pixels."""
    rgb = muted()
    data = encoded(Image.fromarray(rgb), "PNG")
    path.write_bytes(data[:33] + b"".join(chunks) + data[33:])
    return rgb


@pytest.mark.parametrize("before", [(), (chunk(b"tEXt", b"a\0" + bytes(900)),)])
@pytest.mark.parametrize(("primaries", "transfer"), [(12, 13), (9, 16), (9, 18), (1, 13)])
def test_a_png_that_tells_its_colours_by_number_is_as_an_avif(
    primaries, transfer, before, tmp_path
):
    path = tmp_path / "x.png"
    pixels = png_with(path, *before, chunk(b"cICP", bytes([primaries, transfer, 0, 1])))
    expected = by_matrix(pixels, TO_SRGB[primaries]) if primaries in TO_SRGB else pixels
    decoded = read_decoded(path)
    assert np.abs(np.asarray(decoded.picture) - expected).max() <= 3
    assert len(decoded.news) == (transfer in (16, 18))


P3_XY = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB_XY = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


@pytest.mark.parametrize(
    ("gamma", "xy", "srgb", "told"),
    [(100000, SRGB_XY, False, True), (45455, P3_XY, False, True), (45455, SRGB_XY, False, False),
     (45000, SRGB_XY, False, False), (100000, P3_XY, True, False)],
)  # fmt: skip
def test_a_pngs_own_numbers_are_named_where_they_are_not_srgbs(gamma, xy, srgb, told, tmp_path):
    chunks = [chunk(b"gAMA", struct.pack(">I", gamma)), chunk(b"cHRM", struct.pack(">8I", *xy))]
    pixels = png_with(tmp_path / "x.png", *chunks, *[chunk(b"sRGB", b"\0")] * srgb)
    decoded = read_decoded(tmp_path / "x.png")
    assert np.array_equal(decoded.picture, pixels)
    assert decoded.news == ((OTHER_PNG,) if told else ())


# Greys of 16 bits.


@pytest.mark.parametrize("order", ["<", ">"])
def test_grey_of_16_bits_is_converted_by_its_profile_as_that_of_8_is(order, tmp_path):
    levels = (np.arange(256, dtype=np.uint16) * 257).reshape(8, 32)
    Image.fromarray((levels // 257).astype("u1")).save(
        tmp_path / "8.png", icc_profile=grey_profile(1.0)
    )
    suffix = "png" if order == "<" else "tif"
    image = Image.fromarray(levels.astype(f"{order}u2"))
    assert (image.mode == "I;16B") == (order == ">")
    image.save(tmp_path / f"16.{suffix}", icc_profile=grey_profile(1.0))
    by_8, by_16 = (read_picture(tmp_path / name) for name in ("8.png", f"16.{suffix}"))
    assert np.abs(np.asarray(by_8).astype(int) - by_16)[1:].max() <= 1
    assert np.abs(np.asarray(by_16)[..., 0].astype(int) - levels // 257).max() > 40


def test_a_tiff_of_16_bits_whose_white_is_0_is_no_negative(tmp_path):
    levels = (np.arange(80, dtype=np.uint16) * 800).reshape(8, 10)
    Image.fromarray(65535 - levels).save(tmp_path / "x.tif")
    data = bytearray((tmp_path / "x.tif").read_bytes())
    place = data.index(struct.pack("<HHIHH", 262, 3, 1, 1, 0))
    data[place + 8] = 0
    (tmp_path / "x.tif").write_bytes(data)
    expected = np.round(levels / 257)
    assert np.array_equal(np.asarray(read_picture(tmp_path / "x.tif"))[..., 0], expected)
    with Image.open(tmp_path / "x.tif") as image:
        before = np.asarray(image)
        assert np.array_equal(np.asarray(decode_opened(image).picture)[..., 0], expected)
        assert np.array_equal(np.asarray(image), before)


# What Pillow doesn't keep of a file is looked up in it.


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
@pytest.mark.parametrize("suffix", ["avif", "png"])
@pytest.mark.parametrize("opened", [lambda path: path, lambda path: io.BytesIO(path.read_bytes())])
def test_a_pil_images_colours_by_number_are_those_of_its_file(suffix, opened, tmp_path):
    path = tmp_path / f"x.{suffix}"
    if suffix == "avif":
        numbered(path, 9, 16)
    else:
        png_with(path, chunk(b"cICP", bytes([9, 16, 0, 1])))
    expected = read_decoded(path)
    with Image.open(opened(path)) as image:
        found = decode_opened(image)
    assert np.array_equal(found.picture, expected.picture)
    assert found.news == expected.news
    assert "PQ" in found.news[0]


@pytest.mark.parametrize("name", ["d.tif", "e.nef"])
def test_a_pil_image_of_a_raw_photograph_is_refused_as_its_file_is(name, tmp_path):
    (tmp_path / name).write_bytes(RAW[name])
    with (
        Image.open(tmp_path / name) as image,
        pytest.raises(ImageReadError, match="a raw photograph"),
    ):
        decode_opened(image)


# Pages that are no pictures of their own.


def write_pages(path: Path, *pages: tuple[Image.Image, dict[int, int]]) -> Path:
    """A TIFF of several pages, each with its tags."""
    for picture, tags in pages:
        picture.encoderinfo = {"tiffinfo": tags}
    (first, tags), *others = pages
    first.save(path, save_all=True, append_images=[page for page, _ in others], tiffinfo=tags)
    return path


LARGE, SMALL = make_picture(60, 40, 3), make_picture(60, 40, 3).resize((15, 10))
THUMBNAIL, OLD_THUMBNAIL, MASK, PAGE = {254: 1}, {255: 2}, {254: 4}, {254: 2}


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        ([(SMALL, THUMBNAIL), (LARGE, {})], ""),
        ([(SMALL, OLD_THUMBNAIL), (LARGE, {})], ""),
        ([(LARGE, {}), (SMALL, THUMBNAIL), (SMALL, THUMBNAIL)], ""),
        ([(SMALL, THUMBNAIL), (LARGE, PAGE), (SMALL, PAGE)], "first of 2 frames"),
        ([(LARGE, {}), (LARGE.convert("1"), MASK)], ""),
        ([(LARGE, PAGE), (SMALL, PAGE)], "first of 2 frames"),
        ([(LARGE, THUMBNAIL)], ""),
        ([(LARGE, THUMBNAIL), (SMALL, THUMBNAIL)], ""),
    ],
)
def test_thumbnails_and_masks_in_a_tiff_are_neither_the_picture_nor_frames(pages, told, tmp_path):
    path = write_pages(tmp_path / "x.tif", *((page.copy(), tags) for page, tags in pages))
    decoded = read_decoded(path)
    assert np.array_equal(decoded.picture, LARGE)
    assert decoded.news == ((told,) if told else ())
    assert upright_size(path) == (60, 40)


def test_a_broken_page_behind_a_thumbnail_leaves_the_thumbnail(tmp_path):
    path = write_pages(tmp_path / "x.tif", (SMALL.copy(), THUMBNAIL), (LARGE.copy(), {}))
    data = bytearray(path.read_bytes())
    (place,) = struct.unpack_from("<I", data, 4)
    count = struct.unpack_from("<H", data, place)[0]
    struct.pack_into("<I", data, place + 2 + 12 * count, len(data) + 1000)
    path.write_bytes(data)
    assert read_decoded(path).picture.size == (15, 10)
