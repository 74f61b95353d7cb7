"""Files of pytorch/examples: the same pictures as its own network makes, by every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import make_picture
from PIL import Image
from test_cli import one_line
from torch import Tensor

from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_USAGE, CheckpointError
from fastnst.stylize.stylizer import FileOptions, Stylizer


def their_weights(width: int = 6, blocks: int = 5, seed: int = 0) -> dict[str, Tensor]:
    """Random weights by pytorch/examples' names, with what PyTorch 0.3 saved beside them."""
    generator = torch.Generator().manual_seed(seed)
    w = width
    convolutions = {"conv1": (3, w, 9), "conv2": (w, 2 * w, 3), "conv3": (2 * w, 4 * w, 3)}
    convolutions |= {
        f"res{block}.conv{i}": (4 * w, 4 * w, 3) for block in range(1, blocks + 1) for i in (1, 2)
    }
    convolutions |= {"deconv1": (4 * w, 2 * w, 3), "deconv2": (2 * w, w, 3), "deconv3": (w, 3, 9)}
    norms = {"in1": w, "in2": 2 * w, "in3": 4 * w, "in4": 2 * w, "in5": w}
    norms |= {f"res{block}.in{i}": 4 * w for block in range(1, blocks + 1) for i in (1, 2)}
    found = {}
    for name, (channels, features, kernel) in convolutions.items():
        # Results around the middle of 0..255, now and then beyond it.
        scale = 300 if name == "deconv3" else 1
        shape = (features, channels, kernel, kernel)
        spread = scale / (channels * kernel**2) ** 0.5
        found[f"{name}.conv2d.weight"] = torch.randn(shape, generator=generator) * spread
        found[f"{name}.conv2d.bias"] = torch.full((features,), 120.0 if scale > 1 else 0.1)
    for name, features in norms.items():
        found[f"{name}.weight"] = 0.5 + torch.rand(features, generator=generator)
        found[f"{name}.bias"] = torch.randn(features, generator=generator) * 0.2
        found[f"{name}.running_mean"] = torch.zeros(features)
        found[f"{name}.running_var"] = torch.ones(features)
    return found


def their_pass(weights: dict[str, Tensor], levels: np.ndarray, blocks: int = 5) -> np.ndarray:
    """What its network makes of levels (H, W, 3): written from its description, for comparison."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{name}.conv2d.weight"]
        pad = kernel.shape[-1] // 2
        padded = F.pad(x, (pad, pad, pad, pad), mode="reflect")
        return F.conv2d(padded, kernel, weights[f"{name}.conv2d.bias"], stride)

    def norm(x: Tensor, name: str) -> Tensor:
        return F.instance_norm(x, weight=weights[f"{name}.weight"], bias=weights[f"{name}.bias"])

    y = torch.from_numpy(levels.copy()).permute(2, 0, 1)[None].float()
    for i, stride in ((1, 1), (2, 2), (3, 2)):
        y = norm(conv(y, f"conv{i}", stride), f"in{i}").relu()
    for i in range(1, blocks + 1):
        inner = norm(conv(y, f"res{i}.conv1"), f"res{i}.in1").relu()
        y = y + norm(conv(inner, f"res{i}.conv2"), f"res{i}.in2")
    for i in (1, 2):
        y = F.interpolate(y, scale_factor=2, mode="nearest")
        y = norm(conv(y, f"deconv{i}"), f"in{i + 3}").relu()
    return conv(y, "deconv3")[0].clamp(0, 255).permute(1, 2, 0).numpy()


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "mosaic.pth"
    torch.save(their_weights(), path)
    return path


@pytest.mark.parametrize("engine", ["torch", "openvino"])
@pytest.mark.parametrize("legacy", [False, True])
def test_its_files_make_its_pictures(engine, legacy, path):
    weights = their_weights()
    torch.save(weights, path, _use_new_zipfile_serialization=not legacy)
    picture = make_picture(64, 48, 3)
    stylizer = Stylizer.load(path, "cpu", engine)
    expected = their_pass(weights, np.asarray(picture))
    assert expected.std() > 20
    found = np.asarray(stylizer.picture(picture)).astype(float)
    assert np.abs(found - expected).max() <= 1
    assert stylizer.name == "mosaic"


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_its_files_work_in_strips(engine, path, tmp_path):
    source, stylizer = tmp_path / "p.png", Stylizer.load(path, "cpu", engine)
    make_picture(48, 80, 3).save(source)
    for tile in ("off", 16):
        stylizer.stylize_file(source, tmp_path / f"{tile}.png", FileOptions(tile=tile))
    one, other = (np.asarray(Image.open(tmp_path / f"{n}.png")).astype(int) for n in ("off", 16))
    assert np.abs(one - other).max() <= 1


def test_apply_and_info_take_them_as_any_other(path, tmp_path, capsys):
    make_picture(33, 21).save(tmp_path / "p.jpg")
    assert main(["apply", str(path), str(tmp_path / "p.jpg")]) == EXIT_DONE
    with Image.open(tmp_path / "p-mosaic.jpg") as result:
        assert result.size == (33, 21)
    assert main(["info", str(path)]) == EXIT_DONE
    assert "pytorch/examples" in capsys.readouterr().out
    assert main(["validate", str(path), "--data", str(tmp_path)]) == EXIT_USAGE
    assert "holds no style targets" in one_line(capsys)


def test_two_of_them_are_mixed(path, tmp_path):
    other = tmp_path / "candy.pth"
    torch.save(their_weights(seed=1), other)
    picture = make_picture(32, 32)
    mixture = Stylizer.load(path, "cpu", "torch", [(other, 1.0)]).picture(picture)
    alone = Stylizer.load(other, "cpu", "torch").picture(picture)
    assert np.abs(np.asarray(mixture).astype(int) - np.asarray(alone)).max() <= 1


@pytest.mark.parametrize("engine", ["torch", "openvino"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("in4.bias"), "not the weights of pytorch/examples' network"),
        (lambda w: w.update({"more.weight": torch.zeros(3)}), "not the weights of"),
        (lambda w: w.update({"in4.bias": 5}), "not the weights of"),
        (lambda w: w.update({"in4.bias": torch.zeros(5)}), "don't fit"),
        (lambda w: w["in4.bias"].fill_(float("nan")), "not finite"),
        (lambda w: w.pop("deconv3.conv2d.weight"), "not a checkpoint of fastnst"),
    ],
)
def test_files_that_are_not_quite_its_are_refused(change, message, engine, path):
    weights = their_weights()
    change(weights)
    torch.save(weights, path)
    with pytest.raises(CheckpointError, match=message):
        Stylizer.load(path, "cpu", engine)
