"""A picture in strips is the picture in one go, wherever they are cut and whatever computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import make_picture, with_skip_weights

from fastnst.engines import openvino_graph as graph
from fastnst.engines.openvino_engine import OpenVinoEngine, compiled
from fastnst.engines.openvino_graph import Graph
from fastnst.engines.torch_segments import TorchSegments
from fastnst.networks.architecture import (
    GAIN,
    NETWORKS,
    RANGE,
    Conv,
    Norm,
    Residual,
    chain,
    without_skips,
)
from fastnst.networks.modules import build_network
from fastnst.strips.cuts import Cut, halo, strip_cuts
from fastnst.strips.network import Moments, Part, Segment, Strip, StripNetwork
from fastnst.strips.rows import KeptRows, PictureRows

OPTIONS = {"width": 8, "blocks": 2}
# Networks by kind, and one whose blocks look further and further apart.
CASES = {kind: (kind, OPTIONS) for kind in sorted(NETWORKS)}
CASES["fast, spread"] = ("fast", {"width": 8, "blocks": 5, "spread": 3})
CASES["fast, skip"] = ("fast", OPTIONS | {"skip": 1})
BACKENDS = [
    "torch",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(not graph.installed(), reason="OpenVINO is not installed"),
    ),
]


def trained_like(case: str):
    """A network whose norms have scales and shifts that differ, as training leaves them."""
    torch.manual_seed(1)
    kind, options = CASES[case]
    network = build_network(kind, options).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.InstanceNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -1, 1)
    with_skip_weights(network)
    with torch.no_grad():
        outputs = [value for name, value in network.named_parameters() if "skip" not in name]
        weight, bias = outputs[-2:]
        # In the middle of 0..1, whether the output is bounded or not.
        bounded = kind != "examples"
        for parameter in (weight, bias):
            parameter.mul_(20 if bounded else 20 * GAIN * RANGE)
        bias.add_(0 if bounded else 0.5)
    return network


def whole(network, pixels: np.ndarray) -> np.ndarray:
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0).float() / 255
    with torch.inference_mode():
        return network(image)[0].permute(1, 2, 0).numpy() * 255


def in_strips(network, backend: str, rows: int, dtype="float32", spare=True) -> StripNetwork:
    layers = chain(network.kind, network.options)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    if backend == "torch":
        segments = TorchSegments(network.state_dict())
    else:
        segments = OpenVinoEngine(network.kind, network.options, weights)
    return StripNetwork(layers, weights, segments, rows, dtype, spare)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [(16, 16), (64, 48), (61, 83), (130, 37), (97, 16)])
@pytest.mark.parametrize("rows", [16, 20, 64, 1000])
def test_strips_give_the_networks_own_picture(case, size, rows):
    network = trained_like(case)
    pixels = np.asarray(make_picture(*size, seed=3))
    expected = whole(network, pixels)
    assert expected.std() > 10
    for spare in (True, False):
        found = in_strips(network, "torch", rows, spare=spare)(lambda: pixels)
        # A level's rounding and no more.
        assert np.abs(found - expected).max() <= 0.51


@pytest.mark.skipif(not graph.installed(), reason="OpenVINO is not installed")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("size", "rows", "spare"),
    [((61, 83), 16, True), ((61, 83), 20, False), ((130, 37), 24, False), ((97, 130), 64, True)],
)
def test_the_engine_in_strips_is_the_engine_in_one_go_and_pytorch(case, size, rows, spare):
    network = trained_like(case)
    pixels = np.asarray(make_picture(*size, seed=3))
    strips = in_strips(network, "openvino", rows, spare=spare)
    found = strips(lambda: pixels)
    assert np.abs(found - whole(network, pixels)).max() <= 0.51
    engine = OpenVinoEngine(network.kind, network.options, strips.weights, "float32")
    assert np.abs(found.astype(int) - engine(pixels)).max() <= 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_half_precision_between_the_passes_stays_within_a_level(case, backend):
    network = trained_like(case)
    pixels = np.asarray(make_picture(90, 70, seed=3))
    expected = whole(network, pixels)
    found = in_strips(network, backend, 32, "float16")(lambda: pixels)
    # As both are written: in whole levels.
    assert np.abs(found - expected.round()).max() <= 1


@pytest.mark.parametrize("case", CASES)
def test_naive_tiles_would_not(case):
    network = trained_like(case)
    pixels = np.asarray(make_picture(64, 64, seed=3)).copy()
    halves = np.concatenate([whole(network, pixels[:32]), whole(network, pixels[32:])])
    assert np.abs(halves - whole(network, pixels)).max() > 10


@pytest.mark.skipif(not graph.installed(), reason="OpenVINO is not installed")
def test_norms_of_large_pictures_are_not_added_up_one_by_one_in_float32():
    """OpenVINO's own means are wrong by 0.2 % after two million positions."""
    rng, shape = np.random.default_rng(0), (1, 1500, 1400, 8)
    features = rng.random(shape, dtype=np.float32) + np.linspace(1, 4, 1500)[:, None, None]
    features = features.astype(np.float32)
    one, zero, kernel = np.ones(8, np.float32), np.zeros(8, np.float32), np.eye(8, dtype=np.float32)
    # Behind a convolution, whose layout of memory decides how OpenVINO adds up.
    weights = {
        "c.weight": kernel[:, :, None, None],
        "c.bias": zero,
        "n.weight": one,
        "n.bias": zero,
    }
    built = Graph(weights)
    source = built.source(shape, np.float32)
    layers = [Conv(8, 8, 1, name="c"), Norm(8, "n")]
    normalized = built.run(built.inward(source), layers, [Cut(), Cut()])
    model = built.model([built.outward(normalized, "float32")], [source])
    found = compiled(graph.openvino().Core(), model, exact=True)([features])[0]
    assert np.abs(found.mean((0, 1, 2), dtype=np.float64)).max() <= 5e-5
    assert np.abs(found.var((0, 1, 2), dtype=np.float64) - 1).max() <= 1e-4


@pytest.mark.parametrize("spare", [True, False])
def test_want_of_memory_in_a_strip_halves_the_rows_and_loses_nothing(spare):
    network = trained_like("fast")
    pixels = np.asarray(make_picture(70, 150, seed=3))
    expected = in_strips(network, "torch", 64, spare=spare)(lambda: pixels)
    strips = in_strips(network, "torch", 64, spare=spare)
    backend_prepare, calls = strips.backend.prepare, []

    class Tight:
        def prepare(self, segment, scales, sources):
            run = backend_prepare(segment, scales, sources)

            def tight(sources):
                calls.append(len(calls))
                # Now in the encoder, now in a block, now in the decoder.
                if len(calls) in (2, 20):
                    raise RuntimeError("bad_alloc")
                return run(sources)

            return tight

    strips.backend = Tight()
    found = strips(lambda: pixels)
    assert strips.rows == 16
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("shapes differ")])
def test_errors_that_smaller_strips_do_not_mend_are_raised(error):
    strips = in_strips(trained_like("fast"), "torch", 64)

    def failing(sources):
        raise error

    class Broken:
        def prepare(self, segment, scales, sources):
            return failing

    strips.backend = Broken()
    with pytest.raises(type(error)):
        strips(lambda: np.zeros((64, 64, 3), np.uint8))


@pytest.mark.parametrize("case", CASES)
def test_a_strip_reads_no_further_than_its_halo(case):
    kind, options = CASES[case]
    layers, height = chain(kind, {"skip": 1} if "skip" in options else {}), 4000
    low, high, cuts = strip_cuts(layers, height, 1000, 1100, mirrored=False)
    assert len(cuts) == len(layers)
    after = height
    for layer in layers:
        after = layer.side_after(after)
    assert after == height
    # The whole network sees some hundred pixels to either side.
    assert 900 - 64 <= low < 1000 <= 1100 < high <= 1200 + 64
    assert strip_cuts(layers, height, 0, height, mirrored=False)[:2] == (0, height)
    assert halo([layer for layer in without_skips(layers) if isinstance(layer, Residual)]) == 10


def test_layers_that_hold_a_skip_give_the_networks_own_picture():
    """Of a picture's middle, a skip's features and its body's are of the same rows."""
    network = trained_like("fast, skip")
    pixels = np.array(make_picture(64, 80, seed=3))
    layers = chain(network.kind, network.options)
    # The norms' scales as they come about in strips.
    strips = in_strips(network, "torch", 32)
    expected = strips(lambda: pixels)
    for start, end in ((0, 80), (20, 33), (40, 80)):
        low, high, cuts = strip_cuts(layers, 80, start, end, mirrored=False)
        segment = Segment((Part(layers, cuts),), Part(), "uint8", False)
        for backend in ("torch", "openvino") if graph.installed() else ("torch",):
            computing = in_strips(network, backend, 32).backend
            run = computing.prepare(segment, strips.scales, [pixels[low:high]])
            found = run([pixels[low:high]]).features
            assert np.abs(found.astype(int) - expected[start:end]).max() <= 1


def test_blocks_that_look_further_apart_have_a_larger_halo():
    blocks = [one for one in chain("fast", {"spread": 3}) if type(one).__name__ == "Residual"]
    assert [one.reach for one in blocks] == [2, 4, 6, 4, 2]
    assert halo(blocks) == 18


def test_rows_that_were_replaced_are_still_read_as_they_were():
    kept = KeptRows(10, 3, 2, "float32")
    before = np.arange(60, dtype=np.float32).reshape(10, 3, 2)
    kept.values[:] = before
    kept.write(0, np.full((4, 3, 2), -1, np.float32), halo=2)
    np.testing.assert_array_equal(kept.read(2, 7), before[2:7])
    kept.write(4, np.full((5, 3, 2), -1, np.float32), halo=2)
    # The last strip is a single row, and what it mirrors has been replaced.
    np.testing.assert_array_equal(kept.read(7, 12), before[[7, 8, 9, 8, 7]])
    kept.settle()
    assert (kept.read(0, 9) == -1).all()


def test_pictures_are_mirrored_to_the_right_and_below():
    pixels = np.random.default_rng(0).integers(0, 256, (18, 17, 3), dtype=np.uint8)
    rows = PictureRows(pixels)
    expected = np.pad(pixels, ((0, 2), (0, 3), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(rows.read(0, 20), expected)
    np.testing.assert_array_equal(rows.read(15, 20), expected[15:])


def test_moments_of_strips_are_the_wholes():
    values = np.random.default_rng(0).normal(1000, 1e-2, (50, 7, 3))
    moments = Moments()
    for start, end in ((0, 1), (1, 30), (30, 50)):
        part = values[start:end]
        moments.add(end - start, Strip(None, part.mean((0, 1)), part.var((0, 1))))
    scale, shift = moments.scale(np.ones(3), np.zeros(3))
    np.testing.assert_allclose(scale, 1 / np.sqrt(values.var((0, 1)) + 1e-5), rtol=1e-5)
    np.testing.assert_allclose(shift, -values.mean((0, 1)) * scale, rtol=1e-5)
