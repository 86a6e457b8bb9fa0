"""The built file in a real browser, against a real server behind a real nginx."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from tests.web.conftest import STATIC

from wherry.router import chunked_upload_router
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import serving

MiB = 1 << 20
VERBS = ("init", "chunk", "complete", "upload")

#: Makes the client and a file of `size` reproducible bytes, and sends it as `how` says.
SEND = """
async ({code, how, size, options}) => {
  const api = await import(URL.createObjectURL(new Blob([code], {type: 'text/javascript'})))
  const bytes = new Uint8Array(size)
  for (let at = 0, x = 1; at < size; at++) bytes[at] = (x = (x * 1103515245 + 12345) >>> 0) >>> 16
  const told = []
  const percents = []
  const note = (percent, details) => { percents.push(percent); told.push(details.state) }
  const hex = (hash) => [...new Uint8Array(hash)].map((b) => b.toString(16).padStart(2, '0'))
  let result = null, error = null
  try {
    result = await api[how](new File([bytes], 'test.mp4'), note, options)
  } catch (e) {
    error = {name: e.name, message: e.message, code: e.code}
  }
  const sha256 = hex(await crypto.subtle.digest('SHA-256', bytes)).join('')
  return {result, error, percents, states: [...new Set(told)], sha256}
}
"""

#: Sends `count` files at the same moment, each of `size` bytes that begin with its number.
SEND_MANY = """
async ({code, count, size}) => {
  const api = await import(URL.createObjectURL(new Blob([code], {type: 'text/javascript'})))
  const photo = (number) => new File([`${number}`.padEnd(size, '.')], `photo-${number}.jpg`)
  const numbers = [...Array(count).keys()]
  const done = await Promise.allSettled(numbers.map((n) => api.uploadVideoChunked(photo(n))))
  return done.map(({value, reason}) => value?.state ?? `${reason}`)
}
"""


@pytest.fixture(scope="module", autouse=True)
def _nginx() -> None:
    require_nginx()


@contextmanager
def open_host(data: Path, allowed: str) -> Iterator[int]:
    """An application whose pages come from another origin; its port."""
    host = FastAPI()
    host.include_router(
        chunked_upload_router(owner=lambda: "alice", data=data, assessment=False, min_free=0),
        prefix="/api",
    )
    host.add_middleware(
        CORSMiddleware,
        allow_origins=[allowed],
        allow_methods=["GET", "POST"],
        allow_credentials=True,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(host, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def send(page: Any, url: str, how: str, size: int, **options: object) -> dict[str, Any]:
    code = (STATIC / "chunkedUploadApi.js").read_text()
    page.goto(f"{url}/healthz")
    asked = {"code": code, "how": how, "size": size, "options": options}
    found: dict[str, Any] = page.evaluate(SEND, asked)
    return found


def stored(data: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in (data / "files").iterdir()]


def test_twenty_megabytes_arrive_through_an_ingress_of_one(tmp_path: Path, page: Any) -> None:
    with (
        serving(tmp_path / "data", assessment=False) as server,
        nginx(server.port, "1m") as ingress,
    ):
        sent = send(page, ingress.url, "uploadVideoChunked", 20 * MiB)
        assert sent["error"] is None
        assert sent["result"]["state"] == "complete"
        assert stored(server.data) == [sent["sha256"]]
        assert sent["percents"] == sorted(sent["percents"])
        assert sent["percents"][-1] == 100
        assert sent["states"][0] == "starting"
        assert sent["states"][-1] == "done"
        assert ingress.refused() == 0, "20 MiB are not worth a trial above 1 MiB"


@pytest.mark.parametrize("http2", [False, True])
def test_fifty_megabytes_throw_away_128_kib_at_most_and_nothing_on_a_known_path(
    tmp_path: Path, page: Any, certificate: tuple[Path, Path], http2: bool
) -> None:
    with (
        serving(tmp_path / "data", assessment=False) as server,
        nginx(server.port, tls=certificate if http2 else None) as ingress,
    ):
        for refusals in (1 if http2 else 0, 0):
            before = ingress.refused()
            sent = send(page, ingress.url, "uploadVideoChunked", 50_000_000)
            assert sent["error"] is None
            assert ingress.refused() - before == refusals
            assert sent["sha256"] in stored(server.data)
    # HTTP/1.1: no trial is made. HTTP/2: its answer ends it.
    assert ingress.received(413) <= 128 * 1024


def test_an_ingress_of_six_megabytes_refuses_nothing(tmp_path: Path, page: Any) -> None:
    with (
        serving(tmp_path / "data", assessment=False) as server,
        nginx(server.port, "6m") as ingress,
    ):
        sent = send(page, ingress.url, "uploadVideoChunked", 20 * MiB)
        assert sent["error"] is None
        assert stored(server.data) == [sent["sha256"]]
        assert ingress.refused() == 0


def test_a_file_goes_in_one_request_where_its_size_is_known_to_pass(
    tmp_path: Path, page: Any
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2].split("?")[0]))
    with (
        serving(tmp_path / "data", assessment=False) as server,
        nginx(server.port, "1m") as ingress,
    ):
        small = send(page, ingress.url, "uploadVideoChunked", 500_000)
        assert small["error"] is None
        assert [verb for verb in asked if verb in VERBS] == ["upload"]
        assert ingress.refused() == 0
        large = send(page, ingress.url, "uploadVideoChunked", 3 * MiB)
        assert large["error"] is None
        assert asked.count("upload") == 1
        asked.clear()
        # The page was loaded anew, and remembers what has passed.
        again = send(page, ingress.url, "uploadVideoChunked", 1_000_000)
        assert again["error"] is None
        assert [verb for verb in asked if verb in VERBS] == ["upload"]
        assert ingress.refused() == 0
        sent = [small["sha256"], large["sha256"], again["sha256"]]
        assert sorted(stored(server.data)) == sorted(sent)


def test_a_thousand_photos_in_one_tab_are_a_thousand_requests_a_few_at_a_time(
    tmp_path: Path, page: Any
) -> None:
    asked: list[str] = []
    open_now: set[Any] = set()
    most = 0

    def begun(request: Any) -> None:
        nonlocal most
        if request.method == "POST":
            asked.append(request.url.rpartition("/")[2])
            open_now.add(request)
            most = max(most, len(open_now))

    page.on("request", begun)
    for event in ("requestfinished", "requestfailed"):
        page.on(event, lambda request: open_now.discard(request))
    code = (STATIC / "chunkedUploadApi.js").read_text()
    with (
        serving(tmp_path / "data", assessment=False) as server,
        nginx(server.port, "1m") as ingress,
    ):
        page.goto(f"{ingress.url}/healthz")
        states = page.evaluate(SEND_MANY, {"code": code, "count": 1000, "size": 20_000})
        assert states == ["complete"] * 1000
        assert asked == ["upload"] * 1000
        files = [path.read_bytes() for path in (server.data / "files").iterdir()]
        assert sorted(files) == sorted(
            b"%d" % n + b"." * (20_000 - len(b"%d" % n)) for n in range(1000)
        )
    assert most <= 4


def test_a_small_file_with_metadata_and_a_name_goes_in_one_request(
    tmp_path: Path, page: Any
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with serving(tmp_path / "data", assessment=False) as server:
        for metadata in ({}, {"course": "physics"}):
            name = "Übung (1) *'it'+&.mp4"
            options = {"filename": name, "metadata": metadata}
            sent = send(page, server.url, "uploadVideoChunked", 5000, **options)
            assert sent["error"] is None
            url = f"{server.url}/api/chunked-upload/{sent['result']['upload_id']}"
            assert httpx2.get(url).json()["filename"] == name
    assert sum(url.endswith("/chunked-upload/upload") for url in asked) == 2


def test_one_request_that_is_refused_says_so_in_the_words_that_applications_look_for(
    tmp_path: Path, page: Any
) -> None:
    with (
        serving(tmp_path / "data", assessment=False) as server,
        nginx(server.port, "1m") as ingress,
    ):
        sent = send(page, ingress.url, "uploadVideo", 3 * MiB)
        assert sent["error"]["name"] == "TooLarge"
        assert "too large" in sent["error"]["message"]
        assert stored(server.data) == []


def test_a_file_without_bytes_arrives(tmp_path: Path, page: Any) -> None:
    with serving(tmp_path / "data", assessment=False) as server:
        sent = send(page, server.url, "uploadVideoChunked", 0)
        assert sent["error"] is None
        assert stored(server.data) == [sent["sha256"]]


@pytest.mark.parametrize("max_body", ["0", "256k"])
def test_another_origin_needs_no_header_that_browsers_hide(
    tmp_path: Path, page: Any, max_body: str
) -> None:
    with (
        serving(tmp_path / "other", assessment=False) as other,
        open_host(tmp_path / "data", allowed=other.url) as port,
        nginx(port, max_body) as ingress,
    ):
        options = {"endpoint": f"{ingress.url}/api", "credentials": "include"}
        sent = send(page, other.url, "uploadVideoChunked", 9 * MiB, **options)
        assert sent["error"] is None
        assert stored(tmp_path / "data") == [sent["sha256"]]
        # What nginx refuses, this page may not read: it looks as if the connection broke.
        assert (ingress.refused() > 0) == (max_body == "256k")
