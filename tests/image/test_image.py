"""Reading and writing pictures of every kind."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
import torch
from helpers import CORPUS, make_picture
from PIL import Image, ImageCms

from fastnst.errors import ImageReadError, ImageWriteError
from fastnst.image import WRITE_FORMATS, decode, read_image, read_picture, to_tensor, write_image

RGB = make_picture(40, 30, 1)


def near(one: Image.Image, other: Image.Image, tolerance: float = 2.0) -> bool:
    difference = np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float))
    return one.size == other.size and float(difference.mean()) <= tolerance


def saved(picture: Image.Image, path, **options):
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_reads_as_pillow_shows_it(mode, tmp_path):
    picture = RGB.convert(mode)
    suffix = {"CMYK": ".tif", "YCbCr": ".jpg"}.get(mode, ".png")
    path = saved(picture, tmp_path / f"x{suffix}")
    found = read_picture(path)
    assert found.mode == "RGB"
    assert near(found, Image.open(path).convert("RGB"), 1)


def test_transparency_is_laid_over_white(tmp_path):
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
    assert read_picture(saved(clear, tmp_path / "a.png")).getpixel((0, 0)) == (255, 255, 255)
    assert read_picture(saved(half, tmp_path / "b.png")).getpixel((0, 0)) == (255, 127, 127)
    palette = RGB.quantize(16)
    palette.info["transparency"] = 0
    path = saved(palette, tmp_path / "c.png", transparency=0)
    indices = np.asarray(palette)
    assert (np.asarray(read_picture(path))[indices == 0] == 255).all()


def test_16_bit_grey_keeps_its_levels(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (4, 1))
    for name in ("ramp.png", "ramp.tif"):
        path = saved(Image.fromarray(ramp), tmp_path / name)
        levels = np.unique(np.asarray(read_picture(path))[..., 0])
        assert len(levels) == 256


def test_float_and_wide_grey_are_read(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (4, 1))
    for values in (ramp, (ramp * 255), (ramp * 2**30).astype(np.int32)):
        path = saved(Image.fromarray(values), tmp_path / "x.tif")
        found = np.asarray(read_picture(path))[0, :, 0].astype(float)
        assert np.abs(found - ramp[0] * 255).max() <= 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation, suffix, tmp_path):
    # A picture whose corners differ, stored so that the tag turns it upright again.
    upright = Image.new("RGB", (32, 16), "blue")
    upright.paste("red", (0, 0, 8, 8))
    t = Image.Transpose
    undo = {
        1: [], 2: [t.FLIP_LEFT_RIGHT], 3: [t.ROTATE_180], 4: [t.FLIP_TOP_BOTTOM],
        5: [t.TRANSPOSE], 6: [t.ROTATE_90], 7: [t.TRANSVERSE], 8: [t.ROTATE_270],
    }[orientation]  # fmt: skip
    stored = upright
    for step in undo:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(stored, tmp_path / f"x{suffix}", exif=exif.tobytes())
    assert near(read_picture(path), upright, 5)


def test_broken_exif_does_not_matter(tmp_path):
    path = saved(RGB, tmp_path / "x.jpg", exif=b"Exif\0\0garbage beyond repair")
    assert near(read_picture(path), Image.open(path), 0)


def test_an_icc_profile_is_converted_and_a_broken_one_ignored(tmp_path):
    # A profile that swaps nothing but the white point and primaries: LAB's own as the stand-in.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = saved(RGB, tmp_path / "srgb.png", icc_profile=profile)
    assert near(read_picture(path), RGB, 1)
    path = saved(RGB, tmp_path / "broken.png", icc_profile=b"no profile")
    assert near(read_picture(path), RGB, 0)
    lab = ImageCms.profileToProfile(
        RGB, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert near(read_picture(saved(lab, tmp_path / "lab.tif")), RGB, 3)


def test_shrinking_while_decoding_keeps_enough_pixels(tmp_path):
    path = saved(make_picture(1600, 1200), tmp_path / "big.jpg")
    small = read_picture(path, shrink_to=200)
    assert small.size == (400, 300)
    assert near(small, make_picture(1600, 1200).resize((400, 300)), 3)


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    path = tmp_path / "x.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert read_picture(path).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.jpg", b"hello", "unknown format"),
        ("empty.png", b"", "unknown format"),
        ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown format"),
        ("doc.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unknown format"),
        ("doc.pdf", b"%PDF-1.7\n", "unknown format"),
    ],
)
def test_what_is_no_picture_is_said_with_its_path(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=message) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_missing_files_folders_and_pipes_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, message in (
        (tmp_path / "absent.jpg", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe.jpg", "a device or a pipe"),
    ):
        with pytest.raises(ImageReadError, match=message):
            read_picture(path)


def test_every_cut_of_a_picture_is_an_error_or_a_picture(tmp_path):
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM"):
        buffer = io.BytesIO()
        RGB.save(buffer, format)
        data = buffer.getvalue()
        for i in range(16):
            path = tmp_path / "cut"
            path.write_bytes(data[: len(data) * i // 16])
            try:
                assert read_picture(path).mode == "RGB"
            except ImageReadError as error:
                assert "\n" not in str(error)


def test_too_many_pixels_are_refused_from_the_header(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "MAX_PIXELS", 100)
    monkeypatch.setattr(decode.vips, "MAX_PIXELS", 100)
    path = saved(RGB, tmp_path / "x.png")
    with pytest.raises(ImageReadError, match="40 x 30 pixels are more"):
        read_picture(path)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of broken files is not here")
def test_the_corpus_gives_pictures_or_one_line_errors():
    counts = {"read": 0, "refused": 0}
    for path in sorted(CORPUS.rglob("*")):
        if not path.is_file():
            continue
        try:
            # Decoding is what is on trial; small pictures keep it quick.
            assert read_picture(path).mode == "RGB"
            counts["read"] += 1
        except ImageReadError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)
            counts["refused"] += 1
    assert counts["read"] > 300
    assert counts["refused"] > 300


@pytest.mark.parametrize("suffix", sorted(WRITE_FORMATS))
def test_what_is_written_reads_back(suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    write_image(to_tensor(RGB), path)
    assert near(read_picture(path), RGB, 0 if suffix in (".png", ".tif", ".bmp") else 12)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_tensors_round_trip_exactly(tmp_path):
    tensor = torch.randint(0, 256, (1, 3, 9, 7)).float() / 255
    write_image(tensor, tmp_path / "x.png")
    assert torch.equal(read_image(tmp_path / "x.png"), tensor)
    assert read_image(tmp_path / "x.png", max_size=3).shape == (1, 3, 3, 2)


def test_an_unknown_suffix_is_refused_and_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(ImageWriteError, match="are written as"):
        write_image(torch.rand(1, 3, 4, 4), tmp_path / "x.xyz")
    target = tmp_path / "x.png"
    target.write_bytes(b"old")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ImageWriteError, match="No space left"):
        write_image(torch.rand(1, 3, 4, 4), target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
