"""Finding photographs, and an order of crops that depends on nothing but (seed, number)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import make_picture
from PIL import Image

from fastnst.errors import DataError
from fastnst.photos.collection import find_photos, fingerprint, hold_out, pick_evenly
from fastnst.photos.crops import center_crops
from fastnst.training.data.batches import photo_batches
from fastnst.training.data.dataset import EndlessBatches, PhotoDataset


def test_folder_list_glob_and_single_file_find_the_same(photos, tmp_path):
    found = find_photos(str(photos))
    assert len(found) == 16
    listed = tmp_path / "list.txt"
    lines = ["# photographs", "", *(os.path.relpath(path, tmp_path) for path in found)]
    listed.write_text("\n".join(lines))
    assert [path.resolve() for path in find_photos(str(listed))] == found
    assert find_photos(str(photos / "**" / "*.jpg")) == found
    assert find_photos(str(found[0])) == [found[0]]


def test_hidden_and_other_files_are_left_out_and_a_link_upwards_does_not_loop(photos):
    (photos / ".hidden.jpg").write_bytes(b"")
    (photos / "notes.txt").write_text("no picture")
    (photos / "loop").symlink_to(photos)
    assert len(find_photos(str(photos))) == 16


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "absent", "no such folder or file"),
        (lambda p: p / "*.nothing", "no file matches"),
        (lambda p: (p / "empty").mkdir() or p / "empty", "no pictures in this folder"),
        (lambda p: (p / "l.txt").write_text("\n") and p / "l.txt", "lists no pictures"),
        (lambda p: (p / "b.bin").write_bytes(b"\xff\xfe\x00") and p / "b.bin", "neither"),
    ],
)
def test_a_wrong_data_path_says_what_is_wrong(make, message, tmp_path):
    with pytest.raises(DataError, match=message):
        find_photos(str(make(tmp_path)))


def test_held_out_photographs_are_never_trained_on(photos):
    files = find_photos(str(photos))
    train, held_out = hold_out(files)
    assert len(held_out) == 4
    assert sorted(train + held_out) == files
    assert hold_out(files[:3]) == (files[:3], files[:3])
    many = [Path(f"{i:04}.jpg") for i in range(949)]
    assert [len(hold_out(many[:n])[1]) for n in (4, 160, 400, 949)] == [1, 4, 10, 20]
    assert pick_evenly(many, 3) == [many[158], many[474], many[790]]
    assert pick_evenly(many[:2], 3) == many[:2]
    assert center_crops(held_out, 40).shape == (4, 3, 40, 40)


def test_a_fingerprint_changes_with_a_name_a_size_and_a_count(photos):
    files = find_photos(str(photos))
    before = fingerprint(files)
    assert fingerprint(files) == before
    assert fingerprint(files[1:]) != before
    files[0].write_bytes(files[0].read_bytes() + b"x")
    assert fingerprint(files) != before


def test_items_depend_on_seed_and_number_alone(photos):
    files = find_photos(str(photos))
    one, two = PhotoDataset(files, 32, seed=1), PhotoDataset(files, 32, seed=1)
    [two[i] for i in (40, 3, 17)]  # Whatever was asked for before.
    for i in (0, 5, 31, 1000):
        assert torch.equal(one[i].images, two[i].images)
    assert not torch.equal(one[0].images, PhotoDataset(files, 32, seed=2)[0].images)
    assert one[0].images.shape == (1, 3, 32, 32)
    assert one[0].images.dtype == torch.uint8


def test_each_pass_takes_every_photograph_once_in_another_order(tmp_path):
    files = []
    for i in range(8):
        files.append(tmp_path / f"{i}.png")
        Image.new("RGB", (40, 40), (i, 0, 0)).save(files[-1])
    dataset = PhotoDataset(files, 32, seed=0)
    passes = [[int(dataset[8 * k + i].images[0, 0, 0, 0]) for i in range(8)] for k in range(3)]
    assert all(sorted(order) == list(range(8)) for order in passes)
    assert passes[0] != passes[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_started_later_goes_on_with_the_same_batches(photos, workers):
    dataset = PhotoDataset(find_photos(str(photos)), 32, seed=3)
    whole = photo_batches(dataset, 3, 0, 0)
    batches = [next(whole).images for _ in range(9)]
    later = photo_batches(dataset, 3, 5, workers)
    for expected in batches[5:]:
        assert torch.equal(next(later).images, expected)


def test_batches_never_end_and_never_overlap():
    batches = iter(EndlessBatches(4, 2))
    assert [next(batches) for _ in range(2)] == [[8, 9, 10, 11], [12, 13, 14, 15]]


def test_an_unreadable_photograph_is_replaced_and_named(photos):
    files = find_photos(str(photos))
    files[3].write_bytes(b"no picture")
    dataset = PhotoDataset(files, 32, seed=0)
    items = [dataset[i] for i in range(16)]
    [named] = {line for item in items for line in item.bad}
    assert str(files[3]) in named
    assert all(item.images.shape == (1, 3, 32, 32) for item in items)


def test_a_collection_without_a_readable_photograph_is_an_error(tmp_path):
    files = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for file in files:
        file.write_bytes(b"no picture")
    with pytest.raises(DataError, match="none of the 2 photographs"):
        PhotoDataset(files, 32, seed=0)[0]
    with pytest.raises(DataError, match="none of the photographs to measure with"):
        center_crops(files, 32)


def test_a_plain_photograph_is_replaced_and_named_and_a_plain_part_passed_over(photos):
    files = find_photos(str(photos))
    before = PhotoDataset(files, 32, seed=2)
    Image.new("RGB", (60, 60), "grey").save(files[3])
    frame = Image.new("RGB", (60, 700), "black")
    frame.paste(make_picture(60, 40), (0, 330))
    frame.save(files[5])
    dataset = PhotoDataset(files, 32, seed=2)
    order = list(dataset._permutation(0))
    batches = [dataset[i] for i in range(32)]
    assert all(int(b.images.amax()) - int(b.images.amin()) >= 8 for b in batches)
    told = {line for batch in batches for line in batch.news}
    assert [line.split(": ")[0] for line in told] == [str(files[3])]
    # All others are as they were.
    for place, file in enumerate(order):
        if file not in (3, 5):
            assert torch.equal(batches[place].images, before[place].images)


def test_photographs_that_are_all_plain_are_taken_as_they_are(tmp_path):
    for i in range(20):
        Image.new("RGB", (40, 40), (i, i, i)).save(tmp_path / f"{i:02}.png")
    dataset = PhotoDataset(find_photos(str(tmp_path)), 32, seed=0)
    levels = [int(dataset[i].images[0, 0, 0, 0]) for i in range(20)]
    assert levels == list(dataset._permutation(0))


def test_tiny_and_extreme_photographs_are_enlarged(tmp_path):
    for size in ((1, 1), (3, 500), (500, 3)):
        file = tmp_path / "x.png"
        make_picture(*size).save(file)
        assert PhotoDataset([file], 32, seed=0)[0].images.shape == (1, 3, 32, 32)


def test_a_worker_ends_without_taking_python_down():
    # Python's end would cut off the thread that sends its last batches, inside PyTorch: an abort.
    program = (
        "import sys\n"
        "from fastnst.training.data.batches import _end_at_once\n"
        "class Left:\n"
        "    def __del__(self): sys.__stdout__.write('taken down')\n"
        "left = Left()\n"
        "left.itself = left\n"
        "if len(sys.argv) > 1: _end_at_once(0)\n"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program, *more], check=True, capture_output=True, text=True
        ).stdout
        for more in ([], ["worker"])
    ]
    assert told == ["taken down", ""]
