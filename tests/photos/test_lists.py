"""Lists as people's programs write them, and files of one name from several folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import files, make_model, make_picture, one_line
from PIL import Image

from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_PARTIAL, EXIT_USAGE, DataError
from fastnst.photos.collection import find_photos
from fastnst.photos.lists import read_list


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder, with two pictures in a folder."""
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    for number, name in enumerate(("a", "b ü")):
        make_picture(20, 15, number).save(f"pictures/{name}.png")
    return tmp_path


LINES = "pictures/a.png\r\npictures/b ü.png\r\n"
FORMS = {
    "plain": LINES.replace("\r", "").encode(),
    "bom": LINES.encode("utf-8-sig"),
    "utf16": LINES.encode("utf-16"),
    "utf16-be": b"\xfe\xff" + LINES.encode("utf-16-be"),
    "utf32": LINES.encode("utf-32"),
    "classic": LINES.replace("\n", "").encode(),
    "quoted": LINES.replace("pictures", '"pictures').replace("png", 'png"').encode(),
    "apostrophes": LINES.replace("pictures", "'pictures").replace("png", "png'").encode(),
    "backslash": LINES.replace("/", "\\").encode(),
    "all": LINES.replace("pictures/", '  "pictures\\').replace("png", 'png"  ').encode("utf-16"),
    "home": LINES.replace("pictures", "~/pictures").encode(),
    "quoted-home": LINES.replace("pictures", '"~\\pictures').replace("png", 'png"').encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_list_of_any_form_names_both_pictures(form, model, here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    (here / "list.txt").write_bytes(FORMS[form])
    assert main(["apply", str(model), "@list.txt", "--output", "out"]) == EXIT_DONE
    assert files(here / "out") == {Path("a.png"), Path("b ü.png")}
    for data in ("list.txt", "@list.txt", str(here / "list.txt")):
        assert [path.name for path in find_photos(data)] == ["a.png", "b ü.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINES.encode("utf-16-le"), "if it is UTF-16, save it as UTF-8"),
        (LINES.encode("cp1252"), "neither a picture nor a text file of paths in UTF-8"),
        (b"\xff\xfe\x00\xd8\n", "neither a picture nor a text file"),
        (b"# none\n\n  \n", "lists no pictures"),
        (b"", "lists no pictures"),
        (b"PK\3\4\xff\0", "a zip archive"),
        (b"%PDF-1.7\n\xff", "a PDF document"),
    ],
    ids=["utf16-unmarked", "cp1252", "utf16-broken", "comments", "empty", "zip", "pdf"],
)
def test_what_is_no_list_costs_a_line_that_says_why(content, message, model, here, capsys):
    Path("list.txt").write_bytes(content)
    before = files(here)
    assert main(["apply", str(model), "@list.txt", "--output", "out"]) == EXIT_USAGE
    assert message in one_line(capsys)
    with pytest.raises(DataError, match=r"list\.txt: "):
        find_photos("list.txt")
    assert files(here) == before


def test_a_name_as_it_is_written_goes_before_what_it_could_mean(here):
    """Where files may be called so, their names are theirs."""
    for name in ('"q".png', "back\\slash.png", "~home.png", "'"):
        make_picture(8, 8).save(Path(name), format="PNG")
        Path("list.txt").write_text(f"{name}\n")
        assert read_list(Path("list.txt")) == [Path(name)]
    # The end of a line is a line feed; other spaces of Unicode may stand in a name.
    Path("list.txt").write_text("a\u2028b\x0b.png\n", encoding="utf-8")
    assert read_list(Path("list.txt")) == [Path("a\u2028b\x0b.png")]


def test_an_entry_that_is_absent_is_told_and_the_rest_is_done(model, here, capsys):
    Path("list.txt").write_text('"pictures/a.png"\n"pictures\\none.png"\nhttps://a.b/c.png\n')
    assert main(["apply", str(model), "@list.txt", "--output", "out"]) == EXIT_PARTIAL
    told = capsys.readouterr().err
    assert "none.png: no such file" in told
    assert "https://a.b/c.png: an address" in told
    assert files(here / "out") == {Path("a.png")}


def test_training_takes_a_list_of_windows(style, tiny_args, photos, tmp_path):
    listed = tmp_path / "bom.txt"
    names = [f'"photos\\{path.relative_to(photos)}"'.replace("/", "\\") for path in
             sorted(photos.rglob("*.jpg"))]  # fmt: skip
    listed.write_bytes("\r\n".join(names).encode("utf-8-sig"))
    tiny_args[tiny_args.index("--data") + 1] = str(listed)
    output = tmp_path / "o.ckpt"
    assert main([*tiny_args, "--steps", "1", "--output", str(output)]) == EXIT_DONE
    assert output.exists()


# Equal names.


def years(*names: str) -> list[Path]:
    paths = [Path(name) for name in names]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        make_picture(20, 15 + number).save(path)
    return paths


def sizes(folder: Path) -> dict[str, int]:
    """The height, which tells whose result it is, of each picture below a folder."""
    found = {}
    for path in sorted(folder.rglob("*.*")):
        with Image.open(path) as picture:
            found[path.relative_to(folder).as_posix()] = picture.height
    return found


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["photos/2019/I.png", "photos/2020/I.png"], ["2019/I.png", "2020/I.png"]),
        (["a/raw/I.png", "b/raw/I.png"], ["a/raw/I.png", "b/raw/I.png"]),
        (["I.png", "a/I.png", "a/b/I.png"], ["I.png", "a/I.png", "a/b/I.png"]),
        # What differs stays as it is.
        (["x/2019/I.png", "x/2020/I.png", "y/J.png"], ["2019/I.png", "2020/I.png", "J.png"]),
        # By what they become, not by what they are.
        (["x/2019/I.gif", "x/2020/I.png"], ["2019/I.png", "2020/I.png"]),
    ],
)
def test_files_of_one_name_keep_the_folders_in_which_they_differ(
    names, expected, model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    paths = years(*names)
    Path("list.txt").write_text("\n".join(names))
    for number, given in enumerate((["@list.txt"], names, [str(path.resolve()) for path in paths])):
        output = tmp_path / f"out{number}"
        assert main(["apply", str(model), *given, "--output", str(output)]) == EXIT_DONE
        heights = {name: 15 + place for place, name in enumerate(expected)}
        assert sizes(output) == heights


def test_folders_with_equal_names_in_them_keep_their_own(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    years("2019/I.png", "2019/b/J.png", "2020/I.png", "other/K.png")
    arguments = ["apply", str(model), "2019", "2020/", "other", "--output", "out"]
    assert main(arguments) == EXIT_DONE
    assert sizes(Path("out")) == {"2019/I.png": 15, "2019/b/J.png": 16, "2020/I.png": 17,
                                  "K.png": 18}  # fmt: skip
    # And again: nothing is left to do.
    assert main(arguments) == EXIT_DONE
    assert len(sizes(Path("out"))) == 4


@pytest.mark.parametrize("again", ["x/I.png", "x/../x/I.png", "@list.txt"])
def test_what_is_given_twice_is_done_once(again, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    years("x/I.png")
    Path("list.txt").write_text("x/I.png\n./x/I.png\nx/I.png\n")
    assert main(["apply", str(model), "x/I.png", again, "--output", "out"]) == EXIT_DONE
    assert sizes(Path("out")) == {"I.png": 15}


def test_what_its_format_alone_tells_apart_keeps_the_name_of_the_format(
    model, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    years("x/I.gif", "x/I.png", "x/I.pgm", "y/I.png", "z/J.gif")
    for _ in range(2):
        assert main(["apply", str(model), "x", "--output", "out"]) == EXIT_DONE
        assert sizes(Path("out")) == {"I.gif.png": 15, "I.png": 16, "I.pgm.png": 17}
    assert main(["apply", str(model), "x/I.gif", "x/I.png", "y/I.png", "z/J.gif",
                 "--output", "out2"]) == EXIT_DONE  # fmt: skip
    assert sizes(Path("out2")) == {"x/I.gif.png": 15, "x/I.png": 16, "y/I.png": 18, "J.png": 19}
    # So do they where the case alone is another.
    years("w/I.JPG", "w/i.mpo")
    assert main(["apply", str(model), "w", "--output", "out3"]) == EXIT_DONE
    assert sizes(Path("out3")) == {"I.JPG": 15, "i.mpo.jpg": 16}
    # Beside them, and again, where the results are no photographs, marked or not.
    before = len(sizes(Path("x")))
    for marks in ("none", "icc"):
        for _ in range(2):
            files = sorted(map(str, Path("x").iterdir()))
            assert main(["apply", str(model), *files, "--metadata", marks]) == EXIT_DONE
            assert len(sizes(Path("x"))) == 2 * before
        if marks == "none":
            [path.unlink() for path in Path("x").glob(f"*-{model.stem}.*")]
    assert f"I.gif-{model.stem}.png" in sizes(Path("x"))


# Suffixes, and what --output means.


@pytest.mark.parametrize("name", ["a.jfif", "b.jpe", "c.JFIF", "d.jif", "e.jfi", "f.Jpe"])
def test_a_jpeg_of_any_suffix_stays_one(name, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_picture(20, 15).save(name, format="JPEG")
    Path("in").mkdir()
    Path(name).rename(Path("in") / name)
    assert main(["apply", str(model), "in", "--output", "out"]) == EXIT_DONE
    assert main(["apply", str(model), f"in/{name}"]) == EXIT_DONE
    beside = Path("in") / f"{name[0]}-paint{name[1:]}"
    for result in (Path("out") / name, beside):
        with Image.open(result) as picture:
            assert (picture.format, picture.size) == ("JPEG", (20, 15))


def test_a_stereo_jpeg_becomes_a_jpeg(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_picture(20, 15).save("x.mpo", save_all=True, append_images=[make_picture(20, 15, 1)])
    assert main(["apply", str(model), "x.mpo"]) == EXIT_DONE
    with Image.open("x-paint.jpg") as picture:
        assert picture.format == "JPEG"


def test_several_pictures_do_not_become_one(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    years("a.png", "b.png", "in/c.png")
    before = files(tmp_path)
    for given in (["a.png", "b.png"], ["*.png"], ["in"]):
        for name in ("out.png", "out.JPEG", "new/out.webp"):
            assert main(["apply", str(model), *given, "--output", name]) == EXIT_USAGE
            assert "names one file, but there are several" in one_line(capsys)
    assert files(tmp_path) == before
    # One that is there is what it is, and a dot alone makes no picture.
    Path("out.png").mkdir()
    for name in ("out.png", "v1.2"):
        assert main(["apply", str(model), "a.png", "b.png", "--output", name]) == EXIT_DONE
        assert files(Path(name)) == {Path("a.png"), Path("b.png")}


@pytest.mark.parametrize("name", ["new/", "new.png/", "a/b.c//"])
def test_a_slash_at_the_end_means_a_folder(name, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    years("p.png", "q.png")
    for given in (["p.png"], ["p.png", "q.png"]):
        assert main(["apply", str(model), *given, "--output", name, "--overwrite"]) == EXIT_DONE
        assert files(Path(name)) == {Path(path) for path in given}


def test_a_slash_at_the_end_is_no_file(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    years("p.png", "q.png")
    assert main(["apply", str(model), "p.png", "--output", "q.png/", "--overwrite"]) == EXIT_USAGE
    assert "q.png: is a file, but a folder is needed" in one_line(capsys)


def test_a_missing_input_makes_no_folder(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    for name in ("https://a.b/c/d.jpg", "absent/x.png"):
        assert main(["apply", str(model), name, "--json"]) == EXIT_USAGE
    told = capsys.readouterr()
    assert "https://a.b/c/d.jpg: an address, and fastnst reads files" in told.err
    assert [json.loads(line)["outcome"] for line in told.out.splitlines()] == ["failed"] * 2
    assert files(tmp_path) == before
