"""Whatever a client sends beside a body has an end, in bytes and in time. Sizes are harmless."""

from __future__ import annotations

import json
import resource
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from tests.server.conftest import TIMEOUT, Connect, answer, pushed, rest, running, serving
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wherry import connection as bounds
from wherry.auth import Keys, keys_file
from wherry.core.limits import KiB, MiB
from wherry.protocols import draining

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
INIT = (
    b"POST /api/chunked-upload/init HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\n"
)
CHUNKED = INIT + b"Transfer-Encoding: chunked\r\n\r\n"
#: What the kernel still takes when nobody reads any more, and some more.
UNREAD = 32 * MiB


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


@pytest.fixture
def few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DRAIN_BYTES", 1 * MiB)
    for module in (draining, bounds):
        monkeypatch.setattr(module, "STRANGERS_BYTES", 1 * MiB)


@pytest.fixture
def little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(draining, "WAIT_SECONDS", 0.2)
    for module in (draining, bounds):
        monkeypatch.setattr(module, "DRAIN_SECONDS", 0.5)


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        (HEALTH + b"X: ", b"x" * KiB),
        (b"GET /", b"x" * KiB),
        (HEALTH, b"X: y\r\n"),
        (CHUNKED + chunk(b"{"), chunk(b" ", b";x=" + b"y" * KiB)),
        (CHUNKED + chunk(b"{"), b"1;" + b"y" * KiB),
        (CHUNKED + chunk(b"{}") + b"0\r\n", b"X: " + b"y" * KiB + b"\r\n"),
        (CHUNKED + chunk(b"{}") + b"0\r\nX: ", b"y" * KiB),
        (CHUNKED + chunk(b"{}") + b"0\r\n", b"X: y\r\n"),
    ],
    ids=[
        "a long header",
        "a long address",
        "many headers",
        "chunk extensions",
        "one chunk extension",
        "trailers",
        "one trailer",
        "many trailers",
    ],
)
def test_what_is_no_body_is_not_read_for_ever(connect: Connect, begun: bytes, piece: bytes) -> None:
    connection = connect()
    connection.sendall(begun)
    assert pushed(connection, piece, 2 * UNREAD) < UNREAD
    rest(connection)
    again = connect()
    again.sendall(HEALTH + b"\r\n")
    assert b"200 OK" in answer(again)


def test_a_request_with_too_many_header_lines_is_told_so(connect: Connect) -> None:
    connection = connect()
    connection.sendall(HEALTH + b"X: y\r\n" * 300 + b"\r\n")
    assert b"HTTP/1.1 431 " in rest(connection)


@pytest.mark.usefixtures("little_time")
@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /hea",
        HEALTH + b"X: y",
        HEALTH + b"Content-Length: 100\r\n\r\n",
        HEALTH + b"\r\n" + b"\r\n",
        HEALTH + b"\r\n" + b"GET /hea",
    ],
    ids=[
        "nothing",
        "half an address",
        "half a head",
        "a body that nobody reads",
        "blank lines between requests",
        "half a second request",
    ],
)
def test_a_client_that_trickles_beside_a_body_is_not_waited_for(
    connect: Connect, begun: bytes
) -> None:
    """It sends a byte now and then, and so is never idle."""
    connection = connect()
    connection.sendall(begun)
    until = time.monotonic() + TIMEOUT
    with suppress(ConnectionError):
        while time.monotonic() < until:
            connection.settimeout(0.05)
            with suppress(TimeoutError):
                if not connection.recv(4096):
                    break
            if begun:
                connection.sendall(b"\r\n" if begun.endswith(b"\r\n\r\n\r\n") else b"x")
    assert time.monotonic() < until


@pytest.mark.usefixtures("few_bytes")
@pytest.mark.parametrize("length", [900 * KiB, 1 << 40], ids=["short", "long"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_after_a_401_little_more_is_read(tmp_path: Path, length: int, framing: str) -> None:
    Keys(keys_file(tmp_path / "data")).add("alice")
    head = b"POST /api/chunked-upload/init HTTP/1.1\r\nHost: localhost\r\n"
    if framing == "length":
        head += b"Content-Length: %d\r\n\r\n" % length
    else:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
    with running(tmp_path / "data") as connect:
        connection = connect()
        connection.sendall(head)
        if framing == "length" and length < MiB:
            connection.sendall(bytes(length))
            assert b"401" in answer(connection)
            connection.sendall(HEALTH + b"\r\n")
            assert b"200 OK" in answer(connection)
            return
        piece = bytes(64 * KiB) if framing == "length" else chunk(bytes(64 * KiB))
        assert pushed(connection, piece, 2 * UNREAD) < UNREAD
        assert b"401" in rest(connection)


@pytest.mark.usefixtures("few_bytes")
@pytest.mark.parametrize("path", [b"/healthz", b"/", b"/nowhere", b"/api/chunked-upload/"])
def test_a_body_that_no_route_wants_is_read_within_bounds(connect: Connect, path: bytes) -> None:
    head = b"GET %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    connection = connect()
    connection.sendall(head % (path, 100 * KiB) + bytes(100 * KiB))
    answer(connection)
    connection.sendall(head % (path, 1 << 40))
    answer(connection)
    assert pushed(connection, bytes(64 * KiB), 2 * UNREAD) < UNREAD


@pytest.mark.usefixtures("few_bytes")
def test_behind_an_answer_the_rest_of_a_body_is_bounded_whoever_answered() -> None:
    """The application here knows nothing of draining."""
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    with serving(PlainTextResponse("hello")) as connect:
        connection = connect()
        for _ in range(2):
            connection.sendall(head % (100 * KiB))
            assert b"hello" in answer(connection)
            connection.sendall(bytes(100 * KiB))
        connection.sendall(head % (1 << 40))
        assert b"hello" in answer(connection)
        assert pushed(connection, bytes(64 * KiB), 2 * UNREAD) < UNREAD


@pytest.mark.usefixtures("little_time")
@pytest.mark.parametrize("sent", [b"x", b"late"], ids=["cut off", "whole"])
def test_behind_a_body_that_came_late_the_connection_ends_when_it_is_idle(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "IDLE_SECONDS", 0.5)
    with serving(PlainTextResponse("hello")) as connect:
        connection = connect()
        connection.sendall(HEALTH + b"Content-Length: 4\r\n\r\n")
        assert b"hello" in answer(connection)
        connection.sendall(sent)
        assert rest(connection) == b""


def test_a_header_line_behind_the_body_is_none_of_the_request(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: set[bytes] = set()
    end = bounds.BoundedConnection.on_message_complete

    def ending(self: bounds.BoundedConnection) -> None:
        names.update(name for name, _ in self.scope["headers"])
        end(self)

    monkeypatch.setattr(bounds.BoundedConnection, "on_message_complete", ending)
    connection = connect()
    wanted = json.dumps({"filename": "a.mp4", "size": 0}).encode()
    connection.sendall(CHUNKED + chunk(wanted) + b"0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n")
    assert b"201 Created" in rest(connection)
    assert names == {b"host", b"content-type", b"transfer-encoding"}


def test_behind_a_chunked_body_the_connection_ends(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser may keep what came behind a body for the next request, so there is none."""
    known = 0
    begin = HttpToolsProtocol.on_headers_complete

    def counting(self: HttpToolsProtocol) -> None:
        nonlocal known
        known += 1
        begin(self)

    monkeypatch.setattr(HttpToolsProtocol, "on_headers_complete", counting)
    connection = connect()
    body = chunk(b'{"filename": "a.mp4", "size": 0}') + b"0\r\n\r\n"
    connection.sendall(CHUNKED + body + HEALTH + b"\r\n")
    told = rest(connection)
    assert (told.count(b"HTTP/1.1 "), known) == (1, 1)
    assert b"connection: close" in told.lower()


def test_many_requests_at_once_are_answered_and_few_are_known_at_once(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = 0
    parse = bounds.BoundedConnection._parse

    def counting(self: bounds.BoundedConnection, piece: memoryview) -> None:
        nonlocal waiting
        parse(self, piece)
        waiting = max(waiting, len(self.pipeline))

    monkeypatch.setattr(bounds.BoundedConnection, "_parse", counting)
    connection = connect()
    connection.sendall((HEALTH + b"\r\n") * 2000 + HEALTH + b"Connection: close\r\n\r\n")
    assert rest(connection).count(b"200 OK") == 2001
    assert 0 < waiting < 40


def test_a_request_that_asks_for_another_protocol_is_answered_in_this_one(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    connection = connect()
    connection.sendall(HEALTH + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + HEALTH + b"\r\n")
    told = rest(connection)
    assert told.count(b"200 OK") == 1
    assert not [r for r in caplog.records if r.levelname == "WARNING" and r.name != "wherry"]


def test_the_answer_waits_for_a_body_that_comes_soon_and_not_for_one_that_does_not(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = HEALTH + b"Content-Length: 1000\r\n\r\n"
    monkeypatch.setattr(draining, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(draining, "DRAIN_SECONDS", 0.3)
    slow = connect()
    slow.sendall(head + bytes(999))
    told = answer(slow)
    assert b"connection: close" in told.lower()
    assert rest(slow) == b""
    monkeypatch.setattr(draining, "WAIT_SECONDS", TIMEOUT)
    quick = connect()
    quick.sendall(head + bytes(999))
    quick.settimeout(0.3)
    with pytest.raises(TimeoutError):
        quick.recv(1)
    quick.settimeout(TIMEOUT)
    quick.sendall(b"x")
    assert b"connection: close" not in answer(quick).lower()


def test_only_so_many_unwanted_bodies_are_read_at_once(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "DRAINS", 2)
    monkeypatch.setattr(draining, "WAIT_SECONDS", TIMEOUT)
    head = HEALTH + b"Content-Length: 1000\r\n\r\n"
    waiting: list[socket.socket] = [connect(), connect()]
    for connection in waiting:
        connection.sendall(head)
    until = time.monotonic() + TIMEOUT
    while draining.Exchange._draining < 2 and time.monotonic() < until:
        time.sleep(0.01)
    third = connect()
    third.sendall(head)
    assert b"connection: close" in rest(third).lower()
    for connection in waiting:
        connection.sendall(bytes(1000))
        assert b"200 OK" in answer(connection)


@pytest.mark.parametrize("length", [3000, 3_000_000])
def test_who_waits_for_100_continue_is_refused_without_being_asked_for_the_body(
    connect: Connect, little_time: None, length: int
) -> None:
    connection = connect()
    connection.sendall(
        b"POST /api/chunked-upload/chunk?upload_id=%s&offset=0 HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (b"f" * 32, length)
    )
    got = rest(connection)
    assert got.startswith(b"HTTP/1.1 404")
    assert b"100 Continue" not in got


def test_connections_that_are_too_many_are_told_so_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds.BoundedConnection, "most_connections", 2)
    with running(tmp_path / "data") as connect:
        first, second = connect(), connect()
        for connection in (first, second):
            connection.sendall(HEALTH + b"\r\n")
            assert answer(connection).startswith(b"HTTP/1.1 200")
        refused = rest(connect())
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in refused
        second.close()
        deadline = time.monotonic() + TIMEOUT
        while True:  # until the server has seen that it is closed
            third = connect()
            third.sendall(HEALTH + b"\r\n")
            if answer(third).startswith(b"HTTP/1.1 200"):
                break
            assert time.monotonic() < deadline


def test_a_process_asks_for_the_files_that_its_requests_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[tuple[int, int]]()

    def found(soft: int, hard: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
        return bounds.allow_files(500)

    assert found(1024, 1 << 20) == bounds.MOST_CONNECTIONS
    assert asked == [(6200, 1 << 20)]
    assert found(1 << 20, 1 << 20) == bounds.MOST_CONNECTIONS
    assert len(asked) == 1
    assert found(1024, 1024) == 512  # no more can be had
