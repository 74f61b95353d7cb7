"""Folders as phones, NAS and archives leave them: what is taken, and what is said of the rest."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from helpers import files, make_model, make_picture, one_line

from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_USAGE, DataError
from fastnst.image import heif, srgb_profile, write_picture
from fastnst.photos import results
from fastnst.photos.collection import find_photos, pictures_below
from fastnst.photos.folders import NOT_PHOTOS, look_below, matching


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def without_heif(monkeypatch) -> None:
    monkeypatch.setattr(heif, "is_there", lambda: False)


def put(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        make_picture(12, 9).save(name, format="JPEG")


def heic(*names: str) -> None:
    """Stubs of HEIC: a header without a picture."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        box = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic")
        Path(name).write_bytes(box + bytes(500))


def found(folder: str = "phone") -> list[str]:
    return [path.relative_to(folder).as_posix() for path in look_below(Path(folder)).pictures]


def test_a_phones_folder_on_a_nas(model, without_heif, capsys):
    put("phone/a.jpg", "elsewhere/c.jpg", "phone/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg")
    heic("phone/IMG_1.HEIC", "phone/IMG_2.HEIC")
    os.symlink("../elsewhere", "phone/linked")
    assert main(["apply", str(model), "phone", "--output", "out"]) == EXIT_DONE
    assert files(Path("out")) == {Path("a.jpg"), Path("linked"), Path("linked/c.jpg")}
    told = capsys.readouterr().err
    assert "2 HEIC files were passed over: pip install pi-heif to read them\n" in told
    assert told.count("passed over") == 1


@pytest.mark.parametrize("suffix", ["HEIC", "heif", "hif"])
def test_a_folder_of_heics_alone_says_why(suffix, model, without_heif, capsys):
    heic(f"phone/1.{suffix}")
    assert main(["apply", str(model), "phone", "--output", "out"]) == EXIT_USAGE
    told = one_line(capsys)
    assert "no pictures in this folder" in told
    assert "1 HEIC file was passed over: pip install pi-heif" in told
    with pytest.raises(DataError, match=r"1 HEIC file was passed over: pip install"):
        find_photos("phone")
    assert not Path("out").exists()


def test_other_pictures_are_told_by_their_kind_and_what_is_none_is_not(model, capsys):
    put("in/a.jpg")
    for name in ("b.NEF", "b.cr2", "c.dng", "d.jxl", "e.psd", "f.mp3", "g.txt", "h.xmp"):
        (Path("in") / name).write_bytes(b"x")
    assert main(["apply", str(model), "in", "--output", "out"]) == EXIT_DONE
    told = capsys.readouterr().err
    assert "3 raw files were passed over: fastnst reads none; develop them" in told
    assert "1 JPEG XL file was passed over" in told
    assert "1 PSD file was passed over" in told
    assert not [word for word in ("mp3", "txt", "xmp") if word in told]
    # For training, too.
    lines: list[str] = []
    assert find_photos("in", lines.append) == [Path("in/a.jpg")]
    assert "3 raw files" in lines[0]


@pytest.mark.parametrize(
    "name",
    ["@eaDir/a.jpg/THUMB.jpg", "__MACOSX/._b.jpg", "__MACOSX/b.jpg", ".thumbnails/1.jpg",
     "._b.jpg", "sub/@eaDir/b.jpg", "sub/.hidden.jpg", "#recycle/b.jpg", "@Recycle/b.jpg",
     "$RECYCLE.BIN/b.jpg", ".@__thumb/b.jpg", "@EADIR/b.jpg"],
)  # fmt: skip
def test_what_programs_leave_is_no_photograph(name):
    put("phone/a.jpg", f"phone/{name}")
    assert found() == ["a.jpg"]
    assert find_photos("phone") == [Path("phone/a.jpg")]
    if "/" in name and not name.startswith("."):
        assert Path(f"phone/{name}") not in find_photos("phone/**/*.jpg")


def test_what_is_named_is_taken_whatever_it_is_called(model):
    put("@eaDir/a.jpg", ".hidden/b.jpg", "._c.jpg")
    for name in ("@eaDir", ".hidden"):
        assert len(look_below(Path(name)).pictures) == 1
        assert len(find_photos(f"{name}/*.jpg")) == 1
    assert main(["apply", str(model), "._c.jpg", "--output", "c.png"]) == EXIT_DONE
    assert all(name == name.lower() for name in NOT_PHOTOS)


def test_linked_folders_are_looked_into_once_each_and_real_ones_before_them():
    put("phone/a.jpg", "phone/sub/b.jpg", "far/c.jpg", "far/deep/d.jpg")
    for link, target in {
        "phone/1-far": "../far",
        "phone/2-far": "../far",
        "phone/0-sub": "sub",
        "phone/sub/loop": "..",
        "phone/self": ".",
        "phone/up": "../..",
        "phone/root": "/",
        "far/back": "../phone",
        "far/deep/there": "../../phone/sub",
        "phone/dangling": "nowhere",
        "phone/dangling.jpg": "nowhere.jpg",
    }.items():
        os.symlink(target, link)
    assert found() == ["1-far/c.jpg", "1-far/deep/d.jpg", "a.jpg", "dangling.jpg", "sub/b.jpg"]
    assert list(pictures_below(Path("phone"))) == look_below(Path("phone")).pictures


@pytest.mark.timeout(10)
def test_a_pattern_goes_round_in_no_links_and_finds_what_lies_behind_them(model):
    put("phone/a.jpg", "phone/sub/b.jpg", "phone/sub/.c.jpg", "phone/@eaDir/d.jpg", "far/e.png")
    for link, target in {
        "phone/far": "../far", "phone/sub/loop": "..", "phone/self": ".", "phone/to-sub": "sub",
        "far/back": "../phone",
    }.items():  # fmt: skip
        os.symlink(target, link)
    here = [Path(name) for name in ("phone/a.jpg", "phone/far/e.png", "phone/sub/b.jpg")]
    for pattern, expected in {
        "phone/**/*.*": here,
        "phone/**": here,
        "ph*/**/*.jp[g]": [here[0], here[2]],
        "**/sub/*.jpg": [here[2]],
        "phone/**/sub/**/b.jpg": [here[2]],
        "phone/**/@eaDir/*.jpg": [Path("phone/@eaDir/d.jpg")],
        "phone/[@t]*/*.jpg": [Path("phone/to-sub/b.jpg")],
    }.items():
        assert matching(pattern) == expected, pattern
        assert find_photos(pattern) == expected
    # A folder, where no file is meant.
    assert matching("phone/**/sub") == [Path("phone/sub")]
    assert main(["apply", str(model), "phone/**/*.jpg", "--output", "out"]) == EXIT_DONE
    assert files(Path("out")) == {Path("a.jpg"), Path("b.jpg")}


def test_two_links_to_each_other_and_a_chain_end():
    put("x/a.jpg", "y/b.jpg", "z/c.jpg")
    os.symlink("../y", "x/y")
    os.symlink("../x", "y/x")
    os.symlink("../z", "y/z")
    os.symlink("../x/y", "z/again")
    assert found("x") == ["a.jpg", "y/b.jpg", "y/z/c.jpg"]
    # A link that is named itself is followed.
    os.symlink("z", "named")
    assert found("named") == ["again/b.jpg", "again/x/a.jpg", "c.jpg"]


def test_a_linked_folder_of_results_is_left_out_too(model):
    put("in/a.jpg")
    Path("far").mkdir()
    os.symlink("../far", "in/styled")
    for _ in range(2):
        assert main(["apply", str(model), "in", "--output", "in/styled"]) == EXIT_DONE
        assert files(Path("far")) == {Path("a.jpg")}
    for _ in range(2):
        assert main(["apply", str(model), "in", "--output", "far"]) == EXIT_DONE
        assert files(Path("far")) == {Path("a.jpg")}


def test_a_folder_that_can_not_be_listed_costs_no_other(monkeypatch):
    put("phone/a.jpg", "phone/sub/b.jpg")
    original = os.scandir

    def denied(path):
        if str(path).endswith("sub"):
            raise PermissionError
        return original(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert found() == ["a.jpg"]


def marked(path: Path, seed: int = 0) -> None:
    """A picture that has the mark of a result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(make_picture(16, 12, seed), path, profile=srgb_profile())


def test_results_of_any_style_among_photographs_are_no_photographs(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.png", "c-holiday.jpg", "d.png"):
        make_picture(16, 12).save(folder / name)
    for name in ("a-wave.jpg", "a-the_scream.png", "out/b.png", "c-holiday-wave+udnie40.jpg"):
        marked(folder / name)
    # One without its photograph, and one whose name alone is a result's.
    marked(folder / "e-wave.png")
    make_picture(16, 12).save(folder / "d-wave.png")
    kept = ["a.jpg", "b.png", "c-holiday.jpg", "d-wave.png", "d.png", "e-wave.png"]
    told: list[str] = []
    assert [path.name for path in find_photos(str(folder), told.append)] == kept
    assert "4 results of earlier runs were passed over: " in told[0]
    told.clear()
    assert [path.name for path in find_photos(f"{folder}/*.*", told.append)] == kept
    assert "3 results of earlier runs were passed over: " in told[0]


def test_only_files_that_may_be_results_by_their_names_are_opened(tmp_path, monkeypatch):
    for name in ("a.jpg", "IMG-1.jpg", "IMG-2.jpg", "more/b.jpg"):
        marked(tmp_path / name)
    monkeypatch.setattr(results, "is_own", lambda path: pytest.fail(f"opened {path}"))
    assert len(find_photos(str(tmp_path))) == 4


def test_a_folder_of_results_alone_is_a_collection(tmp_path):
    for name in ("a-wave.jpg", "b-wave.jpg"):
        marked(tmp_path / name)
    assert len(find_photos(str(tmp_path))) == 2
