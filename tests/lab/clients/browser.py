"""The browser client in headless Chromium."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers import NotInstalled
from tests.lab.clients import TIMEOUT, Client, Uploaded, Uploads, Way

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: Sends the file that was chosen; the promise never rejects.
UPLOAD = """async (endpoint) => {
  const file = document.querySelector('#file').files[0];
  try {
    const result = await client.createUpload(file, { endpoint, patience: 30 }).start();
    return { upload_id: result.upload_id, problem: '' };
  } catch (error) {
    return { upload_id: '', problem: `${error.name}: ${error.message}` };
  }
}"""


class Chromium(Client):
    key = "browser"
    title = "browser"

    def __init__(self) -> None:
        self._browser: Browser | None = None

    @contextmanager
    def start(self) -> Iterator[None]:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None or find_spec("playwright") is None:
            raise NotInstalled("chromium or playwright is missing")
        from playwright.sync_api import sync_playwright

        # Chromium's own sandbox does not run as root.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        with sync_playwright() as playwright:
            self._browser = playwright.chromium.launch(executable_path=program, args=options)
            try:
                yield
            finally:
                self._browser.close()
                self._browser = None

    def upload(self, way: Way, files: Sequence[Path], folder: Path) -> Uploads:
        assert self._browser is not None
        context = self._browser.new_context(ignore_https_errors=way.certificate is not None)
        try:
            page = context.new_page()
            page.set_default_timeout(TIMEOUT * 1000)
            page.goto(f"{way.page}/page")
            page.wait_for_function("window.client !== undefined")
            for file in files:
                page.set_input_files("#file", file)
                begun = time.perf_counter()
                found = page.evaluate(UPLOAD, way.api)
                yield Uploaded(time.perf_counter() - begun, **found)
        finally:
            context.close()
