"""Pictures larger than memory: planned before they are begun, and equal to those in one go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import make_model, make_picture, modules_after, one_line
from PIL import Image

from fastnst.cli import main
from fastnst.engines.choose import is_exact
from fastnst.engines.openvino_engine import OpenVinoEngine
from fastnst.engines.openvino_graph import installed
from fastnst.errors import EXIT_DONE, EXIT_USAGE, ConfigError
from fastnst.image import read_image
from fastnst.machine.memory import available_memory, parse_size
from fastnst.networks.architecture import chain
from fastnst.networks.modules import TransferNetwork
from fastnst.strips.plan import Pass, plan_picture, values_a_pixel
from fastnst.stylize.effects import Effects
from fastnst.stylize.file_options import FileOptions
from fastnst.stylize.stylizer import Stylizer


@pytest.fixture
def model(tmp_path) -> Path:
    return make_model(tmp_path)


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    make_picture(150, 110, 4).save(path)
    return path


@pytest.mark.parametrize("engine", ["torch", "openvino"])
@pytest.mark.parametrize("flags", [["--tile", "16"], ["--tile", "64"], ["--tile", "500"]])
def test_apply_in_strips_writes_the_same_picture(flags, engine, model, picture, tmp_path, capsys):
    if engine == "openvino" and not installed():
        pytest.skip("OpenVINO is not installed")
    whole, tiled = tmp_path / "whole.png", tmp_path / "tiled.png"
    arguments = ["apply", str(model), str(picture), "--engine", engine, "--output"]
    assert main([*arguments, str(whole), "--tile", "off"]) == EXIT_DONE
    assert "in strips" not in capsys.readouterr().err
    assert main([*arguments, str(tiled), *flags]) == EXIT_DONE
    assert f"in strips of {flags[1]} rows" in capsys.readouterr().err
    difference = (read_image(whole) - read_image(tiled)).abs()
    assert float(difference.max()) <= 1 / 255 + 1e-6


@pytest.mark.parametrize(
    "effects",
    [
        Effects(strength=0.4),
        Effects(keep_colors=True),
        Effects(stroke_size=2),
        Effects(stroke_size=5),
        Effects(stroke_size=0.5, strength=0.7),
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_effects_in_strips_are_the_effects_in_one_go(effects, masked, model, picture, tmp_path):
    stylizer = Stylizer.load(model, "cpu", "torch")
    mask = Image.linear_gradient("L").convert("RGB") if masked else None
    pictures = []
    for name, tile in (("whole.png", "off"), ("strips.png", 32)):
        options = FileOptions(effects=effects, mask=mask, tile=tile)
        stylizer.stylize_file(picture, tmp_path / name, options)
        pictures.append(np.asarray(Image.open(tmp_path / name).copy()).astype(int))
    # The network's own rounding, here and there, which a coarse pass hands on to the finer ones.
    assert np.abs(pictures[0] - pictures[1]).mean() <= 0.05
    assert np.abs(pictures[0] - pictures[1]).max() <= 3
    assert pictures[0].std() > 2


def test_want_of_memory_leads_to_strips_and_says_so(model, picture, tmp_path, capsys, monkeypatch):
    whole, tiled = tmp_path / "whole.png", tmp_path / "tiled.png"
    arguments = ["apply", str(model), str(picture), "--engine", "torch", "--output"]
    assert main([*arguments, str(whole)]) == EXIT_DONE

    def full(self, image):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 GB")

    monkeypatch.setattr(TransferNetwork, "forward", full)
    assert main([*arguments, str(tiled)]) == EXIT_DONE
    assert "not enough memory for the whole picture; in strips of" in capsys.readouterr().err
    assert float((read_image(whole) - read_image(tiled)).abs().max()) <= 1 / 255 + 1e-6


@pytest.mark.skipif(not installed(), reason="OpenVINO is not installed")
def test_want_of_memory_on_the_engine_leads_to_strips_and_then_to_smaller_ones(
    model, picture, tmp_path, capsys, monkeypatch
):
    whole, tiled = tmp_path / "whole.png", tmp_path / "tiled.png"
    arguments = ["apply", str(model), str(picture), "--engine", "openvino", "--output"]
    assert main([*arguments, str(whole), "--precision", "float32"]) == EXIT_DONE
    prepare, failed = OpenVinoEngine.prepare, []

    def full(self, pixels):
        raise RuntimeError("could not allocate memory")

    def full_once(self, segment, scales, sources):
        if not failed:
            failed.append(segment)
            raise MemoryError
        return prepare(self, segment, scales, sources)

    monkeypatch.setattr(OpenVinoEngine, "__call__", full)
    monkeypatch.setattr(OpenVinoEngine, "prepare", full_once)
    assert main([*arguments, str(tiled)]) == EXIT_DONE
    told = capsys.readouterr().err
    assert "not enough memory for the whole picture; not enough memory for strips of 256" in told
    assert "in strips of 128 rows" in told
    assert float((read_image(whole) - read_image(tiled)).abs().max()) <= 1 / 255 + 1e-6


@pytest.mark.skipif(not installed(), reason="OpenVINO is not installed")
def test_strips_on_the_engine_never_load_pytorch(model, picture, tmp_path):
    output = tmp_path / "out.png"
    arguments = ["apply", str(model), str(picture), "--device", "cpu", "--tile", "64"]
    modules, _ = modules_after(*arguments, "--output", str(output))
    assert output.exists()
    assert "openvino" in modules
    assert "torch" not in modules


def test_pictures_that_may_be_in_strips_elsewhere_are_in_float32_here():
    assert [is_exact(n) for n in (1, 65_535, 65_536, 15_999_999, 16_000_000, 10**9)] == [
        True, True, False, False, True, True,
    ]  # fmt: skip
    assert is_exact(10**6, "float32")
    assert not is_exact(10**9, "bfloat16")


def test_another_failure_is_no_want_of_memory(model, picture, tmp_path, monkeypatch):
    def broken(self, image):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(TransferNetwork, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        Stylizer.load(model, "cpu", "torch").stylize_file(picture, tmp_path / "x.png")


@pytest.mark.parametrize("kind", ["fast", "johnson"])
def test_a_plan_takes_the_whole_picture_where_it_fits_and_else_what_does(kind):
    layers, large = chain(kind), (12000, 8000)
    limit = {"fast": 2_000_000_000, "johnson": 3_500_000_000}[kind]
    assert plan_picture(Pass(layers, 1000, 1000), 10**12).rows is None
    roomy = plan_picture(Pass(layers, *large), 8 * 10**9)
    tight = plan_picture(Pass(layers, *large), limit)
    assert (roomy.dtype, roomy.spare) == ("float32", True)
    assert tight.dtype == "float16"
    assert tight.bytes <= limit < roomy.bytes < plan_picture(Pass(layers, *large), tile="off").bytes
    with pytest.raises(ConfigError, match="even in strips, more than --max-memory"):
        plan_picture(Pass(layers, *large), 5 * 10**8)


@pytest.mark.parametrize(("kind", "limit"), [("fast", 1_500_000_000), ("johnson", 3_000_000_000)])
def test_a_hundred_megapixels_fit_where_the_engine_computes(kind, limit):
    plan = plan_picture(Pass(chain(kind), 10_000, 10_000, "openvino"), limit)
    assert plan.rows is not None
    assert plan.rows >= 16


def test_values_a_pixel_are_those_of_the_networks():
    # fast: 48 channels doubled to half the size, 48 at a quarter; johnson: 64 doubled, 128.
    assert values_a_pixel(chain("fast")) == (12, 3, 0)
    assert values_a_pixel(chain("johnson")) == (64, 8, 0)
    assert values_a_pixel(chain("fast", {"width": 48})).kept == 6
    # A skip hands on 24 channels of half the size.
    assert values_a_pixel(chain("fast", {"skip": 1})) == (12, 3, 6)


def test_what_a_skip_holds_is_planned_for():
    """Its features while the whole is computed, the picture beside those that strips keep."""
    plain, skipping = (Pass(chain("fast", {"skip": skip}), 3000, 2000) for skip in (0, 1))
    pixels = 3000 * 2000
    for tile, more in (("off", 6 * 4), (64, 3)):
        taken = [plan_picture(work, tile=tile).bytes for work in (plain, skipping)]
        assert taken[1] - taken[0] == more * pixels


def test_sizes_are_read_as_people_write_them():
    assert [parse_size(text) for text in ("1G", "1.5g", "800M", "2000", "3 GiB", "1kb")] == [
        10**9, 1_500_000_000, 800_000_000, 2000, 3 * 10**9, 1000,
    ]  # fmt: skip
    for wrong in ("much", "", "-1G", "1X"):
        with pytest.raises(ConfigError, match="no size"):
            parse_size(wrong)
    assert available_memory() > 10**8


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tile", "7"], "'7' is neither auto, off nor rows"),
        (["--tile", "some"], "'some' is neither"),
        (["--max-memory", "lots"], "'lots' is no size"),
        (["--max-memory", "1M"], "even in strips, more than --max-memory"),
    ],
)
def test_bad_limits_cost_one_line(flags, message, model, picture, capsys):
    assert main(["apply", str(model), str(picture), *flags]) == EXIT_USAGE
    assert message in one_line(capsys)
