"""Clips among what is trained on: called what they are, with what to do."""

from __future__ import annotations

import pytest

from fastnst.errors import DataError, ImageReadError
from fastnst.image import read_picture
from fastnst.photos.collection import find_photos
from fastnst.photos.paintings import read_painting

CLIPS = {
    "holiday.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(400),
    "holiday.avi": b"RIFF\0\0\0\0AVI LIST" + bytes(400),
    "holiday.ts": (b"G" + bytes(187)) * 4,
}
TOLD = "a clip, not a picture; take .* frames as pictures first"


@pytest.fixture(params=CLIPS)
def clip(request, tmp_path):
    path = tmp_path / "clips" / request.param
    path.parent.mkdir()
    path.write_bytes(CLIPS[request.param])
    return path


def test_a_clip_is_no_collection(clip):
    with pytest.raises(DataError, match=TOLD):
        find_photos(str(clip))


def test_a_folder_of_clips_alone_says_what_is_in_it(clip):
    with pytest.raises(DataError, match=r"no pictures .* 1 clip file was passed over: take the fr"):
        find_photos(str(clip.parent))


def test_a_clip_is_no_painting(clip):
    with pytest.raises(ImageReadError, match=TOLD):
        read_painting(clip)


def test_clips_by_a_pattern_or_a_list_are_told_as_they_are_read(clip, tmp_path):
    (tmp_path / "list.txt").write_text(f"{clip}\n")
    for data in (f"{clip.parent}/*", str(tmp_path / "list.txt")):
        for path in find_photos(data):
            with pytest.raises(ImageReadError, match=TOLD):
                read_picture(path)


def test_clips_among_photographs_are_told(photos):
    for name, content in CLIPS.items():
        (photos / name).write_bytes(content)
    told: list[str] = []
    assert len(find_photos(str(photos), told.append)) == 16
    assert "3 clip files were passed over: take the frames as pictures first" in told[0]
