"""The camera, painted as it comes: Chromium's fake one, whose picture changes all the time."""

from __future__ import annotations

import re

import numpy as np
import pytest
from page_helpers import CHROMIUM, PATIENCE, Opened, as_floats

pytest.importorskip("onnx", reason="the extra 'export' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
FRAMES = re.compile(r"(\d+) pictures so far, [\d.]+ a second, at (\d+) × (\d+)")


def shown(opened: Opened) -> np.ndarray:
    """The picture that is shown, small."""
    values = opened.page.evaluate(
        """() => { const small = new OffscreenCanvas(32, 24).getContext("2d");
        small.drawImage(document.getElementById("after"), 0, 0, 32, 24);
        return [...small.getImageData(0, 0, 32, 24).data]; }"""
    )
    return np.array(values).reshape(24, 32, 4)[..., :3].astype(int)


def test_the_camera_is_painted_until_it_is_stopped_and_the_page_is_as_before(opened):
    page, before = opened.page, None
    page.locator("#camera").focus()
    page.keyboard.press("Enter")
    opened.says(FRAMES, "#note")
    for _ in range(2):
        frames = int(FRAMES.search(page.text_content("#note"))[1])
        previous, before = before, shown(opened)
        page.wait_for_function(
            """count => parseInt(document.getElementById("note").textContent) > count + 2""",
            arg=frames, timeout=PATIENCE,
        )  # fmt: skip
    assert np.abs(before - previous).max() > 8
    _, width, height = map(int, FRAMES.search(page.text_content("#note")).groups())
    assert 128 <= min(width, height) <= 512
    # What is read out stays; figures of each second would be talked of without an end.
    assert "camera" in page.text_content("#status")
    assert page.locator("#note").get_attribute("aria-live") is None
    page.locator("#cancel").focus()
    page.keyboard.press("Enter")
    opened.painted("The Great Wave, 451 × 300")
    assert page.evaluate("document.getElementById('video').srcObject") is None
    expect(page.locator("#note")).to_be_hidden()


def test_a_picture_is_taken_in_full_size_after_a_style_was_dropped(opened):
    button = opened.page.locator("#camera")
    button.click()
    opened.says(FRAMES, "#note")
    opened.drop("mine.onnx", as_floats("udnie"))
    opened.says("mine", "#chosen")
    button.click()
    opened.painted("mine, 640 × 480")
    expect(button).to_have_text(re.compile("Camera"))


def test_the_video_itself_is_never_drawn(opened):
    """Without a GPU Chromium keeps a megabyte of each frame that is, until some 400 MB."""
    opened.page.evaluate(
        """() => { const { prototype } = OffscreenCanvasRenderingContext2D;
        const draw = prototype.drawImage;
        self.drawn = new Set();
        prototype.drawImage = function (source, ...rest) {
          self.drawn.add(source.constructor.name);
          return draw.call(this, source, ...rest);
        }; }"""
    )
    opened.page.locator("#camera").click()
    opened.says(FRAMES, "#note")
    assert opened.page.evaluate("[...self.drawn]") == ["OffscreenCanvas"]


def test_a_photograph_takes_the_cameras_place(opened, photograph):
    opened.page.locator("#camera").click()
    opened.says(FRAMES, "#note")
    opened.give(("p.png", photograph))
    opened.painted("70 × 50")
    assert opened.page.evaluate("document.getElementById('video').srcObject") is None


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            ["--use-fake-device-for-media-stream", "--deny-permission-prompts"],
            "The browser was not allowed to use the camera.",
        ),
        (["--use-fake-ui-for-media-stream"], "No camera was found."),
    ],
)
def test_a_camera_that_is_refused_or_missing_is_told(browser, page_server, flags, told):
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", *flags]
    with browser.browser_type.launch(executable_path=CHROMIUM, args=arguments) as other:
        opened = Opened(other.new_context(), page_server.url)
        opened.page.locator("#camera").click()
        opened.says(told, "#error")
        expect(opened.page.locator("#camera")).to_have_text(re.compile("Camera"))
        assert opened.troubles == []
