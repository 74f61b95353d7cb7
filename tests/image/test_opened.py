"""A PIL image, as a web form hands it, comes out as its file does."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faulty import cmyk_profile, grey_profile, rgb_profile
from helpers import CORPUS, contents, make_picture, together
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

import fastnst
from fastnst.checkpoint.contents import save_checkpoint
from fastnst.errors import ImageReadError
from fastnst.image import READ_SUFFIXES, decode_opened, read_decoded
from fastnst.stylize.filters import Filter

P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
RGB = make_picture(24, 16, 5)
RAMP = np.arange(16 * 24).reshape(16, 24)


@pytest.fixture(scope="module")
def paint(tmp_path_factory) -> Filter:
    path = tmp_path_factory.mktemp("filter") / "m.ckpt"
    save_checkpoint(contents(), path)
    return fastnst.load(path, "cpu")


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def with_alpha(mode: str, opaque: bool = False) -> Image.Image:
    image = RGB.convert("RGB" if mode == "RGBA" else "L").convert(mode)
    image.putalpha(255 if opaque else Image.linear_gradient("L").resize(RGB.size))
    return image


def palette(transparent: bytes | int | None) -> tuple[Image.Image, dict[str, object]]:
    return RGB.quantize(16), {} if transparent is None else {"transparency": transparent}


def inks() -> Image.Image:
    return Image.fromarray(np.stack([RAMP % 256, RAMP // 2, RAMP % 7 * 30, RAMP % 3], -1).astype("u1"), "CMYK")  # fmt: skip # noqa: E501


def xmp(orientation: int) -> bytes:
    told = f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"'
    syntax = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    rdf = f'<rdf:RDF xmlns:rdf="{syntax}"><rdf:Description {told}/></rdf:RDF>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>'.encode()


# A file's name, the image, and how it is saved.
FILES: dict[str, tuple[str, Image.Image, dict[str, object]]] = {
    **{f"jpg turned {n}": ("a.jpg", RGB, {"exif": turned(n)}) for n in range(1, 9)},
    "png turned": ("a.png", RGB, {"exif": turned(6)}),
    "webp turned": ("a.webp", RGB, {"exif": turned(8), "lossless": True}),
    "tiff turned": ("a.tif", RGB, {"tiffinfo": {274: 6}}),
    "grey turned": ("a.png", Image.fromarray((RAMP * 150).astype("u2")), {"exif": turned(5)}),
    "turned by xmp": ("a.jpg", RGB, {"xmp": xmp(6)}),
    "broken exif": ("a.jpg", RGB, {"exif": b"Exif\0\0" + b"\xff" * 40}),
    "grey16 png": ("a.png", Image.fromarray((RAMP * 170).astype("u2")), {}),
    "grey16 tiff": ("a.tif", Image.fromarray((RAMP * 170).astype("u2")), {}),
    "grey32 tiff": ("a.tif", Image.fromarray((RAMP * 10_000_000).astype("i4")), {}),
    "float tiff": ("a.tif", Image.fromarray((RAMP / 400).astype("f4")), {}),
    "grey16 pgm": ("a.pgm", Image.fromarray((RAMP * 170).astype("u2")), {}),
    "palette": ("a.png", *palette(None)),
    "palette, one clear": ("a.png", *palette(3)),
    "palette, some half clear": ("a.png", *palette(bytes(range(0, 256, 16)))),
    "palette with profile": ("a.png", palette(3)[0], {"transparency": 3, "icc_profile": rgb_profile(P3, 2.2)}),  # noqa: E501
    "gif, one clear": ("a.gif", *palette(3)),
    "one bit": ("a.png", RGB.convert("1"), {}),
    "one bit, white clear": ("a.png", RGB.convert("1"), {"transparency": 1}),
    "grey, one clear": ("a.png", RGB.convert("L"), {"transparency": 200}),
    "rgb, one clear": ("a.png", RGB, {"transparency": (200, 30, 60)}),
    "cmyk jpg": ("a.jpg", inks(), {}),
    "cmyk tiff": ("a.tif", inks(), {}),
    "cmyk with profile": ("a.tif", inks(), {"icc_profile": cmyk_profile()}),
    "ycbcr": ("a.jpg", RGB.convert("YCbCr"), {}),
    "lab": ("a.tif", Image.new("LAB", (9, 9), (140, 20, 90)), {}),
    "profile": ("a.jpg", RGB, {"icc_profile": rgb_profile(P3, 2.2)}),
    "grey profile": ("a.png", RGB.convert("L"), {"icc_profile": grey_profile(1.0)}),
    "broken profile": ("a.png", RGB, {"icc_profile": b"no profile"}),
    "la": ("a.png", with_alpha("LA"), {}),
    "rgba": ("a.png", with_alpha("RGBA"), {}),
    "rgba opaque": ("a.png", with_alpha("RGBA", opaque=True), {}),
    "rgba webp": ("a.webp", with_alpha("RGBA"), {"lossless": True}),
    "rgba tiff": ("a.tif", with_alpha("RGBA"), {}),
    "rgba profile turned": ("a.png", with_alpha("RGBA"), {"icc_profile": rgb_profile(P3, 2.2), "exif": turned(7)}),  # noqa: E501
    "avif": ("a.avif", RGB, {}),
    "animation": ("a.gif", RGB, {"save_all": True, "append_images": [RGB.transpose(Image.Transpose.ROTATE_180)]}),  # noqa: E501
}  # fmt: skip

# What a caller has done with an image that was opened.
FORMS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "opened": lambda image: image,
    "loaded": lambda image: image.load() and image,
    "copied": lambda image: image.copy(),
    "upright": ImageOps.exif_transpose,
}


def same(image: Image.Image, path: Path) -> bool:
    found, expected = decode_opened(image), read_decoded(path)
    assert found.picture.mode == "RGB"
    assert found.picture.size == expected.picture.size
    assert (found.alpha is None) == (expected.alpha is None)
    alike = found.alpha is None or np.array_equal(found.alpha, expected.alpha)
    return alike and np.array_equal(found.picture, expected.picture)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("name", FILES)
def test_an_image_is_read_as_its_file(name, form, tmp_path):
    file, image, options = FILES[name]
    path = tmp_path / file
    image.save(path, **options)
    for source in (path, io.BytesIO(path.read_bytes())):
        with Image.open(source) as image:
            given = form(image)
            before = given.mode, given.size, given.tobytes(), dict(given.info)
            assert same(given, path)
            # And stays as it is, to be read again.
            assert (given.mode, given.size, given.tobytes(), dict(given.info)) == before
            assert same(given, path)


@pytest.mark.parametrize(
    "name", ["jpg turned 6", "grey16 png", "rgba opaque", "palette, one clear"]
)
def test_an_image_is_stylized_as_its_file(name, paint, tmp_path):
    file, image, options = FILES[name]
    path = tmp_path / file
    image.save(path, **options)
    with Image.open(path) as opened:
        by_path, by_image = paint(path), paint(opened)
    assert by_path.mode == by_image.mode
    assert np.array_equal(np.asarray(by_path), np.asarray(by_image))


def test_what_comes_out_is_what_the_picture_means(tmp_path):
    grey = Image.fromarray((RAMP * 170).astype("u2"))
    expected = np.round(RAMP * 170 / 257).astype("u1")
    assert np.array_equal(np.asarray(decode_opened(grey).picture)[..., 0], expected)
    RGB.save(tmp_path / "a.png", exif=turned(6))
    upright = np.rot90(np.asarray(RGB), -1)
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(decode_opened(image).picture, upright)
    clear = decode_opened(Image.new("LA", (3, 2), (7, 0)))
    assert clear.picture.getpixel((0, 0)) == (255, 255, 255)
    assert clear.alpha.getextrema() == (0, 0)
    cyan = decode_opened(Image.new("CMYK", (3, 2), (255, 0, 0, 0)))
    assert cyan.picture.getpixel((0, 0)) == (0, 255, 255)
    # A palette that has transparency of its own, as quantizing makes it.
    half = decode_opened(Image.new("RGBA", (4, 4), (10, 20, 30, 128)).quantize(4))
    assert half.alpha.getextrema() == (128, 128)
    # The caller's own turn, which no file knows of yet.
    image = RGB.copy()
    image.getexif()[274] = 3
    assert np.array_equal(decode_opened(image).picture, np.asarray(RGB)[::-1, ::-1])


def test_an_image_of_every_mode_is_read():
    modes = "1 L P RGB RGBA CMYK YCbCr LAB HSV I F LA PA RGBX RGBa La I;16 I;16L I;16B"
    for mode in modes.split():
        assert decode_opened(Image.new(mode, (5, 3))).picture.size == (5, 3)
    colours = RGB.convert("HSV")
    assert np.array_equal(decode_opened(colours).picture, colours.convert("RGB"))
    # Transparency multiplied in before: as it were without.
    plain, multiplied = with_alpha("LA"), with_alpha("LA").convert("La")
    far = np.asarray(decode_opened(plain).picture).astype(int) - decode_opened(multiplied).picture
    assert np.abs(far).max() <= 1


def test_the_frame_that_an_animation_stands_at_is_taken(tmp_path):
    file, image, options = FILES["animation"]
    image.save(tmp_path / file, **options)
    with Image.open(tmp_path / file) as animation:
        animation.seek(1)
        second = np.asarray(decode_opened(animation).picture)
    assert np.array_equal(second, np.asarray(read_decoded(tmp_path / file).picture)[::-1, ::-1])


@pytest.mark.parametrize("allowed", [False, True])
def test_an_image_that_cannot_be_read_costs_a_line_as_its_file_does(
    allowed, paint, tmp_path, monkeypatch
):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", allowed)
    path, whole = tmp_path / "cut.jpg", io.BytesIO()
    make_picture(200, 200).save(whole, "JPEG")
    path.write_bytes(whole.getvalue()[:2000])
    with Image.open(path) as opened:
        for given in (path, opened):
            with pytest.raises(ImageReadError, match=r"cut\.jpg: not a readable picture"):
                paint(given)
    unnamed = Image.open(io.BytesIO(path.read_bytes()))
    with pytest.raises(ImageReadError, match="a PIL image: not a readable picture") as error:
        paint(unnamed)
    assert "\n" not in str(error.value)
    RGB.save(path)
    with Image.open(path) as closed:
        pass
    with pytest.raises(ImageReadError, match=r"cut\.jpg: not a readable picture"):
        paint(closed)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is allowed


def test_threads_may_have_the_same_image(tmp_path):
    RGB.resize((400, 300)).save(tmp_path / "a.png", exif=turned(6))
    expected = read_decoded(tmp_path / "a.png").picture
    with Image.open(tmp_path / "a.png") as image:
        for found in together(lambda _: decode_opened(image)):
            assert np.array_equal(found.picture, expected)


def test_arrays_stay_as_they_are(paint):
    """An array has no profile and no orientation, and keeps the transparency that it came with."""
    for opaque in (True, False):
        image = with_alpha("RGBA", opaque)
        assert paint(np.asarray(image), strength=0.0).mode == "RGBA"
    batch = np.stack([np.asarray(with_alpha("RGBA", opaque)) for opaque in (True, False)])
    assert paint({"image": batch})["image"].shape == (2, 16, 24, 4)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
def test_files_of_others_are_read_as_images_too():
    count = 0
    for path in sorted(CORPUS.rglob("*")):
        if path.suffix.lower() not in READ_SUFFIXES or path.stat().st_size > 300_000:
            continue
        with contextlib.suppress(ImageReadError, UnidentifiedImageError):
            read_decoded(path)
            try:
                image = Image.open(path)
            except ValueError:  # By itself Pillow takes no long texts.
                continue
            with image:
                assert same(image, path), path
                count += 1
    assert count > 100
