"""HEIC, the photographs of iPhones: read with the extra `heif`, named without it."""

from __future__ import annotations

import base64
import importlib.util
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import files, make_model, make_picture, one_line
from PIL import ExifTags, Image

from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_USAGE, ImageReadError
from fastnst.image import heif, read_decoded, upright_size
from fastnst.image.kinds import is_heif

needs_extra = pytest.mark.skipif(
    importlib.util.find_spec("pi_heif") is None, reason="the extra 'heif' is not installed"
)
# 64 x 48 pixels, the left half red, the right one blue, made with pillow-heif; to be turned by 90
# degrees, so that red is above. Its camera is called "Obscura".
TURNED = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAA"
    "AAAAAAAAADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAAGoAAgAAAAACVgABAAAAAAAAADgAAAA4aWluZgAAAAAA"
    "AgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADm"
    "aXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAq"
    "QgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQAN"
    "AAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBp"
    "eGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEA"
    "AQAAAKptZGF0AAAAZigBrxOA+BDhp//8TSj/+nXPD9PMiYn/+tNSR/hUO//WicPySkWzrHl9nv8H4h1KpEq3xpK+HfM2"
    "sf+d4tvFAhneIy6JZXLEP+zlxMa+qdw77mN6fapRbf83mqG4xuGn3Gx6O58SuAAAAAZFeGlmAABNTQAqAAAACAACAQ8A"
    "AgAAAAgAAAAmARIAAwAAAAEABgAAAAAAAE9ic2N1cmEA"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "in" / "IMG_1.HEIC"
    path.parent.mkdir()
    path.write_bytes(TURNED)
    return path


def test_a_heic_without_the_extra_is_a_line(photo, model, capsys, monkeypatch):
    # As though it could not be imported.
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    assert main(["apply", str(model), str(photo)]) == EXIT_USAGE
    assert "IMG_1.HEIC: a HEIC picture; pip install pi-heif to read it" in one_line(capsys)
    assert files(photo.parent) == {Path("IMG_1.HEIC")}


@needs_extra
def test_a_heic_is_read_upright_with_its_camera(photo):
    decoded = read_decoded(photo)
    assert decoded.picture.size == upright_size(photo) == (48, 64)
    assert decoded.news == ()
    above, below = decoded.picture.getpixel((24, 8)), decoded.picture.getpixel((24, 56))
    assert above[0] > 240 > 20 > above[2]
    assert below[2] > 240 > 20 > below[0]
    exif = Image.Exif()
    exif.load(decoded.exif)
    assert exif[ExifTags.Base.Make] == "Obscura"
    assert ExifTags.Base.Orientation not in exif


@needs_extra
def test_a_folder_of_heics_becomes_jpegs(photo, model, tmp_path, capsys):
    make_picture(20, 15).save(photo.parent / "a.png")
    output = tmp_path / "out"
    arguments = ["apply", str(model), str(photo.parent), "--output", str(output)]
    assert main([*arguments, "--metadata", "keep"]) == EXIT_DONE
    assert files(output) == {Path("IMG_1.jpg"), Path("a.png")}
    with Image.open(output / "IMG_1.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (48, 64))
    assert "passed over" not in capsys.readouterr().err


@needs_extra
@pytest.mark.parametrize(("primaries", "transfer"), [(12, 13), (9, 16), (9, 18)])
def test_a_heic_that_tells_its_colours_by_number_is_converted_or_named(primaries, transfer, photo):
    plain = np.asarray(read_decoded(photo).picture).astype(int)
    place = TURNED.index(b"colrnclx") + 8
    numbers = struct.pack(">HH", primaries, transfer)
    photo.write_bytes(TURNED[:place] + numbers + TURNED[place + 4 :])
    decoded = read_decoded(photo)
    # Its 254, 0, 0 of the wider primaries is more red than sRGB has.
    assert np.asarray(decoded.picture)[8, 24].tolist() == [255, 0, 0]
    assert plain[8, 24].tolist() == [254, 0, 0]
    name = {16: "PQ", 18: "HLG"}.get(transfer)
    assert [name in told for told in decoded.news] == ([True] if name else [])


@needs_extra
def test_every_cut_of_a_heic_is_refused_in_a_line_or_read(photo):
    for sixteenth in range(16):
        photo.write_bytes(TURNED[: len(TURNED) * sixteenth // 16])
        with pytest.raises(ImageReadError) as caught:
            read_decoded(photo)
        assert "\n" not in str(caught.value)
        assert str(photo) in str(caught.value)


@needs_extra
def test_pillow_is_left_as_it_was_and_other_pictures_import_nothing(photo, tmp_path):
    make_picture(20, 15).save(tmp_path / "a.png")
    program = (
        "import sys\nfrom pathlib import Path\nfrom PIL import Image\n"
        "from fastnst.image import read_picture\n"
        "read_picture(Path(sys.argv[1]))\nassert 'pi_heif' not in sys.modules\n"
        "read_picture(Path(sys.argv[2]))\nassert 'pi_heif' in sys.modules\n"
        "assert 'HEIF' not in Image.OPEN\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "a.png"), str(photo)]
    assert subprocess.run(command, check=False).returncode == 0


def test_what_has_heifs_container_and_is_another_is_not_taken_for_it():
    def head(*brands: bytes) -> bytes:
        length = (16 + 4 * (len(brands) - 1)).to_bytes(4, "big")
        return length + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:]) + b"heic"

    assert is_heif(head(b"heic", b"mif1"))
    assert is_heif(head(b"mif1", b"heic"))
    assert is_heif(head(b"msf1", b"hevc"))
    assert not is_heif(head(b"avif", b"mif1"))
    assert not is_heif(head(b"mif1", b"avif"))
    # What stands behind the box is no brand.
    assert not is_heif(head(b"mp42", b"isom"))
    assert not is_heif(b"")
    assert heif.SUFFIXES
