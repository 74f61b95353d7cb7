"""Closed and full streams, odd configurations: one line at most, and the right exit code."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import contents, make_picture, one_line

from fastnst.checkpoint.contents import save_checkpoint
from fastnst.cli import main
from fastnst.cli.yaml_files import read_config
from fastnst.errors import EXIT_DONE, EXIT_USAGE, ConfigError


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a small model and a picture."""
    folder = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    save_checkpoint(contents(), folder / "paint.ckpt")
    make_picture(20, 20).save(folder / "p.png")
    return folder


# F1 (test_cli.py has the table of train's and apply's options).


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["apply", "--strenght", "1"], "unknown option --strenght: did you mean --strength"),
        (["apply", "wave", "p.png", "--strength", "much"], "--strength: 'much' is not a number"),
        (["apply", "wave", "p.png", "--strength", "60"], "not 60: did you mean 0.6?"),
        (["apply", "wave", "p.png", "--strength", "60%"], "from 0 to 1: did you mean 0.6?"),
        (["apply", "wave", "p.png", "--smooth", "70"], "not 70: did you mean 0.7?"),
        (["apply", "wave", "p.png", "--style-mix", "udnie:40"], "not 40: did you mean 0.4?"),
        (["apply", "wave", "absent"], "absent: no such file or folder"),
        (["apply", "wave", "p.png", "--engine", "torch", "--device", "gpu"], "'gpu' can't be used"),
        (["apply", "wave", "p.png", "--max-size", "1e3"], "'1e3' is not a whole number"),
        (["apply", "wave", "p.png", "--output"], "--output: its value is missing"),
        # No option is taken for a longer one.
        (["apply", "--style", "wave", "p.png"], "the style comes first, without an option"),
        (["apply", "wave", "p.png", "--over"], "unknown option --over: did you mean --overwrite"),
        (["apply", "wave", "p.png", "-o", "x"], "unknown option -o: did you mean --output or --ov"),
        (["train", "--styl", "a.jpg"], "unknown option --styl: did you mean --style"),
        (["train", "--minutes", "abc"], "--minutes: 'abc' is not a number"),
        (["train", "--network", "big"], "--network: 'big' is neither fast nor johnson"),
        (["train", "--loss", "moment"], "and pytorch: did you mean moments?"),
        (["train", "--style-weights", "1", "x"], "--style-weights: 'x' is not a number"),
        (["gallery", "--sise", "3"], "unknown option --sise: did you mean --size"),
        (["serve", "--prot", "3"], "unknown option --prot: did you mean --port"),
        (["--verison"], "unknown option --verison: did you mean --version"),
        (["list"], "no command 'list': did you mean styles?"),
        (["apply", "wave", "p.png", "--max-memory", "lots"], "'lots' is no size in bytes"),
        (["apply", "wave", "p.png", "--tile", "3"], "'3' is neither auto, off nor rows"),
        (
            ["apply", "wave", "p.png", "--engine", "tpu"],
            "'tpu' is none of auto, torch and openvino",
        ),
        (["preview", "--stile", "a.jpg"], "unknown option --stile: did you mean --style"),
        (["optimize", "--sizes", "3"], "unknown option --sizes: did you mean --size"),
        (["validate"], "which style and which --data? as in: fastnst validate wave"),
        (["info", "wave", "x"], "'x' is one argument too many"),
    ],
)
def test_a_wrong_option_is_named(arguments, message, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    before = set(place.iterdir())
    assert main(arguments) == EXIT_USAGE
    assert message in one_line(capsys)
    assert set(place.iterdir()) == before


# F2 (test_structure.py has what is not imported).


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["apply", "--help"]])
def test_help_takes_little_time(arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "fastnst", *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor: others on the machine don't count.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


# F3: YAML.

LAUGHS = "a0: &a0 [lol]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LAUGHS, "references"),
        ("style: &s [a.jpg]\n", "references"),
        ("image_size: 64\nsteps: 3\nimage_size: 96\n", "line 3: 'image_size' comes twice"),
        ("# " + "x" * 10_000_000, "too large"),
        ("x: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        (
            "!!python/object/apply:os.system ['touch canary']",
            "tags (tag:yaml.org,2002:python/object/apply",
        ),
        ("x: !!python/object/apply:os.system ['touch canary']", "tags (tag:yaml"),
        ("[1, 2]", "holds no options"),
        ("5: 6", "the key is no name"),
        ("<<: {steps: 3}", "the key is no name"),
        ("config: other.yaml", "can't name another one"),
        ("a: \x01", "not YAML"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
    ],
    ids=str,
)
def test_a_strange_configuration_costs_a_line_and_no_time(
    content, message, place, capsys, monkeypatch
):
    monkeypatch.chdir(place)
    config = place / "c.yaml"
    config.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = resource.getrusage(resource.RUSAGE_SELF)
    assert main(["train", "--style", "a.jpg", "--data", ".", f"--config={config}"]) == EXIT_USAGE
    after = resource.getrusage(resource.RUSAGE_SELF)
    told = one_line(capsys)
    assert str(config) in told
    assert message in told
    assert after.ru_utime - before.ru_utime < 1
    assert not (place / "canary").exists()


def test_a_configuration_is_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for name, message in (("pipe.yaml", "is no file"), (".", "is no file"), ("x.yaml", "can't be")):
        with pytest.raises(ConfigError, match=message):
            read_config(tmp_path / name)


# F4: streams. Children, since what counts is the process's own descriptors.

APPLY = "apply paint.ckpt p.png --overwrite --output"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    ("command", "codes", "lines"),
    [
        (f"{APPLY} - > /dev/full", {1}, 1),
        # Its result is written, and named, all the same.
        (f"{APPLY} o.png --json > /dev/full", {1}, 2),
        (f"{APPLY} - >&-", {1}, 1),
        ("--help >&-", {0}, 0),
        (f"{APPLY} o.png <&- >&- 2>&-", {0}, 0),
        ("apply paint.ckpt absent.png 2>&-", {2}, 0),
        ("apply paint.ckpt absent.png 2> /dev/full", {2}, 0),
        ("apply paint.ckpt - <&-", {2}, 1),
        (f"{APPLY} - | head -c 10 > head", {0, 141}, 0),
        (f"{APPLY} o.png --json | true", {0, 141}, 1),
    ],
)
def test_streams_that_are_closed_or_full_cost_a_line_at_most(command, codes, lines, place):
    program = f"set -o pipefail; {sys.executable} -m fastnst {command}"
    child = subprocess.run(["bash", "-c", program], cwd=place, capture_output=True, check=False)
    told = child.stderr.decode()
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    # A reader who has gone may end it before the line.
    assert told.count("\n") in ({0, lines} if "true" in command else {lines}), told
    assert child.returncode in codes
    assert not child.stdout


def test_a_name_outside_of_the_locale_is_told_in_escapes(place):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    child = subprocess.run(
        [sys.executable, "-m", "fastnst", "apply", "paint.ckpt", "ünï.png"],
        cwd=place, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert child.returncode == EXIT_USAGE
    assert child.stderr.isascii()
    assert child.stderr.endswith(b"no such file\n")


def test_a_terminal_sees_one_line_rewritten_and_no_colours(place):
    ours, theirs = os.openpty()
    child = subprocess.run(
        [sys.executable, "-m", "fastnst", *APPLY.split(), "o.png"],
        cwd=place, env={**os.environ, "NO_COLOR": "1"}, stderr=theirs, check=False,
    )  # fmt: skip
    os.close(theirs)
    told = os.read(ours, 10_000).decode()
    os.close(ours)
    assert child.returncode == EXIT_DONE
    assert "\x1b[2K" in told
    assert not re.search(r"\x1b\[[0-9;]*m", told)
    assert told.count("\n") == 1
