"""The extra ``large``: what Pillow refuses or can't read is read by libvips, to the same pixels."""

from __future__ import annotations

import importlib.util
import os
import sys
import types

import numpy as np
import pytest
from faulty import cmyk_profile, grey_profile, rgb_profile
from helpers import make_picture
from PIL import ExifTags, Image
from test_levels import GREY, RAMP, UNKNOWN, write_tiff

from fastnst.errors import ImageReadError
from fastnst.image import READ_FORMATS, decode, read_decoded, vips

with_vips = pytest.mark.skipif(
    importlib.util.find_spec("pyvips") is None, reason="pyvips is not installed"
)
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))


def noise(*shape: int, top: int = 255) -> np.ndarray:
    """Smooth, so that lossy formats keep it, and unlike its every turn."""
    y, x, band = np.ogrid[: shape[0], : shape[1], : shape[2]]
    waves = np.sin(y / 9 + band) + np.cos(x / 7 - band) + x / shape[1] + y / shape[0]
    return ((waves + 2) / 6 * top).round().astype(np.uint8 if top == 255 else np.uint16)


@pytest.fixture
def small_strips(monkeypatch):
    """Strips of 16 rows, so that a small picture has several."""
    monkeypatch.setattr(vips, "STRIP", 1)


def both(path, monkeypatch, **options):
    """What Pillow reads, and what libvips does where the file counts as large."""
    by_pillow = read_decoded(path, **options)
    monkeypatch.setattr(decode, "MAX_PIXELS", 100)
    opened, seen = vips.opened, []
    monkeypatch.setattr(vips, "opened", lambda *a: seen.append(a[1]) or opened(*a))
    by_vips = read_decoded(path, **options)
    assert seen
    return by_pillow, by_vips


def assert_alike(one, other, tolerance=2):
    for mine, its in ((one.picture, other.picture), (one.alpha, other.alpha)):
        assert (mine is None) == (its is None)
        if mine is not None:
            assert (mine.size, mine.mode) == (its.size, its.mode)
            assert np.abs(np.asarray(mine, int) - np.asarray(its, int)).max() <= tolerance
    assert (one.exif, one.news) == (other.exif, other.news)


# With a stand-in for pyvips, installed or not.


class FakeError(Exception):
    pass


def fake(monkeypatch, loader="pngload", error=None):
    """A module that keeps what it is asked for: a grey picture of 20 x 40."""
    module = types.ModuleType("pyvips")
    module.asked = []
    fields = {"vips-loader": loader, "n-pages": 1}

    class Picture(types.SimpleNamespace):
        def __getattr__(self, name):
            if not name.endswith("load"):
                raise AttributeError(name)

            def load(path, **options):
                module.asked.append((name, path, options, os.environ.get("VIPS_BLOCK_UNTRUSTED")))
                if error:
                    raise error
                return self

            return load

        def extract_band(self, start, n):
            return self

    module.Image = Picture(
        width=20, height=40, bands=1, format="uchar", interpretation="b-w",
        get_fields=lambda: list(fields), get=fields.__getitem__,
    )  # fmt: skip
    module.Region = types.SimpleNamespace(
        new=lambda image: types.SimpleNamespace(fetch=lambda x, y, w, h: bytes([7]) * (w * h))
    )
    module.block_untrusted_set = lambda state: module.asked.append(("blocked", state))
    monkeypatch.setitem(sys.modules, "pyvips", module)
    monkeypatch.delenv("VIPS_BLOCK_UNTRUSTED", raising=False)
    return module


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A file with more pixels than Pillow is let read."""
    path = tmp_path / "x[1].png"
    make_picture(20, 40).save(path)
    monkeypatch.setattr(decode, "MAX_PIXELS", 100)
    return path


def test_a_large_file_goes_to_the_loader_of_its_format_in_a_blocked_libvips(large, monkeypatch):
    module = fake(monkeypatch)
    assert read_decoded(large).picture.getpixel((19, 39)) == (7, 7, 7)
    (name, path, options, blocked) = next(each for each in module.asked if len(each) == 4)
    # The brackets are a part of the name.
    assert (name, path, blocked) == ("pngload", str(large), "1")
    assert options == {"access": "sequential", "fail_on": "error", "revalidate": True}
    assert module.asked[0] == ("blocked", True)


def test_the_environment_is_set_before_the_import(large, tmp_path, monkeypatch):
    (tmp_path / "pyvips.py").write_text("import os\nset_to = os.environ['VIPS_BLOCK_UNTRUSTED']\n")
    monkeypatch.delitem(sys.modules, "pyvips", raising=False)
    monkeypatch.delenv("VIPS_BLOCK_UNTRUSTED", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImageReadError, match="block_untrusted_set"):
        read_decoded(large)
    assert sys.modules.pop("pyvips").set_to == "1"


def test_small_pictures_never_load_it(tmp_path, monkeypatch):
    monkeypatch.setattr(vips, "_library", lambda: pytest.fail("libvips was asked for"))
    make_picture(20, 40).save(tmp_path / "x.png")
    assert read_decoded(tmp_path / "x.png").picture.size == (20, 40)
    (tmp_path / "x.svg").write_text(
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
    )
    with pytest.raises(ImageReadError, match="unknown format"):
        read_decoded(tmp_path / "x.svg")


@pytest.mark.parametrize("missing", [ModuleNotFoundError, OSError])
def test_without_it_the_refusal_names_the_extra(missing, large, tmp_path, monkeypatch):
    def absent():
        raise missing("no pyvips, or no libvips")

    monkeypatch.setattr(vips, "_library", absent)
    with pytest.raises(ImageReadError, match=r"20 x 40 pixels.*pip install 'pyvips\[binary\]'"):
        read_decoded(large)
    # Where the limit is the user's, or libvips has no loader, it would not help.
    make_picture(20, 40).save(tmp_path / "x.bmp")
    for path, limit in ((large, 99), (tmp_path / "x.bmp", None)):
        with pytest.raises(ImageReadError, match="20 x 40 pixels") as refusal:
            read_decoded(path, max_pixels=limit)
        assert "pip" not in str(refusal.value)
    assert read_decoded(large, max_pixels=800).picture.size == (20, 40)


def test_its_own_limit_and_the_users_hold(large, monkeypatch):
    module = fake(monkeypatch)
    monkeypatch.setattr(vips, "MAX_PIXELS", 700)
    # From Pillow's header, before libvips sees the file.
    with pytest.raises(ImageReadError, match=r"20 x 40 pixels are more .*\(0.0007 megapixels\)"):
        read_decoded(large)
    with pytest.raises(ImageReadError, match="20 x 40 pixels are more"):
        read_decoded(large, max_pixels=799)
    assert not any(each[0] == "pngload" for each in module.asked)
    assert read_decoded(large, max_pixels=800).picture.size == (20, 40)
    assert any(each[0] == "pngload" for each in module.asked)


def test_only_loaders_of_formats_that_fastnst_reads_are_taken(large, monkeypatch):
    assert set(vips.LOADERS) - {"MPO"} <= set(READ_FORMATS)
    fake(monkeypatch, "svgload")
    with pytest.raises(ImageReadError, match="svgload is not for PNG"):
        read_decoded(large)


def test_its_errors_are_a_line(large, monkeypatch):
    fake(monkeypatch, error=FakeError("unable to call pngload\n  pngload: broken\n"))
    with pytest.raises(ImageReadError) as error:
        read_decoded(large)
    assert str(error.value).endswith("(unable to call pngload pngload: broken)")


# With pyvips.


@with_vips
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone_as_pillow_undoes_it(
    orientation, tmp_path, monkeypatch, small_strips
):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "a camera"
    path = tmp_path / "x.jpg"
    Image.fromarray(noise(70, 50, 3)).save(path, exif=exif.tobytes(), quality=95)
    by_pillow, by_vips = both(path, monkeypatch)
    assert by_vips.picture.size == ((50, 70) if orientation < 5 else (70, 50))
    assert b"a camera" in by_vips.exif
    assert_alike(by_pillow, by_vips)


@with_vips
@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg", "avif", "gif"])
def test_every_format_is_read_as_pillow_reads_it(
    suffix, bands, tmp_path, monkeypatch, small_strips
):
    pixels, path = noise(70, 50, bands), tmp_path / f"x.{suffix}"
    if bands == 4:
        pixels[:20, ..., 3] = 255  # Strips without transparency and with it.
        pixels[60:, ..., 3] = 0
    picture = Image.fromarray(pixels)
    if suffix == "jpg":
        picture = picture.convert("CMYK" if bands == 4 else "L")
    more = {"webp": {"lossless": True}, "avif": {"subsampling": "4:4:4"}}.get(suffix, {})
    picture.save(path, quality=100, **more)
    assert_alike(*both(path, monkeypatch))


@with_vips
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_profiles_are_converted(mode, tmp_path, monkeypatch, small_strips):
    picture = Image.fromarray(noise(70, 50, 4 if mode == "RGBA" else 3))
    picture = picture.quantize(32) if mode == "P" else picture.convert(mode)
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    picture.save(path, icc_profile=cmyk_profile() if mode == "CMYK" else rgb_profile(P3, 2.2))
    by_pillow, by_vips = both(path, monkeypatch)
    assert_alike(by_pillow, by_vips)
    with Image.open(path) as plain:
        raw = np.asarray(plain.convert("RGB"), int)
    assert np.abs(np.asarray(by_vips.picture, int) - raw).max() > 8


@with_vips
@pytest.mark.parametrize("suffix", ["jpg", "tif", "webp", "png"])
def test_a_damaged_profile_is_told_once(suffix, tmp_path, monkeypatch, small_strips):
    path = tmp_path / f"x.{suffix}"
    damaged = rgb_profile(P3, 2.2)[:128] + b"\xff" * 300
    Image.fromarray(noise(70, 50, 3)).save(path, icc_profile=damaged, quality=95)
    by_pillow, by_vips = both(path, monkeypatch)
    assert_alike(by_pillow, by_vips)
    assert len(by_vips.news) == 1


@with_vips
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled(suffix, tmp_path, monkeypatch, small_strips):
    path = tmp_path / f"x.{suffix}"
    grey = Image.fromarray(noise(70, 50, 1, top=65535)[..., 0])
    for profile in ({}, {"icc_profile": grey_profile(1.0)}):
        grey.save(path, **profile)
        assert_alike(*both(path, monkeypatch), tolerance=0)


def test_greys_that_are_scaled_by_their_maximum_stay_with_pillow(tmp_path, monkeypatch):
    monkeypatch.setattr(vips, "_library", lambda: pytest.fail("libvips was asked for"))
    monkeypatch.setattr(decode, "MAX_PIXELS", 100)
    ramp = np.linspace(0, 1, 800, dtype=np.float32).reshape(40, 20)
    Image.fromarray(ramp).save(tmp_path / "x.tif")
    assert read_decoded(tmp_path / "x.tif", max_pixels=800).picture.getpixel((19, 39))[0] == 255
    with pytest.raises(ImageReadError, match="pixels are more than fastnst reads"):
        read_decoded(tmp_path / "x.tif")


@with_vips
def test_frames_are_told_and_a_changed_file_is_read_anew(tmp_path, monkeypatch):
    path = tmp_path / "x.gif"
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    by_pillow, by_vips = both(path, monkeypatch)
    assert_alike(by_pillow, by_vips)
    assert by_vips.news == ("first of 3 frames",)
    frames[1].save(path)
    assert read_decoded(path).picture.getpixel((3, 3)) == (0, 255, 0)


@with_vips
def test_a_cut_file_is_refused_in_a_line_or_taken_on_request(tmp_path, monkeypatch, small_strips):
    path = tmp_path / "x.jpg"
    Image.fromarray(noise(320, 200, 3)).save(path, quality=95)
    path.write_bytes(path.read_bytes()[:6000])
    monkeypatch.setattr(decode, "MAX_PIXELS", 100)
    with pytest.raises(ImageReadError, match="not a readable picture") as error:
        read_decoded(path)
    assert "\n" not in str(error.value)
    found = read_decoded(path, allow_truncated=True)
    assert found.picture.size == (200, 320)
    assert found.news == (decode.CUT,)


@with_vips
def test_a_jpeg_is_shrunk_as_it_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "x.jpg"
    Image.fromarray(noise(400, 300, 3)).save(path, quality=95)
    by_pillow, by_vips = both(path, monkeypatch, shrink_to=70)
    assert by_vips.picture.size == by_pillow.picture.size == (75, 100)


@with_vips
def test_a_big_tiff_that_pillow_cannot_read_is_read(tmp_path, small_strips):
    import pyvips

    levels = noise(70, 50, 2, top=65535)
    levels[..., 1] = 65535
    levels[30:, :, 1] = 32896
    path = tmp_path / "x.tif"
    picture = pyvips.Image.new_from_array(levels, interpretation="grey16")
    picture.tiffsave(str(path), bigtiff=True, tile=True, tile_width=16, tile_height=16)
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(path)
    found = read_decoded(path)
    grey, alpha = levels[..., 0] / 257, levels[..., 1:] / 65535
    expected = grey[..., None] * alpha + 255 * (1 - alpha)
    assert np.abs(np.asarray(found.picture) - expected).max() <= 1
    assert found.alpha is not None
    assert set(np.unique(found.alpha)) == {128, 255}
    with pytest.raises(ImageReadError, match="50 x 70 pixels are more"):
        read_decoded(path, max_pixels=3000)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ImageReadError, match="not a readable picture"):
        read_decoded(path)


@with_vips
@pytest.mark.parametrize("dtype", ["f2", "f4", "i2", "u4"])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_numbers_that_pillow_cannot_read_show_the_same_ramp(bands, dtype, tmp_path, small_strips):
    if bands == 1 and dtype == "i2":
        pytest.skip("Pillow reads it")
    top = 1 if dtype[0] == "f" else np.iinfo(dtype).max
    values = np.repeat(GREY[..., None] * top, bands, 2)
    values[..., 3:] = top
    found = read_decoded(write_tiff(tmp_path / "x.tif", values.astype(dtype), 1 + (bands > 1)))
    assert np.abs(np.asarray(found.picture)[8, :, 0].astype(int) - RAMP).max() <= 1
    assert found.alpha is None


@with_vips
@pytest.mark.parametrize(("top", "told"), [(4, UNKNOWN), (255, ""), (65535, "")])
def test_floats_in_colour_are_scaled_and_told_as_grey_ones_are(top, told, tmp_path, small_strips):
    values = np.dstack([GREY, GREY[:, ::-1], GREY]).astype("f4") * top
    found = read_decoded(write_tiff(tmp_path / "x.tif", values, 2))
    assert np.abs(np.asarray(found.picture)[8, :, 1].astype(int) - RAMP[::-1]).max() <= 1
    assert len(found.news) == bool(told)
    assert told in " ".join(found.news)
    inks = np.dstack([1 - values / top, 0 * GREY]).astype("f4")
    found = read_decoded(write_tiff(tmp_path / "inks.tif", inks, 5))
    assert np.abs(np.asarray(found.picture)[8, :, 1].astype(int) - RAMP[::-1]).max() <= 1


@with_vips
def test_grey_of_12_bits_in_16_is_scaled(tmp_path, monkeypatch, small_strips):
    path = write_tiff(tmp_path / "x.tif", (GREY * 4095).round().astype("u2"))
    assert_alike(*both(path, monkeypatch), tolerance=1)
