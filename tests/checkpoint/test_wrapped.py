"""Weights of pytorch/examples' network as training scripts save them, by either engine."""

from __future__ import annotations

import argparse
import gzip
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import contents, make_picture, one_line
from their_network import their_pass, their_weights
from torch import Tensor, nn

from fastnst.checkpoint import numpy_reader as archive
from fastnst.checkpoint.contents import load_checkpoint, save_checkpoint
from fastnst.checkpoint.numpy_reader import load_arrays
from fastnst.cli import main
from fastnst.engines import openvino_graph as graph
from fastnst.errors import EXIT_USAGE, CheckpointError
from fastnst.stylize.stylizer import Stylizer

needs_openvino = pytest.mark.skipif(not graph.installed(), reason="OpenVINO is not installed")
pytestmark = needs_openvino
ENGINES = ("torch", "openvino")
Weights = dict[str, Tensor]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "mosaic.pth"


def prefixed(weights: Mapping[str, Tensor], prefix: str) -> Weights:
    return {prefix + name: value for name, value in weights.items()}


def optimizer_state(weights: Weights) -> dict[str, Any]:
    """An optimizer's state after a step."""
    parameters = [nn.Parameter(weights["in1.weight"].clone())]
    optimizer = torch.optim.Adam(parameters)
    parameters[0].grad = torch.ones_like(parameters[0])
    optimizer.step()
    return optimizer.state_dict()


def of_a_module(weights: Weights) -> Any:
    """What ``state_dict()`` gives: ordered, with the layers' versions as an attribute."""
    found = OrderedDict(weights)
    found._metadata = OrderedDict([("", {"version": 1}), ("conv1", {"version": 1})])
    return found


def with_state(weights: Weights) -> dict[str, nn.Parameter]:
    """Parameters with an attribute of their own, which PyTorch saves along."""
    found = {name: nn.Parameter(value) for name, value in weights.items()}
    for value in found.values():
        value.tag = "style"
    return found


class Wrapper(nn.Module):
    """A module's only job here is the names that it gives."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        for name, value in weights.items():
            if not name.endswith(("mean", "var")):
                *path, last = name.split(".")
                place: nn.Module = self
                for part in path:
                    if not hasattr(place, part):
                        place.add_module(part, nn.Module())
                    place = getattr(place, part)
                place.register_parameter(last, nn.Parameter(value))


WRAPPED: dict[str, Callable[[Weights], Any]] = {
    "plain": lambda w: w,
    "module's own": of_a_module,
    "dataparallel": lambda w: prefixed(w, "module."),
    "dataparallel twice": lambda w: prefixed(w, "module.module."),
    "compiled": lambda w: prefixed(w, "_orig_mod."),
    "lightning": lambda w: {
        "state_dict": prefixed(w, "transformer.") | {"vgg.slice1.0.weight": torch.ones(3)},
        "pytorch-lightning_version": "2.4", "callbacks": {}, "hyper_parameters": {"lr": 1e-3},
        "loops": {"fit_loop": {"state_dict": {}}}, "optimizer_states": [optimizer_state(w)],
    },
    "wrapped": lambda w: {"state_dict": w},
    "training": lambda w: {
        "epoch": 2, "model_state_dict": w, "optimizer_state_dict": optimizer_state(w),
        "loss": torch.tensor(3.5), "best": None, "args": {"lr": 1e-3},
    },
    "model": lambda w: {"model": of_a_module(w), "step": 3},
    "network": lambda w: {"network": prefixed(w, "module.")},
    "deep": lambda w: {"checkpoint": {"nets": {"style": w}}},
    "named twice": lambda w: {"state_dict": w, "model": w},
    "averaged": lambda w: prefixed(w, "module.") | {"n_averaged": torch.tensor(9)},
    "epoch beside": lambda w: w | {"epoch": 4, "style": "mosaic"},
    "tracked": lambda w: w | {"in1.num_batches_tracked": torch.tensor(0)},
    "parameters": lambda w: {n: nn.Parameter(v) for n, v in w.items()},
    "parameters, frozen": lambda w: {n: nn.Parameter(v, requires_grad=False) for n, v in w.items()},
    "parameters with state": with_state,
    "a module's parameters": lambda w: dict(Wrapper(w).named_parameters()),
    "gradients": lambda w: {n: v.clone().requires_grad_() for n, v in w.items()},
    "channels last": lambda w: {
        n: v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v
        for n, v in w.items()
    },
    "double": lambda w: {n: v.double() for n, v in w.items()},
    "double parameters": lambda w: {n: nn.Parameter(v.double()) for n, v in w.items()},
    "with other things of PyTorch's": lambda w: {
        "model": w, "size": torch.Size([256, 256]), "device": torch.device("cuda", 0),
        "dtype": torch.float32, "seen": Counter("aab"), "names": {"a", "b"}, "raw": b"\xff\x00",
        "amplitude": torch.ones(2, dtype=torch.complex64),
    },
    # PyTorch itself has no legacy files of it.
    "with types of later days": lambda w: {"model": w, "odd": torch.ones(2, dtype=torch.uint16)},
}  # fmt: skip
ROUNDED: dict[str, Callable[[Weights], Any]] = {
    "half": lambda w: {n: v.half() for n, v in w.items()},
    "bfloat16": lambda w: {n: v.bfloat16() for n, v in w.items()},
    "bfloat16 parameters": lambda w: {"model": {n: nn.Parameter(v.bfloat16()) for n, v in w.items()}},  # noqa: E501
    "mixed": lambda w: {n: v.bfloat16() if "res" in n else v.half() for n, v in w.items()},
}  # fmt: skip


def stylized(path: Path, name: str) -> np.ndarray:
    return np.asarray(Stylizer.load(path, "cpu", name).picture(make_picture(64, 48, 3)))


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "legacy"])
@pytest.mark.parametrize("how", WRAPPED)
def test_wrapped_weights_make_the_same_picture(how, legacy, path):
    if legacy and "later" in how:
        pytest.skip("PyTorch has no legacy files of these")
    weights = their_weights()
    torch.save(WRAPPED[how](weights), path, _use_new_zipfile_serialization=not legacy)
    expected = their_pass(weights, np.asarray(make_picture(64, 48, 3)))
    for name in ENGINES:
        assert np.abs(stylized(path, name) - expected).max() <= 1


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "legacy"])
@pytest.mark.parametrize("how", ROUNDED)
def test_weights_of_fewer_bits_are_what_they_hold(how, legacy, path):
    saved = ROUNDED[how](their_weights())
    torch.save(saved, path, _use_new_zipfile_serialization=not legacy)
    held = {name: value.detach().float() for name, value in saved.get("model", saved).items()}
    expected = their_pass(held, np.asarray(make_picture(64, 48, 3)))
    assert np.abs(expected - their_pass(their_weights(), np.asarray(make_picture(64, 48, 3)))).max() > 1  # fmt: skip # noqa: E501
    for name in ENGINES:
        assert np.abs(stylized(path, name) - expected).max() <= 1


def test_levels_do_not_run_over_in_float16(path):
    """255 times a weight of 300 is more than float16 has."""
    weights = their_weights()
    weights["conv1.conv2d.weight"] *= 300 / weights["conv1.conv2d.weight"].abs().max()
    torch.save({name: value.half() for name, value in weights.items()}, path)
    for name in ENGINES:
        assert stylized(path, name).std() > 20


def test_common_forms_are_read_without_pytorch(path, monkeypatch):
    def loaded(path: Path) -> None:
        raise AssertionError("PyTorch was asked")

    monkeypatch.setattr(archive, "_load_by_torch", loaded)
    for how, make in {**WRAPPED, **ROUNDED}.items():
        if not how.startswith("with "):
            torch.save(make(their_weights()), path)
            load_arrays(path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_own_checkpoints_of_other_types_are_read_alike(dtype, path):
    data = contents()
    data["state_dict"] = {
        name: nn.Parameter(value.to(dtype)) for name, value in data["state_dict"].items()
    }
    torch.save(data, path)
    found = archive.read_arrays(path).weights
    for name, value in load_checkpoint(path).weights.items():
        assert not value.requires_grad
        np.testing.assert_array_equal(found[name], value.numpy())


# What is refused, and by both.


def changed(**new: Any) -> Callable[[Weights], Any]:
    def change(weights: Weights) -> Any:
        return weights | {name.replace("__", "."): value for name, value in new.items()}

    return change


def without(name: str) -> Callable[[Weights], Any]:
    return lambda weights: {n: value for n, value in weights.items() if n != name}


REFUSED: dict[str, tuple[Callable[[Weights], Any], str]] = {
    "missing": (without("in4.bias"), r"not the weights of .*in4\.bias is missing"),
    "missing in a wrapping": (
        lambda w: {"state_dict": prefixed(without("in4.bias")(w), "module.")},
        r"not the weights of .*in4\.bias is missing",
    ),
    "one more": (changed(more__weight=torch.ones(3)), r"more\.weight is none of them"),
    "one more behind a prefix": (
        lambda w: prefixed(w | {"more": torch.ones(3)}, "module."), "more is none of them",
    ),
    "a prefix for half": (
        lambda w: {("module." if "conv" in n else "") + n: v for n, v in w.items()},
        "is none of them",
    ),
    "a number for a tensor": (changed(in4__bias=5), r"in4\.bias is no tensor"),
    "a kernel of no dimensions": (changed(conv1__conv2d__weight=torch.tensor(3.0)), "is no kernel"),
    "two networks": (lambda w: {"model": w, "ema": dict(w)}, r"holds 2 .*\(model/, ema/\)"),
    "two prefixes": (lambda w: prefixed(w, "a.") | prefixed(w, "b."), r"holds 2 .*\(a\., b\.\)"),
    "too deep": (lambda w: {"a": {"b": {"c": {"d": w}}}}, "not a checkpoint of fastnst"),
    "in a list": (lambda w: [w], "not a checkpoint of fastnst"),
    "another network": (lambda w: {"state_dict": {"conv.weight": torch.ones(3)}}, "not a checkpoint of"),  # noqa: E501
    "an empty one": (lambda w: {}, "not a checkpoint of fastnst"),
    "a bias of one": (changed(in4__bias=torch.ones(1)), "don't fit"),
    "a bias in a column": (changed(in4__bias=torch.ones(12, 1)), "don't fit"),
    "a kernel turned": (
        lambda w: w | {"conv2.conv2d.weight": w["conv2.conv2d.weight"].mT[:, :1]}, "don't fit",
    ),
    "wider than any": (changed(conv1__conv2d__weight=torch.ones(600, 3, 9, 9)), "out of range"),
    "integers": (changed(in4__bias=torch.ones(12).long()), "no tensor of floating-point numbers"),
    "complex": (changed(in4__bias=torch.ones(12) * 1j), "no tensor of floating-point numbers"),
    "complex, last": (changed(deconv3__conv2d__bias=torch.ones(3) * 1j), "no tensor of floating"),
    "eight bits": (
        changed(in4__bias=torch.ones(12).to(torch.float8_e4m3fn)),
        "no tensor of floating|damaged|a pickle",
    ),
    "sparse": (changed(in4__bias=torch.ones(12).to_sparse()), "no tensor of floating-point"),
    "one number repeated": (
        changed(in4__bias=torch.ones(1).expand(12)), "damaged|floating-point|a pickle",
    ),
    "ten gigabytes": (
        changed(deconv3__conv2d__bias=torch.ones(1).expand(2_500_000_000)),
        "damaged|floating-point|a pickle",
    ),
    "not finite": (changed(in4__bias=torch.full((12,), torch.inf).bfloat16()), "not finite"),
    "a script's arguments": (lambda w: {"model": w, "args": argparse.Namespace(lr=1)}, "asks to run code|a pickle"),  # noqa: E501
    "NumPy's numbers": (lambda w: {"model": w, "loss": np.float64(3)}, "asks to run code|a pickle"),
    "a whole module": (Wrapper, "asks to run code|a pickle"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "legacy"])
@pytest.mark.parametrize("how", REFUSED)
def test_both_engines_refuse_the_same_in_a_line(how, legacy, path):
    change, told = REFUSED[how]
    torch.save(change(their_weights()), path, _use_new_zipfile_serialization=not legacy)
    for name in ENGINES:
        with pytest.raises(CheckpointError, match=told) as error:
            Stylizer.load(path, "cpu", name)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)


def test_dictionaries_in_a_circle_or_without_number_are_left_in_little_time(path):
    data: dict[str, Any] = {"a": torch.ones(1)}
    data["self"] = data
    for _ in range(2):
        data = {str(i): data for i in range(2000)}
    torch.save(data, path)
    for name in ENGINES:
        with pytest.raises(CheckpointError, match="not a checkpoint of fastnst"):
            Stylizer.load(path, "cpu", name)


def test_an_own_checkpoint_is_taken_as_such_whatever_else_it_holds(path):
    data = contents()
    data["more"] = their_weights()
    save_checkpoint(data, path)
    assert [Stylizer.load(path, "cpu", name).kind for name in ENGINES] == ["fast", "fast"]


# What is saved in a checkpoint's place.

INSTEAD: dict[str, tuple[bytes, str]] = {
    "page": (b"<!DOCTYPE html><html><head><title>Login</title>", "an HTML page"),
    "page, indented": (b"\xef\xbb\xbf\r\n  <HTML lang=en>\n<body>", "an HTML page"),
    "page, Google's": (b"<script>var x = 1</script>" * 9, "an HTML page"),
    "page, with a comment": (b"<!-- saved from -->\n<html>", "an HTML page"),
    "page, XHTML": (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">', "an HTML"),
    "store's error": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "an XML page"),
    "LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 67\n",
        "a Git LFS pointer; 'git lfs pull'",
    ),
    "annex pointer": (b"/annex/objects/SHA256E-s6725--4d7a.pth\n", "a git-annex pointer"),
    "words": (b"404: Not Found\n", r"a text file \('404: Not Found'\)"),
    "words of JSON": (b'{"error": "Repository not found"}', "a text file"),
    "nothing": (b"", "an empty file"),
    "compressed": (gzip.compress(b"weights"), "compressed with gzip; unpack it"),
    "safetensors": (b"\x08" + bytes(7) + b'{"a": 1}', "a safetensors file"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".pth", ".ckpt"])
@pytest.mark.parametrize("what", INSTEAD)
def test_what_is_no_checkpoint_is_called_what_it_is(what, suffix, tmp_path, capsys):
    (tmp_path / f"a{suffix}").write_bytes(INSTEAD[what][0])
    for name in ENGINES:
        with pytest.raises(CheckpointError, match=f": not a checkpoint but {INSTEAD[what][1]}"):
            Stylizer.load(tmp_path / f"a{suffix}", "cpu", name)


def test_the_command_says_so_in_a_line(path, tmp_path, capsys):
    path.write_bytes(INSTEAD["LFS pointer"][0])
    make_picture(8, 8).save(tmp_path / "p.png")
    for command in (["apply", str(path), str(tmp_path / "p.png")], ["info", str(path)]):
        assert main(command) == EXIT_USAGE
        told = one_line(capsys)
        assert f"{path}: not a checkpoint but a Git LFS pointer" in told
