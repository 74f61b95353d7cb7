"""Exported networks: PyTorch's picture at every size, and nothing written that gives another."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from helpers import ROOT, contents, make_picture, one_line, with_skip_weights
from PIL import Image
from their_network import their_weights

from fastnst.checkpoint.contents import save_checkpoint
from fastnst.checkpoint.mixing import read_mixture
from fastnst.checkpoint.numpy_reader import read_arrays
from fastnst.checkpoint.shipped import shipped_models
from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_INTERNAL, EXIT_USAGE
from fastnst.export import onnx_graph, verify
from fastnst.export.onnx_graph import IOS, onnx_model
from fastnst.export.verify import differences, onnx_runtime
from fastnst.networks.architecture import NETWORKS
from fastnst.networks.modules import build_network

onnx = pytest.importorskip("onnx", reason="the extra 'export' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
SMALL = {"width": 4, "blocks": 1}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.ckpt"
    torch.manual_seed(3)
    save_checkpoint(contents(), path)
    return path


def weights_of(kind: str) -> dict[str, np.ndarray]:
    torch.manual_seed(1)
    return {name: value.numpy() for name, value in build_network(kind, SMALL).state_dict().items()}


@pytest.mark.parametrize("skip", [{}, {"skip": 1}])
def test_a_spread_network_gives_pytorchs_picture_at_every_size(skip):
    options = {"width": 8, "blocks": 5, "spread": 3, **skip}
    torch.manual_seed(1)
    state = with_skip_weights(build_network("fast", options)).state_dict()
    weights, network = (
        {n: v.numpy() for n, v in state.items()},
        {"kind": "fast", "options": options},
    )
    found = differences(onnx_model("fast", options, weights), network, weights, IOS[0])
    assert all(difference.passes for difference in found), found


@pytest.mark.parametrize("io", IOS)
@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_every_network_gives_pytorchs_picture_at_every_size(kind, io):
    weights, network = weights_of(kind), {"kind": kind, "options": SMALL}
    found = differences(onnx_model(kind, SMALL, weights, io), network, weights, io)
    assert len(found) == len(verify.SIZES)
    assert all(difference.passes for difference in found), found
    # Not by chance, such as by a result of one colour.
    run = onnx_runtime(onnx_model(kind, SMALL, weights, "uint8-hwc"))
    assert run(np.asarray(make_picture(40, 30))).std() > 1


def test_a_file_takes_several_pictures_at_once_as_floats():
    weights = weights_of("fast")
    run = onnx_runtime(onnx_model("fast", SMALL, weights, "float-nchw"))
    pictures = np.random.default_rng(0).random((3, 3, 21, 18), np.float32)
    alone = np.concatenate([run(picture[None]) for picture in pictures])
    assert np.abs(run(pictures) - alone).max() < 1e-6


@pytest.mark.parametrize("name", ["wave", pytest.param("all", marks=pytest.mark.long)])
def test_shipped_styles_are_exported_as_apply_paints_them(name, tmp_path):
    photo = ROOT / "fastnst" / "demo" / "cat.jpg"
    pixels = np.asarray(Image.open(photo).convert("RGB").resize((150, 101)))
    source = tmp_path / "photo.png"
    Image.fromarray(pixels).save(source)
    for style in shipped_models() if name == "all" else [name]:
        file, expected = tmp_path / f"{style}.onnx", tmp_path / f"{style}.png"
        assert main(["export", style, "--output", str(file)]) == EXIT_DONE
        # Shipped weights are float16's numbers, stored as such.
        assert file.stat().st_size < 520_000
        options = ["--output", str(expected), "--device", "cpu", "--precision", "float32"]
        assert main(["apply", style, str(source), *options]) == EXIT_DONE
        apart = np.abs(onnx_runtime(file.read_bytes())(pixels) - np.asarray(
            Image.open(expected)).astype(int))  # fmt: skip
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.01


def test_a_mixture_is_exported_as_one_network(tmp_path):
    file = tmp_path / "mixture.onnx"
    arguments = ["export", "wave", "--style-mix", "udnie:0.4", "--output", str(file)]
    assert main(arguments) == EXIT_DONE
    models = shipped_models()
    mixture = read_mixture(read_arrays, models["wave"], [(models["udnie"], 0.4)])
    assert all(d.passes for d in differences(
        file.read_bytes(), mixture.info["network"], mixture.weights, "uint8-hwc"))  # fmt: skip
    # And not the first style alone.
    wave = read_mixture(read_arrays, models["wave"])
    assert not all(d.passes for d in differences(
        file.read_bytes(), wave.info["network"], wave.weights, "uint8-hwc"))  # fmt: skip
    told = {prop.key: prop.value for prop in onnx.load(file).metadata_props}
    assert told["fastnst.name"] == "wave+udnie40"
    assert (told["fastnst.style"], told["fastnst.io"]) == ("wave", "uint8-hwc")


def test_weights_of_pytorchs_examples_are_exported(tmp_path):
    path, file = tmp_path / "theirs.pth", tmp_path / "theirs.onnx"
    torch.save(their_weights(), path)
    assert main(["export", str(path), "--output", str(file)]) == EXIT_DONE
    assert file.exists()


@pytest.mark.parametrize("fault", ["kernel", "border"])
def test_a_graph_that_is_not_the_network_is_not_written(fault, tmp_path, monkeypatch, capsys):
    """The last kernel off by a twentieth, or a border that is not mirrored."""
    file = tmp_path / "m.onnx"
    if fault == "kernel":
        real = onnx_graph.onnx_model

        def changed(kind, options, weights, *rest):
            last = [key for key in weights if key.endswith("weight")][-1]
            return real(kind, options, {**weights, last: weights[last] * 1.05}, *rest)

        monkeypatch.setattr("fastnst.export.write.onnx_model", changed)
    else:
        mirrored = onnx_graph._Graph.mirrored

        def zeros(graph, x, pad):
            x = mirrored(graph, x, pad)
            if graph.nodes[-1].op_type == "Pad":
                graph.nodes[-1].attribute[0].s = b"constant"
            return x

        monkeypatch.setattr(onnx_graph._Graph, "mirrored", zeros)
    assert main(["export", "wave", "--output", str(file)]) == EXIT_INTERNAL
    assert "not PyTorch's at" in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_bad_input_is_one_line_and_keeps_what_is_there(model, tmp_path, monkeypatch, capsys):
    there = tmp_path / "there.onnx"
    there.write_bytes(b"mine")
    assert main(["export", str(model), "--output", str(there)]) == EXIT_USAGE
    assert "--overwrite" in one_line(capsys)
    assert there.read_bytes() == b"mine"
    assert main(["export", str(there), "--output", str(tmp_path / "x.onnx")]) == EXIT_USAGE
    assert "not a checkpoint" in one_line(capsys)
    assert main(["export", str(model), "--format", "tflite"]) == EXIT_USAGE
    assert "onnx" in one_line(capsys)
    assert main(["export", str(model), "--output", str(tmp_path)]) == EXIT_USAGE
    assert "is a folder" in one_line(capsys)
    for package in ("onnxruntime", "onnx"):
        monkeypatch.setitem(sys.modules, package, None)
        assert main(["export", str(model), "--output", str(tmp_path / "x.onnx")]) == EXIT_USAGE
        assert "pip install onnx onnxruntime" in one_line(capsys)
    assert sorted(tmp_path.iterdir()) == [model, there]


def test_weights_are_stored_in_float16_where_it_is_asked_for_or_changes_nothing(model, tmp_path):
    sizes = {}
    for kind in ("auto", "float16", "float32"):
        file = tmp_path / f"{kind}.onnx"
        code = main(["export", str(model), "--weights", kind, "--output", str(file)])
        # Random weights are no numbers of float16, and a network this small shows it.
        sizes[kind] = file.stat().st_size if code == EXIT_DONE else 0
    assert sizes["auto"] == sizes["float32"] > sizes["float16"]
