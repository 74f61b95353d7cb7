"""What computes: a GPU where it gives what WebAssembly gives. A processor plays the GPU here."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import make_picture
from page_helpers import CHROMIUM, Opened, png

pytest.importorskip("onnx", reason="the extra 'export' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

# The page leaves a GPU alone that a processor plays, unless it is told otherwise.
ANY = "export const hasGpu = async () => true;"
ADAPTER = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")


@pytest.fixture
def on_gpu(browser, page_server):
    """The page in a browser of its own, with ``flags``, where every adapter counts; parts of its
    network.mjs are replaced.
    """
    launched = []

    def opened(flags: tuple[str, ...], was: str = "", now: str = "") -> Opened:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", *flags]
        own = browser.browser_type.launch(executable_path=CHROMIUM, args=arguments)
        launched.append(own)
        context = own.new_context()
        context.route("**/gpu.mjs", lambda route: replaced(route, lambda _: ANY))
        if was:
            context.route(
                "**/network.mjs", lambda route: replaced(route, lambda text: text.replace(was, now))
            )
        return Opened(context, page_server.url)

    yield opened
    for own in launched:
        own.close()


def replaced(route, change) -> None:
    response = route.fetch()
    route.fulfill(response=response, body=change(response.text()))


def painted(opened: Opened) -> tuple[np.ndarray, np.ndarray]:
    picture = make_picture(70, 50)
    opened.give(("p.png", png(picture)))
    opened.painted("70 × 50 pixels")
    return opened.pixels()[..., :3], picture


def has_adapter(opened: Opened) -> bool:
    return opened.page.evaluate("async () => !!(await navigator.gpu?.requestAdapter())")


def test_a_gpu_that_agrees_paints_the_same_picture(on_gpu, apply):
    opened = on_gpu(ADAPTER)
    if not has_adapter(opened):
        pytest.skip("this browser plays no GPU")
    found, picture = painted(opened)
    assert "WebGPU" in opened.page.text_content("#backend")
    assert any("asyncify" in url for url in opened.asked)
    assert np.abs(found - apply(picture)).max() <= 1
    assert opened.troubles == []


def test_a_gpu_that_disagrees_is_left_for_webassembly(on_gpu, apply):
    opened = on_gpu(ADAPTER, "Math.abs(value - gpu[i])", "Math.abs(value - gpu[i]) + 4")
    if not has_adapter(opened):
        pytest.skip("this browser plays no GPU")
    found, picture = painted(opened)
    assert "WebAssembly" in opened.page.text_content("#backend")
    assert np.abs(found - apply(picture)).max() <= 1


def test_where_an_adapter_was_promised_and_is_missing_webassembly_paints(on_gpu, apply):
    found, picture = painted(on_gpu(("--disable-gpu",)))
    assert np.abs(found - apply(picture)).max() <= 1


def test_without_a_real_gpu_its_runtime_is_not_loaded(opened):
    painted(opened)
    assert "WebAssembly" in opened.page.text_content("#backend")
    assert not any("asyncify" in url or "webgpu" in url for url in opened.asked)
