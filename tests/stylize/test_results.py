"""Every result opens again: formats x modes x metadata, and the sizes that formats can hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import files, make_model, make_picture, one_line
from PIL import ExifTags, Image, ImageCms

from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_PARTIAL, EXIT_USAGE, ImageWriteError
from fastnst.image import (
    WRITE_FORMATS,
    encode,
    read_decoded,
    read_picture,
    upright_size,
    write_picture,
)
from fastnst.image.metadata import KEPT, MAX_JPEG_EXIF

SMALL = make_picture(24, 18)
GREY = np.asarray(SMALL.convert("L"))
LAB = ImageCms.profileToProfile(
    SMALL, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
)
CLEAR = SMALL.copy()
CLEAR.putalpha(Image.linear_gradient("L").resize(SMALL.size))
assert LAB is not None
# What scanners, cameras and layout programs write: name -> picture and how it is saved.
SOURCES: dict[str, tuple[Image.Image, dict]] = {
    "cmyk.tif": (SMALL.convert("CMYK"), {"compression": "tiff_lzw"}),
    "grey16.tif": (Image.fromarray(GREY.astype(np.uint16) * 257), {}),
    "palette.tif": (SMALL.convert("P"), {}),
    "bilevel.tif": (SMALL.convert("1"), {"compression": "group4"}),
    "grey-alpha.tif": (CLEAR.convert("LA"), {}),
    "rgba.tif": (CLEAR, {"compression": "tiff_deflate"}),
    "jpeg.tif": (SMALL, {"compression": "jpeg"}),
    "ycbcr.tif": (SMALL.convert("YCbCr"), {}),
    "lab.tif": (LAB, {}),
    "float.tif": (Image.fromarray((GREY / 255).astype(np.float32)), {}),
    "wide.tif": (Image.fromarray(GREY.astype(np.int32) * 999), {}),
    "grey.jpg": (SMALL.convert("L"), {}),
    "cmyk.jpg": (SMALL.convert("CMYK"), {}),
    "rgba.png": (CLEAR, {}),
    "palette.png": (CLEAR.convert("P"), {}),
    "camera.jpg": (SMALL, {}),
    "camera.tif": (SMALL, {}),
    "rgba.webp": (CLEAR, {"lossless": True}),
}
TOLD = 0x010F  # Make


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


def tagged() -> Image.Exif:
    """What a camera says, and tags that describe pixels, wrongly, as in a copied TIFF."""
    exif = Image.Exif()
    exif[TOLD] = "Obscura"
    exif[ExifTags.Base.Orientation] = 3
    exif[ExifTags.Base.XResolution] = 300.0
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 0xFFFF
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] = 999
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return exif


def source(name: str, folder: Path) -> Path:
    picture, options = SOURCES[name]
    path, exif = folder / name, tagged()
    # Pillow can't put a camera's own data into TIFFs that libtiff writes.
    if path.suffix == ".tif" and options:
        exif = Image.Exif()
        exif[TOLD] = "Obscura"
    picture.save(path, exif=exif.tobytes(), **options)
    return path


@pytest.mark.parametrize("name", SOURCES)
def test_every_result_opens_and_holds_the_same_pixels_whatever_goes_along(name, tmp_path):
    decoded = read_decoded(source(name, tmp_path))
    kept = Image.Exif()
    kept.load(decoded.exif)
    for suffix, (format, _) in WRITE_FORMATS.items():
        seen = []
        for exif in (b"", decoded.exif):
            path = tmp_path / f"out{len(exif)}{suffix}"
            write_picture(decoded.picture, path, decoded.alpha, exif, encode.srgb_profile())
            with Image.open(path) as opened:
                opened.load()
                clear = decoded.alpha is not None and format in encode.ALPHA_FORMATS
                assert (opened.format, opened.size) == (format, SMALL.size)
                assert opened.mode == ("RGBA" if clear else "RGB")
                assert ExifTags.Base.Orientation not in opened.getexif()
                seen.append(opened.tobytes())
                if exif and format in encode.METADATA_FORMATS:
                    assert opened.getexif()[TOLD] == "Obscura"
                    for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                        assert opened.getexif().get_ifd(part) == kept.get_ifd(part)
            # And by fastnst itself.
            assert read_decoded(path).news == ()
        assert seen[0] == seen[1], suffix


@pytest.mark.parametrize("name", ["cmyk.tif", "grey16.tif", "palette.tif", "bilevel.tif"])
def test_tiffs_of_scanners_are_kept_with_their_metadata(name, model, tmp_path):
    made = {}
    for metadata in ("icc", "keep", "none"):
        output = tmp_path / metadata
        arguments = ["apply", str(model), str(source(name, tmp_path)), "--metadata", metadata]
        assert main([*arguments, "--output", f"{output}/"]) == EXIT_DONE
        with Image.open(output / name) as opened:
            opened.load()
            assert (opened.format, opened.mode, opened.size) == ("TIFF", "RGB", SMALL.size)
            tags = opened.tag_v2
            # Bits, photometric interpretation and samples are those of RGB.
            assert (tags[258], tags[262], tags[277]) == ((8, 8, 8), 2, 3)
            assert (tags.get(TOLD) == "Obscura") == (metadata == "keep")
            made[metadata] = opened.tobytes()
    assert made["keep"] == made["icc"] == made["none"]


def test_nothing_but_what_is_known_to_be_harmless_is_taken_over(tmp_path):
    # Every tag below 0x1000, each with a number that would be wrong for these pixels.
    exif = Image.Exif()
    for tag in (*range(0x100, 0x220), *range(0x300, 0x400), 0xC612, 0xC61A, 0x8773):
        exif[tag] = 7
    exif[TOLD] = "Obscura"
    SMALL.save(tmp_path / "x.png", exif=exif.tobytes())
    kept = Image.Exif()
    kept.load(read_decoded(tmp_path / "x.png").exif)
    assert kept[TOLD] == "Obscura"
    assert set(kept) <= KEPT
    assert not set(kept) & {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 330, 339}


def test_what_a_result_says_of_its_colours_and_size_is_true(tmp_path):
    kept = Image.Exif()
    kept.load(read_decoded(source("rgba.png", tmp_path)).exif)
    camera = kept.get_ifd(ExifTags.IFD.Exif)
    assert camera[ExifTags.Base.ColorSpace] == 1
    assert ExifTags.Base.ExifImageWidth not in camera
    assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


def test_exif_that_a_jpeg_can_not_hold_is_a_line(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = bytes(MAX_JPEG_EXIF)
    SMALL.save(tmp_path / "x.png", exif=exif.tobytes())
    large = read_decoded(tmp_path / "x.png").exif
    write_picture(SMALL, tmp_path / "y.png", exif=large)
    with pytest.raises(ImageWriteError, match="more than a JPEG can hold"):
        write_picture(SMALL, tmp_path / "y.jpg", exif=large)
    largest = bytes(large[:MAX_JPEG_EXIF])
    write_picture(SMALL, tmp_path / "y.jpg", exif=largest)


# What formats can hold.

LIMITS = {".webp": 16383, ".jpg": 65500, ".jfif": 65500, ".avif": 32768}


@pytest.mark.parametrize("suffix", LIMITS)
def test_the_largest_picture_of_a_format_opens_and_a_larger_one_is_a_line(suffix, tmp_path):
    limit = LIMITS[suffix]
    for size in ((limit, 2), (2, limit)):
        write_picture(Image.new("RGB", size), tmp_path / f"x{suffix}")
        with Image.open(tmp_path / f"x{suffix}") as opened:
            assert opened.size == size
    for size in ((limit + 1, 2), (2, limit + 1)):
        with pytest.raises(ImageWriteError, match=rf"y{suffix}: .*\({limit} pixels a side\)"):
            write_picture(Image.new("RGB", size), tmp_path / f"y{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"x{suffix}"]


def test_avif_is_limited_in_pixels_too():
    encode.check_fits((16384, 16384), Path("x.avif"))
    with pytest.raises(ImageWriteError, match="268 megapixels"):
        encode.check_fits((16384, 16385), Path("x.avif"))


@pytest.fixture
def panorama(tmp_path) -> Path:
    """A picture of 17000 x 24 pixels, wider than WebP can hold."""
    path = tmp_path / "a-panorama.png"
    make_picture(17000, 24).save(path)
    return path


def never(*args: object, **kwargs: object) -> None:
    raise AssertionError("work was done")


def test_a_format_too_small_is_told_before_any_work(model, panorama, tmp_path, capsys, monkeypatch):
    before = files(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("fastnst.stylize.jobs.read_decoded", never)
        arguments = ["apply", str(model), str(panorama), "--output", str(tmp_path / "a.webp")]
        assert main(arguments) == EXIT_USAGE
    told = one_line(capsys)
    assert "a.webp" in told
    assert "16383" in told
    assert files(tmp_path) == before
    # Smaller, or in another format, it is done.
    assert main([*arguments, "--max-size", "16383"]) == EXIT_DONE
    with Image.open(tmp_path / "a.webp") as result:
        assert result.size == (16383, 23)
    capsys.readouterr()


def test_a_picture_on_its_side_is_measured_upright(model, tmp_path, capsys, monkeypatch):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for suffix in (".tif", ".jpg", ".png", ".avif", ".webp"):
        source = tmp_path / f"side{suffix}"
        make_picture(20, 120).save(source, exif=exif.tobytes())
        assert upright_size(source) == read_picture(source).size == (120, 20)
    make_picture(20, 17000).save(tmp_path / "side.tif", exif=exif.tobytes())
    arguments = ["apply", str(model), str(tmp_path / "side.tif"), "--output"]
    assert main([*arguments, str(tmp_path / "out.webp")]) == EXIT_USAGE
    assert "17000 x 20 pixels" in one_line(capsys)


def test_in_a_folder_it_costs_the_one_picture_alone(model, tmp_path, capsys, monkeypatch):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    make_picture(40, 30).save(folder / "b.webp")
    make_picture(40, 30).save(folder / "a.webp")
    monkeypatch.setitem(encode.MAX_SIDES, "WEBP", ("WebP", 39))
    arguments = ["apply", str(model), str(folder), "--output", str(output)]
    make_picture(30, 39).save(folder / "b.webp")
    assert main(arguments) == EXIT_PARTIAL
    told = capsys.readouterr().err.splitlines()
    assert "a.webp: 40 x 30 pixels are more than WebP can hold" in told[0]
    assert sum("error" in line for line in told) == 1
    assert files(output) == {Path("b.webp")}


def test_what_an_encoder_refuses_is_a_line(tmp_path, monkeypatch):
    for error in (ValueError("encoding error 5"), RuntimeError("no")):

        def refusing(*args: object, error=error, **kwargs: object) -> None:
            raise error

        monkeypatch.setattr(Image.Image, "save", refusing)
        with pytest.raises(ImageWriteError, match=f"x.png: can't be written .{error}"):
            write_picture(SMALL, tmp_path / "x.png")


def test_pictures_read_back_after_their_tags_were_added(tmp_path):
    exif = tagged()
    large = make_picture(301, 203)
    write_picture(large, tmp_path / "x.tif", exif=exif.tobytes(), profile=encode.srgb_profile())
    assert np.array_equal(
        np.asarray(read_picture(tmp_path / "x.tif")), np.asarray(large.rotate(180))
    )
    with Image.open(tmp_path / "x.tif") as opened:
        assert opened.info["icc_profile"] == encode.srgb_profile()
        assert opened.n_frames == 1
