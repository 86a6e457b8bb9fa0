"""Headless Chromium, and tabs of it in which somebody is signed in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browser.tab import TIMEOUT, MiB, Tab
from tests.e2e.conftest import make_file
from tests.parts import need

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from tests.examples.running import Example

#: Names that only this browser knows: plain http with a name is no secure context.
NAMES = "MAP *.wherry.test 127.0.0.1"

#: Their own test, as it was written down.
CONSOLE_TEST = """async () => {
  const { uploadVideoChunked } = client;
  const testFile = new File([new ArrayBuffer(50 * 1024 * 1024)], 'test.mp4');
  return await uploadVideoChunked(testFile, (progress) => console.log(progress));
}"""

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    need(find_spec("playwright") is not None, "playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    need(chromium is not None, "chromium")
    from playwright.sync_api import sync_playwright

    # Chromium's own sandbox does not run as root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    options.append(f"--host-resolver-rules={NAMES}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=options, timeout=TIMEOUT
        )
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[OpenTab]:
    """Opens the application's page in a browser of its own, as somebody who is signed in.

    `beside`: in the same browser as that tab. `url`: where the page comes from, if not
    from the application's own ingress.
    """
    contexts = []

    def open_one(
        example: Example, name: str | None = "alice", url: str = "", beside: Tab | None = None
    ) -> Tab:
        url = url or example.url
        context = beside.context if beside else browser.new_context()
        contexts.append(context)
        if name is not None and beside is None:
            for field, value in example.sign_in(name).items():
                context.add_cookies([{"name": field, "value": value, "url": url}])
        return Tab(context.new_page(), url)

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 MiB."""
    return make_file(tmp_path_factory.mktemp("film") / "film.mp4", 24 * MiB)


@pytest.fixture
def tab(open_tab: OpenTab, example: Example) -> Tab:
    """The application's upload page, as alice sees it."""
    return open_tab(example)
