"""What TensorBoard shows of a run: asked of its own server, as its page asks."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from training_runs import train

from fastnst.errors import EXIT_DONE
from fastnst.training.budget import RAMP_START

# Seconds that a busy machine may take to show a run.
PATIENCE = 100


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A run of 24 steps."""
    from helpers import make_photos, make_style, tiny_arguments

    folder = tmp_path_factory.mktemp("shown")
    arguments = tiny_arguments(make_photos(folder), make_style(folder), folder)
    assert train(arguments, "--steps", "24", "--output", str(folder / "out.ckpt")) == EXIT_DONE
    [run] = (folder / "runs" / "paint").iterdir()
    return run


def events(folder: Path) -> Iterator[Event]:
    """All that was logged, in the order in which it was written."""
    files = sorted(folder.glob("events.out.tfevents.*"), key=lambda file: file.stat().st_mtime_ns)
    for file in files:
        yield from EventFileLoader(str(file)).Load()


@contextmanager
def tensorboard(folder: Path, fast: bool) -> Iterator[str]:
    """The address of a TensorBoard, with its newer loader or its older one."""
    command = [sys.executable, "-W", "ignore", "-m", "tensorboard.main", "--logdir", str(folder)]
    command += ["--port", "0", "--load_fast", "true" if fast else "false"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stderr is not None
        found = None
        while found is None:
            line = child.stderr.readline()
            assert line, "TensorBoard ended"
            found = re.search(r"http://localhost:\d+/", line)
        yield found[0].replace("localhost", "127.0.0.1")
    finally:
        child.terminate()
        child.communicate()


def ask(address: str, plugin: str, **query: str):
    with urllib.request.urlopen(
        f"{address}data/plugin/{plugin}?{urllib.parse.urlencode(query)}"
    ) as found:
        return json.load(found)


def test_the_loss_is_that_of_the_whole_style_weight_and_falls_while_the_weight_rises(run_folder):
    found: dict[str, dict[int, float]] = {}
    for event in events(run_folder):
        for value in event.summary.value:
            if value.tag.startswith("loss/"):
                number = value.tensor.float_val[0] if value.tensor.float_val else value.simple_value
                found.setdefault(value.tag, {})[event.step] = number
    total, today = found["loss/total_at_full_weight"], found["loss/total"]
    first, last = min(total), max(total)
    # The first step has a fiftieth of the weight, 12, the last the whole of it.
    assert total[first] - today[first] == pytest.approx(
        12 * (1 - RAMP_START) * found["loss/style"][first], rel=0.1
    )
    assert total[last] == pytest.approx(today[last], rel=1e-5)
    assert total[last] < total[first]


def test_steps_never_fall_within_a_tag(run_folder):
    """TensorBoard takes a step that comes again for a restart, and drops what it had after it."""
    last: dict[str, int] = {}
    for event in events(run_folder):
        for value in event.summary.value:
            assert event.step >= last.get(value.tag, 0), value.tag
            last[value.tag] = event.step
    assert last["held_out/total"] == 24


@pytest.mark.parametrize("fast", [True, False])
def test_tensorboard_shows_every_point_of_every_held_out_curve(run_folder, fast):
    if fast and importlib.util.find_spec("tensorboard_data_server") is None:
        pytest.skip("TensorBoard's data server is not installed")
    written: dict[str, list[int]] = {}
    for event in events(run_folder):
        for value in event.summary.value:
            if value.tag.startswith(("held_out/", "loss/")):
                written.setdefault(value.tag, []).append(event.step)
    assert len(written["held_out/total"]) > 5
    with tensorboard(run_folder.parent, fast) as address:
        until = time.monotonic() + PATIENCE
        shown: dict[str, list[int]] = {}
        while shown != written and time.monotonic() < until:
            time.sleep(0.2)
            tags = ask(address, "scalars/tags").get(run_folder.name, {})
            shown = {
                tag: [
                    step
                    for _, step, _ in ask(address, "scalars/scalars", run=run_folder.name, tag=tag)
                ]
                for tag in tags
                if tag in written
            }
    assert shown == written
