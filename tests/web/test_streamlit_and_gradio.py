"""The examples of Streamlit and Gradio, with the real packages, behind a narrow nginx.

`make test-components` installs the packages and runs this.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from tests.e2e.conftest import make_file, sha256
from tests.examples.edits import LEFT_BY_RUNNING, ROOT
from tests.waiting import TIMEOUT, wait_until
from tests.web.conftest import Held

from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.ports import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

MiB = 1 << 20
#: Neither of them asks anybody on the network.
QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
}


def is_up(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False


@contextmanager
def running(package: str, folder: Path) -> Iterator[int]:
    """The example of this package in a folder of its own; its port."""
    example = ROOT / "examples" / f"{package}_app"
    shutil.copytree(example, folder, ignore=LEFT_BY_RUNNING)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
    environment = {**os.environ, **QUIET, "SECRET_KEY": "of this test", "HOME": str(folder)}
    environment["GRADIO_TEMP_DIR"] = str(folder / "temporary")
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, env=environment)
    try:
        wait_until(lambda: process.poll() is not None or is_up(f"http://127.0.0.1:{port}/"))
        assert process.poll() is None, log.read_text()
        yield port
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT)
        finally:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.nginx
@pytest.mark.parametrize("package", ["streamlit", "gradio"])
def test_a_page_in_python_gets_large_files_through_a_narrow_ingress(
    package: str, page: Page, tmp_path: Path
) -> None:
    require_nginx()
    large = make_file(tmp_path / "large.mp4", 5 * MiB, seed=1)
    small = make_file(tmp_path / "small.mp4", 20_000, seed=2)
    with (
        running(package, tmp_path / "app") as port,
        nginx(port, "1m", websocket="/_stcore/stream") as ingress,
    ):
        too_large = httpx2.post(f"{ingress.url}/api/chunked-upload/upload", content=bytes(2 * MiB))
        assert too_large.status_code == 413
        page.goto(ingress.url)
        held = Held(page, "**/chunked-upload/chunk?*")
        page.locator("wherry-upload input").set_input_files([large, small])
        wait_for(page, shown(small))
        # The page was drawn again around the upload that is under way.
        assert page.get_by_role("progressbar", name="large.mp4").is_visible()
        held.let_go()
        wait_for(page, shown(large))
        held.end()
        stored = (tmp_path / "app" / "data" / "uploads" / "files").iterdir()
        assert {sha256(path) for path in stored} == {sha256(large), sha256(small)}


def shown(file: Path) -> str:
    """What the examples write about a file that has arrived."""
    return f"{file.name}: {file.stat().st_size:,} bytes, SHA-256 {sha256(file)}"


def wait_for(page: Page, text: str) -> None:
    page.wait_for_function(
        """(text) => [document.body.innerText, ...[...document.querySelectorAll('textarea')]
          .map((area) => area.value)].some((shown) => shown.includes(text))""",
        arg=text,
    )
