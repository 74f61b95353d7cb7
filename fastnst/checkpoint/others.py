"""What a file is that someone gives in a checkpoint's place, and what to do about it.

Told by how it begins or ends, which runs nothing of it; by its name where that is all there is.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from fastnst.errors import CheckpointError
from fastnst.image.kinds import brands, is_picture, kind_of
from fastnst.video.options import is_clip

# Bytes at a file's beginning that are looked at.
HEAD = 4096
ANEW = "fastnst reads its own and those of pytorch/examples; train the style anew from its painting"
EXPORTED = "fastnst apply takes the checkpoint that it was made of; an ONNX runtime takes this file"
ERRAND = "the download brought an error or a page to confirm; fetch it again"
WEIGHTS_ALONE = "save its weights alone, with torch.save(model.state_dict(), FILE)"
TENSORFLOW = f"a model of TensorFlow; {ANEW}"
KERAS = f"a model of Keras; {ANEW}"
CAFFE = f"a model of Caffe; {ANEW}"
COREML = f"a model of Core ML; {ANEW}"
OPENVINO = f"a model of OpenVINO; {ANEW}"
ONNX = f"an ONNX model; {ANEW}"
TORCH7 = f"a model of Torch 7; {ANEW}"
MATLAB = f"a file of MATLAB; {ANEW}"
NUMPY = f"arrays of NumPy; {ANEW}"
# How files begin.
STARTS: dict[bytes, str] = {
    b"version https://git-lfs": "a Git LFS pointer; 'git lfs pull' fetches the checkpoint itself",
    b"/annex/objects/": "a git-annex pointer; 'git annex get' fetches the checkpoint itself",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"\x89HDF\r\n\x1a\n": KERAS,
    b"MATLAB 5.0": MATLAB,
    b"\x93NUMPY": NUMPY,
    b"GGUF": f"a language model in GGUF; {ANEW}",
    b"7767517": f"a model of ncnn; {ANEW}",
    b"model_checkpoint_path": TENSORFLOW,
    struct.pack("<2i", 4, 1): TORCH7,
    b"4\n1\n3\nV 1": TORCH7,
}
# TensorFlow's tables of variables, its checkpoints of the first version and the indexes of the
# second, say what they are in their last bytes.
TABLE_END = struct.pack("<Q", 0xDB4775248B80FB57)
# An ONNX file's version and producer (onnx.proto: ModelProto), and a graph of TensorFlow's, whose
# first node's operation has a name that Caffe's layers have not (graph.proto: GraphDef).
ONNX_START = re.compile(rb"\x08[\x01-\x20](?:\x12[\x00-\x7f]([\w.+ -]+)|[\x3a\x42])", re.DOTALL)
GRAPH = re.compile(
    rb"\n.{1,3}\n[\x01-\x7f][\w./-]+\x12[\x01-\x7f](Placeholder|Const|Variable)", re.S
)
# What names say of files without marks of their own.
SUFFIXES: dict[str, str] = {
    **dict.fromkeys((".pb", ".pbtxt", ".meta", ".index", ".tflite"), TENSORFLOW),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), KERAS),
    **dict.fromkeys((".caffemodel", ".prototxt"), CAFFE),
    **dict.fromkeys((".mlmodel", ".mlpackage"), COREML),
    **dict.fromkeys((".t7", ".net"), TORCH7),
    ".onnx": ONNX,
    ".mat": MATLAB,
}
# Modules whose objects a checkpoint may hold.
PLAIN = frozenset(("torch", "collections", "builtins", "_codecs", "numpy", "__builtin__"))
MAX_PICKLE = 50_000_000


def refuse_others(path: Path) -> None:
    """Raises CheckpointError for what is no checkpoint by its bytes or its name, with what it is.

    Raises OSError where it can't be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD)
        file.seek(max(0, path.stat().st_size - len(TABLE_END)))
        end = file.read()
    if told := _by_bytes(path, head, end):
        raise CheckpointError(f"{path}: not a checkpoint but {told}")


def _head(path: Path) -> bytes:
    """A file's first bytes; nothing of what is no file, or can't be read."""
    # To open a pipe might wait for ever.
    if not os.path.isfile(path):
        return b""
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def is_checkpoint(path: Path) -> bool:
    """Whether a file begins as PyTorch's do."""
    head = _head(path)
    return head.startswith(b"\x80\x02\x8a\nl") or (head[:4] == b"PK\3\4" and b"data.pkl" in head)


def refuse_foreign_archive(path: Path, names: Iterable[str]) -> None:
    """Raises CheckpointError for an archive, with these entries, that isn't one of weights."""
    names = list(names)
    folders = {name.rpartition("/")[0] for name in names if name.endswith("/data.pkl")}
    if any(f"{folder}/constants.pkl" in names for folder in folders):
        raise CheckpointError(f"{path}: not a checkpoint but a TorchScript model; {WEIGHTS_ALONE}")
    if "data.pkl" in {name.rpartition("/")[2] for name in names}:
        return
    told = "a zip archive; unpack it first"
    if "config.json" in names and any(name.endswith(".h5") for name in names):
        told = KERAS
    elif names and all(name.endswith(".npy") for name in names):
        told = NUMPY
    raise CheckpointError(f"{path}: not a checkpoint but {told}")


def _by_bytes(path: Path, head: bytes, end: bytes) -> str:
    if not head:
        return f"an empty file; {ERRAND}"
    told = next((told for start, told in STARTS.items() if head.startswith(start)), "")
    if told:
        return told
    if end == TABLE_END:
        return TENSORFLOW
    if is_picture(head):
        return (
            f"a picture. The style comes first, as in 'fastnst apply wave {path}'; to make a style "
            f"of this one: 'fastnst train --style {path} --data PHOTOS'"
        )
    if head[4:8] == b"TFL3":
        return TENSORFLOW
    if head[8:10] == b'{"':
        return "a safetensors file, which fastnst doesn't read; save it with torch.save"
    if (brands(head) and not is_picture(head)) or is_clip(path):
        return f"a clip. The style comes first, as in 'fastnst apply wave {path}'"
    return _by_protobuf(head) or _by_text(head) or _by_name(path, head)


def _by_protobuf(head: bytes) -> str:
    found = ONNX_START.match(head)
    if found:
        own = (found[1] or b"").startswith(b"fastnst")
        return f"a network that fastnst has exported; {EXPORTED}" if own else ONNX
    return TENSORFLOW if GRAPH.match(head) or head.startswith(b"\x08\x01\x12") else ""


def _by_text(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<"):
        if b"<net " in text:
            return OPENVINO
        is_html = re.match(rb"<(!--|!doctype html|html|head|body|script)", text) or b"<html" in text
        return f"{'an HTML' if is_html else 'an XML'} page; {ERRAND}"
    if text.startswith(b"{") and (b"modeltopology" in text or b"weightsmanifest" in text):
        return TENSORFLOW
    # A pickle can be of printable characters, and ends with a dot.
    if re.fullmatch(rb"[\t\r\n -~]+", head) and not head.rstrip().endswith(b"."):
        return f"a text file ({head.decode()[:40].strip()!r}); {ERRAND}"
    return ""


def _by_name(path: Path, head: bytes) -> str:
    # What may be PyTorch's own is looked into, whatever its name.
    if head.startswith((b"PK\3\4", b"PK\5\6", b"\x80")):
        return ""
    if re.search(r"\.data-\d+-of-\d+$", path.name):
        return TENSORFLOW
    told = kind_of(head) or SUFFIXES.get(path.suffix.lower(), "")
    return told.replace(" and name the folder", " first")


def refuse_swapped(model: Path, inputs: Iterable[object], names: Iterable[str]) -> None:
    """Raises CheckpointError where the model is a picture and one of the inputs a style: a
    checkpoint, or one of ``names``.
    """
    if not is_picture(_head(model)):
        return
    known = set(names)
    paths = [given for given in inputs if isinstance(given, Path)]
    style = next(
        (
            path
            for path in paths
            if is_checkpoint(path) or (str(path) in known and not path.exists())
        ),
        None,
    )
    if style is not None:
        raise CheckpointError(
            f"{model} is a picture and {style} a style; the style comes first: "
            f"fastnst apply {style} {model}"
        )


def told_of_pickle(path: Path) -> str:
    """What a pickle is that is no checkpoint, by the names in it; nothing of what is no pickle."""
    found, is_pickle = "", False
    with contextlib.suppress(Exception):  # What is damaged, or has an end, is none.
        pickles = io.BytesIO(_pickles_of(path))
        is_pickle = pickles.getvalue()[:1] == b"\x80"
        # PyTorch's older format has five, one after the other.
        for _ in range(5):
            found = found or _foreign_object(pickles)
    if found:
        return (
            f"a pickle of objects ({found[:80]}), which would run code; nothing of it was run. If "
            f"it is a model, {WEIGHTS_ALONE}"
        )
    return f"a pickle, which torch.save didn't write; {ANEW}" if is_pickle else ""


def is_archive(path: Path) -> bool:
    """Whether a file is an archive of zip, damaged or not."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # One whose end says that it goes on on another disk.
        return True


def _pickles_of(path: Path) -> bytes:
    """The pickle in a PyTorch file, or the whole of another one."""
    if not is_archive(path):
        with open(path, "rb") as file:
            return file.read(MAX_PICKLE)
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(name) as entry:
            return entry.read(MAX_PICKLE)


def _foreign_object(pickled: BinaryIO) -> str:
    """The first class or function in a pickle that is no plain data, such as net.Style; nothing
    where there is none. Nothing of it is run.
    """
    words: list[str] = [""]
    memory: dict[int, str] = {}
    for opcode, value, _ in pickletools.genops(pickled):
        name = ""
        if opcode.name == "GLOBAL":
            name = str(value).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            name = ".".join(words[-2:])
        elif opcode.name == "MEMOIZE":
            memory[len(memory)] = words[-1]
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            words.append(memory.get(value or 0, ""))
        elif isinstance(value, str):
            words.append(value)
        if name.startswith("torch.nn.modules") or (name and name.partition(".")[0] not in PLAIN):
            return name
    return ""


def foreign_weights(contents: Any) -> str:
    """What a PyTorch file is that is no checkpoint of fastnst, as far as its names tell."""
    if not isinstance(contents, dict):
        return ANEW
    names = [name for name in contents if isinstance(name, str)]
    if {"features.0.weight", "features.2.weight"} <= set(names):
        return (
            "these are weights of VGG, which training measures with: --backbone-weights takes them"
        )
    return ANEW
