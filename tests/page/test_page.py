"""The page in a real browser: the picture that fastnst apply gives, and nothing that leaves."""

from __future__ import annotations

import io
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from helpers import make_picture, with_a_skip
from page_helpers import PATIENCE, Opened, as_floats, png
from PIL import Image

from fastnst.checkpoint.shipped import shipped_models
from fastnst.page.build import write_folder
from fastnst.page.site import TYPES
from fastnst.stylize.effects import Effects, finished
from fastnst.stylize.stylizer import Stylizer

pytest.importorskip("onnx", reason="the extra 'export' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect


def test_the_picture_is_that_of_apply(opened, apply):
    for width, height in ((257, 131), (640, 480), (1, 1)):
        picture = make_picture(width, height, width)
        opened.give((f"p{width}.png", png(picture)))
        opened.painted(f"{width} × {height} pixels")
        found = opened.pixels()[..., :3]
        apart = np.abs(found - apply(picture))
        # In a picture of one pixel a norm divides rounding by next to nothing.
        assert found.shape == (height, width, 3)
        assert apart.max() <= (8 if width == 1 else 1)
        assert width == 1 or apart.mean() < 0.1
    assert "WebAssembly" in opened.page.text_content("#backend")
    assert opened.page.evaluate("crossOriginIsolated")


def test_a_larger_picture_is_painted_coarse_to_fine_as_apply_does(opened, apply):
    picture = make_picture(560, 530, 5)
    opened.give(("large.png", png(picture)))
    opened.painted("560 × 530 pixels")
    apart = np.abs(opened.pixels()[..., :3] - apply(picture))
    # fastnst's own two engines are 0.12 apart on average in such a picture.
    assert (apart.max() <= 8, apart.mean() < 0.2) == (True, True)
    # It is no single pass.
    assert np.abs(apply(picture, stroke_size=1.0) - apply(picture)).mean() > 2


def test_strength_and_colours_take_no_other_pass(opened, apply):
    picture = make_picture(200, 150, 3)
    opened.give(("p.png", png(picture)))
    opened.painted("200 × 150 pixels")
    before = opened.page.text_content("#status")
    opened.page.locator("#strength").fill("0")
    assert np.array_equal(opened.pixels()[..., :3], np.asarray(picture))
    opened.page.locator("#strength").fill("40")
    opened.page.locator("#colors").check()
    # The page blends: the slider moves without another pass.
    full = apply(picture).astype(np.uint8)
    expected = finished(full, np.asarray(picture), Effects(0.4, keep_colors=True)).astype(float)
    assert np.abs(opened.pixels()[..., :3] - expected).max() <= 1
    assert opened.page.text_content("#status") == before
    slider = opened.page.locator("#strokes")
    slider.fill("2")
    assert slider.get_attribute("aria-valuetext") == "2.0 times broader"
    opened.page.locator("#strength").fill("100")
    opened.page.locator("#colors").uncheck()
    expect(opened.page.locator("#status")).not_to_have_text(before, timeout=PATIENCE)
    opened.painted("200 × 150 pixels")
    apart = np.abs(opened.pixels()[..., :3] - apply(picture, stroke_size=2.0))
    assert (apart.max() <= 8, apart.mean() < 0.2) == (True, True)


def test_transparency_is_put_back(opened, apply):
    picture = make_picture(64, 48).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((64, 48)))
    opened.give(("clear.png", png(picture)))
    opened.painted("64 × 48 pixels")
    assert np.array_equal(opened.pixels()[..., 3], np.asarray(picture)[..., 3])


def test_a_style_of_ones_own_is_dropped_and_used(opened, apply):
    picture = make_picture(120, 90)
    opened.give(("p.png", png(picture)))
    opened.painted("The Great Wave, 120 × 90")
    opened.drop("my_wave.onnx", as_floats("wave"))
    opened.painted("my wave, 120 × 90")
    assert np.abs(opened.pixels()[..., :3] - apply(picture)).max() <= 1


def test_a_network_with_a_skip_paints_what_apply_paints(opened, tmp_path):
    picture = make_picture(121, 90)
    model = with_a_skip(shipped_models()["wave"], tmp_path / "wave.ckpt", 0.2)
    opened.give(("p.png", png(picture)))
    opened.painted("The Great Wave, 121 × 90")
    opened.drop("skipping.onnx", as_floats(model))
    opened.painted("skipping, 121 × 90")
    expected = np.asarray(Stylizer(model, precision="float32").picture(picture)).astype(int)
    assert np.abs(opened.pixels()[..., :3] - expected).max() <= 1


def test_several_pictures_end_in_a_zip(opened):
    opened.give(
        *((f"p{i}.png", png(make_picture(60 + i, 50, i))) for i in range(3)),
        ("p0.png", png(make_picture(9, 9))),
    )
    opened.painted("60 × 50")
    opened.page.select_option("#format", "image/png")
    with zipfile.ZipFile(io.BytesIO(opened.download("#all"))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["p0-wave.png", "p1-wave.png", "p2-wave.png", "p0-wave-2.png"]
        sizes = [Image.open(io.BytesIO(archive.read(name))).size for name in archive.namelist()]
    assert sizes == [(60, 50), (61, 50), (62, 50), (9, 9)]
    expect(opened.page.locator("#status")).to_contain_text("4 of 4")


def test_work_is_stopped_and_started_again(opened):
    opened.give(("large.png", png(make_picture(1200, 900))))
    opened.page.click("#cancel", timeout=PATIENCE)
    expect(opened.page.locator("#status")).to_have_text("Stopped.")
    opened.give(("small.png", png(make_picture(80, 60))))
    opened.painted("80 × 60")


def test_the_keyboard_alone_suffices(opened):
    page = opened.page
    page.get_by_role("radio", name="The Great Wave").focus()
    page.keyboard.press("ArrowRight")
    opened.painted("Udnie, ")
    page.locator("#divider").focus()
    page.keyboard.press("End")
    assert page.locator("#frame").evaluate("f => f.style.getPropertyValue('--at')") == "100%"
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, select, label.style, input[type=range]")]
        .filter(e => e.offsetParent && Math.min(e.offsetHeight, e.offsetWidth) < 44)
        .map(e => e.id)"""
    )
    assert small == []


def test_of_a_row_the_keyboard_keeps_its_place(opened):
    opened.give(*((f"p{i}.png", png(make_picture(60 + i, 50, i))) for i in range(2)))
    opened.painted("60 × 50")
    opened.page.locator("#strip button").nth(1).focus()
    opened.page.keyboard.press("Enter")
    opened.painted("61 × 50")
    assert opened.page.evaluate("document.activeElement.getAttribute('aria-label')") == "p1.png"


def test_a_picture_that_is_hardly_more_than_a_line_lies_below_the_heading(opened):
    opened.give(("line.png", png(make_picture(1500, 8))))
    opened.painted("1500 × 8 pixels")
    tag, heading = (opened.page.locator(name).bounding_box() for name in (".tag.left", ".top p"))
    assert tag["y"] >= heading["y"] + heading["height"]


def test_the_folder_works_below_an_address_and_without_a_network(browser, page_files, tmp_path):
    write_folder(page_files, tmp_path / "site" / "below")

    class Plain(SimpleHTTPRequestHandler):
        """A host that sends none of the headers."""

        extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}  # noqa: RUF012

        def log_message(self, format: str, *args: object) -> None:
            pass

    host = ThreadingHTTPServer(("127.0.0.1", 0), partial(Plain, directory=tmp_path / "site"))
    thread = threading.Thread(target=host.serve_forever, args=(0.05,))
    thread.start()
    context = browser.new_context()
    url = f"http://127.0.0.1:{host.server_port}/below/"
    try:
        opened = Opened(context, url)
        # Its worker adds the headers and the page comes anew, once.
        isolated = "() => globalThis.crossOriginIsolated && document.documentElement.dataset.ready"
        opened.page.wait_for_function(isolated, timeout=PATIENCE)
    finally:
        host.shutdown()
        host.server_close()
        thread.join()
    opened.page.goto(url)
    opened.page.wait_for_selector("html[data-ready]")
    opened.page.get_by_role("radio", name="Udnie").check(force=True)
    opened.painted("Udnie, ")
    assert opened.troubles == []
    context.close()
