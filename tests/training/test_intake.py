"""The cache of photographs, which may never change a pixel, and batches that are made ahead."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import make_picture
from PIL import Image

from fastnst.config import TrainConfig
from fastnst.errors import ImageReadError
from fastnst.training.data import cache as photo_cache
from fastnst.training.data.batches import AHEAD, made_ahead, photo_batches
from fastnst.training.data.cache import CHECKSUM_BYTES, PhotoCache, choose_cache
from fastnst.training.data.dataset import PhotoDataset


@pytest.fixture
def large(tmp_path: Path) -> list[Path]:
    """Three photographs larger than an entry."""
    files = [tmp_path / f"large{i}.png" for i in range(3)]
    for i, file in enumerate(files):
        make_picture(120 + i, 90 + 7 * i, i).save(file)
    return files


@pytest.fixture
def cache(tmp_path: Path) -> PhotoCache:
    return PhotoCache(tmp_path / "cache", 64)


def pixels(picture: Image.Image) -> bytes:
    assert picture.mode == "RGB"
    return repr(picture.size).encode() + picture.tobytes()


def entries(cache: PhotoCache) -> list[Path]:
    return sorted(path for path in cache.folder.rglob("*") if path.is_file())


def test_a_photograph_is_decoded_once_and_looks_the_same_ever_after(large, cache, monkeypatch):
    first = [pixels(cache.read(file)) for file in large]
    assert len(entries(cache)) == 3
    assert cache.folder.stat().st_mode & 0o077 == 0

    def never(*arguments, **options):
        raise AssertionError("decoded again")

    monkeypatch.setattr(photo_cache, "read_picture", never)
    later = PhotoCache(cache.folder, 64)
    assert [pixels(later.read(file)) for file in large] == first


def test_an_entry_is_near_to_its_photograph_small_and_never_enlarged(tmp_path, cache):
    file = tmp_path / "photo.png"
    for size, expected in (((400, 300), (85, 64)), ((60, 50), (60, 50)), ((70000, 1), (70000, 1))):
        make_picture(*size).save(file)
        picture = cache.read(file)
        assert picture.size == expected
        wanted = np.asarray(make_picture(*size).resize(expected, Image.Resampling.LANCZOS), float)
        assert np.sqrt(np.mean((wanted - np.asarray(picture)) ** 2)) < 12
    make_picture(400, 300).save(file)
    cache.read(file)
    [entry] = entries(cache)
    assert entry.stat().st_size < file.stat().st_size / 4


def test_a_changed_photograph_takes_the_place_of_its_old_entry(tmp_path, cache):
    file, moved = tmp_path / "photo.bmp", tmp_path / "moved.bmp"
    fresh = PhotoCache(tmp_path / "fresh", 64)
    make_picture(120, 90, 1).save(file)
    seen = [pixels(cache.read(file))]
    status = file.stat()
    # Of the same size in bytes at another time, then of another size at the same time.
    for size in ((120, 90), (120, 91)):
        make_picture(*size, len(seen) + 1).save(file)
        os.utime(file, ns=(0, status.st_mtime_ns + 1))
        seen.append(pixels(cache.read(file)))
        shutil.rmtree(fresh.folder, ignore_errors=True)
        assert seen[-1] == pixels(fresh.read(file))
    # Another photograph moved to its place.
    make_picture(100, 100, 9).save(moved)
    os.replace(moved, file)
    seen.append(pixels(cache.read(file)))
    assert len(set(seen)) == 4
    assert len(entries(cache)) == 1
    file.unlink()
    with pytest.raises(ImageReadError, match="no such file"):
        cache.read(file)


def test_damaged_entries_are_noticed_and_mended(large, cache):
    first = [pixels(cache.read(file)) for file in large]
    one, other, _ = entries(cache)
    whole = {entry: entry.read_bytes() for entry in entries(cache)}
    good = whole[one]
    damages = [good[: len(good) * k // 16] for k in range(16)]
    for position in {*range(CHECKSUM_BYTES + 4), *range(20, len(good), 23), len(good) - 1}:
        damages.append(good[:position] + bytes([good[position] ^ 0x10]) + good[position + 1 :])
    # What two writers may leave, another photograph's entry, and more than was written.
    damages += [good[:50] + whole[other][50:], whole[other], good + b"\0", bytes(5000)]
    for damage in damages:
        one.write_bytes(damage)
        assert [pixels(cache.read(file)) for file in large] == first
        assert one.read_bytes() == good
    one.unlink()
    one.mkdir()
    assert [pixels(cache.read(file)) for file in large] == first


def test_an_unreadable_photograph_is_no_entry(large, cache):
    large[0].write_bytes(large[0].read_bytes()[:200])
    for _ in range(2):
        with pytest.raises(ImageReadError, match="large0"):
            cache.read(large[0])
    assert not cache.folder.exists()


def nearly_full(monkeypatch, cache: PhotoCache) -> None:
    usage = shutil.disk_usage("/")._replace(free=10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def not_a_folder(monkeypatch, cache: PhotoCache) -> None:
    cache.folder.write_text("in the way")


def no_room(monkeypatch, cache: PhotoCache) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))


@pytest.mark.parametrize("fault", [nearly_full, not_a_folder, no_room])
def test_without_room_photographs_look_the_same_and_it_is_told_once(
    fault, large, cache, tmp_path, monkeypatch
):
    expected = PhotoDataset(large, 32, 0, PhotoCache(tmp_path / "roomy", 64))
    dataset, told = PhotoDataset(large, 32, 0, cache), []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    fault(monkeypatch, cache)
    try:
        batches = photo_batches(dataset, 1, 0, 0, told.append)
        images = [next(batches).images for _ in range(9)]
        batches.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    monkeypatch.undo()
    [line] = told
    assert str(cache.folder) in line
    assert "training goes on without it" in line
    assert not cache.folder.is_dir() or not entries(cache)
    for i, image in enumerate(images):
        assert torch.equal(image, expected[i].images)


def test_the_cache_ends_at_its_limit_and_nobody_sees_a_difference(tmp_path, monkeypatch):
    files = [tmp_path / f"{i}.png" for i in range(60)]
    for i, file in enumerate(files):
        make_picture(80, 70, i % 7).save(file)
    roomy, small = PhotoCache(tmp_path / "roomy", 64), PhotoCache(tmp_path / "small", 64)
    for file in files:
        roomy.read(file)
    sizes = [entry.stat().st_size for entry in entries(roomy)]
    # Each of the folders may have one entry, which is more than its share.
    monkeypatch.setattr(photo_cache, "MAX_BYTES", min(sizes) * photo_cache.FOLDERS)
    assert [pixels(small.read(file)) for file in files] == [
        pixels(roomy.read(file)) for file in files
    ]
    assert small.trouble is None
    folders = [entry.parent for entry in entries(small)]
    assert len(folders) == len(set(folders)) < len(sizes)
    # What has its place keeps it.
    entry = entries(small)[0]
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-1])
    for file in files:
        small.read(file)
    assert entry.read_bytes() == whole


def write_slowly(path: Path, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        for start in range(0, len(data), 100):
            file.write(data[start : start + 100])
            time.sleep(0.001)


def read_for_ever(files: list[Path], folder: Path) -> None:
    Path.write_bytes = write_slowly
    while True:
        for file in random.sample(files, len(files)):
            cache = PhotoCache(folder, 64)
            # As after a change, so that everyone writes all the time.
            os.utime(file, ns=(0, random.randrange(3)))
            cache.read(file)


@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=pytest.mark.long)])
def test_runs_that_write_at_once_and_are_killed_leave_no_wrong_picture(
    kills, large, cache, forkserver
):
    truth = [pixels(PhotoCache(cache.folder.parent / "truth", 64).read(file)) for file in large]
    for _ in range(kills):
        children = [
            forkserver.Process(target=read_for_ever, args=(large, cache.folder)) for _ in range(2)
        ]
        for child in children:
            child.start()
        deadline = time.monotonic() + 30
        while not (cache.folder.exists() and entries(cache)) and time.monotonic() < deadline:
            time.sleep(0.01)
        until = time.monotonic() + random.uniform(0, 0.2)
        while time.monotonic() < until:
            assert [pixels(cache.read(file)) for file in large] == truth
        for child in children:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
        assert [pixels(cache.read(file)) for file in large] == truth
    assert len(entries(cache)) == 3


def test_only_large_photographs_are_cached_unless_one_says_so(photos, tmp_path, monkeypatch):
    small = sorted(photos.rglob("*.jpg"))
    big = [tmp_path / f"{i}.jpg" for i in range(500)]
    for file in big:
        file.write_bytes(bytes(101_000))

    def chosen(files, needed=200, **options):
        config = TrainConfig(style=(Path("a"),), data="b", **options)
        found = choose_cache(config, files, needed)
        return found and (found.folder, found.side)

    users = Path(os.environ["FASTNST_CACHE"]) / "photos"
    assert chosen(small) is None
    assert chosen(small * 20 + big[:1]) is None
    assert chosen([tmp_path / "absent.jpg"]) is None
    assert chosen(big) == (users, 208)
    # Some may be absent or small: it is the mean of a sample.
    assert chosen([*big[:-1], tmp_path / "absent.jpg"]) == (users, 208)
    assert chosen(big, photo_cache="off") is None
    assert chosen(small, photo_cache=str(tmp_path)) == (tmp_path, 208)
    sides = [chosen(big, needed)[1] for needed in (154, 205, 208, 209, 410, 416, 500)]
    assert sides == [208, 208, 208, 416, 416, 416, 500]


def test_batches_are_the_same_with_the_cache_cold_warm_and_in_two_processes(large, cache):
    dataset = PhotoDataset(large, 32, 4, cache)
    plain = PhotoDataset(large, 32, 4)
    passes = []
    for workers in (0, 0, 2):
        batches = photo_batches(dataset, 2, 0, workers)
        passes.append(torch.cat([next(batches).images for _ in range(6)]))
        batches.close()
        if workers == 0 and len(passes) == 2:
            shutil.rmtree(cache.folder)
    assert torch.equal(passes[0], passes[1])
    assert torch.equal(passes[0], passes[2])
    assert len(entries(cache)) == 3
    uncached = torch.cat([plain[i].images for i in range(12)])
    assert not torch.equal(uncached, passes[0])
    assert (uncached.float() - passes[0].float()).abs().mean() < 5


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "photographs" in thread.name]


def test_the_next_items_are_made_while_the_caller_is_busy_and_no_more_than_those():
    made: list[int] = []
    asked = threading.Semaphore(0)

    def items():
        for i in range(100):
            made.append(i)
            asked.release()
            yield i

    ahead = made_ahead(items(), AHEAD)
    assert made == []
    assert next(ahead) == 0
    for _ in range(1 + AHEAD):
        assert asked.acquire(timeout=10)
    assert not asked.acquire(timeout=0.1)
    assert made == list(range(1 + AHEAD))
    assert list(ahead) == list(range(1, 100))
    assert not threads()


def test_an_error_comes_where_its_item_would_have_and_ends_the_thread():
    def items():
        yield 1
        yield 2
        raise OSError("no more")

    ahead = made_ahead(items(), AHEAD)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(OSError, match="no more"):
        next(ahead)
    assert not threads()


def test_closing_ends_the_thread_at_once(photos):
    dataset = PhotoDataset(sorted(photos.rglob("*.jpg")), 32, seed=0)
    batches = photo_batches(dataset, 1, 0, 0)
    next(batches)
    assert len(threads()) == 1
    started = time.monotonic()
    batches.close()
    assert time.monotonic() - started < 5
    assert not threads()


def test_photographs_come_from_processes_without_shared_memory(photos, monkeypatch):
    """A batch is pickled as an array: nothing of it lies in /dev/shm."""
    batch = PhotoDataset(sorted(photos.rglob("*.jpg")), 32, seed=0)[0]

    def never(*arguments):
        raise AssertionError("shared memory")

    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", never)
    monkeypatch.setattr(torch.UntypedStorage, "_share_filename_cpu_", never)
    with pytest.raises(AssertionError, match="shared memory"):
        multiprocessing.reduction.ForkingPickler.dumps(batch.images)
    copy = multiprocessing.reduction.ForkingPickler.loads(
        multiprocessing.reduction.ForkingPickler.dumps(batch)
    )
    assert torch.equal(copy.images, batch.images)
    assert (copy.bad, copy.news) == (batch.bad, batch.news)
