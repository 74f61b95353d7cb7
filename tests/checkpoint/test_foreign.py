"""Files of pytorch/examples: the same pictures as its own network makes, by every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import make_picture, one_line
from PIL import Image
from their_network import their_pass, their_weights

from fastnst.cli import main
from fastnst.errors import EXIT_DONE, EXIT_USAGE, CheckpointError
from fastnst.stylize.file_options import FileOptions
from fastnst.stylize.stylizer import Stylizer


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
