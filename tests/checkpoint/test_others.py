"""Files that are given in a checkpoint's place are called what they are, with what to do."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers import encoded, make_model, make_picture, one_line
from torch import nn

from fastnst.checkpoint.contents import load_checkpoint
from fastnst.checkpoint.numpy_reader import load_arrays, read_arrays
from fastnst.cli import main
from fastnst.errors import EXIT_USAGE, CheckpointError, ImageReadError
from fastnst.image import read_picture

READERS = [load_checkpoint, read_arrays]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)


def archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in entries.items():
            target.writestr(name, content)
    return buffer.getvalue()


def saved(value: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def script() -> bytes:
    # As torch.jit.save lays it out; to make one takes a compiler.
    return archive(**{"a/data.pkl": b"\x80\x02}.", "a/constants.pkl": b"\x80\x02)."})


def arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as target:
        target.addfile(tarfile.TarInfo("wave.ckpt"))
    return buffer.getvalue()


def text(value: bytes) -> bytes:
    return struct.pack("<i", len(value)) + value


TORCH7 = struct.pack("<ii", 4, 1) + text(b"V 1") + text(b"nn.Sequential")
TABLE = b"\0\0\x86\1\n\x83\1" + bytes(range(256)) + struct.pack("<Q", 0xDB4775248B80FB57)
RANDOM = np.random.default_rng(0).bytes(5000)
FTYP = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom")
# By their files' names: what is in them, and what they are called.
OTHERS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a.jpg": (lambda: encoded(make_picture(8, 8), "JPEG"), "a picture. The style comes first"),
    "a.ckpt": (lambda: encoded(make_picture(8, 8), "WEBP"), "a picture. The style comes first"),
    "b.ckpt": (lambda: encoded(make_picture(8, 8), "AVIF"), "a picture. The style comes first"),
    "a.mp4": (lambda: FTYP + RANDOM, "a clip. The style comes first"),
    "a.t7": (lambda: TORCH7 + RANDOM, "a model of Torch 7; fastnst reads its own and"),
    "text.t7": (lambda: b"4\n1\n3\nV 1\n13\nnn.Sequential\n", "a model of Torch 7"),
    "old.t7": (lambda: b"\1" + RANDOM, "a model of Torch 7"),
    "tf1.ckpt": (lambda: TABLE, "a model of TensorFlow; fastnst reads its own"),
    "tf2.ckpt.index": (lambda: TABLE, "a model of TensorFlow"),
    "tf2.ckpt.data-00000-of-00001": (lambda: RANDOM, "a model of TensorFlow"),
    "tf2.ckpt.meta": (lambda: b"\n\xf3\1\n\xd0" + RANDOM, "a model of TensorFlow"),
    "checkpoint": (lambda: b'model_checkpoint_path: "fns.ckpt"\n', "a model of TensorFlow"),
    "frozen": (lambda: b"\n\x1a\n\5input\x12\x0bPlaceholder" + RANDOM, "a model of TensorFlow"),
    "saved_model.pb": (lambda: b"\x08\1\x12\xff\1" + RANDOM, "a model of TensorFlow"),
    "lite": (lambda: b"\x1c\0\0\0TFL3" + RANDOM, "a model of TensorFlow"),
    "model.json": (lambda: b'{"format": "a", "modelTopology": {}}', "a model of TensorFlow"),
    "keras": (lambda: b"\x89HDF\r\n\x1a\n" + RANDOM, "a model of Keras"),
    "a.keras": (lambda: archive(**{"config.json": b"{}", "model.h5": b""}), "a model of Ker"),
    "a.caffemodel": (lambda: b"\n\5VGG19\x12\4data" + RANDOM, "a model of Caffe"),
    "a.mlmodel": (lambda: b"\x08\4\x12\x1a" + bytes(99), "a model of Core ML"),
    "a.xml": (lambda: b'<?xml version="1.0"?><net name="x">', "a model of OpenVINO"),
    "own": (lambda: b"\x08\x09\x12\x07fastnst:" + RANDOM, "a network that fastnst has exported"),
    "onnx": (lambda: b"\x08\x07\x12\x07pytorch\x1a" + RANDOM, "an ONNX model"),
    "vgg.mat": (lambda: b"MATLAB 5.0 MAT-file, Platform" + RANDOM, "a file of MATLAB"),
    "a.npz": (arrays, "arrays of NumPy"),
    "script.pt": (script, r"a TorchScript model; save its weights alone, with torch\.save"),
    "whole.pth": (lambda: saved(Net()), r"a pickle of objects \(test_others\.Net\)"),
    "old.pth": (
        lambda: saved(Net(), _use_new_zipfile_serialization=False),
        r"a pickle of objects \(test_others\.Net\), which would run code; nothing of it was run",
    ),
    "layers.pth": (lambda: saved(nn.Sequential()), r"a pickle of objects \(torch\.nn\.modules"),
    "plain.pkl": (lambda: pickle.dumps({"a": [1]}), "a pickle, which torch.save didn't write"),
    "weights.pkl": (lambda: pickle.dumps({"a": np.zeros(3)}), "a pickle, which torch.save didn't"),
    "a.zip": (lambda: archive(**{"wave.ckpt": b"1"}), "a zip archive; unpack it first"),
    "a.tar": (tar, "a tar archive; unpack it first"),
    "a.rar": (lambda: b"Rar!\x1a\7\0", "a rar archive; unpack it first"),
    "words.ckpt": (lambda: b"# My model\n", "a text file"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_checkpoint_is_called_what_it_is(name, tmp_path):
    make, told = OTHERS[name]
    path = tmp_path / name
    path.write_bytes(make())
    for read in READERS:
        with pytest.raises(CheckpointError, match=f"not a checkpoint but {told}") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_weights_of_the_loss_network_and_of_others_are_told_apart(tmp_path):
    vgg = {"features.0.weight": torch.zeros(1), "features.2.weight": torch.zeros(1)}
    for contents, told in ((vgg, "weights of VGG.*--backbone-weights"), ({"a": 1}, "its own and")):
        path = tmp_path / "x.pth"
        torch.save(contents, path)
        for read in READERS:
            with pytest.raises(CheckpointError, match=f"not a checkpoint of fastnst.*{told}"):
                read(path)


def test_a_folder_is_called_one(tmp_path):
    for read in READERS:
        with pytest.raises(CheckpointError, match="is a folder, no checkpoint"):
            read(tmp_path)


@pytest.mark.parametrize("given", ["model.ckpt", "wave"])
def test_photograph_and_style_in_each_others_place_are_told(given, tmp_path, capsys):
    photo = tmp_path / "photo.jpg"
    make_picture(8, 8).save(photo)
    style = str(make_model(tmp_path)) if given == "model.ckpt" else given
    for inputs in ([style], [str(photo), style]):
        assert main(["apply", str(photo), *inputs]) == EXIT_USAGE
        told = one_line(capsys)
        assert f"{photo} is a picture and {style} a style; the style comes first" in told
        assert f"fastnst apply {style} {photo}" in told


def test_a_checkpoint_in_a_pictures_place_is_called_one(tmp_path):
    model = make_model(tmp_path)
    with pytest.raises(ImageReadError, match="a checkpoint, not a picture"):
        read_picture(model)


def test_a_pickle_of_many_parts_costs_no_time(tmp_path):
    path = tmp_path / "x.ckpt"
    path.write_bytes(b"\x80\x02N." * 2_000_000)
    with pytest.raises(CheckpointError, match="a pickle"):
        load_arrays(path)
