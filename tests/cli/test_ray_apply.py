"""scripts/ray_apply: its own logic by itself, and the whole with a real Ray where there is one."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import contents, make_photos, make_picture
from PIL import Image

from fastnst.checkpoint.contents import save_checkpoint
from fastnst.cli import main
from fastnst.errors import CheckpointError, ConfigError
from fastnst.stylize.file_options import FileOptions
from fastnst.stylize.stylizer import Stylizer

SCRIPT = Path(__file__).parents[2] / "scripts" / "ray_apply"
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None or not SCRIPT.exists(), reason="Ray is not installed"
)
needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed"
)
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="scripts are not here")


@pytest.fixture(scope="module")
def script():
    loader = importlib.machinery.SourceFileLoader("ray_apply_script", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "paint.ckpt"
    save_checkpoint(contents(), path)
    return path


@pytest.fixture
def stylizer(model) -> bytes:
    return pickle.dumps(Stylizer.load(model, "cpu"))


def counting(counts: dict[str, int] | None = None):
    counts = {} if counts is None else counts

    def add(name: str, by: int) -> int:
        counts[name] = counts.get(name, 0) + by
        return counts[name]

    return add


def batch_of(tasks) -> dict[str, np.ndarray]:
    names = ("source", "target", "named")
    return {name: np.array([getattr(task, name) for task in tasks]) for name in names}


def tasks_in(script, folder: Path, output: Path) -> list:
    output.mkdir()
    sources = sorted(folder.rglob("*.jpg"))
    return [script.Task(str(path), str(output / f"{path.stem}.jpg")) for path in sources]


def rows_of(done: dict[str, list[str]]) -> list[dict[str, str]]:
    return [dict(zip(done, values, strict=True)) for values in zip(*done.values(), strict=True)]


def test_a_batch_has_the_results_of_apply_to_the_byte(script, stylizer, model, photos, tmp_path):
    tasks = tasks_in(script, photos, tmp_path / "out")
    work = script.Stylize(stylizer, FileOptions(), False, None, counting())
    done = rows_of(work(batch_of(tasks)))
    assert [row["outcome"] for row in done] == ["done"] * 16
    assert main(["apply", str(model), str(photos), "--output", str(tmp_path / "alone")]) == 0
    for path in (tmp_path / "alone").rglob("*.jpg"):
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()


def test_a_bad_file_costs_itself_alone(script, stylizer, photos, tmp_path):
    tasks = tasks_in(script, photos, tmp_path / "out")
    Path(tasks[2].source).write_bytes(b"no picture")
    work = script.Stylize(stylizer, FileOptions(), False, None, counting())
    done = rows_of(work(batch_of(tasks)))
    assert [row["target"] for row in done if row["outcome"] == "failed"] == [tasks[2].target]
    assert tasks[2].source in done[2]["message"]
    assert sum(Path(task.target).exists() for task in tasks) == 15


def test_a_batch_that_a_worker_died_of_is_done_one_by_one(script, stylizer, photos, tmp_path):
    """The picture that kills is given up in the end, and those beside it are done."""
    tasks = tasks_in(script, photos, tmp_path / "out")[:4]
    counts: dict[str, int] = {}
    deadly = tasks[2].source

    class Dies(script.Stylize):
        def _paths(self, tasks):
            for task in tasks:
                if task.source == deadly:
                    raise KeyboardInterrupt  # In the place of kill -9.
                yield from super()._paths([task])

    deaths = 0
    while True:
        try:
            work = Dies(stylizer, FileOptions(), False, None, counting(counts))
            done = rows_of(work(batch_of(tasks)))
            break
        except KeyboardInterrupt:
            deaths += 1
    assert deaths == 1 + script.DEATHS
    assert [row["outcome"] for row in done] == ["done", "done", "failed", "done"]
    assert "workers died of it" in done[2]["message"]
    assert [Path(task.target).exists() for task in tasks] == [True, True, False, True]


def test_a_machine_without_the_checkpoint_says_so_and_the_run_ends(
    script, stylizer, model, photos, tmp_path
):
    tasks = tasks_in(script, photos, tmp_path / "out")
    model.unlink()
    work = script.Stylize(stylizer, FileOptions(), False, None, counting())
    done = rows_of(work(batch_of(tasks)))
    with pytest.raises(CheckpointError, match=r"paint\.ckpt: no such checkpoint any more"):
        script.Told(16, False)(done[0])


def test_pictures_of_a_store_are_those_of_a_folder(script):
    names = ["b/two.PNG", "one.jpg", "b/@eaDir/one.jpg", ".hidden/x.jpg", "notes.txt", "c.heic"]
    tasks = script.stored_tasks(names)
    assert [(task.source, task.target) for task in tasks] == [
        ("b/two.PNG", "b/two.PNG"), ("one.jpg", "one.jpg"),
    ]  # fmt: skip
    apart = script.stored_tasks(["a.png", "a.pnm", "b/a.pnm"])
    assert [task.target for task in apart] == ["a.png", "a.pnm.png", "b/a.png"]
    with pytest.raises(ConfigError, match="would both become"):
        script.stored_tasks(["a.png", "a.pnm", "a.pnm.png"])
    with pytest.raises(ConfigError, match="no pictures"):
        script.stored_tasks(["notes.txt"])


@needs_pyarrow
def test_a_store_is_read_and_written_by_address(script, stylizer, photos, tmp_path):
    """With pyarrow's own files in the place of an object store: the calls are the same."""
    places = (f"file://{photos}", f"file://{tmp_path / 'results'}")
    source, target = (script.Store(place) for place in places)
    assert target.names() == []
    tasks = script.stored_tasks(source.names())
    assert len(tasks) == 16
    (photos / "photo01.jpg").write_bytes(b"no picture")
    work = script.Stylize(stylizer, FileOptions(), False, places, counting())
    done = rows_of(work(batch_of(tasks)))
    (bad,) = (row for row in done if row["outcome"] == "failed")
    assert bad["message"].startswith("photo01.jpg: not a readable picture")
    assert len(target.names()) == 15
    with Image.open(tmp_path / "results" / "more" / "photo00.jpg") as picture:
        assert picture.size == (60, 50)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["wave", "-"], "'-' is a stream"),
        (["wave", "a.jpg", "--shard", "1/2"], "Ray shares"),
        (["wave", "a.jpg", "--workers", "0"], "--workers must be at least 1"),
        (["wave", "a.jpg", "--cpus", "0"], "--cpus must be more than 0"),
        (["wave", "a.jpg", "--nonsense"], "nonsense"),
    ],
)
def test_usage_errors_are_one_line(script, flags, line):
    with pytest.raises(ConfigError, match=line):
        script.parsed(flags)


def test_addresses_come_in_pairs(script):
    for flags in (["wave", "s3://b/in"], ["wave", "in/", "--output", "s3://b/out"]):
        _, arguments = script.parsed(flags)
        with pytest.raises(ConfigError, match="of addresses there is one"):
            script.planned(arguments, flags, "wave")


def test_addresses_may_stand_behind_their_options(script, photos, tmp_path):
    pytest.importorskip("pyarrow")
    flags = [f"--output=file://{tmp_path}/out", "wave", f"file://{photos}"]
    todo, kept, stores = script.planned(script.parsed(flags)[1], flags, "wave")
    assert (len(todo), kept) == (16, [])
    assert stores == (f"file://{photos}", f"file://{tmp_path}/out")


def test_results_that_are_there_are_left_out_of_the_work(script, photos, tmp_path):
    out = tmp_path / "out"
    (out / "more").mkdir(parents=True)
    make_picture(8, 8).save(out / "more" / "photo00.jpg")
    flags = ["wave", str(photos), "--output", str(out)]
    todo, kept, stores = script.planned(script.parsed(flags)[1], flags, "wave")
    assert (len(todo), [Path(task.target).name for task in kept]) == (15, ["photo00.jpg"])
    assert stores is None
    flags.append("--overwrite")
    todo, kept, _ = script.planned(script.parsed(flags)[1], flags, "wave")
    assert (len(todo), kept) == (16, [])


def test_outcomes_are_told_as_apply_tells_them(script, capsys):
    told = script.Told(3, as_json=True)
    task = script.Task("a.jpg", "out/a.jpg")
    told(script.outcome_row(task, "done", ""))
    told(script.outcome_row(task, "kept", "out/a.jpg: exists already"))
    assert told.end(named_kept=False) == 0
    assert told.end(named_kept=True) == 3
    told(script.outcome_row(task, "failed", "a.jpg: not a readable picture"))
    assert told.end(named_kept=False) == 3
    shown = capsys.readouterr()
    assert [json.loads(line)["outcome"] for line in shown.out.splitlines()] == [
        "done", "kept", "failed",
    ]  # fmt: skip
    assert "fastnst: error: a.jpg: not a readable picture" in shown.err


def test_without_ray_a_line_says_what_to_install(photos, tmp_path):
    (tmp_path / "without" / "ray").mkdir(parents=True)
    (tmp_path / "without" / "ray" / "__init__.py").write_text("raise ImportError\n")
    path = os.pathsep.join([str(tmp_path / "without"), str(SCRIPT.parents[1])])
    child = subprocess.run(
        [sys.executable, SCRIPT, "wave", photos, "--output", tmp_path / "out"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert child.returncode == 2
    assert child.stderr == "fastnst: error: Ray is not installed: pip install 'ray[data]'\n"


# With Ray itself.


def started(model: Path, photos: Path, out: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, SCRIPT, model, photos, "--output", out, "--workers", "2", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])},
    )  # fmt: skip


def workers_of(driver: int) -> list[int]:
    """The processes that a run's Ray has for it, by Linux's /proc."""
    parents, names = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            number = int(status.parent.name)
            parents[number] = int(status.read_text().rpartition(")")[2].split()[1])
            names[number] = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue

    def is_below(number: int) -> bool:
        while number in parents and number != driver:
            number = parents[number]
        return number == driver

    return [n for n, name in names.items() if name.startswith(b"ray::MapWorker") and is_below(n)]


@needs_ray
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc").exists(), reason="finds its workers in /proc")
def test_a_worker_is_killed_and_nothing_is_lost(model, tmp_path, monkeypatch):
    photos, out = make_photos(tmp_path), tmp_path / "out"
    for number in range(24):
        make_picture(700, 500 + number, number).save(photos / f"large{number:02}.jpg")
    run = started(model, photos, out, "--batch", "4")
    until = time.monotonic() + 120
    while len(list(out.rglob("*.jpg"))) < 6 and time.monotonic() < until:
        time.sleep(0.02)
    victim = workers_of(run.pid)[0]
    os.kill(victim, signal.SIGKILL)
    assert len(list(out.rglob("*.jpg"))) < 40
    run.communicate(timeout=200)
    assert run.returncode == 0
    # Ray gives a worker one thread for each processor it has.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = subprocess.run(
        [sys.executable, "-m", "fastnst", "apply", model, photos, "--output", tmp_path / "alone"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert alone.returncode == 0
    results = sorted(path.relative_to(out) for path in out.rglob("*.jpg"))
    assert len(results) == 40
    assert all((out / p).read_bytes() == (tmp_path / "alone" / p).read_bytes() for p in results)
    before = {path: (out / path).stat().st_mtime_ns for path in results}
    again = started(model, photos, out)
    assert "exists already and is kept" in again.communicate(timeout=120)[1]
    assert again.returncode == 0
    assert before == {path: (out / path).stat().st_mtime_ns for path in results}
