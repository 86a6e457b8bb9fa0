"""Resumable uploads of the IETF on real connections: interim responses, cuts, stalls."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Connect, rest, serving

from wherry.protocols.ietf import interim
from wherry.server import create_app
from wherry.settings import Settings

KiB, MiB = 1024, 1024 * 1024
ietf = pytest.mark.ietf
#: More than the least that is taken past ASGI, and less.
SIZES = (300 * KiB, 5 * KiB)


@contextmanager
def server(data: Path, **settings: Any) -> Iterator[Connect]:
    given: dict[str, Any] = {"data": data, "assessment": False, "min_free": 0} | settings
    with serving(create_app(Settings(**given), "127.0.0.1")) as connect:
        yield connect


def head(method: str, path: str, length: int | None, version: str = "9", **more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    if version:
        lines.append(f"Upload-Draft-Interop-Version: {version}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def creation(length: int, version: str = "9", **more: str) -> bytes:
    return head("POST", "/api/upload", length, version, Upload_Complete="?1", **more)


def response(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """The next response, interim or final, up to the end of its headers."""
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        if not (byte := connection.recv(1)):
            raise ConnectionError(f"the server has closed the connection after {got!r}")
        got += byte
    first, *lines = got.decode("latin-1").split("\r\n")[:-2]
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers


def announced(connection: socket.socket) -> str:
    """The path of the upload that a 104 announces."""
    status, headers = response(connection)
    assert status == 104
    assert headers["upload-draft-interop-version"] == "9"
    assert "max-age=" in headers["upload-limit"]
    return f"/api/{headers['location']}"


def offset(connect: Connect, path: str) -> int:
    connection = connect()
    connection.sendall(head("HEAD", path, None))
    status, headers = response(connection)
    assert status == 204, headers
    return int(headers["upload-offset"])


def append(connect: Connect, path: str, at: int, data: bytes, is_last: bool) -> int:
    """The status of the answer to an append."""
    connection = connect()
    more = {"Upload_Offset": str(at), "Content_Type": "application/partial-upload"}
    complete = f"?{int(is_last)}"
    connection.sendall(head("PATCH", path, len(data), Upload_Complete=complete, **more) + data)
    return response(connection)[0]


def stored(data: Path) -> list[bytes]:
    return [file.read_bytes() for file in (data / "files").iterdir()]


@pytest.fixture
def connected(tmp_path: Path) -> Iterator[Connect]:
    with server(tmp_path) as connect:
        yield connect


@ietf("4.2 Creation", "a 104 with Location and Upload-Limit; the final answer has the same one")
@pytest.mark.parametrize("size", SIZES)
def test_a_client_learns_where_its_upload_is_before_its_body_has_come(
    connected: Connect, tmp_path: Path, size: int
) -> None:
    connection = connected()
    connection.sendall(creation(size))
    path = announced(connection)
    assert offset(connected, path) == 0
    connection.sendall(b"v" * size)
    status, headers = response(connection)
    assert (status, headers["upload-complete"]) == (200, "?1")
    assert path.endswith(headers["location"])
    assert stored(tmp_path) == [b"v" * size]


@pytest.mark.parametrize("size", SIZES)
def test_a_cut_upload_goes_on_where_it_was_cut(
    connected: Connect, tmp_path: Path, size: int
) -> None:
    connection = connected()
    connection.sendall(creation(size) + b"v" * (size // 2))
    path = announced(connection)
    connection.close()
    at, status = 0, 409
    while status == 409:  # bytes of the first request have been recorded meanwhile
        at = offset(connected, path)
        assert at <= size // 2
        status = append(connected, path, at, b"v" * (size - at), is_last=True)
    assert status == 200
    assert stored(tmp_path) == [b"v" * size]


@ietf("Draft version identification", "no 104 for a missing or another version")
@pytest.mark.parametrize(
    ("version", "header"),
    [
        ("", {}),
        ("10", {}),
        ("2", {}),
        ("9.0", {}),
        ("9", {"X_Forwarded_For": "192.0.2.1"}),
        ("9", {"Via": "1.1 proxy"}),
        ("9", {"Forwarded": "for=192.0.2.1"}),
    ],
)
def test_whoever_has_not_asked_or_comes_through_a_proxy_gets_only_the_answer(
    connected: Connect, version: str, header: dict[str, str]
) -> None:
    connection = connected()
    connection.sendall(creation(4, version, **header) + b"film")
    assert response(connection)[0] == 200


def test_old_clients_get_only_the_answer(connected: Connect) -> None:
    connection = connected()
    connection.sendall(creation(4).replace(b"HTTP/1.1", b"HTTP/1.0") + b"film")
    assert rest(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("setting", "expected"), [("always", 104), ("never", 200)])
def test_the_operator_says_who_gets_interim_responses(
    tmp_path: Path, setting: str, expected: int
) -> None:
    proxy = {"X_Forwarded_For": "192.0.2.1"} if setting == "always" else {}
    with server(tmp_path, interim_responses=setting) as connect:
        connection = connect()
        connection.sendall(creation(4, **proxy) + b"film")
        assert response(connection)[0] == expected


@ietf("4.4 Append", "104 with Upload-Offset and without Location while bytes come")
def test_a_long_request_is_told_how_much_is_safe(
    connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interim, "PROGRESS_EVERY", 0.1)
    size = 24 * MiB
    connection = connected()
    connection.sendall(creation(size))
    path = announced(connection)
    connection.sendall(b"v" * (size - 1))
    status, headers = response(connection)
    assert status == 104
    assert "location" not in headers
    told = int(headers["upload-offset"])
    assert 0 < told <= offset(connected, path)
    connection.sendall(b"v")
    while status == 104:
        status, headers = response(connection)
    assert status == 200


@ietf("4.4 Append", "what came of an interrupted request is kept, and completes nothing")
@pytest.mark.parametrize("size", SIZES)
def test_after_a_104_a_stalled_request_is_dropped_and_not_answered(
    tmp_path: Path, size: int
) -> None:
    """URLSession goes on only if there is no answer."""
    with server(tmp_path, chunk_timeout=1) as connect:
        connection = connect()
        connection.sendall(creation(size) + b"v" * (size - 1))
        path = announced(connection)
        assert rest(connection) == b""
        at = offset(connect, path)
        assert at == size - 1
        more = {"Upload_Offset": str(at), "Content_Type": "application/partial-upload"}
        connection = connect()
        connection.sendall(head("PATCH", path, 1, Upload_Complete="?1", **more))
        assert rest(connection) == b""
        assert append(connect, path, at, b"v", is_last=True) == 200


def test_a_stalled_request_through_a_proxy_is_answered(tmp_path: Path) -> None:
    with server(tmp_path, chunk_timeout=1) as connect:
        connection = connect()
        proxy = {"X_Forwarded_For": "192.0.2.1"}
        begun = head("POST", "/api/upload", 5, Upload_Complete="?0", Upload_Length="5", **proxy)
        connection.sendall(begun + b"film")
        assert response(connection)[0] == 503


def test_what_would_fail_again_is_answered_after_a_104(tmp_path: Path) -> None:
    with server(tmp_path, allowed_types=["video/*"]) as connect:
        connection = connect()
        connection.sendall(creation(4) + b"%PDF")
        announced(connection)
        status, headers = response(connection)
        assert (status, headers["upload-complete"]) == (415, "?1")


@ietf("5 Status 104", "100 (Continue) is sent, too")
def test_a_client_that_waits_for_100_continue_gets_it_after_the_104(connected: Connect) -> None:
    size = SIZES[0]
    connection = connected()
    connection.sendall(creation(size, Expect="100-continue"))
    announced(connection)
    assert response(connection)[0] == 100
    connection.sendall(b"v" * size)
    assert response(connection)[0] == 200


@ietf("4.6 Concurrency", "DELETE ends the request that goes on")
def test_head_and_delete_do_not_wait_for_a_stalled_request(connected: Connect) -> None:
    size = SIZES[0]
    connection = connected()
    connection.sendall(creation(size) + b"v" * (size - 1))
    path = announced(connection)
    offset(connected, path)
    other = connected()
    other.sendall(head("DELETE", path, None))
    assert response(other)[0] == 204
    assert not re.match(rb"HTTP/1.1 2", rest(connection)), "its upload is gone"
