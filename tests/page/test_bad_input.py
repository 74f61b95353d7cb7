"""What can't be painted says so in one plain sentence, and the page goes on."""

from __future__ import annotations

import io

import pytest
from helpers import make_picture
from page_helpers import PATIENCE, as_floats, png
from PIL import Image

onnx = pytest.importorskip("onnx", reason="the extra 'export' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect


def of_many_pixels(width: int, height: int) -> bytes:
    """A PNG of so many pixels, all black: a bit each, and compressed."""
    return png(Image.new("1", (width, height)))


def cut(kind: str) -> bytes:
    file = io.BytesIO()
    make_picture(200, 160).save(file, kind)
    return file.getvalue()[:40]


def model(name: str, kind: int, shape: list[int | str], operator: str = "Identity") -> bytes:
    """A model of one operator, from an input to ``stylized``."""
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node(operator, [name], ["stylized"])],
        "other",
        [helper.make_tensor_value_info(name, kind, shape)],
        [helper.make_tensor_value_info("stylized", kind, [None] * len(shape))],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


FLOAT, BYTES = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.png", b"", "empty (0 bytes)"),
        ("broken.png", cut("PNG"), "can’t be read"),
        ("broken.jpg", cut("JPEG"), "can’t be read"),
        ("notes.png", b"no picture at all", "can’t be read"),
        ("huge.png", of_many_pixels(14_143, 14_142), "200 million pixels"),
        ("wave.ckpt", b"PK", "fastnst export wave.ckpt"),
        ("empty.onnx", b"", "empty (0 bytes)"),
        ("text.onnx", b"not a model", "no model"),
        ("cut.onnx", as_floats("wave")[:5000], "no model"),
        ("other.onnx", model("pixels", BYTES, ["h", "w", 3]), "no model"),
        ("fixed.onnx", model("image", BYTES, [224, 224, 3]), "no model"),
        ("planes.onnx", model("image", FLOAT, [1, 1, "h", "w"]), "no model"),
        ("shape.onnx", model("image", BYTES, ["h", "w", 3], "Flatten"), "no model"),
    ],
)  # fmt: skip
def test_it_is_told_and_the_page_goes_on(opened, photograph, name, content, told):
    opened.give((name, content))
    error = opened.page.locator("#error")
    expect(error).to_contain_text(told, timeout=PATIENCE)
    expect(error).to_contain_text(name)
    assert opened.page.text_content("#error").count(". ") == 0
    opened.give(("good.png", photograph))
    opened.painted("The Great Wave, 70 × 50 pixels")
    expect(error).to_be_hidden()


def test_of_an_animation_the_first_picture_is_painted_and_that_is_told(opened, apply, photograph):
    first, second = make_picture(48, 40, 1), make_picture(48, 40, 2)
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=[second], duration=100)
    opened.give(("moving.gif", file.getvalue()))
    opened.painted("48 × 40 pixels")
    opened.says("first picture", "#note")
    expected = apply(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
    assert abs(opened.pixels()[..., :3] - expected).max() <= 1
    opened.give(("still.png", photograph))
    opened.painted("70 × 50 pixels")
    expect(opened.page.locator("#note")).to_be_hidden()


def test_a_file_of_many_pixels_does_not_take_their_memory(opened):
    opened.give(("huge.png", of_many_pixels(20_000, 20_000)))
    opened.says("400 million pixels", "#error")
