"""Faults while training: signals, kills, full disks, broken folders, other settings."""

from __future__ import annotations

import contextlib
import errno
import io
import multiprocessing.synchronize
import os
import random
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
import torch
from helpers import make_picture
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter
from training_runs import (
    assert_same_weights,
    break_once,
    last_checkpoint,
    stopped_after,
    train,
    weights,
)

from fastnst.checkpoint import contents as checkpoint
from fastnst.checkpoint.contents import load_checkpoint
from fastnst.cli import main
from fastnst.errors import (
    EXIT_DONE,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    EXIT_USAGE,
    EXIT_WARNED,
)
from fastnst.training.data import dataset
from fastnst.training.module import StyleTraining
from fastnst.training.record import saving


def last_line(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


# Signals (C1)


def in_a_save(monkeypatch, send: Callable[[], None]) -> None:
    original, saves = saving.save_checkpoint, []

    def save(contents, path, overwrite=True):
        saves.append(path)
        if len(saves) == 3:
            send()
        original(contents, path, overwrite)

    monkeypatch.setattr(saving, "save_checkpoint", save)


def in_a_validation(monkeypatch, send: Callable[[], None]) -> None:
    original = SummaryWriter.add_image

    def add_image(writer, tag, image, step, **options):
        if step == 10:
            send()
        original(writer, tag, image, step, **options)

    monkeypatch.setattr(SummaryWriter, "add_image", add_image)


@pytest.mark.parametrize(
    ("number", "where", "step", "code"),
    [
        (signal.SIGTERM, in_a_save, 3, EXIT_TERMINATED),
        (signal.SIGINT, in_a_validation, 10, EXIT_INTERRUPTED),
    ],
)
def test_a_signal_while_saving_or_validating_ends_the_run_after_the_step(
    number, where, step, code, tiny_args, tmp_path, monkeypatch
):
    where(monkeypatch, lambda: os.kill(os.getpid(), number))
    output = tmp_path / "out.ckpt"
    arguments = ["--steps", "100", "--save-every", "0", "--output", str(output)]
    assert train(tiny_args, *arguments) == code
    assert load_checkpoint(last_checkpoint(tmp_path)).step == step
    assert not output.exists()


def test_the_warning_of_a_cluster_ends_a_run_from_which_one_can_go_on(tiny_args, tmp_path):
    before = signal.getsignal(signal.SIGUSR1)
    output = tmp_path / "out.ckpt"
    arguments = ["--steps", "4", "--output", str(output)]
    with stopped_after(2, signal.SIGUSR1):
        assert train(tiny_args, *arguments) == EXIT_WARNED == 128 + signal.SIGUSR1
    assert signal.getsignal(signal.SIGUSR1) == before
    last = last_checkpoint(tmp_path)
    assert load_checkpoint(last).step == 2
    assert train(tiny_args, *arguments, "--resume", str(last)) == EXIT_DONE


def run_and_get_stuck(arguments: list[str], marker: Path) -> None:
    """A run whose third step takes a minute; ``marker`` appears when it has begun."""
    original = StyleTraining.training_step

    def training_step(module, batch, batch_idx):
        if module.global_step == 2:
            marker.touch()
            until = time.monotonic() + 60
            while time.monotonic() < until:
                time.sleep(0.05)
        return original(module, batch, batch_idx)

    StyleTraining.training_step = training_step
    sys.exit(quietly(arguments))


def quietly(arguments: list[str]) -> int:
    with contextlib.redirect_stderr(io.StringIO()):
        return main(arguments)


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_signal_stops_at_once(tiny_args, tmp_path, forkserver):
    marker = tmp_path / "stuck"
    arguments = [*tiny_args, "--steps", "9", "--save-every", "0", "--output", str(tmp_path / "o")]
    child = forkserver.Process(target=run_and_get_stuck, args=(arguments, marker))
    child.start()
    wait_for(marker.exists)
    os.kill(child.pid, signal.SIGTERM)
    child.join(0.5)
    assert child.is_alive()
    started = time.monotonic()
    os.kill(child.pid, signal.SIGINT)
    child.join(30)
    assert time.monotonic() - started < 5
    assert child.exitcode == -signal.SIGINT
    assert load_checkpoint(last_checkpoint(tmp_path)).step == 2


# Saves (C2, B1)


class SlowFile:
    """Takes a tenth of a second to be written, in twenty pieces; ``marker`` grows before."""

    def __init__(self, file: IO[bytes], marker: Path) -> None:
        self.file, self.marker = file, marker

    def write(self, data: memoryview) -> None:
        with self.marker.open("ab") as marker:
            marker.write(b".")
        step = len(data) // 20 + 1
        for start in range(0, len(data), step):
            self.file.write(data[start : start + step])
            self.file.flush()
            time.sleep(0.005)


def run_and_save_slowly(arguments: list[str], marker: Path) -> None:
    original = checkpoint.atomic_write

    @contextlib.contextmanager
    def atomic_write(path: Path, overwrite: bool = True) -> Iterator[SlowFile]:
        with original(path, overwrite) as file:
            yield SlowFile(file, marker)

    checkpoint.atomic_write = atomic_write
    sys.exit(quietly(arguments))


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.long)])
def test_kill_minus_9_in_a_save_leaves_a_checkpoint_that_loads(
    kills, tiny_args, tmp_path, forkserver
):
    halves = 0
    for i in range(kills):
        marker, folder = tmp_path / f"saves{i}", tmp_path / f"runs{i}"
        arguments = [*tiny_args, "--steps", "1000", "--save-every", "0", "--log-dir", str(folder)]
        child = forkserver.Process(
            target=run_and_save_slowly,
            args=([*arguments, "--output", str(tmp_path / "out.ckpt")], marker),
        )
        child.start()
        begun = 2 + i % 3
        wait_for(lambda file=marker, count=begun: file.exists() and file.stat().st_size >= count)
        time.sleep(random.uniform(0, 0.1))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        [last] = folder.rglob("last.ckpt")
        assert load_checkpoint(last).step >= begun - 1
        halves += len(list(folder.rglob("*.part")))
    assert halves > 0 or kills < 20
    assert not (tmp_path / "out.ckpt").exists()


# From the least on that leaves TensorBoard's thread, which the limit holds for too, its writing.
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_full_disk_in_a_save_is_one_line_and_keeps_the_old_checkpoint(
    share, tiny_args, tmp_path, monkeypatch, capsys
):
    original, saved = saving.save_checkpoint, []

    def save(contents, path, overwrite=True):
        if not saved:
            original(contents, path, overwrite)
            saved.append(path.read_bytes())
            return
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * len(saved[0])), before[1]))
        try:
            original(contents, path, overwrite)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(saving, "save_checkpoint", save)
    output = tmp_path / "out.ckpt"
    arguments = ["--steps", "9", "--save-every", "0", "--output", str(output)]
    assert train(tiny_args, *arguments) == EXIT_INTERNAL
    last = last_checkpoint(tmp_path)
    assert last_line(capsys) == (
        f"fastnst: error: {last}: can't be written (File too large); the one before it is kept"
    )
    assert last.read_bytes() == saved[0]
    assert load_checkpoint(last).step == 1
    assert not list(tmp_path.rglob("*.part"))
    assert not output.exists()


def run_within(limit: int, arguments: list[str], told: Path) -> None:
    """A run that may write no file of more than ``limit`` bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    text = io.StringIO()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    with contextlib.redirect_stderr(text):
        code = main(arguments)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    told.write_text(text.getvalue())
    sys.exit(code)


@pytest.mark.parametrize("limit", [3000, 20_000])
def test_a_full_disk_for_the_logs_is_one_line(limit, tiny_args, tmp_path, forkserver):
    told = tmp_path / "told"
    arguments = [*tiny_args, "--steps", "300", "--log-every", "1", "--output", str(tmp_path / "o")]
    child = forkserver.Process(target=run_within, args=(limit, arguments, told))
    child.start()
    child.join(60)
    assert child.exitcode == EXIT_INTERNAL
    first, *_, last = told.read_text().splitlines()
    assert first.startswith("training 'fast'")
    assert "Traceback" not in told.read_text()
    assert "version_0: can't be written (File too large)" in last


# Going on (C3, C9), and the same again (C8)


def test_a_run_resumed_in_other_processes_at_a_passs_end_and_within_equals_a_straight_one(
    tiny_args, tmp_path
):
    """12 photographs, 2 a step: stopped after the first pass, by processes within the second."""
    straight, resumed = tmp_path / "straight.ckpt", tmp_path / "resumed.ckpt"
    steps = [*tiny_args, "--steps", "13", "--log-every", "1"]
    assert train(steps, "--output", str(straight)) == EXIT_DONE
    [expected] = (tmp_path / "runs" / "paint").iterdir()
    parts = [*steps, "--output", str(resumed), "--log-dir", str(tmp_path / "parts")]
    with stopped_after(6, signal.SIGTERM):
        assert train(parts) == EXIT_TERMINATED
    with stopped_after(9, signal.SIGTERM):
        more = ["--workers", "2", "--resume", str(last_of(tmp_path / "parts"))]
        assert train(parts, *more) == EXIT_TERMINATED
    assert train(parts, "--resume", str(last_of(tmp_path / "parts"))) == EXIT_DONE
    assert_same_weights(straight, resumed)
    rows = [row for part in (tmp_path / "parts" / "paint").iterdir() for row in losses(part)]
    assert sorted(rows) == losses(expected)
    assert [step for step, _ in sorted(rows)] == list(range(1, 14))


def last_of(folder: Path) -> Path:
    return max(folder.rglob("last.ckpt"), key=lambda path: path.stat().st_mtime_ns)


def losses(run: Path) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run)).Reload().Scalars("loss/total")
    return [(event.step, event.value) for event in events]


def test_runs_of_one_seed_are_equal_whether_photographs_are_cached_already_or_cannot_be(
    tiny_args, tmp_path, capsys
):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    places = {"cold": tmp_path / "cache", "warm": tmp_path / "cache", "none": in_the_way}
    for name, place in places.items():
        more = ["--steps", "6", "--photo-cache", str(place)]
        assert train(tiny_args, *more, "--output", str(tmp_path / f"{name}.ckpt")) == EXIT_DONE
    assert len([path for path in places["cold"].rglob("*") if path.is_file()]) == 12
    assert capsys.readouterr().err.count("training goes on without it") == 1
    assert_same_weights(tmp_path / "cold.ckpt", tmp_path / "warm.ckpt")
    assert_same_weights(tmp_path / "cold.ckpt", tmp_path / "none.ckpt")
    # Other pixels, so another run: it is not gone on with unawares.
    off = ["--steps", "7", "--photo-cache", "off", "--output", str(tmp_path / "off.ckpt")]
    last = str(last_checkpoint(tmp_path))
    assert train(tiny_args, *off, "--resume", last) == EXIT_USAGE
    assert "photo_side was 208, is None" in last_line(capsys)


def test_runs_of_one_seed_in_two_processes_are_equal(tiny_args, tmp_path, forkserver):
    outputs = [tmp_path / f"{i}.ckpt" for i in range(2)]
    for output in outputs:
        arguments = [*tiny_args, "--steps", "6", "--output", str(output)]
        child = forkserver.Process(target=quietly, args=(arguments,))
        child.start()
        child.join(60)
    assert_same_weights(*outputs)
    assert len({value.flatten()[0].item() for value in weights(outputs[0]).values()}) > 10


def with_another_style(arguments: list[str], folder: Path) -> list[str]:
    make_picture(80, 64, 5).save(folder / "other.png")
    return [*arguments, "--style", str(folder / "other.png")]


def without_a_photograph(arguments: list[str], folder: Path) -> list[str]:
    sorted((folder / "photos").glob("*.jpg"))[0].unlink()
    return arguments


def from_a_half(arguments: list[str], folder: Path) -> list[str]:
    last = last_checkpoint(folder)
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    return arguments


def without_the(key: str) -> Callable[[list[str], Path], list[str]]:
    def change(arguments: list[str], folder: Path) -> list[str]:
        contents = torch.load(last_checkpoint(folder), weights_only=True)
        del contents[key]
        torch.save(contents, last_checkpoint(folder))
        return arguments

    return change


def test_a_run_is_gone_on_with_by_its_own_settings_alone(tiny_args, tmp_path, capsys):
    output = tmp_path / "out.ckpt"
    train(tiny_args, "--steps", "1", "--output", str(output))
    kept = last_checkpoint(tmp_path).read_bytes()
    shutil.copytree(tmp_path / "photos", tmp_path / "all")
    for change, told in (
        (with_another_style, "style was"),
        (lambda arguments, _: [*arguments, "--network", "johnson"], "add --network fast"),
        (without_a_photograph, "data was"),
        (from_a_half, "last.ckpt: "),
        (without_the("fastnst"), "not a checkpoint of fastnst"),
        (without_the("state_dict"), "last.ckpt: "),
        (without_the("optimizer_states"), "without its optimizer's state"),
    ):
        arguments = [*change(tiny_args, tmp_path), "--steps", "2", "--output", str(tmp_path / "o")]
        capsys.readouterr()
        last = last_checkpoint(tmp_path)
        assert train(arguments, "--resume", str(last)) == EXIT_USAGE, told
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
        last.write_bytes(kept)
        shutil.copytree(tmp_path / "all", tmp_path / "photos", dirs_exist_ok=True)
    # Another PyTorch is no reason to refuse.
    contents = torch.load(last, weights_only=True)
    contents["fastnst"]["versions"]["torch"] = "1.0"
    torch.save(contents, last)
    more = ["--steps", "2", "--output", str(tmp_path / "o"), "--resume", str(last)]
    assert train(tiny_args, *more) == EXIT_DONE


# Numbers (C4)


def test_a_step_whose_gradient_is_no_number_is_left_out_and_the_run_goes_on(
    tiny_args, tmp_path, capsys, monkeypatch
):
    def overflow(network) -> None:
        parameter = next(iter(network.parameters()))
        handle = parameter.register_hook(lambda gradient: handle.remove() or gradient * 1e38 * 1e38)

    break_once(monkeypatch, 3, overflow)
    output = tmp_path / "out.ckpt"
    assert train(tiny_args, "--steps", "9", "--output", str(output)) == EXIT_DONE
    told = capsys.readouterr().err
    assert "step 4: the gradient is not a finite number; such steps are left out" in told
    assert "going back" not in told
    assert load_checkpoint(output).step == 9


def test_a_photograph_whose_loss_is_no_number_is_left_out_each_time_it_comes(
    tiny_args, tmp_path, capsys, monkeypatch
):
    original = StyleTraining.losses

    def broken(module, content):
        return original(module, content * float("nan") if module.global_step % 3 == 2 else content)

    monkeypatch.setattr(StyleTraining, "losses", broken)
    output = tmp_path / "out.ckpt"
    assert train(tiny_args, "--steps", "16", "--output", str(output)) == EXIT_DONE
    told = capsys.readouterr().err
    assert told.count("such steps are left out") == 1
    assert "going back" not in told
    assert all(bool(value.isfinite().all()) for value in weights(output).values())


@pytest.mark.parametrize(("batch", "steps"), [("1", "16"), ("4", "8")])
def test_plain_photographs_end_no_training_though_they_are_trained_on(
    batch, steps, tiny_args, photos, tmp_path, capsys, monkeypatch
):
    # As if they were not passed over.
    monkeypatch.setattr(dataset, "PLAIN", 0)
    files = sorted(photos.rglob("*.jpg"))
    for file, colour in zip(files[1:4], ("black", (128, 128, 128), (124, 117, 104)), strict=True):
        Image.new("RGB", (80, 60), colour).save(file)
    for file, colour in zip(files[5:8], ("black", "white", (250, 250, 250)), strict=True):
        frame = Image.new("RGB", (60, 500), colour)
        frame.paste(make_picture(60, 40), (0, 200))
        frame.save(file)
    output = tmp_path / "out.ckpt"
    more = ["--steps", steps, "--batch-size", batch, "--init", "base"]
    assert train(tiny_args, *more, "--output", str(output)) == EXIT_DONE
    told = capsys.readouterr().err
    assert "going back" not in told
    assert "left out" not in told
    [run] = (tmp_path / "runs" / "paint").iterdir()
    losses = [
        event.value for event in EventAccumulator(str(run)).Reload().Scalars("held_out/total")
    ]
    assert losses[-1] < 2 * losses[0]


# Photographs (C5, C6) and processes (C7)


@pytest.mark.parametrize(("share", "told"), [(0.5, "more than 10%"), (1, "can be read")])
def test_a_folder_of_broken_photographs_ends_the_run(
    share, told, tiny_args, photos, tmp_path, capsys
):
    files = sorted(photos.rglob("*.jpg"))
    for file in files[: int(share * len(files))]:
        file.write_bytes(file.read_bytes()[:90])
    output = tmp_path / "out.ckpt"
    assert train(tiny_args, "--steps", "50", "--output", str(output)) == EXIT_USAGE
    assert told in last_line(capsys)
    assert not output.exists()


def test_one_photograph_and_fewer_than_a_batch_are_enough(tiny_args, photos, tmp_path):
    for count in (1, 3):
        files = sorted(photos.rglob("*.jpg"))[:count]
        listed = tmp_path / "list.txt"
        listed.write_text("\n".join(map(str, files)))
        output = tmp_path / f"{count}.ckpt"
        more = ["--data", str(listed), "--batch-size", "5", "--steps", "2", "--output", str(output)]
        assert train(tiny_args, *more) == EXIT_DONE
        assert load_checkpoint(output).info["data"]["photos"] == count


def test_links_that_lead_to_themselves_and_missing_entries_are_passed_over(
    tiny_args, photos, tmp_path, capsys
):
    (photos / "up").symlink_to(photos)
    (photos / "round").symlink_to(photos / "round")
    (photos / "round.jpg").symlink_to(photos / "round.jpg")
    output = tmp_path / "out.ckpt"
    assert train(tiny_args, "--steps", "7", "--output", str(output)) == EXIT_DONE
    [listed] = (tmp_path / "runs").rglob("bad_files.txt")
    assert listed.read_text().splitlines() == [f"{photos / 'round.jpg'}: no such file"]
    files = [*sorted(photos.rglob("photo*.jpg")), photos / "absent.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(map(str, files)))
    more = ["--data", str(tmp_path / "list.txt"), "--steps", "7"]
    assert train(tiny_args, *more, "--output", str(tmp_path / "listed.ckpt")) == EXIT_DONE
    assert "absent.jpg: no such file" in last_of_bad(tmp_path).read_text()
    code = train(tiny_args, "--data", str(photos / "round"), "--output", str(tmp_path / "o"))
    assert code == EXIT_USAGE
    assert "no such folder or file" in last_line(capsys)


def last_of_bad(folder: Path) -> Path:
    return max(folder.rglob("bad_files.txt"), key=lambda path: path.stat().st_mtime_ns)


def test_processes_without_shared_memory_end_the_run_with_a_line_that_names_the_option(
    tiny_args, tmp_path, capsys, monkeypatch
):
    def no_lock(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(multiprocessing.synchronize.SemLock, "__init__", no_lock)
    output = tmp_path / "out.ckpt"
    more = ["--steps", "3", "--workers", "2", "--output", str(output)]
    assert train(tiny_args, *more) == EXIT_INTERNAL
    told = last_line(capsys)
    assert "can't be started (No space left on device)" in told
    assert "--workers" in told
    assert not output.exists()


def test_no_thread_outlives_its_run(tiny_args, photos, tmp_path):
    train(tiny_args, "--steps", "3", "--output", str(tmp_path / "out.ckpt"))
    for file in photos.rglob("*.jpg"):
        file.write_bytes(file.read_bytes()[:90])
    train(tiny_args, "--steps", "3", "--output", str(tmp_path / "broken.ckpt"))
    assert not [thread for thread in threading.enumerate() if "photographs" in thread.name]
