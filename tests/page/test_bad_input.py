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


# One page for all of a kind: none of them may spoil it for the next.
PHOTOGRAPHS = [
    ("empty.png", b"", "empty (0 bytes)"),
    ("broken.png", cut("PNG"), "can’t be read"),
    ("broken.jpg", cut("JPEG"), "can’t be read"),
    ("notes.png", b"no picture at all", "can’t be read"),
    ("huge.png", of_many_pixels(14_143, 14_142), "200 million pixels"),
]
MODELS = [
    ("wave.ckpt", b"PK", "fastnst export wave.ckpt"),
    ("empty.onnx", b"", "empty (0 bytes)"),
    ("text.onnx", b"not a model", "no model"),
    ("cut.onnx", as_floats("wave")[:5000], "no model"),
    ("other.onnx", model("pixels", BYTES, ["h", "w", 3]), "no model"),
    ("fixed.onnx", model("image", BYTES, [224, 224, 3]), "no model"),
    ("planes.onnx", model("image", FLOAT, [1, 1, "h", "w"]), "no model"),
    ("shape.onnx", model("image", BYTES, ["h", "w", 3], "Flatten"), "no model"),
]


@pytest.mark.parametrize("cases", [PHOTOGRAPHS, MODELS], ids=["photographs", "models"])
def test_each_is_told_in_a_sentence_and_the_page_goes_on(opened, cases):
    error = opened.page.locator("#error")
    for place, (name, content, told) in enumerate(cases):
        opened.give((name, content))
        expect(error).to_contain_text(told, timeout=PATIENCE)
        expect(error).to_contain_text(name)
        assert opened.page.text_content("#error").count(". ") == 0
        opened.give(("good.png", png(make_picture(40 + place, 30))))
        opened.painted(f"The Great Wave, {40 + place} × 30 pixels")
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


def test_after_a_bad_file_there_is_what_was_there_before(opened, photograph):
    page, bad = opened.page, ("broken.png", photograph[:60])
    opened.give(bad)
    opened.says("can’t be read", "#error")
    page.get_by_role("radio", name="Udnie").check(force=True)
    opened.painted("Udnie, 451 × 300")
    expect(page.locator("#error")).to_be_hidden()
    opened.give(("good.png", photograph), bad)
    opened.painted("Udnie, 70 × 50")
    page.locator("#strip button").nth(1).click()
    # It stays, although the other one is shown again.
    opened.says("can’t be read", "#error")
    opened.painted("Udnie, 70 × 50")
    expect(page.locator("#error")).to_contain_text("can’t be read")
    expect(page.locator("#strip")).to_be_hidden()
