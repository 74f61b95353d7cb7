"""Checkpoints made to do harm, and those of earlier versions, by every way that reads them."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SAMPLES, Canary, contents, make_picture, one_line
from PIL import Image

from fastnst.checkpoint.contents import load_checkpoint, save_checkpoint, unpack_symmetric
from fastnst.checkpoint.description import KEY
from fastnst.checkpoint.numpy_reader import load_arrays
from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_USAGE, CheckpointError
from fastnst.stylize.stylizer import Stylizer

READERS = [load_checkpoint, load_arrays]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.ckpt"


def good() -> bytes:
    buffer = io.BytesIO()
    torch.save(contents(), buffer)
    return buffer.getvalue()


def repacked(entries: dict[str, bytes], path: Path, compression: int = zipfile.ZIP_STORED) -> None:
    """The file of ``good`` with some entries replaced or added."""
    with zipfile.ZipFile(io.BytesIO(good())) as source, zipfile.ZipFile(path, "w") as target:
        names = source.namelist()
        folder = names[0].split("/")[0]
        new = {f"{folder}/{name}": content for name, content in entries.items()}
        for name in [*names, *(name for name in new if name not in names)]:
            target.writestr(name, new.get(name) or source.read(name), compression)


# D1: code.


class Nested:
    """A payload within tuples, lists and a class's state."""

    def __init__(self, canary: Path) -> None:
        self.state = [({"a": Canary(canary)},)]


def legacy(canary: Path) -> bytes:
    """PyTorch's older format: pickles one after another, of which the last asks for code."""
    magic, version = 0x1950A86A20F9469CFC6C, 1001
    system = {"protocol_version": version, "little_endian": True, "type_sizes": {}}
    return b"".join(pickle.dumps(part, 2) for part in (magic, version, system, Canary(canary)))


CODE: dict[str, Callable[[Path, Path], None]] = {
    "plain": lambda path, canary: path.write_bytes(pickle.dumps(Canary(canary))) and None,
    "nested": lambda path, canary: torch.save(Nested(canary), path),
    "legacy": lambda path, canary: path.write_bytes(legacy(canary)) and None,
    "archive": lambda path, canary: repacked({"data.pkl": pickle.dumps(Canary(canary), 2)}, path),
    "key": lambda path, canary: torch.save({**contents(), "x": Canary(canary)}, path),
    "weights": lambda path, canary: torch.save(
        {**contents(), "state_dict": {"network.a": Canary(canary)}}, path
    ),
    "compressed": lambda path, canary: repacked(
        {"data.pkl": pickle.dumps(Canary(canary), 2)}, path, zipfile.ZIP_DEFLATED
    ),
}


@pytest.mark.parametrize("make", CODE.values(), ids=CODE)
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_no_way_of_asking_for_code_is_followed(make, engine, path, tmp_path, capsys):
    canary, picture = tmp_path / "canary", tmp_path / "p.png"
    make_picture(8, 8).save(picture)
    make(path, canary)
    capsys.readouterr()
    assert main(["apply", str(path), str(picture), "--engine", engine]) == EXIT_USAGE
    assert "not a checkpoint" in one_line(capsys)
    assert main(["info", str(path)]) == EXIT_USAGE
    assert not canary.exists()


def test_lightnings_own_ways_of_naming_a_class_are_not_followed(path, tmp_path):
    # Its loaders import and call what these name (CVE-2026-58659 and the like); nothing of ours.
    data = contents()
    data["hyper_parameters"] = {"_instantiator": "os.system", "_class_path": "os.system"}
    data["hparams_name"], data["hparams_type"] = "x", "os.system"
    torch.save(data, path)
    assert load_checkpoint(path).network().kind == "fast"
    assert Stylizer.load(path, "cpu").kind == "fast"


# D2: damage.

LIMITED = """
import json, resource, sys, time
from pathlib import Path
import torch
from fastnst.checkpoint.numpy_reader import load_arrays
from fastnst.checkpoint.contents import load_checkpoint
from fastnst.errors import CheckpointError
load_checkpoint(Path(sys.argv[1])), load_arrays(Path(sys.argv[1]))
for path in map(Path, sys.argv[2:]):
    for read in (load_checkpoint, load_arrays):
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            read(path)
            told = "read"
        except CheckpointError as error:
            told = str(error)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        spent = time.process_time() - started
        print(json.dumps([path.name, read.__name__, told, spent, (after - before) * 1024]))
"""


def repeated(path: Path) -> None:
    """A tensor of 10 GB for one stored number."""
    data = contents()
    data["state_dict"]["network.body.1.1.bias"] = torch.zeros(1).expand(2_500_000_000)
    torch.save(data, path)


def memory_number(path: Path) -> None:
    repacked({"data.pkl": b"\x80\x02]r\xff\xff\xff\x03."}, path)


def header_of(length: int) -> bytes:
    """A safetensors file that says its header has so many bytes."""
    return struct.pack("<Q", length) + b'{"a": 1}'


def overlong(path: Path) -> None:
    """An archive whose directory says that an entry has 3 GB."""
    data = bytearray(good())
    place = data.rindex(b"PK\1\2")
    data[place + 20 : place + 28] = struct.pack("<II", 3 << 30, 3 << 30)
    path.write_bytes(data)


HARM: dict[str, Callable[[Path], Any]] = {
    "bomb": lambda path: repacked({"data/0": b"\0" * 300_000_000}, path, zipfile.ZIP_DEFLATED),
    "overlong": overlong,
    "memory": memory_number,
    "repeated": repeated,
    "safetensors": lambda path: path.write_bytes(header_of(200_000_000)),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"<html>404</html>" * 1000),
    "other archive": lambda path: zipfile.ZipFile(path, "w").writestr("a.txt", "hello"),
    "two pickles": lambda path: repacked({"more/data.pkl": b"\x80\x02}."}, path),
    "deep": lambda path: repacked({"data.pkl": b"\x80\x02" + b"(" * 100_000 + b"."}, path),
    "nested": lambda path: repacked({"data.pkl": b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."}, path),  # noqa: E501
}  # fmt: skip


def test_harmful_files_are_refused_in_little_time_and_memory(tmp_path):
    save_checkpoint(contents(), tmp_path / "good.ckpt")
    for name, make in HARM.items():
        make(tmp_path / f"{name}.ckpt")
    paths = [str(tmp_path / f"{name}.ckpt") for name in ("good", *HARM)]
    child = subprocess.run(
        [sys.executable, "-c", LIMITED, *paths], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr[-500:]
    rows = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(rows) == 2 * len(HARM)
    for name, reader, told, seconds, grown in rows:
        # One reads the pickle that is ours, the other a list, which is no description.
        harmless = (name, reader) in (
            ("two pickles.ckpt", "load_checkpoint"), ("nested.ckpt", "load_arrays"),
        )  # fmt: skip
        assert told != "read" or harmless, (name, reader)
        assert "\n" not in told
        assert seconds < 1, (name, reader, seconds)
        assert grown < 100e6, (name, reader, grown)


@pytest.mark.parametrize("read", READERS)
def test_300_damaged_files_are_refused_in_a_line_or_harmless(read, path):
    whole, rng = good(), random.Random(0)
    for number in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            # Half of them where the names, the shapes and the directory are.
            place = rng.choice(
                (rng.randrange(4000), rng.randrange(len(whole)), -rng.randrange(999))
            )
            damaged[place] ^= 1 << rng.randrange(8)
        if number % 5 == 0:
            del damaged[rng.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            read(path)
        except CheckpointError as error:
            assert "\n" not in str(error)
            assert str(path) in str(error)


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "missing": lambda weights: weights.pop("network.body.2.weight"),
    "extra": lambda weights: weights.update({"network.more": torch.zeros(3)}),
    "shape": lambda weights: weights.update({"network.body.2.weight": torch.zeros(4, 4)}),
    "infinite": lambda weights: weights["network.body.2.bias"].fill_(float("inf")),
    "text": lambda weights: weights.update({"network.body.2.weight": "1"}),
    "none": lambda weights: weights.clear(),
    "sparse": lambda weights: weights.update({"network.body.2.bias": torch.zeros(4).to_sparse()}),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_weights_that_are_not_the_networks_are_refused(change, engine, path):
    data = contents()
    data["state_dict"] = {name: value.clone() for name, value in data["state_dict"].items()}
    change(data["state_dict"])
    torch.save(data, path)
    with pytest.raises(CheckpointError) as caught:
        Stylizer.load(path, "cpu", engine)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64, torch.bool])
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_numbers_of_other_types_are_taken_as_numbers_or_refused(dtype, engine, path):
    data = contents()
    data["state_dict"] = {name: value.to(dtype) for name, value in data["state_dict"].items()}
    torch.save(data, path)
    try:
        stylizer = Stylizer.load(path, "cpu", engine)
    except CheckpointError:
        return
    assert stylizer.picture(make_picture(8, 8)).size == (8, 8)


@pytest.mark.parametrize(
    "training",
    [
        {"seconds": "x"}, {"options": [1]}, {"seconds": 10**400}, {"seconds": float("nan")},
        {"steps": torch.zeros(3)}, {"images": {1: 2}},
    ],
)  # fmt: skip
def test_info_of_a_strange_description_is_a_line_or_told(training, path, capsys):
    data = contents()
    data[KEY]["training"] = training
    torch.save(data, path)
    for flags in ([], ["--json"]):
        code = main(["info", str(path), *flags])
        told = capsys.readouterr()
        assert (code, told.err.count("\n")) in ((EXIT_DONE, 0), (EXIT_USAGE, 1))


def test_a_target_that_repeats_a_number_is_refused_before_it_is_unpacked():
    packed = {"size": 4, "scale": 1.0, "triangle": torch.zeros(1).expand(10**10)}
    with pytest.raises(ValueError, match="triangle"):
        unpack_symmetric(packed)


# D4: files of earlier versions, each added with its release.


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.ckpt.b64")), ids=lambda path: path.name)
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_checkpoints_of_earlier_versions_are_read_for_ever(sample, engine, path):
    path.write_bytes(zlib.decompress(base64.b64decode(sample.read_text())))
    stylizer = Stylizer.load(path, "cpu", engine)
    expected = json.loads(sample.with_suffix(".json").read_text())
    assert stylizer.name == expected["name"]
    picture = stylizer.picture(make_picture(16, 12, 5))
    found = np.asarray(picture.resize((4, 3), Image.Resampling.BOX)).astype(int)
    assert np.abs(found - expected["picture"]).max() <= 2
    assert found.std() > 10


def test_there_is_a_sample_of_every_format():
    assert len(list(SAMPLES.glob("*.ckpt.b64"))) >= 1
    assert os.path.getsize(next(SAMPLES.glob("*.ckpt.b64"))) < 50_000


OUT_OF_ORDER = """
import faulthandler, gc, signal, sys
from pathlib import Path
from PIL import Image
from fastnst.stylize.stylizer import Stylizer
faulthandler.enable()  # Signals are handled on a stack of their own from here on.
one, other = (Stylizer.load(Path(sys.argv[1]), "cpu", "openvino") for _ in range(2))
for stylizer in (one, other):
    stylizer.picture(Image.new("RGB", (16, 16)))
del stylizer, one
gc.collect()
del other
gc.collect()
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
signal.raise_signal(signal.SIGUSR1)
"""


def test_engines_that_end_in_any_order_leave_signals_to_be_handled(path):
    save_checkpoint(contents(), path)
    command = [sys.executable, "-c", OUT_OF_ORDER, str(path)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout) == (0, "handled\n")
