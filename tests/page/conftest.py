"""One browser, one server and one cache of the browser's for all tests of a process."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import make_picture
from page_helpers import CHROMIUM, Opened, png, real_runtime, served, two_styles

from fastnst.checkpoint.shipped import shipped_models
from fastnst.page.site import site
from fastnst.stylize.effects import Effects
from fastnst.stylize.stylizer import Stylizer


@pytest.fixture(scope="session")
def page_files():
    return site(two_styles(), real_runtime())


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    arguments = [
        "--no-sandbox", "--disable-dev-shm-usage",
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    ]  # fmt: skip
    with playwright.sync_playwright() as running:
        try:
            browser = running.chromium.launch(executable_path=CHROMIUM, args=arguments)
        except playwright.Error as error:
            pytest.skip(f"chromium does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_server(page_files):
    with served(page_files) as server:
        yield server


@pytest.fixture(scope="session")
def context(browser):
    """One for all pages: what it has loaded and compiled it keeps."""
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    yield context
    context.close()


@pytest.fixture
def opened(context, page_server):
    """The page; at the end it has said nothing on the console and asked nobody else."""
    opened = Opened(context, page_server.url)
    yield opened
    opened.page.close()
    assert opened.troubles == []
    assert {url.split("/")[2] for url in opened.asked if not url.startswith("blob:")} == {
        f"127.0.0.1:{page_server.server_port}"
    }


@pytest.fixture(scope="session")
def photograph():
    """A PNG, 70 x 50."""
    return png(make_picture(70, 50))


@pytest.fixture(scope="session")
def apply():
    stylizer = Stylizer(shipped_models()["wave"], precision="float32")
    return lambda picture, **effects: np.asarray(
        stylizer.picture(picture, Effects(**effects))
    ).astype(int)
