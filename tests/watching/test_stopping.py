"""SIGTERM ends a server, whatever streams are open."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from tests.e2e.conftest import Api
from tests.watching.conftest import TIMEOUT, host_under_uvicorn

from wherry.testing.server import serving

MiB = 1 << 20


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=120)


def ask(connection: socket.socket, line: str, *headers: str) -> None:
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *headers])
    connection.sendall(f"{head}\r\n\r\n".encode())


def rest(connection: socket.socket) -> bytes:
    got = b""
    try:
        while data := connection.recv(65536):
            got += data
    except ConnectionError:
        pass
    return got


@contextmanager
def trickling(connection: socket.socket) -> Iterator[None]:
    """A client that sends a byte now and then, for as long as somebody listens."""
    over = threading.Event()

    def trickle() -> None:
        while not over.wait(0.05):
            try:
                connection.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def begin_chunk(connection: socket.socket, upload_id: object) -> None:
    """A chunk of which some bytes have come, and have been read by the server."""
    target = f"/api/chunked-upload/chunk?upload_id={upload_id}&offset=0"
    ask(connection, f"POST {target}", f"Content-Length: {MiB}", "Expect: 100-continue")
    assert connection.recv(1024).startswith(b"HTTP/1.1 100")
    connection.sendall(b"x" * 1000)


def begin_events(connection: socket.socket, upload_id: object) -> None:
    ask(connection, f"GET /api/chunked-upload/{upload_id}/events")
    got = b""
    while b"event: status" not in got:
        got += connection.recv(65536)


def finished_file(api: Api, size: int) -> object:
    upload_id = api.init(size)["upload_id"]
    for at in range(0, size, 8 * MiB):
        assert api.chunk(upload_id, at, bytes(8 * MiB)).is_success
    assert api.complete(upload_id).json()["state"] == "complete"
    return upload_id


def test_a_standalone_server_ends_soon_with_all_kinds_of_streams_open(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "data", grace_period=5) as server, Api(server.url) as api:
        finished = finished_file(api, 32 * MiB)
        upload_id = api.init(2 * MiB)["upload_id"]
        with (
            connect(server.url) as events,
            connect(server.url) as chunk,
            connect(server.url) as file,
        ):
            begin_events(events, upload_id)
            begin_chunk(chunk, upload_id)
            ask(file, f"GET /api/chunked-upload/files/{finished}")
            file.recv(1024)  # and no more: the rest waits for this client
            with trickling(chunk):
                server.stop()
        assert "Finished server process" in server.log.read_text()  # and was not killed
        server.start()
        assert api.status(upload_id)["state"] == "receiving"


def wait_for(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_ready(url: str) -> bool:
    return httpx2.get(f"{url}/readyz").is_success


def check_refused(answer: httpx2.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")
    problem = answer.json()
    assert (problem["code"], problem["retryable"], problem["retry_after"]) == ("stopping", True, 1)


def test_a_server_that_stops_finishes_what_is_in_flight_and_begins_nothing_new(
    tmp_path: Path,
) -> None:
    with (
        serving(tmp_path / "data", assessment=False, grace_period=60) as server,
        Api(server.url) as api,
        connect(server.url) as chunk,
    ):
        upload_id = api.init(MiB)["upload_id"]
        begin_chunk(chunk, upload_id)
        assert is_ready(server.url)
        os.kill(server.pid, signal.SIGTERM)
        wait_for(lambda: not is_ready(server.url))
        # On a connection that was open before, and on new ones; with and without a body.
        check_refused(api.http.post("/chunked-upload/init", json={"filename": "a", "size": 1}))
        check_refused(api.http.get(f"/chunked-upload/{upload_id}"))
        check_refused(api.chunk(upload_id, 0, bytes(MiB)))
        assert httpx2.get(f"{server.url}/healthz").is_success
        chunk.sendall(b"x" * (MiB - 1000))
        answer = rest(chunk)  # until the server closes the connection
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        server.stop()
        assert "Finished server process" in server.log.read_text()
        assert "Traceback" not in server.log.read_text()
        server.start()
        assert api.status(upload_id)["offset"] == MiB


def test_what_lasts_longer_than_the_grace_period_is_recorded_as_far_as_it_came(
    tmp_path: Path,
) -> None:
    with (
        serving(tmp_path / "data", assessment=False, grace_period=4) as server,
        Api(server.url) as api,
        connect(server.url) as chunk,
    ):
        upload_id = api.init(2 * MiB)["upload_id"]
        begin_chunk(chunk, upload_id)
        with trickling(chunk):
            server.stop()
        answer = rest(chunk)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'"code":"stopping"' in answer
        log = server.log.read_text()
        assert "Finished server process" in log
        assert "Traceback" not in log
        server.start()
        assert 1000 <= int(str(api.status(upload_id)["offset"])) < MiB


def test_a_server_without_requests_waits_for_the_load_balancer_as_long_as_it_is_told(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "data", assessment=False, stop_delay=2) as server:
        begun = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        with suppress(httpx2.TransportError):  # it has ended before it was asked again
            wait_for(lambda: not is_ready(server.url))
        server.stop()
        assert time.monotonic() - begun >= 2
        assert "Finished server process" in server.log.read_text()


def test_a_request_that_uvicorn_cancels_gets_the_same_answer(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        host_under_uvicorn(data, "--timeout-graceful-shutdown", "1") as host,
        connect(host.url) as init,
    ):
        kind = "Content-Type: application/json"
        ask(
            init,
            "POST /api/chunked-upload/init",
            kind,
            "Content-Length: 1000",
            "Expect: 100-continue",
        )
        assert init.recv(1024).startswith(b"HTTP/1.1 100")
        with trickling(init):
            host.stop()
        answer = rest(init)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'"code":"stopping"' in answer


def test_a_host_application_under_plain_uvicorn_ends_with_uploads_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERRY_GRACE_PERIOD", "3")
    with host_under_uvicorn(tmp_path / "data") as host, Api(host.url) as api:
        upload_id = api.init(2 * MiB)["upload_id"]
        with connect(host.url) as events, connect(host.url) as chunk:
            begin_events(events, upload_id)
            begin_chunk(chunk, upload_id)
            with trickling(chunk):
                host.stop()
            # The stream was ended in order, not cut off.
            assert rest(events).endswith(b"0\r\n\r\n")
            assert b'"code":"stopping"' in rest(chunk)
        assert "Traceback" not in host.log.read_text()


def test_a_download_is_cut_off_where_uvicorn_is_told_not_to_wait(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with (
        host_under_uvicorn(data, "--timeout-graceful-shutdown", "2") as host,
        Api(host.url) as api,
    ):
        finished = finished_file(api, 32 * MiB)
        with connect(host.url) as file:
            ask(file, f"GET /api/chunked-upload/files/{finished}")
            file.recv(1024)
            host.stop()


def test_several_workers_end_too(tmp_path: Path) -> None:
    with host_under_uvicorn(tmp_path / "data", workers=2) as host, Api(host.url) as api:
        upload_id = api.init(2 * MiB)["upload_id"]
        with connect(host.url) as events:
            begin_events(events, upload_id)
            host.stop()
            assert rest(events).endswith(b"0\r\n\r\n")
