"""A real browser, looking at a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.page.drawing import draw
from tests.parts import need_package, need_program
from tests.web.conftest import script

from wherry.testing.server import Server, serving
from wherry.testing.video import make_video

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

__all__ = ["script"]  # a fixture: tests find it here

MiB = 1 << 20
#: How long a browser may take for anything, in milliseconds.
TIMEOUT = 120_000


def find_chromium() -> str:
    """The program's path, or else the test that asks is skipped."""
    return need_program("chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    need_package("playwright")
    from playwright.sync_api import sync_playwright

    # Chromium's own sandbox does not run as root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    # A camera that shows a moving picture, and whoever is asked whether it may be used agrees.
    options += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options, timeout=TIMEOUT)
        yield browser
        browser.close()


class Complaints:
    """What the browser complains of that no test expects."""

    def __init__(self, page: Page) -> None:
        self.heard: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.heard.append(str(error)))

    def _console(self, message: ConsoleMessage) -> None:
        # A refused request is the daily bread here; each makes such a line.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.heard.append(message.text)


@pytest.fixture
def opened(browser: Browser) -> Iterator[tuple[Page, Complaints]]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    # Files are asked for through us from now on, not only from the moment a test waits for it.
    page.on("filechooser", lambda chooser: None)
    complaints = Complaints(page)
    yield page, complaints
    context.close()
    assert complaints.heard == []


@pytest.fixture
def page(opened: tuple[Page, Complaints]) -> Page:
    """A page in a browser of its own, that is not allowed to complain of anything."""
    return opened[0]


@pytest.fixture
def complaints(opened: tuple[Page, Complaints]) -> Complaints:
    return opened[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("page") / "data", assessment=False) as server:
        yield server


@pytest.fixture(scope="module")
def pictures(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a report shows."""
    return draw(browser, tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of more than 20 MiB with something to find in it."""
    return make_video(
        tmp_path_factory.mktemp("talk") / "talk.mp4",
        seconds=12,
        width=640,
        height=360,
        black=(2, 4),
        freeze=(5, 8),
        silence=(8, 11),
        size_at_least=20 * MiB,
    )
