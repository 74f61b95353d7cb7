"""Files written whole on disks that can't do everything, and what killed writers have left."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from helpers import make_model, make_picture

from fastnst.cli import main
from fastnst.errors import EXIT_DONE
from fastnst.machine.files import LEFT_SECONDS, NO_SYNC, atomic_write, make_writable


@pytest.fixture
def disk(monkeypatch):
    """Has ``os.fsync`` of folders, or of files, fail so."""

    def failing(of_folders: bool, number: int) -> None:
        real = os.fsync

        def fsync(file: int) -> None:
            if stat.S_ISDIR(os.fstat(file).st_mode) == of_folders:
                raise OSError(number, os.strerror(number))
            real(file)

        monkeypatch.setattr(os, "fsync", fsync)

    return failing


def write(folder) -> None:
    with atomic_write(folder / "a.txt") as file:
        file.write(b"whole")


@pytest.mark.parametrize(
    "number", [errno.EINVAL, errno.ENOTSUP, errno.EIO, errno.EBADF, errno.ENOSYS, errno.EACCES]
)
def test_a_folder_that_cannot_be_synced_holds_what_was_written(number, disk, tmp_path):
    disk(True, number)
    write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"whole"


@pytest.mark.parametrize("number", NO_SYNC)
def test_a_disk_that_cannot_flush_a_file_takes_it_all_the_same(number, disk, tmp_path):
    disk(False, number)
    write(tmp_path)
    assert (tmp_path / "a.txt").read_bytes() == b"whole"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_file_that_is_lost_on_its_way_to_the_disk_is_an_error(number, disk, tmp_path):
    disk(False, number)
    with pytest.raises(OSError, match=os.strerror(number)):
        write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_results_on_such_a_disk_are_done(disk, tmp_path):
    disk(True, errno.EINVAL)
    make_picture(16, 12).save(tmp_path / "a.png")
    output = tmp_path / "out"
    arguments = [str(make_model(tmp_path)), str(tmp_path / "a.png"), "--output", f"{output}/"]
    assert main(["apply", *arguments]) == EXIT_DONE
    assert [path.name for path in output.iterdir()] == ["a.png"]


def test_what_killed_writers_have_left_is_removed_once_it_is_old(tmp_path):
    old, new = tmp_path / ".a.png.0123abcd.part", tmp_path / ".b.png.0123abcd.part"
    others = [tmp_path / name for name in (".a.part", "a.png.0123abcd.part", ".c.png.xyz.part")]
    for path in (old, new, *others):
        path.write_bytes(b"half")
    long_ago = old.stat().st_mtime - LEFT_SECONDS - 60
    for path in (old, *others):
        os.utime(path, (long_ago, long_ago))
    make_writable(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (new, *others)}
