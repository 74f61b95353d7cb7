"""A file in memory is read and written as one on the disk is, faults included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import make_picture
from PIL import Image

from fastnst.errors import ImageReadError, ImageWriteError
from fastnst.image import (
    WRITE_FORMATS,
    Decoded,
    InMemory,
    decode,
    is_own,
    read_decoded,
    srgb_profile,
    upright_size,
    write_picture,
)


def same(first: Decoded, second: Decoded) -> bool:
    alphas = [one.alpha and one.alpha.tobytes() for one in (first, second)]
    return (
        first.picture.tobytes() == second.picture.tobytes()
        and alphas[0] == alphas[1]
        and (first.exif, first.news) == (second.exif, second.news)
    )


def saved(suffix: str, folder: Path) -> Path:
    """A picture that stands on its side by its EXIF data, where the format has them."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    path = folder / f"x{suffix}"
    picture = make_picture(40, 30)
    if suffix in (".webp", ".png", ".avif"):
        picture.putalpha(make_picture(40, 30, 1).convert("L"))
    more = {"append_images": [make_picture(40, 30, 2)], "save_all": True}
    pages = more if suffix in (".tif", ".gif") else {}
    picture.save(path, **({} if suffix in (".gif", ".bmp", ".ppm") else {"exif": exif}), **pages)
    return path


@pytest.mark.parametrize(
    "suffix", [".jpg", ".png", ".webp", ".tif", ".gif", ".bmp", ".ppm", ".avif"]
)
def test_what_is_read_from_memory_is_what_is_read_from_the_disk(suffix, tmp_path):
    path = saved(suffix, tmp_path)
    sent = InMemory("stdin", path.read_bytes())
    assert same(read_decoded(path), read_decoded(sent))
    assert upright_size(path) == upright_size(sent)
    assert is_own(path) == is_own(sent)
    # What is cut short is refused alike, and alike taken where that is asked for.
    cut = path.read_bytes()[: len(sent.content) * 2 // 3]
    path.write_bytes(cut)
    sent = InMemory(str(path), cut)
    told = []
    for file in (path, sent):
        try:
            told.append(read_decoded(file).picture.tobytes())
        except ImageReadError as error:
            told.append(str(error))
    assert told[0] == told[1]
    try:
        taken = read_decoded(path, allow_truncated=True)
    except ImageReadError as error:
        with pytest.raises(ImageReadError) as caught:
            read_decoded(sent, allow_truncated=True)
        assert str(error) == str(caught.value)
    else:
        assert same(taken, read_decoded(sent, allow_truncated=True))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".gif"])
def test_libvips_reads_memory_as_it_reads_files(suffix, tmp_path, monkeypatch):
    pytest.importorskip("pyvips")
    path = saved(suffix, tmp_path)
    monkeypatch.setattr(decode, "MAX_PIXELS", 100)
    before = read_decoded(path, max_pixels=2000)
    assert same(before, read_decoded(InMemory("stdin", path.read_bytes()), max_pixels=2000))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "stdin: not a readable picture (unknown format)"),
        (b"%PDF-1.7 and so on", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n", "stdin: not a readable picture"),
        (b"IIRO" + bytes(100), "stdin: a raw photograph"),
    ],
)
def test_what_is_no_picture_is_told_by_its_name(content, told):
    with pytest.raises(ImageReadError) as caught:
        read_decoded(InMemory("stdin", content))
    assert told in str(caught.value)


def test_too_many_pixels_are_refused_in_memory_too(tmp_path):
    sent = InMemory("stdin", saved(".bmp", tmp_path).read_bytes())
    with pytest.raises(ImageReadError, match="stdin: 40 x 30 pixels are more"):
        read_decoded(sent, max_pixels=1199)


@pytest.mark.parametrize("suffix", sorted(WRITE_FORMATS))
def test_what_is_written_to_memory_is_what_is_written_to_the_disk(suffix, tmp_path):
    picture, alpha = make_picture(40, 30), make_picture(40, 30, 1).convert("L")
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    beside = (alpha, exif.tobytes(), srgb_profile())
    path, result = tmp_path / f"x{suffix}", InMemory("stdout", suffix=suffix)
    write_picture(picture, path, *beside)
    write_picture(picture, result, *beside)
    assert bytes(result.content) == path.read_bytes()


def test_what_a_format_cannot_hold_leaves_the_content_as_it_was():
    result = InMemory("stdout", b"before", ".webp")
    with pytest.raises(ImageWriteError, match="stdout: 16384 x 1 pixels are more than WebP"):
        write_picture(Image.fromarray(np.zeros((1, 16384, 3), np.uint8)), result)
    with pytest.raises(ImageWriteError, match="stdout: pictures are written as"):
        write_picture(make_picture(4, 4), InMemory("stdout", suffix=".gif"))
    assert result.content == b"before"
