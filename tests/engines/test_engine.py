"""The engine without PyTorch: same file, same network, same picture, or a clear error."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import contents, make_picture, modules_after, with_skip_weights
from PIL import Image

import fastnst
from fastnst.checkpoint import description
from fastnst.checkpoint.contents import load_checkpoint, save_checkpoint
from fastnst.checkpoint.numpy_reader import load_arrays
from fastnst.checkpoint.shipped import shipped_models
from fastnst.cli import main
from fastnst.engines import choose
from fastnst.engines import openvino_engine as engine
from fastnst.engines import openvino_graph as graph
from fastnst.engines.choose import choose_engine
from fastnst.engines.openvino_engine import OpenVinoEngine, compiled, pad_to_multiple
from fastnst.errors import EXIT_DONE, CheckpointError, ConfigError
from fastnst.networks import modules as networks
from fastnst.networks.modules import TransferNetwork, build_network
from fastnst.stylize.effects import Effects
from fastnst.stylize.stylizer import Stylizer

needs_openvino = pytest.mark.skipif(not graph.installed(), reason="OpenVINO is not installed")


def box_means(grey: np.ndarray, size: int = 8) -> np.ndarray:
    """Means over all windows of ``size`` x ``size``."""
    windows = np.lib.stride_tricks.sliding_window_view(grey, (size, size))
    return windows.mean(axis=(2, 3))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of the luma, uniform windows, 0..255."""
    x, y = (picture.astype(float) @ (0.299, 0.587, 0.114) for picture in (a, b))
    mean_x, mean_y = box_means(x), box_means(y)
    var_x, var_y = box_means(x * x) - mean_x**2, box_means(y * y) - mean_y**2
    covariance = box_means(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


def lively(kind: str, options: dict[str, int] | None = None) -> TransferNetwork:
    """A network at its shipped size whose output has contrast, as a trained one's has."""
    torch.manual_seed(3)
    network = with_skip_weights(build_network(kind, options)).eval()
    convolutions = [
        module
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Conv2d) and not name.endswith("skip")
    ]
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.InstanceNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
        convolutions[-1].weight.mul_(12)
    return network


def arrays(network: TransferNetwork) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def by_torch(network: TransferNetwork, pixels: np.ndarray) -> np.ndarray:
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        stylized = network(image)[0].permute(1, 2, 0)
    return (stylized * 255).round().byte().numpy()


@needs_openvino
@pytest.mark.parametrize("size", [(256, 256), (257, 303), (97, 400), (33, 17), (1, 5), (1, 1)])
@pytest.mark.parametrize(
    ("kind", "options"), [("fast", {}), ("johnson", {}), ("fast", {"spread": 3, "skip": 1})]
)
def test_the_engine_computes_what_pytorch_computes(kind, options, size):
    network = lively(kind, options)
    pixels = np.asarray(make_picture(size[1], size[0], 4))
    found = OpenVinoEngine(kind, options, arrays(network))(pixels)
    expected = by_torch(network, pixels)
    assert found.shape == expected.shape
    assert found.dtype == np.uint8
    assert np.abs(found.astype(float) - expected).mean() <= 1
    if min(size) >= 97:
        assert expected.std() > 10
        assert ssim(found, expected) >= 0.99


@needs_openvino
def test_shipped_styles_agree_with_pytorch_on_a_photograph():
    photo = Image.open(Path(fastnst.__file__).parent / "demo" / "cat.jpg").convert("RGB")
    photo = photo.resize((301, 263))
    for path in shipped_models().values():
        pictures = [
            np.asarray(Stylizer.load(path, "cpu", name).picture(photo))
            for name in ("torch", "openvino")
        ]
        assert np.abs(pictures[0].astype(float) - pictures[1]).mean() <= 1
        assert ssim(*pictures) >= 0.99


@needs_openvino
def test_one_engine_takes_pictures_of_any_sizes_in_turn():
    network = lively("fast")
    pass_ = OpenVinoEngine("fast", {}, arrays(network))
    for width, height in ((40, 30), (60, 20), (40, 30)):
        pixels = np.asarray(make_picture(width, height, 1))
        assert np.abs(pass_(pixels).astype(float) - by_torch(network, pixels)).max() <= 1


@needs_openvino
def test_sizes_that_take_turns_are_compiled_once_and_large_ones_alone(monkeypatch):
    compilations = []

    def counted(*arguments):
        compilations.append(arguments)
        return compiled(*arguments)

    monkeypatch.setattr(engine, "compiled", counted)
    network = OpenVinoEngine("fast", {}, arrays(lively("fast")))
    turns = [np.zeros((32, 48, 3), np.uint8), np.zeros((48, 32, 3), np.uint8)]
    for pixels in turns * 3:
        network(pixels)
    assert len(compilations) == 2
    # Where there is room for one only, the other is given up.
    monkeypatch.setattr(engine, "KEPT_PIXELS", 32 * 48)
    network.release()
    for pixels in turns * 2:
        network(pixels)
    assert len(compilations) == 6


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 16), (17, 30), (64, 33)])
def test_pictures_are_padded_as_the_network_pads_them(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    expected = networks.pad_to_multiple(image, TransferNetwork.multiple, TransferNetwork.smallest)
    found = pad_to_multiple(pixels)
    np.testing.assert_array_equal(found, expected[0].permute(1, 2, 0).byte().numpy())


@needs_openvino
@pytest.mark.parametrize(
    "effects", [Effects(strength=0.4), Effects(keep_colors=True), Effects(stroke_size=2)]
)
def test_effects_are_the_same_with_either_engine(effects, tmp_path):
    path = tmp_path / "m.ckpt"
    data = contents()
    network = lively("fast")
    data["state_dict"] = {f"network.{n}": v for n, v in network.state_dict().items()}
    data[description.KEY]["network"]["options"] = {}
    save_checkpoint(data, path)
    picture, mask = make_picture(120, 90), Image.linear_gradient("L").convert("RGB")
    mask = mask.resize(picture.size)
    results = [
        np.asarray(Stylizer.load(path, "cpu", name).picture(picture, effects, mask)).astype(float)
        for name in ("torch", "openvino")
    ]
    assert np.abs(results[0] - results[1]).mean() <= 1


@needs_openvino
def test_a_plain_apply_never_loads_pytorch(tmp_path):
    model, output = tmp_path / "m.ckpt", tmp_path / "out.png"
    save_checkpoint(contents(), model)
    picture = Path(fastnst.__file__).parent / "demo" / "cat.jpg"
    arguments = ["apply", str(model), str(picture), "--device", "cpu", "--output", str(output)]
    modules, _ = modules_after(*arguments)
    assert output.exists()
    assert "openvino" in modules
    # Nothing that could phone home is loaded.
    assert not [name for name in modules if name.startswith("openvino_telemetry")]
    assert "torch" not in modules


def test_pytorch_computes_where_the_other_engine_is_not_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choose, "installed", lambda: False)
    model, picture = tmp_path / "m.ckpt", tmp_path / "p.png"
    save_checkpoint(contents(), model)
    make_picture(20, 20).save(picture)
    assert choose_engine("auto", "cpu") == "torch"
    assert main(["apply", str(model), str(picture), "--device", "cpu"]) == EXIT_DONE
    asked = ["apply", str(model), str(picture), "--engine", "openvino", "--overwrite"]
    assert main(asked) != EXIT_DONE
    assert "pip install openvino" in capsys.readouterr().err


@needs_openvino
def test_the_engine_is_chosen_by_the_device(monkeypatch):
    assert choose_engine("auto", "cpu") == "openvino"
    assert choose_engine("auto", "cuda") == "torch"
    assert choose_engine("torch", "cpu") == "torch"
    monkeypatch.setattr(choose, "_has_accelerator", lambda: True)
    assert choose_engine("auto", "auto") == "torch"
    with pytest.raises(ConfigError, match="works on the CPU"):
        choose_engine("openvino", "cuda")


def test_arrays_are_the_tensors_of_the_file(tmp_path):
    path = tmp_path / "x.pt"
    whole = torch.arange(24.0).reshape(2, 3, 4)
    data = {
        "plain": [1, "two", None, 3.5, True],
        "float": whole,
        "part": whole[1, 1:],
        "turned": whole.permute(2, 0, 1),
        "channels_last": torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "half": torch.rand(5).half(),
        "long": torch.tensor([2**40, -1]),
        "one": torch.tensor(7),
        "none": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(torch.rand(3)).detach(),
    }
    torch.save(data, path)
    found, expected = load_arrays(path), torch.load(path, weights_only=True)
    assert found.pop("plain") == expected.pop("plain")
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())
        assert found[name].dtype == tensor.numpy().dtype


def test_shipped_checkpoints_read_the_same_without_pytorch():
    for path in shipped_models().values():
        weights = description.own_weights(load_arrays(path))
        for name, tensor in load_checkpoint(path).weights.items():
            np.testing.assert_array_equal(weights[name], tensor.numpy())


def rewritten(path: Path, pickled: bytes) -> None:
    """The file with another pickle in it."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, pickled if name.endswith("data.pkl") else content)


class Code:
    def __reduce__(self):
        return (Path.touch, (Path("/tmp/fastnst-was-here"),))


def test_code_in_a_file_is_not_run(tmp_path):
    path = tmp_path / "x.ckpt"
    save_checkpoint(contents(), path)
    rewritten(path, pickle.dumps(Code(), protocol=2))
    with pytest.raises(CheckpointError, match="nothing of it was run"):
        load_arrays(path)
    assert not Path("/tmp/fastnst-was-here").exists()


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (5,), (1,)), (3, (2,), (1,)), (0, (2, 2), (3, 1)), (-1, (1,), (1,)), (0, (2,), (-1,))],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, offset, size, stride):
    """as_strided would hand out whatever lies beside it in memory."""
    path = tmp_path / "x.pt"
    storage = torch.arange(4.0)
    torch.save(storage, path)

    class Reach:
        def __reduce__(self):
            return (torch._utils._rebuild_tensor_v2, (Stored(), offset, size, stride, False, {}))

    class Stored:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            if isinstance(obj, Stored):
                return ("storage", torch.FloatStorage, "0", "cpu", 4)
            return None

    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump(Reach())
    rewritten(path, buffer.getvalue())
    with pytest.raises(CheckpointError):
        load_arrays(path)


def test_damaged_files_are_refused_in_one_line(tmp_path):
    path = tmp_path / "x.ckpt"
    save_checkpoint(contents(), path)
    good = path.read_bytes()
    for cut in range(0, len(good) - 1, len(good) // 25):
        path.write_bytes(good[:cut])
        with pytest.raises(CheckpointError) as error:
            Stylizer.load(path, "cpu")
        assert "\n" not in str(error.value)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_arrays(tmp_path / "none.ckpt")


@needs_openvino
def test_weights_that_do_not_fit_or_are_no_numbers_are_refused(tmp_path):
    path = tmp_path / "x.ckpt"
    for change, words in (
        (lambda s: s.pop("network.body.2.weight"), "don't fit"),
        (lambda s: s.update({"network.body.2.weight": torch.rand(3)}), "don't fit"),
        (lambda s: s["network.body.2.weight"].fill_(float("nan")), "not finite"),
    ):
        data = contents()
        data["state_dict"] = {n: v.detach().clone() for n, v in data["state_dict"].items()}
        change(data["state_dict"])
        save_checkpoint(data, path)
        for name in ("torch", "openvino"):
            with pytest.raises(CheckpointError, match=words):
                Stylizer.load(path, "cpu", name)
